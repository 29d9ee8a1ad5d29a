"""Objects and calls that are native where Python lets them be, and what stands for them elsewhere.

"Calls as they mostly are" in docs/architecture.md; elsewhere is PyPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autodiff.native import ADDRESS, Holding, ffi, lib


class _Slots:
    """The slots of a tensor, where they are no native object's."""

    __slots__ = ("__weakref__", "_acc", "_base", "_base_node", "_node", "_p")


def filler(of: type[Any]) -> Callable[[Any], Any]:
    """What makes a tensor of a class of a descriptor: a leaf, of no base."""
    told: list[Any] = [of]
    if not lib.ad_slots_start(id(told)):
        return told[1]  # type: ignore[no-any-return]

    def filled(p: Any) -> Any:
        x = object.__new__(of)
        x._p = p
        x._node = x._acc = x._base = x._base_node = None
        return x

    return filled


class _NodeSlots:
    """The same of a node; a class names those with _ as it calls them."""

    __slots__ = (
        "__weakref__", "_at", "_code", "_like", "_op", "_told", "edges", "hooks", "saved", "title",
        "versions",
    )  # fmt: skip
    _op: Any
    _told: Any
    _like: Any
    _code: Any
    _at: Any


class Called:
    """What is called by a function that it has as `_call`."""

    __slots__ = ("__weakref__", "_call")
    _call: Callable[..., Any]

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)


_made: list[Any] = []
if not TYPE_CHECKING and not lib.ad_called_start(id(_made)):
    Called = _made[0]

PLAIN, TO, OF_CLASSES, OF_FLOATS = 1, 2, 4, 8  # flags


def unless(code: int) -> int:
    """The flags of a conversion to a dtype."""
    return (code + 1) << 4


def quick(native: Any, flags: int, *belongs: Any) -> Callable[..., Any]:
    """What calls a pointwise op on tensors, and on numbers for one: a tensor; where there is more
    to it, what Python makes of the operands, or None.

    `belongs`: the classes of tensors that it takes, if OF_CLASSES; of each type of number a dict of
    those that are tensors; the threads that do not record, and what tells whether this one does;
    whether somebody is told of nodes; for each set of operands, as bits, None or the node's class,
    op and plan, and what is saved, or False where there is no node; what is called with the
    tensor, those bits and the operands to put its node where there is None; and what is called with
    the operands where there is more to it, or None. None of the operands may have a node if PLAIN,
    all must be of floats if OF_FLOATS. TO: what it writes to, of the result's shape and dtype,
    comes first. An operand that has a dtype already is the result with `unless` that.
    """
    told: list[Any] = [native, *belongs]
    if not lib.ad_quick(native, flags, id(told)):
        return told[-1]  # type: ignore[no-any-return]
    return belongs[-1] or (lambda *xs: None)


_LETTERS = {
    "struct ad_tensor *": "t",
    "int": "i",
    "int64_t": "l",
    "uint32_t": "u",
    "_Bool": "B",
    "int64_t *": "s",
}


def direct(
    native: Any, bound: Sequence[int], dims: int, flags: int, *belongs: Any
) -> Callable[..., Any]:
    """What calls an op's native function on tensors and integers (or a list of them), the first of
    which are `bound`: the finished tensor, or None where there is more to it.

    The first `dims` of the integers given may count from the end. `flags`: 1 for a view, 2 for a
    bilinear op, 4 for one whose nodes know the first operand's shape, 8 for what gives by `ad_next`
    a tensor that nodes save as if it were the last operand. `belongs`: the op; its nodes'
    class; their arguments, where these are not the integers; what it saves; the threads that do
    not record, and what tells whether this one does; whether somebody is told of nodes; and shapes
    by their keys.
    """
    if type(lib) is Holding:
        return lambda *given: None
    told: list[Any] = [*belongs]
    form = "".join([_LETTERS[kind.cname] for kind in ffi.typeof(native).args]).encode()
    at = int(ffi.cast(ADDRESS, ffi.addressof(lib, native.__name__)))
    if not lib.ad_direct(at, form, len(bound), list(bound), dims, flags, id(told)):
        return told[-1]  # type: ignore[no-any-return]
    return lambda *given: None


_stored: list[Callable[..., bool]] = []
if lib.ad_stored(id(_stored)):
    _stored = [lambda *given: False] * 3
plain, alike, store = _stored
"""Of types, an `out` and arguments: whether all are tensors that no graph knows, lists of such, or
of these types; and all of one dtype of floats. Of an `out` and a result: whether that was written.
"""

_lists: list[Callable[..., Any]] = []
if lib.ad_lists_start(id(_lists)):
    _lists = [lambda *given: None] * 2
of_lists, to_lists = _lists
"""Of plain numbers in lists, the dtype that floats take, and that wanted or -1: the tensor. Of a
tensor: the lists. None where there is more to it.
"""

_base: list[Any] = []
Slots = _Slots if lib.ad_slots_start(id(_base)) else _base[0]
if TYPE_CHECKING or lib.ad_nodes_start(id(_base)):
    NodeSlots = _NodeSlots

    def versions(ps: tuple[Any, ...]) -> int:
        """The versions of descriptors, added up."""
        return sum(map(lib.ad_version, ps))
else:
    versions, NodeSlots = _base[-2:]
    NodeSlots.__slots__ = _NodeSlots.__slots__  # for who copies nodes
