"""Pointwise ops as users call them: on tensors, numbers and expressions, with `out=`, in place."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

from autodiff import dtypes, torch_function
from autodiff.expr import Expr, build
from autodiff.ops.calls import PLAIN, quick_call
from autodiff.ops.guard import must_be
from autodiff.ops.numbers import operand
from autodiff.ops.out import check_out, fit, put
from autodiff.ops.pointwise import PointwiseOp
from autodiff.shapes import broadcast
from autodiff.shortcuts import OF_CLASSES
from autodiff.tensor import Tensor

__all__ = ["any_expr", "apply", "binary", "inplace", "reflected", "unary"]


def apply(op: PointwiseOp, args: tuple[Any, ...], out: Tensor | None = None) -> Tensor:
    """Run an op on tensors, numbers or (while a pointwise function is traced) expressions.

    Of expressions an expression, whatever the type says: that is what users have.
    """
    if out is None:
        for arg in args:
            if type(arg) is not Tensor and (type(arg) not in PLAIN or arg is args[0]):
                break
        else:
            return op.call(*args)
    elif (y := op.to(out, *args)) is not None:
        return y
    tensors: list[Tensor] = []
    for arg in args:
        x = arg if type(arg) is Tensor else operand(arg)
        if x is None:
            if any_expr(args):
                return build(op.name, *args)  # type: ignore[return-value]
            if torch_function.noticed(*args):
                return torch_function.functions[op.name](*args)  # type: ignore[no-any-return]
            raise _no_tensor(op, args, len(tensors))
        tensors.append(x)
    if type(args[0]) is not Tensor and builtins.all(x._p.number for x in tensors):
        raise _no_tensor(op, args, 0)
    if out is None:
        return op.call(*tensors)
    check_out(op.name, out, *(tensors if op.differentiable else ()))
    if _converts(op, out, tensors):
        return put(op.name, out, op.call(*tensors))
    size = out.shape
    for x in tensors:
        if x.shape is not size:  # as those of one shape mostly are
            shape = broadcast([x.shape for x in tensors])
            if shape not in (None, size) and not builtins.any(x is out for x in tensors):
                out = fit(op.name, out, shape or ())
            break
    return op.into(out, tensors)


def _converts(op: PointwiseOp, out: Tensor, tensors: list[Tensor]) -> bool:
    """Whether the result may have another dtype than `out`: it is rounded to its own first."""
    d = out._p.dtype
    if d == _BOOL:
        return False
    for x in tensors:
        p = x._p
        if p.dtype != d and not p.number:
            return True
    return not op.differentiable


_BOOL = dtypes.bool.code


def _no_tensor(op: PointwiseOp, args: tuple[Any, ...], i: int) -> TypeError:
    """What is wrong with operand i."""
    name = "input" if i == 0 else "other"
    return must_be(op.name, name, "Tensor", args[i], i + 1)


def any_expr(args: tuple[Any, ...]) -> bool:
    """Whether an argument is an expression: a pointwise function is being traced."""
    return builtins.any(isinstance(arg, Expr) for arg in args)


# ---- functions made from declarations ----


def _named(function: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def unary(op: PointwiseOp, doc: str) -> Callable[..., Any]:
    """The function of one tensor."""
    fast = quick_call(op, OF_CLASSES | op.flags, lambda input: apply(op, (input,)))

    def function(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            return fast(input)  # type: ignore[no-any-return]
        return apply(op, (input,), out)

    return _named(function, op.name, doc)


def binary(op: PointwiseOp, doc: str) -> Callable[..., Any]:
    """The function of two operands."""
    fast = quick_call(op, OF_CLASSES | op.flags, lambda *operands: apply(op, operands))

    def function(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            return fast(input, other)  # type: ignore[no-any-return]
        return apply(op, (input, other), out)

    return _named(function, op.name, doc)


@functools.cache
def inplace(name: str, op: PointwiseOp) -> Callable[..., Tensor]:
    """The method that writes its result over its tensor."""

    def written(value: Any) -> Tensor:
        x = operand(value)
        if x is None:
            kind = type(value).__name__
            raise TypeError(f"{name}(): argument must be Tensor or number, not {kind}")
        return x

    def unary(self: Tensor) -> Tensor:
        return op.into(self, (self,))

    def binary(self: Tensor, other: Any) -> Tensor:
        return op.into(self, (self, other if type(other) is Tensor else written(other)))

    def several(self: Tensor, *others: Any) -> Tensor:
        return op.into(self, (self, *[x if type(x) is Tensor else written(x) for x in others]))

    methods: dict[int, Callable[..., Tensor]] = {1: unary, 2: binary}
    method = methods.get(op.n_in, several)
    return _named(method, name, f"`{op.name}`, written over the tensor.")


def reflected(name: str, op: PointwiseOp) -> Callable[..., Any]:
    """The method behind a Python operator whose left operand is no tensor."""
    call = op.call

    def method(self: Tensor, other: Any) -> Tensor:
        x = operand(other)
        return NotImplemented if x is None else call(x, self)

    return _named(method, name, f"`{op.name}` with the operands swapped.")
