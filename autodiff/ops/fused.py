"""The user's own functions of element values, as one kernel each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.expr import Expr, inputs
from autodiff.ops.numbers import operand
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.sloped import SlopedOp
from autodiff.tensor import TENSOR_TYPES


class pointwise:
    """A Python function of element values as one fused, differentiable kernel.

    The function is run once on symbols (arithmetic, comparisons, `where`, and the library's
    pointwise functions). Called on tensors (broadcast and promoted as usual) and Python numbers,
    the whole of it is one native call, and so is its gradient, at any order.

    >>> @ad.pointwise
    ... def swish(x, beta):
    ...     return x * ad.sigmoid(beta * x)
    >>> swish(ad.tensor([-1.0, 1.0]), 2)
    tensor([-0.1192,  0.8808])
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", "pointwise")
        self.ops: dict[int, PointwiseOp] = {}

    def trace(self, n: int) -> PointwiseOp:
        """The op for n inputs, traced at the first such call."""
        if n not in self.ops:
            root = self.function(*inputs(n))
            if not isinstance(root, Expr):
                raise TypeError(
                    f"{self.__name__}: a pointwise function returns an expression of its inputs, "
                    f"not {type(root).__name__}"
                )
            self.ops[n] = SlopedOp(self.__name__.strip("<>"), root, n)
        return self.ops[n]

    def __call__(self, *args: Any) -> Any:
        op = self.ops.get(len(args))
        if op is not None and TENSOR_TYPES.issuperset(map(type, args)):
            return op.call(*args)
        if not args:
            raise TypeError(f"{self.__name__}: a pointwise function takes at least one input")
        if any(isinstance(arg, Expr) for arg in args):
            return self.function(*args)
        tensors = [operand(arg) for arg in args]
        for i, x in enumerate(tensors):
            if x is None:
                raise TypeError(
                    f"{self.__name__}: argument {i + 1} must be a Tensor or a number, "
                    f"not {type(args[i]).__name__}"
                )
        return self.trace(len(args)).call(*tensors)
