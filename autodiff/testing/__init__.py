"""Tools for property tests: Hypothesis strategies of tensors, and plain definitions of results.

Needs Hypothesis, which `import autodiff` does not.
"""

from autodiff.testing.reference import Array, pointwise
from autodiff.testing.strategies import (
    Layout,
    broadcastable_shapes,
    dtypes,
    layouts,
    numbers,
    operands,
    shapes,
    tensors,
)

__all__ = [
    "Array",
    "Layout",
    "broadcastable_shapes",
    "dtypes",
    "layouts",
    "numbers",
    "operands",
    "pointwise",
    "shapes",
    "tensors",
]
