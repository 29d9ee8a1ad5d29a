"""Convolutions of one to three dimensions, and transposed ones."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from autodiff.dtypes import int64
from autodiff.nn.functional.integers import convolved, is_integer, transposed
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.convolution import Geometry, convolve, spread
from autodiff.ops.views import squeeze, unsqueeze
from autodiff.ops.written import member_of
from autodiff.tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

Ints = int | Sequence[int]
_INTS = {int}


def ints(op: str, name: str, value: Any, nd: int) -> tuple[int, ...]:
    """An integer for each of nd dimensions, from one or as many."""
    if type(value) is int or (isinstance(value, int) and not isinstance(value, bool)):
        return (value,) * nd
    if type(value) is tuple and len(value) == nd and _INTS.issuperset(map(type, value)):
        return value
    try:
        value = [_index(v) for v in (value if isinstance(value, (tuple, list)) else [value])]
    except TypeError:
        text = f"{op}(): argument '{name}' must be tuple of ints, not {kind(value)}"
        raise TypeError(text) from None
    if len(value) == 1:
        return (value[0],) * nd
    if len(value) != nd:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {nd} values to match the "
            f"convolution dimensions, but got {name}={list(value)}"
        )
    return tuple(value)


def _index(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError("a bool")
    return operator.index(value)


def kind(value: Any) -> str:
    name = type(value).__name__
    return f"{name} of {type(value[0]).__name__}" if name in ("tuple", "list") and value else name


def batched(op: str, x: Tensor, nd: int) -> tuple[Tensor, bool]:
    """x with a dimension for the batch, and whether it had one."""
    if x.ndim not in (nd + 1, nd + 2):
        raise RuntimeError(
            f"Expected {nd + 1}D (unbatched) or {nd + 2}D (batched) input to {op}, but got input "
            f"of size: {list(x.shape)}"
        )
    return (x, True) if x.ndim == nd + 2 else (unsqueeze(x, 0), False)


def _check_steps(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]) -> None:
    if any(p < 0 for p in padding):
        raise RuntimeError(f"negative padding is not supported: got {list(padding)}")
    if any(s <= 0 for s in stride):
        raise RuntimeError(f"non-positive stride is not supported: got {list(stride)}")
    if any(d <= 0 for d in dilation):
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")
    if any(n >= 2**30 for n in (*stride, *padding, *dilation)):
        raise RuntimeError(
            f"convolution: stride {list(stride)}, padding {list(padding)} or dilation "
            f"{list(dilation)} is too large: each must be less than 2**30"
        )


def _check(
    x: Tensor, w: Tensor, bias: Tensor | None, groups: int, transposed: bool, nd: int
) -> None:
    """Refuse what does not fit: groups, channels, bias, dtypes."""
    if type(groups) is not int:
        raise TypeError(f"convolution(): argument 'groups' must be int, not {kind(groups)}")
    if groups <= 0:
        raise RuntimeError(f"non-positive groups is not supported: got {groups}")
    if w.ndim != nd + 2:
        raise RuntimeError(
            f"Expected {nd + 2}-dimensional weight for {nd + 2}-dimensional input "
            f"{list(x.shape)}, but got weight of size {list(w.shape)} instead"
        )
    shape = list(w.shape)
    if shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {shape} instead"
        )
    if shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{shape}] instead"
        )
    channels = shape[0] if transposed else shape[1] * groups
    if x.shape[1] != channels:
        given = "transposed=1" if transposed else f"groups={groups}"
        raise RuntimeError(
            f"Given {given}, weight of size {shape}, expected input{list(x.shape)} to have "
            f"{channels} channels, but got {x.shape[1]} channels instead"
        )
    out = shape[1] * groups if transposed else shape[0]
    if bias is not None and bias.shape != (out,):
        raise RuntimeError(
            f"Given {'transposed=1, ' * transposed}weight of size {shape}, expected bias to be "
            f"1-dimensional with {out} elements, but got bias of size {list(bias.shape)} instead"
        )
    for name, other in (("weight", w), ("bias", bias)):
        if other is not None and other.dtype is not x.dtype:
            raise RuntimeError(
                f"Input type ({x.dtype.title.lower()}) and {name} type "
                f"({other.dtype.title.lower()}) should be the same"
            )


def _padding(
    given: Any, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], op: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The zeros before and after each dimension."""
    nd = len(kernel)
    if given == "valid":
        return (0,) * nd, (0,) * nd
    if given == "same":
        if any(s != 1 for s in stride):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    if isinstance(given, str):
        raise RuntimeError(f"Invalid padding string: {given!r}")
    both = ints(op, "padding", given, nd)
    return both, both


def _conv(
    op: str,
    nd: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    check_tensors(op, input=input, weight=weight, **({} if bias is None else {"bias": bias}))
    w, (x, is_batch) = weight, batched(op, input, nd)
    steps = ints(op, "stride", stride, nd)
    apart = ints(op, "dilation", dilation, nd)
    around = padding if isinstance(padding, str) else ints(op, "padding", padding, nd)
    of_bias = None if bias is None else (bias.shape, bias._p.dtype)
    key = x.shape, w.shape, x._p.dtype, w._p.dtype, of_bias, steps, around, apart, groups
    geometry = _known.get(key) if type(groups) is int else None
    if geometry is None:
        _check(x, w, bias, groups, False, nd)
        geometry = _geometry(op, x.shape[2:], w.shape[2:], steps, around, apart, groups)
        if len(_known) >= MANY:
            _known.clear()
        _known[key] = geometry
    y = (convolved if is_integer(x._p.dtype) else convolve)(x, w, bias, geometry)
    return y if is_batch else squeeze(y, 0)


MANY = 256
_known: dict[Any, Geometry] = {}  # by shapes, dtypes and numbers that were checked


def _geometry(
    op: str,
    sizes: Sequence[int],
    kernel: Sequence[int],
    steps: tuple[int, ...],
    padding: Any,
    apart: tuple[int, ...],
    groups: int,
) -> Geometry:
    before, after = _padding(padding, kernel, steps, apart, op)
    _check_steps(steps, before, apart)
    padded = [n + a + b for n, a, b in zip(sizes, before, after, strict=True)]
    reach = [d * (k - 1) + 1 for d, k in zip(apart, kernel, strict=True)]
    if any(r > n for r, n in zip(reach, padded, strict=True)) or 0 in kernel or 0 in sizes:
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel "
            f"size: ({' x '.join(map(str, reach))}). Kernel size can't be greater than actual "
            "input size"
        )
    result = [(n - r) // s + 1 for n, r, s in zip(padded, reach, steps, strict=True)]
    return Geometry(steps, before, apart, groups, sizes, kernel, result)


def _transpose(
    op: str,
    nd: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    check_tensors(op, input=input, weight=weight, **({} if bias is None else {"bias": bias}))
    w, (y, is_batch) = weight, batched(op, input, nd)
    steps = ints(op, "stride", stride, nd)
    around = ints(op, "padding", padding, nd)
    extra = ints(op, "output_padding", output_padding, nd)
    apart = ints(op, "dilation", dilation, nd)
    _check(y, w, bias, groups, True, nd)
    kernel, sizes = w.shape[2:], y.shape[2:]
    _check_steps(steps, around, apart)
    if any(e < 0 for e in extra):
        raise RuntimeError(f"negative output_padding is not supported: got {list(extra)}")
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, apart, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got "
            f"output_padding {list(extra)}, stride {list(steps)} and dilation {list(apart)}"
        )
    image = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(sizes, steps, around, apart, kernel, extra, strict=True)
    ]
    if any(n < 1 for n in image) or 0 in sizes or 0 in kernel:
        raise RuntimeError(
            f"Given input size per channel: ({' x '.join(map(str, sizes))}). Calculated output "
            f"size per channel: ({' x '.join(map(str, image))}). Output size is too small"
        )
    op_of = transposed if y.dtype is int64 else spread
    x = op_of(y, w, bias, Geometry(steps, around, apart, groups, image, kernel, sizes))
    return x if is_batch else squeeze(x, 0)


@member_of(_conv)
def conv1d() -> None:
    """Sums of products of windows of input (n, c, l) with weight (m, c / groups, k), plus bias (m).

    The input may lack the batch. `padding` zeros go on both sides: as many as make the result's
    sizes 'same', none if 'valid'. Tap t of a window at position i is element
    i stride - padding + t dilation. RuntimeError where sizes do not fit.

    >>> F.conv1d(ad.arange(4.0).view(1, 1, 4), ad.ones(1, 1, 2))
    tensor([[[1., 3., 5.]]])
    """


@member_of(_conv)
def conv2d() -> None:
    """`conv1d` of images (n, c, h, w) and weights (m, c / groups, kh, kw).

    >>> F.conv2d(ad.zeros(1, 3, 8, 8), ad.zeros(5, 3, 3, 3), padding=1).shape
    torch.Size([1, 5, 8, 8])
    """


@member_of(_conv)
def conv3d() -> None:
    """`conv1d` of volumes (n, c, d, h, w) and weights (m, c / groups, kd, kh, kw)."""


@member_of(_transpose)
def conv_transpose1d() -> None:
    """The gradient of `conv1d` in its input: of input (n, c, l) and weight (c, m / groups, k).

    The result has (l - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1 positions.

    >>> F.conv_transpose1d(ad.ones(1, 1, 2), ad.ones(1, 1, 2))
    tensor([[[1., 2., 1.]]])
    """


@member_of(_transpose)
def conv_transpose2d() -> None:
    """`conv_transpose1d` of images (n, c, h, w) and weights (c, m / groups, kh, kw)."""


@member_of(_transpose)
def conv_transpose3d() -> None:
    """`conv_transpose1d` of volumes (n, c, d, h, w) and weights (c, m / groups, kd, kh, kw)."""
