"""Draws from binomial distributions, as PyTorch makes them of uniform numbers."""

from __future__ import annotations

from autodiff.functions import broadcast_tensors, empty
from autodiff.ops.draws import draw_into
from autodiff.ops.generator import Generator
from autodiff.ops.guard import guarded
from autodiff.tensor import Tensor


@guarded
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """The numbers of successes in `count` trials of probability `prob`, drawn for each pair.

    >>> ad.binomial(ad.tensor([3.0, 2.0]), ad.tensor([0.0, 1.0]))
    tensor([0., 2.])
    """
    if not (count.is_floating_point() and prob.is_floating_point()):
        kinds = f"{count.dtype!r} and {prob.dtype!r}"
        raise ValueError(f"binomial only supports floating-point dtypes, got: {kinds}")
    if prob.dtype is not count.dtype:
        raise RuntimeError(f"Found dtype {prob.dtype!r} but expected {count.dtype!r}")
    n, p = broadcast_tensors(count, prob)
    return draw(n, p, generator)


def draw(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """The numbers of successes in `count` trials of probability `prob`."""
    n, p = (x.double().contiguous() for x in (count, prob))
    drawn = draw_into(empty(n.shape, dtype=n.dtype), "binomial", generator, n._p, p._p)
    return drawn.to(count.dtype)
