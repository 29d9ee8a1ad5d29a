"""`nn.functional`: activations, softmax, dropout, norms, linear maps and losses as functions."""

from autodiff.nn.functional import (
    activation,
    class_loss,
    convolution,
    margin_loss,
    noise,
    normalization,
    pooling,
    probability_loss,
    regression_loss,
    resampling,
)
from autodiff.nn.functional.activation import *  # noqa: F403 - its own __all__ lists them
from autodiff.nn.functional.class_loss import *  # noqa: F403
from autodiff.nn.functional.convolution import *  # noqa: F403
from autodiff.nn.functional.margin_loss import *  # noqa: F403
from autodiff.nn.functional.noise import *  # noqa: F403
from autodiff.nn.functional.normalization import *  # noqa: F403
from autodiff.nn.functional.pooling import *  # noqa: F403
from autodiff.nn.functional.probability_loss import *  # noqa: F403
from autodiff.nn.functional.regression_loss import *  # noqa: F403
from autodiff.nn.functional.resampling import *  # noqa: F403
from autodiff.ops.contraction import linear

__all__ = ["linear"]
for _theme in (
    activation,
    class_loss,
    convolution,
    margin_loss,
    noise,
    normalization,
    pooling,
    probability_loss,
    regression_loss,
    resampling,
):
    __all__ += _theme.__all__
