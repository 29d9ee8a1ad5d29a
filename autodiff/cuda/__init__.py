"""What programs ask and say of GPUs, for the answer that there are none."""

from __future__ import annotations

from typing import Any

from autodiff.cuda import amp as amp
from autodiff.devices import check_device

__all__ = [
    "amp", "current_device", "device_count", "empty_cache", "is_available", "manual_seed",
    "manual_seed_all", "max_memory_allocated", "max_memory_reserved", "memory_allocated",
    "memory_reserved", "synchronize",
]  # fmt: skip


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


def current_device() -> int:
    """The GPU in use. AssertionError: there is none."""
    check_device("current_device", "cuda")
    return -1


def synchronize(device: Any = None) -> None:
    """Wait for the GPU. AssertionError: there is none."""
    check_device("synchronize", "cuda")


def memory_allocated(device: Any = None) -> int:
    """The bytes of tensors on the GPU: 0.

    >>> ad.cuda.memory_allocated()
    0
    """
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated
