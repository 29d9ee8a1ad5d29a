"""`nn.modules`: the classes of `nn` where PyTorch keeps them, and what subclasses need of there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from autodiff.nn import *  # noqa: F403
from autodiff.nn import __all__ as __all__
from autodiff.nn import module as module
from autodiff.nn.batchnorm import _BatchNorm as _BatchNorm
from autodiff.nn.batchnorm import _InstanceNorm as _InstanceNorm
from autodiff.nn.convolution import _Convolution
from autodiff.nn.lazy import LazyModuleMixin as LazyModuleMixin
from autodiff.nn.loss import _Loss as _Loss
from autodiff.nn.loss import _WeightedLoss as _WeightedLoss
from autodiff.places import also_at


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """The function that repeats a value n times, and leaves sequences alone."""
    return lambda x: tuple(x) if hasattr(x, "__iter__") else (x,) * n


def consume_prefix_in_state_dict_if_present(state_dict: dict[str, Any], prefix: str) -> None:
    """Take a prefix off the names in a state_dict, as what wraps a model puts there."""
    for key in list(state_dict):
        if key.startswith(prefix):
            state_dict[key.removeprefix(prefix)] = state_dict.pop(key)
    metadata: dict[str, Any] = getattr(state_dict, "_metadata", {})
    for key in list(metadata):
        if key and key.startswith(prefix.rstrip(".")):
            metadata[key.removeprefix(prefix.rstrip(".")).lstrip(".")] = metadata.pop(key)


_single, _pair, _triple, _quadruple = map(_ntuple, (1, 2, 3, 4))
_NormBase, _ConvNd = _BatchNorm, _Convolution

utils = sys.modules[__name__]  # its names, and not those of nn.utils
sys.modules[f"{__name__}.module"] = module  # where the hooks of all modules are
also_at(
    __name__,
    "activation batchnorm channelshuffle container conv distance dropout flatten fold instancenorm "
    "lazy linear loss module normalization padding pixelshuffle pooling rnn sparse transformer "
    "upsampling utils",
)
