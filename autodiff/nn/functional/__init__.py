"""`nn.functional`: activations, softmax, linear maps and losses as functions."""

from autodiff.nn.functional import activation, loss
from autodiff.nn.functional.activation import *  # noqa: F403 - its own __all__ lists them
from autodiff.nn.functional.loss import *  # noqa: F403
from autodiff.ops.contraction import linear

__all__ = ["linear"]
__all__ += activation.__all__
__all__ += loss.__all__
