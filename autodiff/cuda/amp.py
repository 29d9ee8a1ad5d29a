"""`autodiff.cuda.amp`: mixed precision on a GPU as older programs write it; there is none."""

from __future__ import annotations

from typing import Any

from autodiff import amp
from autodiff.places import also_at

__all__ = ["GradScaler", "autocast"]

also_at(__name__, "autocast_mode grad_scaler")


class autocast(amp.autocast):  # noqa: N801 - PyTorch's name
    """A block in which nothing is rounded to 16 bits; where enabled, a warning says so.

    >>> from autodiff.cuda.amp import autocast
    >>> with autocast(enabled=False):
    ...     y = ad.ones(2, 2) @ ad.ones(2, 2)
    """

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """Scales nothing, as there is no GPU; where enabled, a warning says so.

    >>> from autodiff.cuda.amp import GradScaler
    >>> GradScaler(enabled=False).scale(ad.ones(1))
    tensor([1.])
    """

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        given = init_scale, growth_factor, backoff_factor, growth_interval
        super().__init__("cuda", *given, enabled)
