"""`autograd.Function`: operations whose backward the user writes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from autodiff.anomaly import watchers
from autodiff.autograd.function_node import FunctionNode, FunctionOutput, Meta, Saved
from autodiff.autograd.graph import increment_version
from autodiff.grad_mode import is_grad_enabled, no_grad
from autodiff.native import lib
from autodiff.node import Node, mode, version_sum
from autodiff.ops.history import rebase
from autodiff.tensor import Tensor, live_node, own, wrap

__all__ = ["Function", "once_differentiable"]

F = TypeVar("F", bound=Callable[..., Any])
FunctionCtx = FunctionNode


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
        """The outputs for a batch of arguments, and the batch dimension of each output.

        To be overridden. `in_dims` has the batch dimension of each argument, or None; `info` has
        the batch_size and the randomness of the vmap.
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
    def _pull(cls) -> Callable[..., Any]:
        """What computes the cotangents, whichever of its two names the subclass gives it."""
        return cls.backward if cls.vjp is Function.vjp else cls.vjp

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
