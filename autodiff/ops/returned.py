"""How results of several tensors, which are named tuples, are printed: as PyTorch prints its."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from autodiff.named import NamedTuple
from autodiff.tensor import Tensor

T = TypeVar("T")
KINDS: dict[str, Any] = {}  # what `autodiff.return_types` has, by name


def returned(name: str) -> Callable[[type[T]], type[T]]:
    """A decorator of the named tuple that a function of this name returns."""

    def text(self: Any) -> str:
        parts = [f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True)]
        return f"torch.return_types.{name}(\n" + ",\n".join(parts) + ")"

    def decorate(kind: type[T]) -> type[T]:
        known: Any = kind
        known.__repr__ = text
        KINDS[name] = kind
        return kind

    return decorate


class Chosen(NamedTuple):
    """Values, and the indices at which they were found."""

    values: Tensor
    indices: Tensor
