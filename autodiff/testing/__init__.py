"""Tools for tests: `assert_close`, Hypothesis strategies of tensors, plain definitions of results.

The strategies need Hypothesis, which neither `import autodiff` nor the other tools do.
"""

from typing import TYPE_CHECKING, Any

from autodiff.testing.close import assert_close
from autodiff.testing.layout import Layout
from autodiff.testing.reference import Array, pointwise

if TYPE_CHECKING:
    from autodiff.testing.strategies import (
        broadcastable_shapes,
        drawn,
        dtypes,
        indices,
        layouts,
        numbers,
        operands,
        shapes,
        tensors,
    )

__all__ = [
    "Array", "Layout", "assert_close", "broadcastable_shapes", "drawn", "dtypes", "indices",
    "layouts", "numbers", "operands", "pointwise", "shapes", "tensors",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The strategies, imported when they are first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from autodiff.testing import strategies
    except ModuleNotFoundError as error:
        raise ImportError(
            f"autodiff.testing.{name} needs Hypothesis: pip install hypothesis"
        ) from error
    return getattr(strategies, name)
