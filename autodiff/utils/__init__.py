"""`autodiff.utils`: memory for time (`checkpoint`), and where users look for `data`."""

from autodiff.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
