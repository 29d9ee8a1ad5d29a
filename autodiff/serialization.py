"""`autodiff.serialization`: the names of `autodiff.io` where PyTorch has them."""

from autodiff.io import load, save

__all__ = ["load", "save"]
