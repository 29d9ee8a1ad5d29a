"""Images at other sizes, and channels as pixels."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from autodiff.dtypes import bfloat16, dtype, float16, float32, float64, plain, uint8
from autodiff.nn.functional.byte_images import resized
from autodiff.nn.functional.convolution import Ints, kind
from autodiff.nn.functional.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
)
from autodiff.nn.functional.pools import LONG, MOST
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.base import backward_name
from autodiff.ops.convert import tensor
from autodiff.ops.create import made_once
from autodiff.ops.pooling import Sums, windows
from autodiff.ops.rearrange import regroup, regrouping
from autodiff.ops.sampled import CUBIC, cubic_far, cubic_near
from autodiff.tensor import TENSOR_TYPES, Tensor

__all__ = [
    "channel_shuffle",
    "interpolate",
    "pixel_shuffle",
    "pixel_unshuffle",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

# ---- interpolation: windows of the pixels that each is made of, dimension by dimension ----

_MODES = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
_AREAS = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)

Taps = list[tuple[list[int], list[float] | None]]  # indices and their weights, a list for each tap


SMALL = 128  # height and width of images whose sizes count before the factor does


def _single(value: float) -> float:
    """value rounded to float32: which pixel is nearest depends on it."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _nearest(size: int, n: int, step: float, exact: bool, small: bool, double: bool) -> Taps:
    half = 0.5 if exact else 0.0
    if small and not exact and n in (size, 2 * size):
        return [([i * size // n for i in range(n)], None)]
    step = step if double and not small else _single(step)
    places = [min(int(_single((i + half) * step)), size - 1) for i in range(n)]
    return [(places, None)]


def _sources(size: int, n: int, step: float, corners: bool) -> list[float]:
    """Where the pixels of the result lie among the image's."""
    if corners:
        apart = (size - 1) / (n - 1) if n > 1 else 0.0
        return [i * apart for i in range(n)]
    return [step * (i + 0.5) - 0.5 for i in range(n)]


def _linear(size: int, n: int, step: float, corners: bool) -> Taps:
    at = [max(s, 0.0) for s in _sources(size, n, step, corners)]
    low = [min(int(s), size - 1) for s in at]
    high = [min(i + 1, size - 1) for i in low]
    share = [s - i for s, i in zip(at, low, strict=True)]
    return [(low, [1 - t for t in share]), (high, share)]


def _cubic(size: int, n: int, step: float, corners: bool) -> Taps:
    at = _sources(size, n, step, corners)
    low = [math.floor(s) for s in at]
    taps: Taps = []
    for k in range(-1, 3):
        distance = [abs(s - i - k) for s, i in zip(at, low, strict=True)]
        taps.append(
            ([min(max(i + k, 0), size - 1) for i in low], [_cubic_weight(t) for t in distance])
        )
    return taps


def _cubic_weight(t: float, slope: float = CUBIC) -> float:
    weight: float = cubic_near(t, slope) if t <= 1 else cubic_far(t, slope) if t < 2 else 0.0
    return weight


def _antialiased(size: int, n: int, step: float, corners: bool, cubic: bool) -> Taps:
    """The taps of a kernel as wide as a pixel of the result, where that is the wider one."""
    if corners:
        step = (size - 1) / (n - 1) if n > 1 else 0.0
    wide = max(step, 1.0)
    reach = (2 if cubic else 1) * wide
    rows: list[list[float]] = []
    starts: list[int] = []
    for i in range(n):
        centre = step * (i + 0.5)
        first = max(int(centre - reach + 0.5), 0)
        end = min(int(centre + reach + 0.5), size)
        at = [abs(j - centre + 0.5) / wide for j in range(first, end)]
        weights = [_cubic_weight(t, -0.5) if cubic else max(1 - t, 0.0) for t in at]
        total = sum(weights) or 1.0
        rows.append([w / total for w in weights])
        starts.append(first)
    return [
        (
            [first + k if k < len(row) else size for first, row in zip(starts, rows, strict=True)],
            [row[k] if k < len(row) else 0.0 for row in rows],
        )
        for k in range(max(map(len, rows)))
    ]


def _taps(
    double: bool,
    mode: str,
    size: int,
    n: int,
    factor: float | None,
    corners: bool,
    antialias: bool,
    small: bool,
) -> Taps:
    step = 1 / factor if factor else size / n
    if mode not in _MODES:
        return _nearest(size, n, step, mode == "nearest-exact", small, double)
    if antialias:
        return _antialiased(size, n, step, corners, mode == "bicubic")
    return (_cubic if mode == "bicubic" else _linear)(size, n, step, corners)


def _sizes(
    space: Sequence[int], size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    """The sizes of the result, and the factors that were asked for."""
    nd = len(space)
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = size if size is not None else scale_factor
    each = [plain(v) for v in given] if isinstance(given, (tuple, list)) else [plain(given)] * nd
    what = "size" if size is not None else "scale_factor"
    if len(each) != nd:
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(space)} and {what} of {given}. Please provide "
            f"input tensor in (N, C, d1, d2, ...,dK) format and {what} in (s1, s2, ...,sK) format."
        )
    kinds: Any = (int,) if size is not None else (int, float)
    if any(isinstance(v, bool) or not isinstance(v, kinds) for v in each):
        raise TypeError(f"interpolate(): {what} must be numbers, one or {nd}, not {kind(given)}")
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return each, [None] * nd
    factors = [float(v) for v in each]
    if not all(0 < f < math.inf for f in factors):
        raise ValueError(f"interpolate(): scale_factor must be positive, but got {given}")
    found = [math.floor(n * f) for n, f in zip(space, factors, strict=True)]
    return found, [None if recompute else f for f in factors]


def _check_mode(
    nd: int, mode: str, smooth: bool, align_corners: bool | None, antialias: bool
) -> None:
    known = ("nearest", "nearest-exact", "area")
    if nd not in (1, 2, 3) or not (smooth or mode in known):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {nd + 2}D) for the "
            f"modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact (got "
            f"{mode})"
        )
    if not smooth and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    if smooth and _MODES[mode] != nd:
        raise NotImplementedError(
            f"Got {nd + 2}D input, but {mode} mode needs {_MODES[mode] + 2}D input"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D "
            "tensor as input"
        )


def _plan(
    nd: int,
    space: Sequence[int],
    d: dtype,
    mode: str,
    size: Any,
    scale_factor: Any,
    align_corners: bool | None,
    recompute: bool | None,
    antialias: bool,
    *_: Any,
) -> Any:
    """What `windows` is to do; of areas, the sizes."""
    sizes, factors = _sizes(space, size, scale_factor, recompute)
    _check_mode(nd, mode, mode in _MODES, align_corners, antialias)
    if min(*sizes, *space) <= 0:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input "
            f"{list(space)} and output {sizes}"
        )
    if max(sizes) > MOST:
        raise RuntimeError(f"interpolate: sizes {sizes} are too large: at most {MOST} is supported")
    if not d.is_floating_point:
        raise NotImplementedError(f'"interpolate" not implemented for {d.title!r}')
    if mode == "area":
        return sizes
    small = nd == 2 and sum(sizes) <= SMALL
    axes: list[tuple[int, ...]] = []
    places: list[int] = []
    shares: list[float] = []
    for n_in, n, factor in zip(space, sizes, factors, strict=True):
        taps = _taps(d is float64, mode, n_in, n, factor, bool(align_corners), antialias, small)
        axes.append((n_in, n, len(taps), 0, 0, 0))
        for at, weights in taps:
            places += at
            shares += weights or []
    wide = float32 if d in (float16, bfloat16) else d
    title = f"upsample_{mode.replace('-', '_')}{nd}d{'_aa' * antialias}"
    taken = tensor(shares, dtype=wide) if shares else None
    return Sums(backward_name(title), axes, (0, 0), places, taken)


def _short(*given: Any) -> Any:
    """The same where it is no longer than is remembered, else None."""
    plan = _plan(*given)
    return None if isinstance(plan, Sums) and plan.n > 4 * LONG else plan


_known_plan = made_once(_short)
_PLAIN = {int, float, type(None)}


def interpolate(
    input: Tensor,
    size: Ints | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images (n, c, ...) of one to three dimensions at another size, or scale_factor times theirs.

    The mode is nearest, nearest-exact, area (means) or, by the number of dimensions, linear,
    bilinear or bicubic, trilinear; align_corners lets the corner pixels keep their values. With
    recompute_scale_factor the factor is that of the sizes. `antialias` lets a bilinear or bicubic
    pixel of a smaller image be made of all that it covers. Of uint8 there are nearest,
    nearest-exact, bilinear and bicubic, which round weights to 16 bits, each axis to bytes.

    >>> F.interpolate(ad.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> F.interpolate(ad.tensor([[[1.0, 2.0]]]), size=4, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    """
    if type(input) not in TENSOR_TYPES:
        check_tensors("interpolate", input=input)
    if input.dtype is uint8 and mode in ("nearest", "nearest-exact"):
        floats = input.float()
        return interpolate(floats, size, scale_factor, mode, align_corners, recompute_scale_factor,
                           antialias).byte()  # fmt: skip
    if input.dtype is uint8 and mode in ("bilinear", "bicubic"):
        asked = (size, scale_factor, align_corners, recompute_scale_factor, antialias)
        return resized(input, _plan(input.ndim - 2, input.shape[2:], float64, mode, *asked))
    sizes = [tuple(v) if type(v) is list else v for v in (size, scale_factor)]
    kinds = tuple([tuple(map(type, v)) if type(v) is tuple else type(v) for v in sizes])
    shape = input.shape
    given: Any = (
        len(shape) - 2,
        shape[2:],
        input.dtype,
        mode,
        *sizes,
        align_corners,
        recompute_scale_factor,
        antialias,
        kinds,
    )
    known = all(k in _PLAIN or (type(k) is tuple and _PLAIN.issuperset(k)) for k in kinds)
    plan = (known and _known_plan(*given)) or _plan(*given)
    return _AREAS[len(shape) - 3](input, plan) if mode == "area" else windows(input, plan)


# ---- channels as pixels ----


def _check_factor(op: str, name: str, x: Tensor, factor: Any) -> None:
    if type(x) is Tensor and type(factor) is int and factor > 0 and x._p.ndim > 2:
        return
    check_tensors(op, input=x)
    if type(factor) is not int:
        raise TypeError(f"{op}(): argument '{name}' must be int, not {type(factor).__name__}")
    if x.ndim < 3:
        raise RuntimeError(
            f"{op} expects input to have at least 3 dimensions, but got input with {x.ndim} "
            "dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{op} expects a positive {name}, but got {factor}")


_shuffled, _unshuffled, _interleaved = (
    regroup.named(f"{name}Backward0")
    for name in ("PixelShuffle", "PixelUnshuffle", "ChannelShuffle")
)


@lru_cache
def _shuffling(shape: Sequence[int], r: int) -> tuple[Any, ...]:
    *lead, c, h, w = shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    c //= r * r
    order = (*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return regrouping((*lead, c, r, r, h, w), order, (*lead, c, h * r, w * r))


@lru_cache
def _unshuffling(shape: Sequence[int], r: int) -> tuple[Any, ...]:
    *lead, c, h, w = shape
    for name, d, size in (("height", -2, h), ("width", -1, w)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({d})={size} is not divisible by {r}"
            )
    n = len(lead)
    h, w, order = h // r, w // r, (*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return regrouping((*lead, c, h, r, w, r), order, (*lead, c * r * r, h, w))


@lru_cache
def _interleaving(shape: Sequence[int], groups: int) -> tuple[Any, ...]:
    n, c, *space = shape
    if c % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    order = (0, 2, 1, *range(3, 3 + len(space)))
    return regrouping((n, groups, c // groups, *space), order, shape)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., c r^2, h, w) as (..., c, h r, w r): groups of r^2 channels become squares of pixels.

    >>> F.pixel_shuffle(ad.zeros(1, 4, 3, 3), 2).shape
    torch.Size([1, 1, 6, 6])
    """
    _check_factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    return _shuffled.call(input, *_shuffling(input.shape, upscale_factor))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., c, h r, w r) as (..., c r^2, h, w): undoes `pixel_shuffle`.

    >>> F.pixel_unshuffle(ad.zeros(1, 1, 6, 6), 2).shape
    torch.Size([1, 4, 3, 3])
    """
    _check_factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    return _unshuffled.call(input, *_unshuffling(input.shape, downscale_factor))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels (n, g c, ...) interleaved: the first of each group, then the second of each.

    >>> F.channel_shuffle(ad.arange(4.0).view(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    _check_factor("channel_shuffle", "groups", input, groups)
    return _interleaved.call(input, *_interleaving(input.shape, groups))


def upsample(
    input: Tensor,
    size: Ints | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate`, under PyTorch's first name for it.

    >>> F.upsample(ad.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` by nearest pixels.

    >>> F.upsample_nearest(ad.tensor([[[1.0, 2.0]]]), 4)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(
    input: Tensor, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` of images, bilinear, with corners aligned.

    >>> F.upsample_bilinear(ad.tensor([[[[1.0, 3.0]]]]), (1, 3))
    tensor([[[[1., 2., 3.]]]])
    """
    return interpolate(input, size, scale_factor, "bilinear", True)
