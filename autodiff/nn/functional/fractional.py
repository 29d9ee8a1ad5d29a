"""Max pooling over windows that lie at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.functions import arange, cat, full, rand
from autodiff.nn.functional.convolution import Ints, batched, ints
from autodiff.nn.functional.pooling import with_indices
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.written import member_of
from autodiff.tensor import Tensor

__all__ = [
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]  # fmt: skip

Ratio = float | Sequence[float]


def _pool(
    op: str,
    nd: int,
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratio | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    check_tensors(op, input=input)
    if input.ndim <= nd:
        raise IndexError(
            f"Expected {nd + 1}D (unbatched) or {nd + 2}D (batched) input to {op}, but got input "
            f"of size: {list(input.shape)}"
        )
    x, is_batch = batched(op, input, nd)
    image = x.shape[2:]
    sizes = _sizes(op, image, output_size, output_ratio)
    kernel = ints(op, "kernel_size", kernel_size, nd)
    _check_fit(op, kernel, sizes, image)
    samples = _random_samples
    if samples is None:
        samples = rand(*x.shape[:2], nd, dtype=x.dtype)
    elif samples.dtype is not x.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    given, samples = samples.shape, samples[: len(x)]
    if samples.shape != (*x.shape[:2], nd):
        raise RuntimeError(
            f"{op}: _random_samples must have the shape {(*x.shape[:2], nd)}, not {tuple(given)}"
        )
    at: Any = 0  # in their image, of the first elements of all windows, of the second ones, ...
    for d, (k, size, n) in enumerate(zip(kernel, sizes, image, strict=True)):
        u = samples.detach()[..., d if nd == 3 else nd - 1 - d].unsqueeze(-1)
        starts = _starts(u, n, size, k).reshape(*x.shape[:2], *_along(d, nd, size))
        at = at * n + (arange(k).reshape(*_along(d, nd, k), *[1] * (2 + nd)) + starts)
    at = at.flatten(0, nd - 1)
    images = x.flatten(2).expand(len(at), -1, -1, -1)
    y, which = images.gather(3, at.flatten(3)).reshape(at.shape).max(0)
    places = at.gather(0, which.unsqueeze(0)).squeeze(0)
    found = (y, places) if is_batch else (y.squeeze(0), places.squeeze(0))
    return found if return_indices else found[0]


def _check_fit(op: str, kernel: Sequence[int], sizes: Sequence[int], image: Sequence[int]) -> None:
    for k, size, n in zip(kernel, sizes, image, strict=True):
        if k < 1 or size < 1:
            raise RuntimeError(
                f"{op}: kernel_size and output_size must be positive, but got {list(kernel)} and "
                f"{list(sizes)}"
            )
        if size + k - 1 > n:
            raise RuntimeError(
                f"{op}: {size} windows of {k} do not fit into {n} elements: output_size + "
                "kernel_size - 1 must not be greater"
            )


def _sizes(
    op: str, image: Sequence[int], output_size: Ints | None, output_ratio: Ratio | None
) -> tuple[int, ...]:
    """How many windows there are in each dimension."""
    nd = len(image)
    if output_size is not None:
        return ints(op, "output_size", output_size, nd)
    if output_ratio is None:
        raise ValueError(f"{op} requires specifying either an output_size or an output_ratio")
    each = (output_ratio,) * nd if isinstance(output_ratio, (int, float)) else output_ratio
    if len(each) != nd:
        raise ValueError(f"{op} requires output_ratio to be a number or {nd} of them")
    return tuple(int(n * r) for n, r in zip(image, each, strict=True))


def _along(d: int, nd: int, size: int) -> list[int]:
    """A shape of nd dimensions of which one is more than 1."""
    return [size if e == d else 1 for e in range(nd)]


def _starts(u: Tensor, n: int, windows: int, kernel: int) -> Tensor:
    """Where windows begin, given a number in [0, 1) for each image; the last ends the image."""
    last = full((*u.shape[:-1], 1), n - kernel)
    if windows == 1:
        return last
    apart = (n - kernel) / (windows - 1)
    first = ((arange(windows - 1) + u) * apart).long() - (u * apart).long()
    return cat([first, last], -1)


@member_of(_pool)
def fractional_max_pool2d() -> None:
    """The largest elements of `output_size` windows of `kernel_size`, whose steps are random.

    The input is (c, h, w) or (n, c, h, w); windows are one or two elements further than the last
    where the output is about half as large, and other for each image. Instead of a size, the ratio
    of output to input can be given. With return_indices also the places in row-major order
    (Graham, Fractional Max-Pooling, 2014).

    >>> F.fractional_max_pool2d(ad.arange(16.0).view(1, 4, 4), 2, output_size=1)
    tensor([[[15.]]])
    """


@member_of(_pool)
def fractional_max_pool3d() -> None:
    """`fractional_max_pool2d` over the last three dimensions."""


fractional_max_pool2d_with_indices = with_indices(fractional_max_pool2d)
fractional_max_pool3d_with_indices = with_indices(fractional_max_pool3d)
