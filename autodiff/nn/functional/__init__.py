"""`nn.functional`: activations, softmax, dropout, norms, linear maps and losses as functions."""

from autodiff.functions import pdist as pdist
from autodiff.nn.functional.activation import *
from autodiff.nn.functional.alignment_loss import *
from autodiff.nn.functional.attention import *
from autodiff.nn.functional.channel_norm import *
from autodiff.nn.functional.class_loss import *
from autodiff.nn.functional.convolution import *
from autodiff.nn.functional.distance import *
from autodiff.nn.functional.distance_loss import *
from autodiff.nn.functional.fractional import *
from autodiff.nn.functional.heads import *
from autodiff.nn.functional.label_loss import *
from autodiff.nn.functional.margin_loss import *
from autodiff.nn.functional.noise import *
from autodiff.nn.functional.normalization import *
from autodiff.nn.functional.padding import *
from autodiff.nn.functional.pooling import *
from autodiff.nn.functional.probability_loss import *
from autodiff.nn.functional.regression_loss import *
from autodiff.nn.functional.resampling import *
from autodiff.nn.functional.sampling import *
from autodiff.nn.functional.shuffling import *
from autodiff.nn.functional.softmaxes import *
from autodiff.nn.functional.sparse import *
from autodiff.nn.functional.unpooling import *
from autodiff.nn.functional.windows import *
from autodiff.ops.contraction import linear as linear

__all__ = [name for name, value in tuple(globals().items()) if callable(value)]
