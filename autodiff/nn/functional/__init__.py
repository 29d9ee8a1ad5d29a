"""`nn.functional`: activations, softmax, dropout, linear maps and losses as functions."""

from autodiff.nn.functional import activation, loss
from autodiff.nn.functional.activation import *  # noqa: F403 - its own __all__ lists them
from autodiff.nn.functional.dropout import *  # noqa: F403
from autodiff.nn.functional.dropout import __all__ as _dropouts
from autodiff.nn.functional.loss import *  # noqa: F403
from autodiff.ops.contraction import linear

__all__ = ["linear"]
__all__ += activation.__all__
__all__ += _dropouts
__all__ += loss.__all__
