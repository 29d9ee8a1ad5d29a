"""`autodiff.nn`: modules, layers, convolutions, pooling, activations, dropout, norms and losses."""

import importlib
from typing import Any

from autodiff.nn import functional, init, parallel, utils
from autodiff.nn.activation import *  # noqa: F403 - each lists what is public
from autodiff.nn.adaptive_softmax import *  # noqa: F403
from autodiff.nn.attention import *  # noqa: F403
from autodiff.nn.batchnorm import *  # noqa: F403
from autodiff.nn.cells import *  # noqa: F403
from autodiff.nn.containers import *  # noqa: F403
from autodiff.nn.convolution import *  # noqa: F403
from autodiff.nn.distance import *  # noqa: F403
from autodiff.nn.dropout import *  # noqa: F403
from autodiff.nn.embedding import *  # noqa: F403
from autodiff.nn.lazy import *  # noqa: F403
from autodiff.nn.lazy_convolution import *  # noqa: F403
from autodiff.nn.linear import *  # noqa: F403
from autodiff.nn.loss import *  # noqa: F403
from autodiff.nn.module import Module as Module
from autodiff.nn.more_loss import *  # noqa: F403
from autodiff.nn.normalization import *  # noqa: F403
from autodiff.nn.padding import *  # noqa: F403
from autodiff.nn.parallel import DataParallel as DataParallel
from autodiff.nn.parameter import *  # noqa: F403
from autodiff.nn.parameters import *  # noqa: F403
from autodiff.nn.pooling import *  # noqa: F403
from autodiff.nn.recurrent import *  # noqa: F403
from autodiff.nn.resampling import *  # noqa: F403
from autodiff.nn.shape import *  # noqa: F403
from autodiff.nn.transformer import *  # noqa: F403
from autodiff.places import own_names

__all__ = [*own_names(globals()), "functional", "init", "parallel", "utils"]


def __getattr__(name: str) -> Any:
    """What is imported when it is first asked for."""
    if name in ("grad", "modules"):
        return importlib.import_module(f"autodiff.nn.{name}")
    raise AttributeError(f"module 'autodiff.nn' has no attribute {name!r}")
