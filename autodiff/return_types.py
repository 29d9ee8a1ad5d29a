"""`autodiff.return_types`: the named tuples that functions of several results return."""

from __future__ import annotations

from typing import Any

from autodiff import functions as _functions  # noqa: F401 - so that all are declared
from autodiff import linalg as _linalg  # noqa: F401
from autodiff.ops.returned import KINDS

__all__ = sorted(KINDS)


def __getattr__(name: str) -> Any:
    if name in KINDS:
        return KINDS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
