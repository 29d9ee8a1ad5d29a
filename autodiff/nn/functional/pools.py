"""Where the windows of pooling lie: checked once for a shape and its arguments, and remembered."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from autodiff.dtypes import FIRST_FLOAT, SCALAR_NAMES
from autodiff.nn.functional.convolution import ints, kind
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.convolution import Geometry
from autodiff.ops.pooling import Plan
from autodiff.tensor import TENSOR_TYPES, Tensor

__all__ = ["LONG", "MOST", "Cover", "cover_of", "pool_of", "spans"]

MOST = 2**24  # windows of a dimension, which are told one by one
LONG = 2**12  # elements of a dimension from which on nothing is remembered of its windows
Whole = tuple[int, ...]


class Pool:
    """Where windows lie on images: a number for each dimension."""

    def __init__(
        self,
        op: str,
        shape: Whole,
        dtype: int,
        kernel: Whole,
        stride: Whole | None,
        padding: Whole,
        dilation: Whole,
        ceil: bool,
    ) -> None:
        nd = int(op[-2])
        inner = shape[-nd - 1 :]
        if len(shape) not in (nd + 1, nd + 2) or 0 in inner:
            raise RuntimeError(
                f"{op}: Expected {nd + 1}D or {nd + 2}D (batch mode) tensor with optional 0 dim "
                f"batch size for input, but got:{list(shape)}"
            )
        if dtype < FIRST_FLOAT:
            raise NotImplementedError(f'"{op}" not implemented for {SCALAR_NAMES[dtype]!r}')
        self.image, self.padding, self.dilation = tuple(inner[1:]), padding, dilation
        self.kernel, self.stride = kernel, kernel if stride is None else stride
        self._check(op)
        self.result = tuple([self._count(d, ceil) for d in range(nd)])
        if min(self.result) < 1:
            outer = "x".join(map(str, [inner[0], *self.result]))
            raise RuntimeError(
                f"Given input size: ({'x'.join(map(str, inner))}). Calculated output size: "
                f"({outer}). Output size is too small"
            )
        self.lattice = Geometry(self.stride, padding, dilation, 1, self.image, kernel, self.result)
        self._plan: Plan | None = None
        self._counts: dict[bool, int | list[list[float]]] = {}

    def _check(self, op: str) -> None:
        if any(k < 1 for k in self.kernel):
            raise RuntimeError(
                f"{op}: kernel size should be greater than zero, but got {list(self.kernel)}"
            )
        if any(s < 1 for s in self.stride):
            raise RuntimeError(
                f"{op}: stride should not be zero, but be positive: got {list(self.stride)}"
            )
        if any(d < 1 for d in self.dilation):
            raise RuntimeError(
                f"{op}: dilation should be greater than zero, but got {list(self.dilation)}"
            )
        numbers = (*self.kernel, *self.stride, *self.dilation)
        if max(numbers) >= 2**30:
            raise RuntimeError(f"{op}: {max(numbers)} is too large: sizes must be less than 2**30")
        for k, p, d in zip(self.kernel, self.padding, self.dilation, strict=True):
            if p < 0:
                raise RuntimeError(f"{op}: pad must be non-negative, but got pad: {p}")
            if p > ((k - 1) * d + 1) // 2:
                raise RuntimeError(
                    "pad should be at most half of effective kernel size, but got "
                    f"pad={p}, kernel_size={k} and dilation={d}"
                )

    def _count(self, d: int, ceil: bool) -> int:
        size, pad, step = self.image[d], self.padding[d], self.stride[d]
        room = size + 2 * pad - self.dilation[d] * (self.kernel[d] - 1) - 1
        n = (room + (step - 1 if ceil else 0)) // step + 1
        # a window that starts past what it is given, padding before included, is none
        return n - 1 if ceil and (n - 1) * step >= size + pad else n

    @property
    def plan(self) -> Plan:
        """What `greatest` is to do; it is long where the image is, and then not kept."""
        if self._plan is not None:
            return self._plan
        plan = Plan([self._windows(d) for d in range(len(self.image))], self.dilation)
        if max(self.image) < LONG:
            self._plan = plan
        return plan

    def _windows(self, d: int) -> list[tuple[int, int]]:
        """The elements of a dimension that are in each window: the first, and the end."""
        step, apart, found = self.stride[d], self.dilation[d], []
        for i in range(self.result[d]):
            start = i * step - self.padding[d]
            end = start + (self.kernel[d] - 1) * apart + 1
            first = start if start >= 0 else start + -(start // apart) * apart
            found.append((first, min(end, self.image[d])))
        return found

    def counts(self, padded: bool) -> int | list[list[float]]:
        """How many elements windows have, zeros around the image being some or not: one number,
        or factors of it for each dimension.
        """
        found = self._counts.get(padded)
        if found is None:
            each = [self._counts_along(d, padded) for d in range(len(self.image))]
            even = all(len(set(counts)) == 1 for counts in each)
            found = math.prod(int(n[0]) for n in each) if even else each
            if max(self.image) < LONG:
                self._counts[padded] = found
        return found

    def _counts_along(self, d: int, padded: bool) -> list[float]:
        pad, size, found = self.padding[d], self.image[d], []
        for i in range(self.result[d]):
            start = i * self.stride[d] - pad
            end = min(start + self.kernel[d], size + pad)
            found.append(float(end - start if padded else min(end, size) - max(start, 0)))
        return found


_known_pools = lru_cache(Pool)


def pool_of(
    op: str, nd: int, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> Pool:
    """Of checked arguments."""
    if type(x) not in TENSOR_TYPES:
        check_tensors(op, input=x)
    if stride == [] or stride == ():
        stride = None
    return _known_pools(
        op,
        x.shape,
        x._p.dtype,
        ints(op, "kernel_size", kernel, nd),
        None if stride is None else ints(op, "stride", stride, nd),
        ints(op, "padding", padding, nd),
        ints(op, "dilation", dilation, nd),
        bool(ceil),
    )


def spans(size: int, n: int) -> list[tuple[int, int]]:
    """n windows that cover a dimension."""
    return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


class Cover:
    """Windows that cover images of this shape: checked, as many as `sizes` tells."""

    def __init__(self, op: str, shape: Whole, dtype: int, sizes: Any) -> None:
        nd, ndim = int(op[-2]), len(shape)
        if ndim not in (nd + 1, nd + 2):
            raise RuntimeError(
                f"{op}(): Expected {nd + 1}D or {nd + 2}D tensor, but got {list(shape)}"
            )
        if dtype < FIRST_FLOAT:
            raise NotImplementedError(f'"{op}" not implemented for {SCALAR_NAMES[dtype]!r}')
        given = list(sizes) if isinstance(sizes, (tuple, list)) else [sizes] * nd
        if len(given) != nd:
            raise RuntimeError(f"{op}: output_size must be {nd}")
        for d in range(ndim - nd - 1, ndim):
            if d and shape[d] == 0:
                raise RuntimeError(
                    f"{op}(): Expected input to have non-zero size for non-batch dimensions, but "
                    f"input has sizes {list(shape)} with dimension {d} being empty"
                )
        self.image = shape[-nd:]
        result = [n if m is None else m for n, m in zip(self.image, given, strict=True)]
        if sizes is None or any(type(n) is not int for n in result):
            raise TypeError(
                f"{op}(): argument 'output_size' must be tuple of ints, not {kind(sizes)}"
            )
        if max(result) > MOST:  # which would take for ever
            raise RuntimeError(
                f"{op}: output_size {result} is too large: at most {MOST} is supported"
            )
        if any(n < 0 for n in result):
            raise RuntimeError(
                f"{op}: elements of output_size must be greater than or equal to 0 but received "
                f"{{{', '.join(map(str, result))}}}"
            )
        self.result = result
        self._plan: Plan | None = None
        # Where windows are alike, they are a dimension of their own.
        first = ndim - nd
        self.even = all(n and size % n == 0 for size, n in zip(self.image, result, strict=True))
        self.whole = self.even and set(result) == {1}
        self.parts = list(shape[:first])
        self.dims: tuple[int, ...] = tuple(range(first, ndim)) if self.whole else ()
        for size, n in () if self.whole else zip(self.image, result, strict=True):
            if n and size % n == 0 and size != n:
                self.dims += (len(self.parts) + 1,)
                self.parts += [n, size // n]
            else:
                self.parts.append(n)

    @property
    def plan(self) -> Plan:
        """What `greatest` is to do; it is long where the image is, and then not kept."""
        if self._plan is not None:
            return self._plan
        each = [spans(size, n) for size, n in zip(self.image, self.result, strict=True)]
        plan = Plan(each, (1,) * len(each))
        if max(*self.image, *self.result) < LONG:
            self._plan = plan
        return plan


_known_covers = lru_cache(Cover)


def cover_of(op: str, x: Tensor, sizes: Any) -> Cover:
    """Of checked arguments."""
    if type(x) not in TENSOR_TYPES:
        check_tensors(op, input=x)
    if type(sizes) is list:
        sizes = tuple(sizes)
    each = sizes if type(sizes) is tuple else (sizes,)
    known = {int, type(None)}.issuperset(map(type, each))  # others may be equal to these
    return (_known_covers if known else Cover)(op, x.shape, x._p.dtype, sizes)
