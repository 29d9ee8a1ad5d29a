"""`autodiff.io`: tensors and what holds them in files."""

from autodiff.io.files import load, save

__all__ = ["load", "save"]
