"""Pooling: the greatest element, the mean or the norm of each window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from autodiff.dtypes import FIRST_FLOAT, SCALAR_NAMES
from autodiff.nn.functional.convolution import Ints, ints, kind
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.arithmetic import div
from autodiff.ops.convert import tensor
from autodiff.ops.convolution import Geometry
from autodiff.ops.halves import in_float32
from autodiff.ops.join import cat
from autodiff.ops.pooling import Plan, greatest, sums
from autodiff.ops.reductions import mean
from autodiff.ops.views import clone, narrow, reshape, unsqueeze
from autodiff.tensor import TENSOR_TYPES, Tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

MOST = 2**24  # windows of a dimension, which are told one by one
LONG = 2**12  # elements of a dimension from which on nothing is remembered of its windows
Whole = tuple[int, ...]
Sizes = int | None | Sequence[int | None]


class _Pool:
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


_known_pools = lru_cache(_Pool)


def _pool(
    op: str, nd: int, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> _Pool:
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


def _max_pool(
    nd: int,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil: bool,
    places: bool,
) -> Any:
    pool = _pool(f"max_pool{nd}d", nd, x, kernel, stride, padding, dilation, ceil)
    found = greatest(x, pool.plan)
    return found if places else found[0]


def _avg_pool(
    nd: int,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil: bool,
    padded: bool,
    divisor: int | None,
) -> Tensor:
    pool = _pool(f"avg_pool{nd}d", nd, x, kernel, stride, padding, 1, ceil)
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    count: Any = pool.counts(padded) if divisor is None else divisor
    if isinstance(count, list):
        count, *others = [tensor(counts, dtype=x.dtype) for counts in count]
        for along in others:
            count = unsqueeze(count, -1) * along
    y: Tensor = div(sums(x, pool.lattice), count)
    return y


def _spans(size: int, n: int) -> list[tuple[int, int]]:
    """n windows that cover a dimension."""
    return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


class _Cover:
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
        each = [_spans(size, n) for size, n in zip(self.image, self.result, strict=True)]
        plan = Plan(each, (1,) * len(each))
        if max(*self.image, *self.result) < LONG:
            self._plan = plan
        return plan


_known_covers = lru_cache(_Cover)


def _cover(op: str, x: Tensor, sizes: Any) -> _Cover:
    if type(x) not in TENSOR_TYPES:
        check_tensors(op, input=x)
    if type(sizes) is list:
        sizes = tuple(sizes)
    each = sizes if type(sizes) is tuple else (sizes,)
    known = {int, type(None)}.issuperset(map(type, each))  # others may be equal to these
    return (_known_covers if known else _Cover)(op, x.shape, x._p.dtype, sizes)


def _adaptive_avg(nd: int, x: Tensor, sizes: Any) -> Tensor:
    return _means(x, _cover(f"adaptive_avg_pool{nd}d", x, sizes))


@in_float32
def _means(x: Tensor, cover: _Cover) -> Tensor:
    if cover.whole:
        return mean(x, cover.dims, True)
    if not cover.even:
        first = x.ndim - len(cover.image)
        for d, (size, n) in enumerate(zip(cover.image, cover.result, strict=True), start=first):
            if n and size % n:
                means = [mean(narrow(x, d, a, b - a), d, keepdim=True) for a, b in _spans(size, n)]
                x = cat(means, d)
            elif not n:
                x = narrow(x, d, 0, 0)
    if not cover.dims:
        return clone(x)
    return mean(reshape(x, cover.parts), cover.dims)


def _adaptive_max(nd: int, x: Tensor, sizes: Any, places: bool) -> Any:
    found = greatest(x, _cover(f"adaptive_max_pool{nd}d", x, sizes).plan)
    return found if places else found[0]


def _lp_pool(nd: int, x: Tensor, p: float, kernel: Any, stride: Any, ceil: bool) -> Tensor:
    check_tensors(f"lp_pool{nd}d", input=x)
    size = 1
    for k in ints(f"lp_pool{nd}d", "kernel_size", kernel, nd):
        size *= k
    y = _avg_pool(nd, x.pow(p), kernel, stride, 0, ceil, True, None)
    root: Tensor = (y.sign() * y.abs().relu() * size).pow(1.0 / p)
    return root


def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The greatest element of each window of `kernel_size` along the last dimension.

    The input is (c, l) or (n, c, l); windows start `stride` apart, kernel_size by default, and
    reach `padding` past both ends; their elements are `dilation` apart. `ceil_mode` keeps a last
    window that leaves the input. With return_indices also the places, int64. Equal elements count
    as their first, nans as the greatest.

    >>> F.max_pool1d(ad.arange(4.0).view(1, 4), 2, return_indices=True)
    (tensor([[1., 3.]]), tensor([[1, 3]]))
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool1d` over the last two dimensions; places count in row-major order."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool1d` over the last three dimensions; places count in row-major order."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of `kernel_size` along the last dimension.

    Windows lie as in `max_pool1d`. Padding counts as zeros, or with count_include_pad=False not at
    all.

    >>> F.avg_pool1d(ad.arange(4.0).view(1, 4), 2)
    tensor([[0.5000, 2.5000]])
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool1d` over the last two dimensions; divisor_override takes the count's place."""
    return _avg_pool(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool1d` over the last three dimensions; divisor_override takes the count's place."""
    return _avg_pool(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """The means of windows that cover the last dimension, `output_size` of them; None: as many as
    there are elements.

    >>> F.adaptive_avg_pool1d(ad.arange(4.0).view(1, 4), 2)
    tensor([[0.5000, 2.5000]])
    """
    return _adaptive_avg(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """`adaptive_avg_pool1d` over the last two dimensions."""
    return _adaptive_avg(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """`adaptive_avg_pool1d` over the last three dimensions."""
    return _adaptive_avg(3, input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The greatest elements of windows that cover the last dimension, `output_size` of them; with
    return_indices also where they are.

    >>> F.adaptive_max_pool1d(ad.arange(4.0).view(1, 4), 2)
    tensor([[1., 3.]])
    """
    return _adaptive_max(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """`adaptive_max_pool1d` over the last two dimensions."""
    return _adaptive_max(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """`adaptive_max_pool1d` over the last three dimensions."""
    return _adaptive_max(3, input, output_size, return_indices)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The sum of the powers `norm_type` of each window's elements, to the power 1 / norm_type.

    >>> F.lp_pool1d(ad.tensor([[3.0, 4.0]]), 2, 2)
    tensor([[5.]])
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool1d` over the last two dimensions."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool1d` over the last three dimensions."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)
