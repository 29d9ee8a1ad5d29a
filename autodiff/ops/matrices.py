"""What factorizations and solves share: what is taken, what is refused, triangles."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import int32
from autodiff.native import error, ffi, hold, lib, operand_text, refuse_any
from autodiff.ops.diagonals import tril, triu
from autodiff.ops.guard import must_be
from autodiff.ops.views import expand
from autodiff.tensor import Tensor, own


class LinAlgError(RuntimeError):
    """A matrix that has no inverse, or no Cholesky factor.

    >>> linalg.inv(ad.zeros(2, 2))
    Traceback (most recent call last):
    autodiff.ops.matrices.LinAlgError: linalg.inv: The diagonal element 1 is zero, ...
    """


def check_matrix(name: str, x: Tensor, *, square: bool = True, what: str = "A") -> None:
    """RuntimeError where x is no batch of (square) matrices of floats."""
    if not isinstance(x, Tensor):
        raise must_be(name, what, "Tensor", x)
    p = x._p
    if p.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor {what} must have at least 2 dimensions. It is "
            f"{operand_text(p)}"
        )
    rows, cols = p.shape[p.ndim - 2], p.shape[p.ndim - 1]
    if square and rows != cols:
        raise RuntimeError(
            f"{name}: {what} must be batches of square matrices, but they are {rows} by {cols} "
            f"matrices, {operand_text(p)}"
        )
    check_float(name, x)


def check_float(name: str, x: Tensor) -> None:
    """RuntimeError where x is of integers."""
    if not x.is_floating_point():
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{x.dtype.title}: {operand_text(x._p)}"
        )


def check_pair(name: str, a: Tensor, b: Tensor, left: bool) -> None:
    """RuntimeError where A X = B, or X A = B, makes no sense."""
    p, q = a._p, b._p
    if p.dtype == q.dtype and p.shape[p.ndim - 1] == q.shape[q.ndim - (2 if left else 1)]:
        return
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type "
            f"{a.dtype.title} and B of type {b.dtype.title} instead"
        )
    if a.shape[-1] != b.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]}): "
            f"{operand_text(a._p)} and {operand_text(b._p)}"
        )


def check_success(name: str, a: Tensor, info: Any, text: str) -> None:
    """LinAlgError where one of the numbers, one a matrix, is not 0: {n} in the text."""
    place = "(Batch element {i}): " if a.ndim > 2 else ""
    refuse_any(info, LinAlgError, f"{name}: {place}{text}", a._p)


_RESULTS = [ffi.typeof(f"ad_tensor *[{count}]") for count in range(5)]


def native(count: int, name: str, function: Any, *args: Any) -> list[Any]:
    """The descriptors that a native function makes."""
    out = ffi.new(_RESULTS[count])
    if function(*args, out):
        raise error(name, args[0])
    return [hold(p) for p in out]


def as_info(p: Any) -> Tensor:
    """A number for each matrix, as PyTorch's functions tell it: int32."""
    return own(lib.ad_contiguous(p, int32.code), "info", p)


def common_batch(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The two with their batches broadcast. RuntimeError where those do not."""
    if a._p.ndim == b._p.ndim == 2:
        return a, b
    first, second = list(a.shape[:-2]), list(b.shape[:-2])
    if first == second:
        return a, b
    n = max(len(first), len(second))
    batch = []
    for d, (p, q) in enumerate(
        zip([1] * (n - len(first)) + first, [1] * (n - len(second)) + second, strict=True)
    ):
        if p != q and 1 not in (p, q):
            raise RuntimeError(
                f"The size of tensor a ({p}) must match the size of tensor b ({q}) at "
                f"non-singleton dimension {d}"
            )
        batch.append(q if p == 1 else p)
    return expand(a, [*batch, *a.shape[-2:]]), expand(b, [*batch, *b.shape[-2:]])


def triangle(x: Tensor, upper: bool, diagonal: int = 0) -> Tensor:
    """x with zeros on the other side of a diagonal: the main one, or that `diagonal` above it."""
    return (triu if upper else tril)(x, diagonal)
