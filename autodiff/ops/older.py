"""Calls of PyTorch's older programs, which give a factor before the tensors: `x.add_(alpha, y)`."""

from __future__ import annotations

from numbers import Number
from typing import Any

from autodiff.anomaly import warn
from autodiff.tensor import Tensor

_told: set[str] = set()


def scaled(name: str, by: str, factor: Any, *tensors: Any) -> tuple[Any, ...]:
    """The tensors and the factor of such a call, with a warning the first time. TypeError where the
    first is no number.
    """
    if not (isinstance(factor, Number) or (isinstance(factor, Tensor) and factor.ndim == 0)):
        raise TypeError(
            f"{name}() takes {len(tensors)} tensor(s) and {by}= by name, or a number before them, "
            f"not {type(factor).__name__}"
        )
    if name not in _told:
        _told.add(name)
        rest = "Tensor tensor1, Tensor tensor2" if tensors[1:] else "Tensor other"
        warn(
            f"This overload of {name} is deprecated:\n\t{name}(Number {by}, {rest})\nConsider "
            "using one of the following signatures instead:\n"
            f"\t{name}({rest}, *, Number {by} = 1)"
        )
    return *tensors, factor.item() if isinstance(factor, Tensor) else factor
