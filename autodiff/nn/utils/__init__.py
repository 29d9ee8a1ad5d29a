"""`autodiff.nn.utils`: clipped gradients, parameters as one vector, normed weights."""

from autodiff.nn.utils import parametrizations, parametrize, prune, rnn, stateless
from autodiff.nn.utils.clip_grad import *
from autodiff.nn.utils.convert_parameters import *
from autodiff.nn.utils.fusion import *
from autodiff.nn.utils.skipping import skip_init as skip_init
from autodiff.nn.utils.weight_hooks import *
from autodiff.places import own_names

__all__ = [*own_names(globals()), "parametrizations", "parametrize", "prune", "rnn", "stateless"]
