"""`autodiff.amp`: mixed precision, float32 and 16 bits."""

from autodiff.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from autodiff.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
