"""`autodiff.amp`: what scripts need that can do without automatic mixed precision."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

from autodiff.devices import device as _device

__all__ = ["autocast", "is_autocast_enabled"]


class autocast(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """A context, or a decorator, that changes nothing where it is not enabled, or is for a device
    there is none of (with a warning). NotImplementedError where it is enabled for the CPU.

    >>> with ad.autocast("cpu", enabled=False):
    ...     ad.ones(1).dtype
    torch.float32
    """

    def __init__(
        self,
        device_type: str,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if _device(device_type).type != "cpu":
            if enabled:
                warnings.warn(
                    f"User provided device_type of '{device_type}', but {device_type.upper()} is "
                    "not available. Disabling",
                    stacklevel=2,
                )
        elif enabled:
            raise NotImplementedError(
                "autocast(): there is no automatic mixed precision. Pass enabled=False, or convert "
                "the module and its inputs with .to(bfloat16)"
            )

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """False: there is no automatic mixed precision.

    >>> ad.is_autocast_enabled("cpu")
    False
    """
    return False
