"""`autodiff.utils.data`: the names of `autodiff.data` where PyTorch has them."""

from autodiff import data
from autodiff.data import *  # noqa: F403

__all__ = data.__all__
