"""`autodiff.__config__`: how the library was built, where PyTorch tells it."""

from autodiff.info import describe as show

__all__ = ["show"]
