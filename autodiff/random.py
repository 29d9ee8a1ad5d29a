"""`autodiff.random`: the default generator, and a context that leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from autodiff.ops.generator import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed",
    "seed", "set_rng_state",
]  # fmt: skip


@contextmanager
def fork_rng(
    devices: Iterable[object] | None = None, enabled: bool = True, device_type: str | None = None
) -> Iterator[None]:
    """Draw as much as you like inside: afterwards the default generator is where it was before.

    `devices` and `device_type` are taken as PyTorch has them, and ignored: there is only the CPU.

    >>> with ad.random.fork_rng():
    ...     x = ad.manual_seed(0)
    ...     y = ad.rand(2)
    >>> y
    tensor([0.4963, 0.7682])
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
