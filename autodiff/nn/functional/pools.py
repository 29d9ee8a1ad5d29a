"""Where the windows of pooling lie: checked once for a shape and its arguments, and remembered."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from autodiff.dtypes import FIRST_FLOAT, SCALAR_NAMES, int64
from autodiff.native import lib
from autodiff.nn.functional.convolution import ints, kind
from autodiff.nn.functional.integers import is_integer
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.base import backward_name
from autodiff.ops.pooling import Plan, Sums
from autodiff.tensor import TENSOR_TYPES, Tensor

MOST = 2**24  # windows of a dimension, which are told one by one
LONG = 2**12  # elements of a dimension from which on nothing is remembered of its windows
NUMBER, PRESENT, PADDED = 1, 2, 3  # what sums are divided by: one number, or elements counted
Whole = tuple[int, ...]
Each = int | Whole  # the same of each dimension, or one for each


def title_of(op: str) -> str:
    """The name of a pool's nodes: lines are images of one row, which is dropped."""
    return "SqueezeBackward1" if "1d" in op else backward_name(op)


def _is_long(dtype: int) -> bool:
    return dtype == int64.code


class Pool:
    """Where windows lie on images: a number for each dimension."""

    def __init__(
        self,
        op: str,
        shape: Whole,
        dtype: int,
        kernel: Each,
        stride: Each | None,
        padding: Each,
        dilation: Each,
        ceil: bool,
        padded: bool,
        divisor: int | None,
    ) -> None:
        nd, self.padded, self.divisor = int(op[-2]), padded, divisor
        self.exact = is_integer(dtype)
        self.title = title_of(f"{op}_with_indices" * op.startswith("max") or op)
        inner = shape[-nd - 1 :]
        if len(shape) not in (nd + 1, nd + 2) or 0 in inner:
            raise RuntimeError(
                f"{op}: Expected {nd + 1}D or {nd + 2}D (batch mode) tensor with optional 0 dim "
                f"batch size for input, but got:{list(shape)}"
            )
        kinds = is_integer if op.startswith("max") else _is_long
        if dtype < FIRST_FLOAT and not kinds(dtype):
            raise NotImplementedError(f'"{op}" not implemented for {SCALAR_NAMES[dtype]!r}')
        self.image = tuple(inner[1:])
        self.kernel, self.stride, self.padding, self.dilation = (
            (each,) * nd if isinstance(each, int) else each
            for each in (kernel, kernel if stride is None else stride, padding, dilation)
        )
        self._check(op)
        self.result = tuple([self._count(d, ceil) for d in range(nd)])
        if min(self.result) < 1:
            outer = "x".join(map(str, [inner[0], *self.result]))
            raise RuntimeError(
                f"Given input size: ({'x'.join(map(str, inner))}). Calculated output size: "
                f"({outer}). Output size is too small"
            )
        if divisor == 0:
            raise RuntimeError("divisor must be not zero")
        # what is native about it; long where the image is, and then not kept
        self.sums: Any = None if op.startswith("max") else self._sums()
        self.plan = None if self.sums or max(self.image) >= LONG else self.made()

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
            if p > k // 2:
                raise RuntimeError(
                    "pad should be smaller than or equal to half of kernel size, but got "
                    f"pad={p} and kernel_size={k}"
                )

    def _count(self, d: int, ceil: bool) -> int:
        size, pad, step = self.image[d], self.padding[d], self.stride[d]
        room = size + 2 * pad - self.dilation[d] * (self.kernel[d] - 1) - 1
        n = (room + (step - 1 if ceil else 0)) // step + 1
        # a window that starts past what it is given, padding before included, is none
        return n - 1 if ceil and (n - 1) * step >= size + pad else n

    def made(self) -> Plan:
        """What `greatest` is to do."""
        return Plan(self.title, [self._windows(d) for d in range(len(self.image))], self.dilation)

    def _windows(self, d: int) -> list[tuple[int, int]]:
        """The elements of a dimension that are in each window: the first, and the end."""
        step, apart, found = self.stride[d], self.dilation[d], []
        for i in range(self.result[d]):
            start = i * step - self.padding[d]
            end = start + (self.kernel[d] - 1) * apart + 1
            first = start if start >= 0 else start + -(start // apart) * apart
            if first >= self.image[d]:
                raise RuntimeError(
                    f"{self.title}: a window of kernel_size={self.kernel[d]}, dilation={apart} and "
                    f"padding={self.padding[d]} meets none of {self.image[d]} elements: pad less"
                )
            found.append((first, min(end, self.image[d])))
        return found

    def _sums(self) -> Sums:
        """Windows' sums divided by `divisor`, or by how many elements they have, zeros around the
        image being some or not.
        """
        padded, divisor = self.padded, self.divisor
        axes, even = [], True
        for d, (size, n) in enumerate(zip(self.image, self.result, strict=True)):
            k, step, pad = self.kernel[d], self.stride[d], self.padding[d]
            axes.append((size, n, k, step, pad, 1))
            even &= (padded or not pad) and (n - 1) * step + k <= size + 2 * pad
        if divisor is None and even:
            divisor = math.prod(self.kernel)
        if divisor is None:
            return Sums(self.title, axes, (PADDED if padded else PRESENT, 0))
        return Sums(self.title, axes, (NUMBER, divisor))


_shape_key = lib.ad_shape_key
_pools: dict[tuple[Any, ...], Pool] = {}
_MOST_POOLS = 256


def pool_of(
    op: str,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil: Any,
    padded: Any = False,
    divisor: int | None = None,
) -> Pool:
    """Of checked arguments, the last of which are those of means."""
    if divisor is not None and type(divisor) is not int:
        raise TypeError(
            f"{op}(): argument 'divisor_override' must be int, not {type(divisor).__name__}"
        )
    if type(x) not in TENSOR_TYPES:
        check_tensors(op, input=x)
    if not (
        type(kernel) is type(padding) is type(dilation) is int
        and (stride is None or type(stride) is int)
    ):
        nd = int(op[-2])
        kernel = ints(op, "kernel_size", kernel, nd)
        stride = None if stride in (None, [], ()) else ints(op, "stride", stride, nd)
        padding = ints(op, "padding", padding, nd)
        dilation = ints(op, "dilation", dilation, nd)
    if not type(ceil) is type(padded) is bool:
        ceil, padded = bool(ceil), bool(padded)
    p = x._p
    shape = _shape_key(p) or x.shape  # which takes longer
    key = (op, shape, p.dtype, kernel, stride, padding, dilation, ceil, padded, divisor)
    found = _pools.get(key)
    return _made(x.shape, key) if found is None else found


def _made(shape: Whole, key: tuple[Any, ...]) -> Pool:
    pool = Pool(key[0], shape, *key[2:])
    if len(_pools) >= _MOST_POOLS:
        _pools.clear()
    _pools[key] = pool
    return pool


def spans(size: int, n: int) -> list[tuple[int, int]]:
    """n windows that cover a dimension."""
    return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


class Cover:
    """Windows that cover images of this shape: checked, as many as `sizes` tells."""

    def __init__(self, op: str, shape: Whole, dtype: int, sizes: Any) -> None:
        nd, ndim, self.title = int(op[-2]), len(shape), title_of(op)
        if nd > 1 and isinstance(sizes, (tuple, list)) and len(sizes) >= ndim:
            raise ValueError(
                f"{op}(): Input dimension should be at least {len(sizes) + 1} for output_size "
                f"{sizes}, but got {list(shape)}"
            )
        if ndim not in (nd + 1, nd + 2):
            raise RuntimeError(
                f"{op}(): Expected {nd + 1}D or {nd + 2}D tensor, but got {list(shape)}"
            )
        if dtype < FIRST_FLOAT:
            raise NotImplementedError(f'"{op}" not implemented for {SCALAR_NAMES[dtype]!r}')
        given = list(sizes) if isinstance(sizes, (tuple, list)) else [sizes] * nd
        if len(given) != nd:
            raise RuntimeError(f"{op}: output_size must be {nd}")
        self.whole = set(given) == {1}  # a mean, which there is of nothing, too
        averages = "avg" in op  # of which PyTorch looks at the channels of three dimensions alone
        for d in range(ndim - nd - (not averages or nd > 2), ndim):
            if d and shape[d] == 0 and not (self.whole and averages):
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
        self._sums: Sums | None = None
        self.plan: Plan | None = None
        if max(*self.image, *self.result) < LONG and "max" in op:
            self.plan = self.made()

    @property
    def means(self) -> Sums:
        """What `windows` is to do."""
        if self._sums is not None:
            return self._sums
        axes, places, uneven = [], [], False
        for size, n in zip(self.image, self.result, strict=True):
            if n and size % n == 0:
                axes.append((size, n, size // n, size // n, 0, 1))
                continue
            each, uneven = spans(size, n), True
            taps = max([b - a for a, b in each], default=1)
            axes.append((size, n, taps, 0, 0, 0))
            for tap in range(taps):
                places += [a + tap if a + tap < b else size for a, b in each]
        number = 1 if uneven else math.prod(axis[2] for axis in axes)
        sums = Sums(self.title, axes, (PRESENT if uneven else NUMBER, number), places)
        if max(*self.image, *self.result) < LONG:
            self._sums = sums
        return sums

    def made(self) -> Plan:
        """What `greatest` is to do; it is long where the image is, and then not kept."""
        each = [spans(size, n) for size, n in zip(self.image, self.result, strict=True)]
        return Plan(self.title, each, (1,) * len(each))


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
