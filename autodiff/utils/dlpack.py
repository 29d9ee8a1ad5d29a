"""`autodiff.utils.dlpack`: memory shared with other libraries, where PyTorch has it."""

from autodiff.functions import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
