"""`autodiff.nn`: modules, layers, convolutions, pooling, activations, dropout, norms and losses."""

import importlib
from typing import Any

from autodiff.nn import functional, init, parallel, utils
from autodiff.nn.activation import *
from autodiff.nn.adaptive_softmax import *
from autodiff.nn.attention import *
from autodiff.nn.batchnorm import *
from autodiff.nn.cells import *
from autodiff.nn.containers import *
from autodiff.nn.convolution import *
from autodiff.nn.distance import *
from autodiff.nn.dropout import *
from autodiff.nn.embedding import *
from autodiff.nn.lazy import *
from autodiff.nn.lazy_convolution import *
from autodiff.nn.linear import *
from autodiff.nn.loss import *
from autodiff.nn.module import Module as Module
from autodiff.nn.more_loss import *
from autodiff.nn.normalization import *
from autodiff.nn.padding import *
from autodiff.nn.parallel import DataParallel as DataParallel
from autodiff.nn.parameter import *
from autodiff.nn.parameters import *
from autodiff.nn.pooling import *
from autodiff.nn.recurrent import *
from autodiff.nn.resampling import *
from autodiff.nn.shape import *
from autodiff.nn.transformer import *
from autodiff.places import own_names

__all__ = [*own_names(globals()), "functional", "init", "parallel", "utils"]


def __getattr__(name: str) -> Any:
    """What is imported when it is first asked for."""
    if name in ("grad", "modules"):
        return importlib.import_module(f"autodiff.nn.{name}")
    raise AttributeError(f"module 'autodiff.nn' has no attribute {name!r}")
