"""Pooling: the greatest element, the mean or the norm of each window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.nn.functional.convolution import Ints, ints, kind
from autodiff.nn.functional.reduction import check_floating, check_tensors
from autodiff.ops.arithmetic import div
from autodiff.ops.convert import tensor
from autodiff.ops.halves import in_float32
from autodiff.ops.join import cat
from autodiff.ops.pooling import greatest, sums
from autodiff.ops.reductions import mean
from autodiff.ops.views import clone, narrow, reshape, unsqueeze
from autodiff.tensor import Tensor

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
Sizes = int | None | Sequence[int | None]


class _Pool:
    """Where windows lie: checked arguments, a number for each dimension."""

    def __init__(
        self,
        op: str,
        nd: int,
        x: Tensor,
        kernel: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        ceil: bool,
    ) -> None:
        check_tensors(op, input=x)
        if x.ndim not in (nd + 1, nd + 2) or 0 in x.shape[-nd - 1 :]:
            raise RuntimeError(
                f"{op}: Expected {nd + 1}D or {nd + 2}D (batch mode) tensor with optional 0 dim "
                f"batch size for input, but got:{list(x.shape)}"
            )
        check_floating(op, x)
        self.kernel = ints(op, "kernel_size", kernel, nd)
        given = stride if stride is not None and stride != [] and stride != () else kernel
        self.stride = ints(op, "stride", given, nd)
        self.padding = ints(op, "padding", padding, nd)
        self.dilation = ints(op, "dilation", dilation, nd)
        self.image = x.shape[-nd:]
        self._check(op)
        self.result = [self._count(d, ceil) for d in range(nd)]
        if any(n < 1 for n in self.result):
            inner = "x".join(map(str, x.shape[-nd - 1 :]))
            outer = "x".join(map(str, [x.shape[-nd - 1], *self.result]))
            raise RuntimeError(
                f"Given input size: ({inner}). Calculated output size: ({outer}). Output size is "
                "too small"
            )

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

    def windows(self, d: int) -> list[tuple[int, int]]:
        """The elements of a dimension that are in each window: the first, and the end."""
        step, apart, found = self.stride[d], self.dilation[d], []
        for i in range(self.result[d]):
            start = i * step - self.padding[d]
            end = start + (self.kernel[d] - 1) * apart + 1
            first = start if start >= 0 else start + -(start // apart) * apart
            found.append((first, min(end, self.image[d])))
        return found

    def counts(self, d: int, padded: bool) -> list[int]:
        """How many elements each window has, zeros around the image being some or not."""
        pad, size, found = self.padding[d], self.image[d], []
        for i in range(self.result[d]):
            start = i * self.stride[d] - pad
            end = min(start + self.kernel[d], size + pad)
            found.append(end - start if padded else min(end, size) - max(start, 0))
        return found


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
    pool = _Pool(f"max_pool{nd}d", nd, x, kernel, stride, padding, dilation, ceil)
    found = greatest(x, [pool.windows(d) for d in range(nd)], pool.dilation)
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
    op = f"avg_pool{nd}d"
    pool = _Pool(op, nd, x, kernel, stride, padding, 1, ceil)
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    count: Any = divisor
    if count is None:
        count = 1
        each = [pool.counts(d, padded) for d in range(nd)]
        even = all(len(set(counts)) == 1 for counts in each)
        for counts in each:
            if even:
                count *= counts[0]
            else:
                count = unsqueeze(count, -1) if isinstance(count, Tensor) else count
                count = count * tensor([float(n) for n in counts], dtype=x.dtype)
    y: Tensor = div(sums(x, pool.kernel, pool.stride, pool.padding, pool.result), count)
    return y


def _spans(size: int, n: int) -> list[tuple[int, int]]:
    """n windows that cover a dimension."""
    return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


def _adaptive(op: str, nd: int, x: Tensor, sizes: Any) -> list[int]:
    check_tensors(op, input=x)
    if x.ndim not in (nd + 1, nd + 2):
        raise RuntimeError(
            f"{op}(): Expected {nd + 1}D or {nd + 2}D tensor, but got {list(x.shape)}"
        )
    check_floating(op, x)
    given = list(sizes) if isinstance(sizes, (tuple, list)) else [sizes] * nd
    if len(given) != nd:
        raise RuntimeError(f"{op}: output_size must be {nd}")
    for d in range(x.ndim - nd - 1, x.ndim):
        if d and x.shape[d] == 0:
            raise RuntimeError(
                f"{op}(): Expected input to have non-zero size for non-batch dimensions, but input "
                f"has sizes {list(x.shape)} with dimension {d} being empty"
            )
    result = [n if m is None else m for n, m in zip(x.shape[-nd:], given, strict=True)]
    if sizes is None or any(type(n) is not int for n in result):
        raise TypeError(f"{op}(): argument 'output_size' must be tuple of ints, not {kind(sizes)}")
    if max(result) > MOST:  # which would take for ever
        raise RuntimeError(f"{op}: output_size {result} is too large: at most {MOST} is supported")
    if any(n < 0 for n in result):
        raise RuntimeError(
            f"{op}: elements of output_size must be greater than or equal to 0 but received "
            f"{{{', '.join(map(str, result))}}}"
        )
    return result


def _adaptive_avg(nd: int, x: Tensor, sizes: Any) -> Tensor:
    return _means(x, nd, _adaptive(f"adaptive_avg_pool{nd}d", nd, x, sizes))


@in_float32
def _means(x: Tensor, nd: int, result: Sequence[int]) -> Tensor:
    parts: list[int] = []
    dims: list[int] = []
    for d, n in enumerate(result, start=x.ndim - nd):
        size = x.shape[d]
        if n and size % n:
            x = cat([mean(narrow(x, d, a, b - a), d, keepdim=True) for a, b in _spans(size, n)], d)
        elif not n:
            x = narrow(x, d, 0, 0)
        if n and size % n == 0 and size != n:
            dims.append(x.ndim - nd + len(parts) + 1)
            parts += [n, size // n]
        else:
            parts.append(n)
    if not dims:
        return clone(x)
    return mean(reshape(x, [*x.shape[: x.ndim - nd], *parts]), tuple(dims))


def _adaptive_max(nd: int, x: Tensor, sizes: Any, places: bool) -> Any:
    result = _adaptive(f"adaptive_max_pool{nd}d", nd, x, sizes)
    each = [_spans(size, n) for size, n in zip(x.shape[-nd:], result, strict=True)]
    found = greatest(x, each, (1,) * nd)
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
