"""autodiff: a small deep-learning engine with PyTorch's names and behaviour."""

import importlib
import math
import sys
from typing import TYPE_CHECKING, Any

from autodiff import autograd, functions, random
from autodiff._format import get_printoptions, set_printoptions
from autodiff.devices import device
from autodiff.dtypes import (
    bfloat16,
    bool,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from autodiff.formats import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    strided,
)
from autodiff.functions import *
from autodiff.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from autodiff.gradcheck import gradcheck, gradgradcheck
from autodiff.native import get_num_threads, set_num_threads
from autodiff.ops.fused import pointwise
from autodiff.ops.generator import Generator, default_generator
from autodiff.shapes import Size
from autodiff.tensor import Tensor
from autodiff.version import __version__

pi, e, inf, nan, newaxis = math.pi, math.e, math.inf, math.nan, None
double = float64
float = float32
half = float16
long = int64
int = int32
short = int16

__all__ = [
    "Generator", "Size", "Tensor", "__version__", "autograd", "bfloat16", "bool", "channels_last",
    "channels_last_3d", "compile", "contiguous_format", "default_generator", "device", "double",
    "dtype", "enable_grad", "finfo", "float", "float16", "float32", "float64", "get_default_dtype",
    "get_num_threads", "get_printoptions", "gradcheck", "gradgradcheck", "half", "iinfo",
    "inference_mode", "int", "int8", "int16", "int32", "int64", "is_grad_enabled",
    "is_inference_mode_enabled", "layout", "long", "memory_format", "no_grad", "pointwise",
    "preserve_format", "promote_types", "random", "set_default_dtype", "set_grad_enabled",
    "set_num_threads", "set_printoptions", "short", "strided", "uint8",
]  # fmt: skip
__all__ += functions.__all__
functional = sys.modules["autodiff.functional"] = functions  # as PyTorch names the module

if TYPE_CHECKING:
    from autodiff import accelerator as accelerator
    from autodiff import amp as amp
    from autodiff import backends as backends
    from autodiff import compiler as compiler
    from autodiff import cuda as cuda
    from autodiff import data as data
    from autodiff import distributed as distributed
    from autodiff import distributions as distributions
    from autodiff import func as func
    from autodiff import io as io
    from autodiff import jit as jit
    from autodiff import linalg as linalg
    from autodiff import multiprocessing as multiprocessing
    from autodiff import nn as nn
    from autodiff import optim as optim
    from autodiff import overrides as overrides
    from autodiff import return_types as return_types
    from autodiff import serialization as serialization
    from autodiff import special as special
    from autodiff import testing as testing
    from autodiff import types as types
    from autodiff import utils as utils
    from autodiff.amp.autocast_mode import autocast as autocast
    from autodiff.amp.autocast_mode import clear_autocast_cache as clear_autocast_cache
    from autodiff.amp.autocast_mode import get_autocast_dtype as get_autocast_dtype
    from autodiff.amp.autocast_mode import is_autocast_cache_enabled as is_autocast_cache_enabled
    from autodiff.amp.autocast_mode import is_autocast_enabled as is_autocast_enabled
    from autodiff.amp.autocast_mode import set_autocast_cache_enabled as set_autocast_cache_enabled
    from autodiff.amp.autocast_mode import set_autocast_dtype as set_autocast_dtype
    from autodiff.amp.autocast_mode import set_autocast_enabled as set_autocast_enabled
    from autodiff.at_top import *
    from autodiff.compiled import compile as compile
    from autodiff.distributions.binomial import binomial as binomial
    from autodiff.func import vmap as vmap
    from autodiff.io import load as load
    from autodiff.io import save as save
    from autodiff.nonfinite import NonFiniteError as NonFiniteError
    from autodiff.nonfinite import detect_nonfinite as detect_nonfinite

_LATE: dict[str, str] = {
    "NonFiniteError": "autodiff.nonfinite",
    "binomial": "autodiff.distributions.binomial",
    "compile": "autodiff.compiled",
    "detect_nonfinite": "autodiff.nonfinite",
    "load": "autodiff.io",
    "save": "autodiff.io",
    "vmap": "autodiff.func",
}
# What nn.functional has, too, and takes long to import.
_AT_TOP = """
adaptive_avg_pool1d adaptive_max_pool1d affine_grid_generator alpha_dropout alpha_dropout_
avg_pool1d batch_norm bilinear binary_cross_entropy_with_logits celu celu_ channel_shuffle
constant_pad_nd conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution
cosine_embedding_loss cosine_similarity ctc_loss dropout dropout_ embedding feature_alpha_dropout
feature_alpha_dropout_ feature_dropout feature_dropout_ grid_sampler grid_sampler_2d grid_sampler_3d
group_norm gru gru_cell hardshrink hinge_embedding_loss instance_norm kl_div layer_norm lstm
lstm_cell margin_ranking_loss max_pool1d max_pool1d_with_indices max_pool2d max_pool3d
pairwise_distance pixel_shuffle pixel_unshuffle poisson_nll_loss prelu rms_norm rnn_relu
rnn_relu_cell rnn_tanh rnn_tanh_cell rrelu rrelu_ selu selu_ threshold threshold_
triplet_margin_loss
"""
_AUTOCAST = """
autocast clear_autocast_cache get_autocast_dtype is_autocast_cache_enabled is_autocast_enabled
set_autocast_cache_enabled set_autocast_dtype set_autocast_enabled
"""
_LATE |= dict.fromkeys(_AT_TOP.split(), "autodiff.at_top")
_LATE |= dict.fromkeys(_AUTOCAST.split(), "autodiff.amp.autocast_mode")


_MODULES = """
__config__ accelerator amp backends compiler cuda data distributed distributions func io jit linalg
multiprocessing nn optim overrides return_types serialization special testing types utils
"""


def __getattr__(name: str) -> Any:
    """What is imported when it is first asked for, and found here from then on."""
    if name in _MODULES.split() or name == "_C":
        return importlib.import_module(f"autodiff.{name}")
    module = "autodiff.foreach" if name.startswith("_foreach_") else _LATE.get(name)
    if module is None:
        raise AttributeError(f"module 'autodiff' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(module), name)
    return found
