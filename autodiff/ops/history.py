"""In-place writes: what may be written to, and what becomes of the graph behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autodiff.changes import changed, changes
from autodiff.hooks import hooks_of
from autodiff.native import lib
from autodiff.node import Node
from autodiff.tensor import Tensor, live_node


def check_writable(x: Tensor, op: str) -> None:
    """RuntimeError where x is a leaf that requires grad, or a view that must not be written to."""
    if x._node is None and x._base is None:
        return
    base = x._base
    if base is None:
        if x._node is x._acc:
            raise _leaf_written("leaf Variable", op)
        return
    node, above = live_node(x), live_node(base)
    if (above is not None and above is base._acc) or (node is not None and node is x._acc):
        raise _leaf_written("view of a leaf Variable", op)
    if node is not None and node.custom:
        raise RuntimeError(
            f"{op}: Output {node.output_nr} of {node.name()} is a view and is being modified "
            "inplace. This view was created inside a custom Function (or because an input was "
            "returned as-is), and the write would override its backward. Write to a clone() of it."
        )
    if node is None and above is not None:
        raise RuntimeError(
            f"{op}: A view was created in no_grad mode and is being modified inplace with grad "
            "mode enabled: whether the write is to be differentiated is not clear. Make the view "
            "and the write both inside no_grad(), or both outside it."
        )


def _leaf_written(what: str, op: str) -> RuntimeError:
    return RuntimeError(
        f"a {what} that requires grad is being used in an in-place operation: {op}. Write inside "
        "no_grad(), or to a clone() of it."
    )


class WriteSlice(Node):
    """A base after a write through a view: the region's cotangent goes to what was written."""

    __slots__ = ("geometry",)
    geometry: tuple[Sequence[int], ...]

    def kind(self) -> str:
        return "CopySlices"

    def vjp(self, g: Tensor) -> Sequence[Tensor | None]:
        return late.split_region(g, *self.geometry)


class _Late:
    """What the view family provides, so that imports point one way."""

    split_region: Callable[..., tuple[Tensor, Tensor]]
    view_node: Callable[[Tensor, Tensor], Node]


late = _Late()


def changed_history(x: Tensor) -> None:
    """Count the change of a tensor, unless the recording that is under way made it."""
    if changes.recorder is None or not lib.ad_tape_made_here(x._p):
        changed()


def left(x: Tensor, base: Tensor) -> bool:
    """Whether the base of a view was given other memory since: the view is none any more."""
    elsewhere = lib.ad_storage_id(x._p) != lib.ad_storage_id(base._p)
    if elsewhere:
        x._base = x._base_node = None
    return bool(elsewhere)


def rebase(x: Tensor, node: Node) -> None:
    """Make `node` the history of x, which was just written to; and of the base of a view."""
    old, base = x._node, x._base
    if base is not None and left(x, base):
        base = None
    changed_history(x if base is None else base)
    if base is None:
        x._node = node
    else:
        _rebase_view(x, base, node)
    move_retained(x, old)


def _rebase_view(x: Tensor, base: Tensor, node: Node) -> None:
    written = WriteSlice()
    written.saved, written.versions = (), 0
    written.edges = (base._node, node)
    written.geometry = geometry(x, base)
    old, base._node = base._node, written
    move_retained(base, old)
    x._base_node = written
    x._node = late.view_node(x, base)


def move_retained(x: Tensor, old: Node | None) -> None:
    """retain_grad() is about a tensor: after a write, about what was written."""
    if x._acc is None or old is None or old is x._acc or x._node is None:
        return
    hooks = hooks_of(old)
    if hooks.retained is x._acc:
        hooks_of(x._node).retained, hooks.retained = hooks.retained, None


def geometry(x: Tensor, base: Tensor) -> tuple[Sequence[int], ...]:
    """Where a view lies in its base: base shape and strides, view shape and strides, offset."""
    offset = x.storage_offset() - base.storage_offset()
    return (base.shape, base.stride(), x.shape, x.stride(), (offset,))
