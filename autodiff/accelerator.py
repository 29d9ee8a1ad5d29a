"""What programs ask of whatever is faster than a CPU, for the answer that there is nothing."""

from __future__ import annotations

__all__ = ["current_accelerator", "device_count", "is_available"]


def is_available() -> bool:
    """Whether there is a device but the CPU: False.

    >>> ad.accelerator.is_available()
    False
    """
    return False


def current_accelerator(check_available: bool = False) -> None:
    """The device but the CPU: None.

    >>> ad.accelerator.current_accelerator()
    """


def device_count() -> int:
    """How many devices there are but the CPU: 0.

    >>> ad.accelerator.device_count()
    0
    """
    return 0
