"""`autodiff.nn.utils`: clipped gradients, parameters as one vector, normed weights."""

from autodiff.nn.utils import parametrizations, parametrize, prune, rnn, stateless
from autodiff.nn.utils.clip_grad import *  # noqa: F403 - each lists what is public
from autodiff.nn.utils.convert_parameters import *  # noqa: F403
from autodiff.nn.utils.fusion import *  # noqa: F403
from autodiff.nn.utils.skipping import skip_init as skip_init
from autodiff.nn.utils.weight_hooks import *  # noqa: F403
from autodiff.places import own_names

__all__ = [*own_names(globals()), "parametrizations", "parametrize", "prune", "rnn", "stateless"]
