"""`autodiff.backends`: switches of libraries that are not used; to set them changes nothing."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]


class Backend(ModuleType):
    """A library's switches: one that is imported by name is a module.

    >>> ad.backends.mps.is_available()
    False
    """

    def __init__(self, name: str, **switches: Any) -> None:
        super().__init__(f"{__name__}.{name}", f"The switches of {name}, which is not used.")
        self.__dict__.update(switches)
        sys.modules[self.__name__] = self

    def is_available(self) -> bool:
        """Whether it is used: False."""
        return False

    is_built = is_available

    def version(self) -> None:
        """Its version: None."""


cudnn = Backend("cudnn", enabled=True, benchmark=False, deterministic=False, allow_tf32=True)
_matmul = Backend("cuda.matmul", allow_tf32=False)
cuda = Backend("cuda", matmul=_matmul)
mkl, mkldnn, mps, openmp = map(Backend, ("mkl", "mkldnn", "mps", "openmp"))
mkldnn.enabled = True  # type: ignore[attr-defined]
cpu = Backend("cpu")
