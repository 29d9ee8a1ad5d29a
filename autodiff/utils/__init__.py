"""`autodiff.utils`: memory for time (`checkpoint`)."""

from autodiff.utils import checkpoint

__all__ = ["checkpoint"]
