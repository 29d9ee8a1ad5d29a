"""`nn.functional`: activations, softmax, dropout, norms, linear maps and losses as functions."""

from autodiff.functions import pdist as pdist
from autodiff.nn.functional.activation import *  # noqa: F403 - its own __all__ lists them
from autodiff.nn.functional.alignment_loss import *  # noqa: F403
from autodiff.nn.functional.attention import *  # noqa: F403
from autodiff.nn.functional.channel_norm import *  # noqa: F403
from autodiff.nn.functional.class_loss import *  # noqa: F403
from autodiff.nn.functional.convolution import *  # noqa: F403
from autodiff.nn.functional.distance import *  # noqa: F403
from autodiff.nn.functional.distance_loss import *  # noqa: F403
from autodiff.nn.functional.fractional import *  # noqa: F403
from autodiff.nn.functional.heads import *  # noqa: F403
from autodiff.nn.functional.label_loss import *  # noqa: F403
from autodiff.nn.functional.margin_loss import *  # noqa: F403
from autodiff.nn.functional.noise import *  # noqa: F403
from autodiff.nn.functional.normalization import *  # noqa: F403
from autodiff.nn.functional.padding import *  # noqa: F403
from autodiff.nn.functional.pooling import *  # noqa: F403
from autodiff.nn.functional.probability_loss import *  # noqa: F403
from autodiff.nn.functional.regression_loss import *  # noqa: F403
from autodiff.nn.functional.resampling import *  # noqa: F403
from autodiff.nn.functional.sampling import *  # noqa: F403
from autodiff.nn.functional.shuffling import *  # noqa: F403
from autodiff.nn.functional.softmaxes import *  # noqa: F403
from autodiff.nn.functional.sparse import *  # noqa: F403
from autodiff.nn.functional.unpooling import *  # noqa: F403
from autodiff.nn.functional.windows import *  # noqa: F403
from autodiff.ops.contraction import linear as linear

__all__ = [name for name, value in tuple(globals().items()) if callable(value)]
