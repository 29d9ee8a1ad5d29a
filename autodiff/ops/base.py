"""How an operation of the other families is declared: a native call, and its vjp on tensors."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from autodiff.anomaly import note_line, noting
from autodiff.descriptor import shapes_made
from autodiff.native import error
from autodiff.node import Node, mode, unrecorded, unsavable
from autodiff.ops.written import is_open, parameters, twin
from autodiff.shapes import Size
from autodiff.shortcuts import direct, versions
from autodiff.tensor import Tensor, live_node, tensor_of, wrap

OUTPUT = -1
OPS: dict[str, Op] = {}


F = TypeVar("F", bound=Callable[..., Any])


def backward_name(name: str, variant: int = 0) -> str:
    """PyTorch's name of the node of a function."""
    return f"{name.title().replace('_', '')}Backward{variant}"


def titled(y: Tensor, title: str) -> Tensor:
    """The result of a composition for which PyTorch has one node, or which ends in another there.

    It must be the composition's own: not what was given to it.
    """
    node = y._node
    if node is not None and mode.grad:  # else y may be an out=
        node.title = title
    return y


def called(title: str) -> Callable[[F], F]:
    """The same, of all results of a function that it was not given."""

    def told(result: Any, args: Sequence[Any]) -> Any:
        for y in result if isinstance(result, tuple) else (result,):
            if y._node is not None and mode.grad:  # else y may be an out=
                for given in args:
                    if given is y:
                        break
                else:
                    y._node.title = title
        return result

    def with_title(function: F) -> F:
        if is_open(function):

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                return told(function(*args, **kwargs), args)

            return cast(F, call)
        names, known = parameters(function)
        given = [f"_{at}" for at in range(len(names))]
        named = [f"{name}={name}" for name in known[len(names) :]]

        def tell(scope: dict[str, Any]) -> Sequence[str]:
            scope |= {"function": function, "kind": type, "plain": Tensor, "told": told}
            return [
                f"y = function({', '.join([*given, *named])})",
                "if kind(y) is plain and y._node is None: return y",
                f"return told(y, [{', '.join(given)}])",  # what is recorded takes longer anyway
            ]

        return cast(F, twin(function, tell))

    return with_title


class OpNode(Node):
    """A recorded call of an Op."""

    if not TYPE_CHECKING:
        __slots__ = ()  # under names of its own
    op: Op = Node._op
    args: tuple[Any, ...] = Node._told
    shape: Size = Node._like  # of the first input
    code, at = Node._code, Node._at

    @property
    def output_nr(self) -> int:  # type: ignore[override]
        """Which of its function's outputs it stands for."""
        at = self.op.numbered
        return 0 if at is None else self.args[at]

    def kind(self) -> str:
        name = self.op.grad_name
        return name if isinstance(name, str) else name(self)

    def vjp(self, g: Tensor) -> Sequence[Tensor | None]:
        op = self.op
        if op.bilinear:
            return op.rule(self, g, *self.factors())
        saves = op.saves
        if not saves:
            return op.rule(self, g)
        saved = self.unpack()
        if len(saves) == 1:
            return op.rule(self, g, self.restored(saves[0], saved[0]))
        if len(saves) == 2:
            first = self.restored(saves[0], saved[0])
            return op.rule(self, g, first, self.restored(saves[1], saved[1]))
        return op.rule(self, g, *map(self.restored, saves, saved))

    def sweep(self, g: Tensor) -> Sequence[Tensor | None]:
        op = self.op
        if op.sweep is not None:
            return op.sweep(self, g)
        return self.vjp(g)

    def towards(self, wants: Callable[[Node], bool]) -> Callable[[Tensor], Any] | None:
        """Of the two products that a bilinear op sends on, one may be needless."""
        op, edges = self.op, self.edges
        if not op.bilinear:
            return None
        first, second = (edge is None or wants(edge) for edge in edges[:2])
        if first and second:
            return None

        def run(g: Tensor) -> Sequence[Tensor | None]:
            a, b = self.factors()
            return op.rule(self, g, a if second else None, b if first else None)

        return run

    def factors(self) -> tuple[Tensor | None, Tensor | None]:
        """Inputs 0 and 1 of a bilinear op; None for one whose partner wants no gradient."""
        saved, edges = self.unpack(), self.edges
        first = None if edges[1] is None else self.restored(0, saved[0])
        return first, None if edges[0] is None else self.restored(1, saved[-1])

    def restored(self, i: int, p: Any) -> Tensor:
        """A saved descriptor as a tensor with its place in the graph."""
        return wrap(p, self if i == OUTPUT else self.edges[i])

    def needs(self, i: int) -> bool:
        """Whether input i wants a gradient."""
        return self.edges[i] is not None


class Op:
    """An operation on tensors and plain arguments.

    `forward(*descriptors, *args)` gives a new descriptor, or NULL. `rule(node, g, *saved)` gives
    the cotangents of the tensor inputs as tensors; `saves` lists what it needs: inputs by
    position, OUTPUT for the result. It finds the plain arguments in `node.args` and, unless
    `shaped` is False, the first input's shape in `node.shape`. A `view` shares its input's
    memory. A `bilinear` op saves each of its first two inputs only where the other wants a
    gradient, and its rule is given None for what was not saved. `sweep(node, g)` does what the
    rule does where nothing is recorded, from `node.unpack()` alone, in fewer steps. `grad_name` is
    PyTorch's of the nodes, or tells it of a node when somebody asks. Errors call it `public`.
    """

    numbered: int | None = None  # which argument numbers the outputs of a function of several

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        rule: Callable[..., Sequence[Tensor | None]],
        *,
        saves: tuple[int, ...] = (),
        view: bool = False,
        shaped: bool = True,
        bilinear: bool = False,
        grad_name: str | Callable[[OpNode], str] | None = None,
        sweep: Callable[..., Sequence[Tensor | None]] | None = None,
        public: str | None = None,
    ) -> None:
        self.name = name
        self.public = public or name
        self.forward = forward
        self.rule = rule
        self.saves = saves
        self.view = view
        self.shaped = shaped
        self.bilinear = bilinear
        self.sweep = sweep
        self.grad_name = grad_name or backward_name(name)
        OPS[name] = self

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def named(self, grad_name: str) -> Op:
        """The same operation, the nodes of which are called so."""
        other = copy.copy(self)
        other.grad_name = grad_name
        return other

    def call(self, x: Tensor, *args: Any) -> Tensor:
        """The operation on one tensor."""
        n = len(args)
        if n > 2:
            p = self.forward(x._p, *args)
        elif n == 2:  # by position, as `*args` makes a list and a tuple first
            p = self.forward(x._p, args[0], args[1])
        else:
            p = self.forward(x._p, args[0]) if n else self.forward(x._p)
        if not p:
            raise error(self.public, x._p)
        return self.result(x, p, args)

    __call__ = call  # which takes longer, as Python calls it from C

    def direct(
        self, native: Any, *bound: int, dims: int = 0, always: Any = None, beside: bool = False
    ) -> Callable[..., Any]:
        """The native function that does all of a call as it mostly is: see `shortcuts.direct`."""
        flags = (
            self.view | self.bilinear << 1 | (self.shaped and not self.bilinear) << 2 | beside << 3
        )
        belongs = self, OpNode, always, self.saves, unrecorded, mode, noting, shapes_made
        return direct(native, bound, dims, flags, *belongs)

    def each(self, x: Tensor, calls: Sequence[tuple[Any, ...]]) -> tuple[Tensor, ...]:
        """The views of one tensor by each of several arguments."""
        base, p, forward = x._base, x._p, self.forward
        edge = x._node if base is None else live_node(x)
        if unrecorded and not mode.grad:
            edge = None
        if base is None or (x._acc is not None and x._acc is x._node):
            base = x  # a leaf is a base, though it may be a view
        base_node, edges = base._node, (edge,)
        shape = x.shape if edge is not None and self.shaped else None
        found = []
        for args in calls:
            q = forward(p, *args)
            if not q:
                raise error(self.public, p)
            y = tensor_of(q)
            if edge is not None:  # a view saves nothing
                y._node = node = OpNode()
                node.op = self
                node.args = args
                node.edges = edges
                node.saved = ()
                if shape is not None:
                    node.shape = shape
            y._base = base
            y._base_node = base_node
            found.append(y)
        return tuple(found)

    def result(self, x: Tensor, p: Any, args: tuple[Any, ...]) -> Tensor:
        """The tensor of what `forward` made of x and args, with its place in the graph."""
        y = tensor_of(p)
        base = x._base
        edge = x._node if base is None else live_node(x)
        if edge is None or (unrecorded and not mode.grad):
            pass
        elif self.bilinear or self.saves:
            y._node = self.record((x,), (edge,), args, p)
        else:  # as `record`, in the fewest steps
            y._node = node = OpNode()
            node.op = self
            node.args = args
            node.edges = (edge,)
            node.saved = ()
            if self.shaped:
                node.shape = x.shape
        if self.view:
            if base is None or (x._acc is not None and x._acc is x._node):
                base = x  # a leaf is a base, though it may be a view
            y._base = base
            y._base_node = base._node
        return y

    def on(self, tensors: Sequence[Tensor], *args: Any) -> Tensor:
        """The operation on several tensors."""
        ps = [x._p for x in tensors]
        p = self.forward(*ps, *args)
        if not p:
            raise error(self.public, *ps)
        return self.result_of(tensors, p, args)

    def result_of(self, tensors: Sequence[Tensor], p: Any, args: tuple[Any, ...]) -> Tensor:
        """The same as `result` of several tensors."""
        y = tensor_of(p)
        edges = [x._node if x._base is None else live_node(x) for x in tensors]
        if edges.count(None) < len(edges) and (not unrecorded or mode.grad):
            y._node = self.record(tensors, edges, args, p)
        return y

    def record(
        self, tensors: Sequence[Tensor], edges: Sequence[Node | None], args: tuple[Any, ...], p: Any
    ) -> OpNode:
        """The node of a call whose result is p."""
        node = OpNode()
        node.op = self
        node.args = args
        node.edges = edges
        saved: tuple[Any, ...]
        if self.bilinear:
            if edges[0] is not None and edges[1] is not None:
                node.saved = saved = (tensors[0]._p, tensors[1]._p)
            elif edges[0] is edges[1]:  # of a bias alone
                node.saved = ()
                return node
            else:
                node.saved = saved = (tensors[edges[1] is None]._p,)
        else:
            if self.shaped:
                node.shape = tensors[0].shape
            node.saved = saved = tuple([p if i < 0 else tensors[i]._p for i in self.saves])
            if not saved:
                return node
        node.versions = now = versions(saved)
        if now < 0:
            raise unsavable()
        if noting:
            note_line(node)
        return node


def is_untold(x: Tensor, y: Tensor) -> bool:
    """Whether no history has to know of a write of y to x: both have none, and are no views."""
    return x._node is None and x._base is None and y._node is None and y._base is None


def is_told_by_none(x: Tensor, y: Tensor) -> bool:
    """The same where they may be views, of what is in no graph."""
    base = x._base
    return not has_history((x, y)) and (base is None or live_node(base) is None)


def has_history(tensors: Sequence[Tensor]) -> bool:
    """Whether one of them is in the graph."""
    for x in tensors:  # noqa: SIM110 - a generator takes as long as a small operation
        if (x._node if x._base is None else live_node(x)) is not None:
            return True
    return False
