"""Batches of convolutions and poolings: the hidden dimension goes into the batch they have already.

Where the weights are a batch too, each sample is a group of channels.
"""

from __future__ import annotations

from typing import Any

from autodiff.func.batched import Batched, Level, is_batch, lifted, mapped_out
from autodiff.func.dispatch import Rule, for_functions, signatures
from autodiff.ops.views import permute, reshape, unsqueeze

_POOLS = "max_pool avg_pool lp_pool adaptive_max_pool adaptive_avg_pool"


def _apart(result: Any, level: Level) -> Any:
    """(samples * n, ...) as a batch of (n, ...)."""
    if isinstance(result, tuple):
        return tuple(_apart(each, level) for each in result)
    return Batched(reshape(result, [level.size, -1, *result.shape[1:]]), level)


def _pooled(function: Rule, level: Level, input: Any, *args: Any, **kwargs: Any) -> Any:
    nd, value = int(function.__name__[-2]), input.value if is_batch(input, level) else None
    if value is None or not level.size or input.ndim not in (nd + 1, nd + 2):
        return NotImplemented
    if input.ndim == nd + 1:
        return mapped_out(function(value, *args, **kwargs), level)
    return _apart(function(reshape(value, [-1, *value.shape[2:]]), *args, **kwargs), level)


def _convolved(function: Rule, level: Level, *args: Any, **kwargs: Any) -> Any:
    bound = signatures[function].bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    x, weight, bias = given["input"], given["weight"], given["bias"]
    nd = int(function.__name__[-2])
    if not level.size or x.ndim not in (nd + 1, nd + 2) or weight.ndim != nd + 2:
        return NotImplemented
    if x.ndim == nd + 1:
        given["input"] = unsqueeze(x, 0)
        y = function(*bound.args, **bound.kwargs)
        return y.squeeze(0)
    if is_batch(bias, level):
        given["bias"] = None
        y = function(*bound.args, **bound.kwargs)
        return y + reshape(bias, [-1, *[1] * nd])
    value = lifted(x, level)
    n, channels = value.shape[1:3]
    if not n:
        return NotImplemented
    if not is_batch(weight, level):
        given["input"] = reshape(value, [-1, *value.shape[2:]])
        return _apart(function(*bound.args, **bound.kwargs), level)
    size = level.size
    grouped = permute(value, [1, 0, *range(2, value.ndim)])
    given["input"] = reshape(grouped, [n, size * channels, *value.shape[3:]])
    given["weight"] = reshape(weight.value, [-1, *weight.shape[1:]])
    given["groups"] = size * given["groups"]
    given["bias"] = None
    y = function(*bound.args, **bound.kwargs)
    y = reshape(y, [n, size, -1, *y.shape[2:]])
    y = Batched(permute(y, [1, 0, *range(2, y.ndim)]), level)
    return y if bias is None else y + reshape(bias, [-1, *[1] * nd])


for _nd in (1, 2, 3):
    for_functions(*(f"{name}{_nd}d" for name in _POOLS.split()))(_pooled)
    for_functions(f"conv{_nd}d", f"conv_transpose{_nd}d")(_convolved)
