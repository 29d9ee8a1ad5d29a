"""`autodiff.utils`: where PyTorch's users look for `data`."""

from autodiff.utils import data

__all__ = ["data"]
