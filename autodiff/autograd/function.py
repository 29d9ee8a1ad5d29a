"""`autograd.Function`: operations whose backward the user writes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from autodiff import dtypes
from autodiff.anomaly import watchers
from autodiff.autograd.graph import increment_version
from autodiff.grad_mode import is_grad_enabled, no_grad
from autodiff.native import lib
from autodiff.node import Cotangents, Node, freed, mode, overwritten, version_sum
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import zeros
from autodiff.ops.history import rebase
from autodiff.shapes import Size
from autodiff.tensor import Tensor, live_node, own, wrap

__all__ = ["Function", "once_differentiable"]

F = TypeVar("F", bound=Callable[..., Any])


class Meta(NamedTuple):
    """What a cotangent must look like."""

    shape: Size
    dtype: dtypes.dtype

    @classmethod
    def of(cls, x: Any) -> Meta | None:
        """That of a tensor; None for anything else."""
        return cls(x.shape, x.dtype) if isinstance(x, Tensor) else None


class Saved(NamedTuple):
    """A tensor kept for backward: itself, or its place among the outputs, which no node owns."""

    p: Any
    version: int
    tensor: Tensor | None
    output: int
    edge: Node | None = None
    unpack: Callable[[], Any] | None = None  # of what saved_tensors_hooks packed


class FunctionNode(Node):
    """A call of a Function: its place in the graph, and the `ctx` its two halves share."""

    custom = True
    function: type[Function]
    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self.edges = ()
        self.saved = ()
        self.versions = 0
        self._to_save: tuple[Any, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._constant: tuple[Tensor, ...] = ()
        self._materialize = True
        self._inputs: tuple[Meta | None, ...] = ()
        self._outputs: tuple[Meta | None, ...] = ()
        self._single = True

    # ---- what forward tells ----

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or other tensors; backward finds them in `saved_tensors`."""
        for i, x in enumerate(tensors):
            if x is not None and not isinstance(x, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type "
                    f"{type(x).__name__}"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Accepted for a `jvp` of the function's: derivatives forwards are taken by `backward`."""

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Tell that these inputs were written to; they must be returned."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Tell that these outputs have no gradient; backward is given zeros for them."""
        for i, x in enumerate(tensors):
            if not isinstance(x, Tensor):
                raise RuntimeError(
                    f"mark_non_differentiable takes the outputs, but argument {i} is of type "
                    f"{type(x).__name__}"
                )
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward is given zeros (the default) or None for outputs nobody used."""
        self._materialize = dtypes.flag(value, "set_materialize_grads")

    # ---- what backward asks ----

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What save_for_backward kept. RuntimeError where it is freed or was written to."""
        saved: tuple[Saved | None, ...] | None = self.saved
        if saved is None:
            raise freed(self)
        return tuple(None if s is None else self._restored(s) for s in saved)

    def _restored(self, s: Saved) -> Tensor:
        if s.unpack is not None:
            s = s._replace(p=s.unpack())
        elif lib.ad_version(s.p) != s.version:
            raise overwritten(self, (s.p,), lib.ad_version(s.p) - s.version)
        if s.tensor is not None:
            return s.tensor
        if s.output < 0:
            return wrap(s.p, s.edge)
        return wrap(s.p, self if self._single else FunctionOutput(self, s.output))

    # ---- the node ----

    def name(self) -> str:
        return type(self).__name__

    def output(self, nr: int) -> tuple[Node, tuple[Any, Any]]:
        meta = self._outputs[nr]
        if meta is None:
            raise RuntimeError(f"{self.name()}: its output {nr} is no Tensor")
        return (self if self._single else FunctionOutput(self, nr)), meta

    def vjp(self, g: Any) -> Sequence[Tensor | None]:
        given: Sequence[Tensor | None] = tuple(g) if isinstance(g, Cotangents) else (g,)
        if self._materialize:
            given = [
                zeros(meta.shape, dtype=meta.dtype) if one is None and meta is not None else one
                for one, meta in zip(given, self._outputs, strict=True)
            ]
        function = self.function
        own_vjp = function.vjp is not Function.vjp
        found = (function.vjp if own_vjp else function.backward)(self, *given)
        return self._fitted(found if isinstance(found, tuple) else (found,))

    def _fitted(self, found: tuple[Any, ...]) -> list[Tensor | None]:
        """The cotangents of the tensors among the inputs. RuntimeError where they do not fit."""
        n = len(self._inputs)
        if len(found) < n or any(g is not None for g in found[n:]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {n}, "
                f"got {len(found)})"
            )
        grads: list[Tensor | None] = []
        for i, (g, meta) in enumerate(zip(found, self._inputs, strict=False)):
            if meta is not None:
                wanted = self.edges[len(grads)] is not None  # else it may be any
                grads.append(self._fit(i, g, meta) if wanted else g)
            elif g is not None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position "
                    f"{i + 1}, but the corresponding forward input was not a Tensor"
                )
        return grads

    def _fit(self, i: int, g: Any, meta: Meta) -> Tensor | None:
        """A cotangent in its input's shape and dtype."""
        if g is None:
            return None
        if not isinstance(g, Tensor):
            raise RuntimeError(
                f"function {self.name()}: expected Tensor or None at position {i + 1} (got "
                f"{type(g).__name__})"
            )
        if g.shape != meta.shape:
            try:
                g = g.sum_to_size(meta.shape)
            except RuntimeError:
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {i} - got "
                    f"{list(g.shape)} but expected shape compatible with {list(meta.shape)}"
                ) from None
        return g if g.dtype is meta.dtype else to_dtype(g, meta.dtype)  # type: ignore[no-any-return]


FunctionCtx = FunctionNode


class FunctionOutput(Node):
    """One of the outputs of a Function that has several: its node gathers their cotangents."""

    __slots__ = ("output_nr",)
    custom = True

    def __init__(self, ctx: FunctionNode, output_nr: int) -> None:
        self.edges = (ctx,)
        self.saved = ()
        self.versions = 0
        self.output_nr = output_nr

    @property
    def call(self) -> FunctionNode:
        """The node of the whole call."""
        return cast(FunctionNode, self.edges[0])

    def name(self) -> str:
        return self.call.name()

    def vjp(self, g: Tensor) -> Sequence[Any]:
        count = len(self.call._outputs)
        return (Cotangents(g if i == self.output_nr else None for i in range(count)),)


class Function:
    """An operation with its own backward: subclass it, and call the subclass's `apply`.

    `forward(ctx, *args)` computes, unrecorded, a tensor or a tuple of tensors and others;
    `backward(ctx, *cotangents)` returns one cotangent, or None, for each argument. `forward(*args)`
    with `setup_context(ctx, inputs, output)` is another way to write it. Under `func.vmap` samples
    run one by one, unless the subclass has a `vmap` of its own.

    >>> class Double(ad.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return 2 * g
    >>> x = ad.ones(2, requires_grad=True)
    >>> Double.apply(x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """

    _node: type[FunctionNode] = FunctionNode

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._node = type(f"{cls.__name__}Backward", (FunctionNode,), {"function": cls})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the class itself.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"{type(self).__name__}: an autograd function has static methods and is called through "
            f"its class: {type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; to be overridden."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Prepare for backward, where forward takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The cotangents of the inputs from those of the outputs; to be overridden."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward
    generate_vmap_rule = False  # where True, or where neither is given, samples run one by one

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        """The outputs for a batch of arguments, and which of their dimensions counts the samples.

        To be overridden. Of the arguments, `in_dims` tells that dimension, or None; `info` has the
        batch_size and the randomness of the vmap.
        """
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or "
            "set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward on the arguments, and record the call where one of them requires grad."""
        return cls._called(*(cls._positional(args, kwargs) if kwargs else args))

    @classmethod
    def _called(cls, *args: Any) -> Any:
        ctx = cls._node()
        edges = [live_node(x) for x in args if isinstance(x, Tensor)]
        ctx.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        result = cls._run(ctx, args)
        outputs = result if isinstance(result, tuple) else (result,)
        _check_dirty(ctx, outputs)
        recorded = mode.grad and any(edge is not None for edge in edges)
        if recorded:
            ctx.edges = edges
            ctx._inputs = tuple(map(Meta.of, args))
            ctx._outputs = tuple(map(Meta.of, outputs))
            ctx._single = not isinstance(result, tuple)
        wrapped = tuple(_wrapped(ctx, i, y, args, recorded) for i, y in enumerate(outputs))
        if recorded:
            ctx.saved = tuple(_saved(x, wrapped) for x in ctx._to_save)
        ctx._to_save = ctx._dirty = ctx._constant = ()
        return wrapped if isinstance(result, tuple) else wrapped[0]

    @classmethod
    def _separate(cls) -> bool:
        return cls.setup_context is not Function.setup_context

    @classmethod
    def _positional(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in the order forward takes them."""
        import inspect  # slow to import, and rarely needed

        before = () if cls._separate() else (None,)
        bound = inspect.signature(cls.forward).bind(*before, *args, **kwargs)
        if bound.kwargs:
            raise TypeError(
                f"{cls.__name__}.apply() takes arguments by position; forward has {bound.kwargs} "
                "by keyword alone"
            )
        return bound.args[len(before) :]

    @classmethod
    def _run(cls, ctx: FunctionNode, args: tuple[Any, ...]) -> Any:
        with no_grad():
            if not cls._separate():
                return cls.forward(ctx, *args)
            output = cls.forward(*args)
            cls.setup_context(ctx, args, output)
            return output


def _holds(xs: Sequence[Any], x: Any) -> bool:
    return any(one is x for one in xs)


def _check_dirty(ctx: FunctionNode, outputs: Sequence[Any]) -> None:
    if not all(_holds(outputs, x) for x in ctx._dirty):
        raise RuntimeError(
            "Some elements marked as dirty during the forward method were not returned as output. "
            "The inputs that are modified inplace must all be outputs of the Function."
        )
    for x in ctx._dirty:  # NumPy, which may have written, counts no writes
        if not x.is_inference():
            increment_version(x)


def _wrapped(ctx: FunctionNode, i: int, y: Any, args: tuple[Any, ...], recorded: bool) -> Any:
    """Output i with its place in the graph."""
    if not isinstance(y, Tensor):
        return y
    node: Node = ctx if ctx._single else FunctionOutput(ctx, i)
    if _holds(ctx._dirty, y):
        return _written(ctx, y, node, recorded)
    recorded = recorded and y.is_floating_point() and not _holds(ctx._constant, y)
    if _holds(args, y):  # returned as it came: another tensor of the same memory
        base = y if y._base is None else y._base
        y = own(lib.ad_alias(y._p), "alias", y._p)
        y._base = base
    elif y._node is not None:
        y = y.detach()
    if y._base is not None:
        y._base_node = y._base._node
    if recorded:
        y._node = node
    return y


def _written(ctx: FunctionNode, y: Tensor, node: Node, recorded: bool) -> Tensor:
    """An input that forward wrote to: the node is its history from now on."""
    if not recorded:
        return y
    root = y if y._base is None else y._base
    if root.is_leaf and root.requires_grad:
        raise RuntimeError(
            f"{ctx.name()}: a leaf Variable that requires grad has been used in an in-place "
            "operation."
        )
    rebase(y, node)
    return y


def _saved(x: Tensor | None, outputs: Sequence[Any]) -> Saved | None:
    """What backward keeps of a tensor: of an output, its descriptor."""
    if x is None:
        return None
    version = version_sum((x._p,))
    place = next((i for i, y in enumerate(outputs) if y is x), -1)
    if watchers.packing:
        unpack = watchers.packing[-1].packed(x._p)
        return Saved(None, version, None, place, None if place >= 0 else live_node(x), unpack)
    if place >= 0:
        return Saved(x._p, version, None, place)
    return Saved(x._p, version, x, -1)


# ---- functions whose backward is not itself differentiable ----


class DelayedError(Node):
    """Where the graph ends because backward was told not to be recorded."""

    __slots__ = ()

    def vjp(self, g: Tensor) -> Sequence[Tensor | None]:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(fn: F) -> F:
    """A backward that is not recorded; differentiating its results raises RuntimeError."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with no_grad():
            outputs = fn(ctx, *args)
        nodes = [live_node(x) for x in args if isinstance(x, Tensor)]
        if not is_grad_enabled() or all(node is None for node in nodes):
            return outputs
        error = DelayedError()
        error.edges, error.saved, error.versions = nodes, (), 0

        def barred(y: Any) -> Any:
            return wrap(y._p, error) if isinstance(y, Tensor) else y

        return tuple(map(barred, outputs)) if isinstance(outputs, tuple) else barred(outputs)

    return cast(F, wrapper)
