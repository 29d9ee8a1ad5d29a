"""What programs ask and say of GPUs, for the answer that there are none."""

from __future__ import annotations

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all"]


def is_available() -> bool:
    """Whether there is a GPU to use: False.

    >>> ad.cuda.is_available()
    False
    """
    return False


def device_count() -> int:
    """How many GPUs there are: 0.

    >>> ad.cuda.device_count()
    0
    """
    return 0


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator: there is none."""


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs: of none."""


def empty_cache() -> None:
    """Give unused memory of the GPU back: there is none."""
