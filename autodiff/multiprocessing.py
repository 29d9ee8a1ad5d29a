"""`autodiff.multiprocessing`: Python's `multiprocessing`, which sends copies of tensors."""

from multiprocessing import *  # noqa: F403
from multiprocessing import __all__ as __all__
