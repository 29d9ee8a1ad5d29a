"""The one table of public functions: what `autodiff.<name>` offers besides its classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from autodiff import anomaly
from autodiff.methods import METHODS
from autodiff.ops import arithmetic, copies, everyday, join, matrix_names, typed, views
from autodiff.ops.guard import guarded
from autodiff.ops.keywords import placed, with_out, with_outs
from autodiff.ops.table import ALIASES, BOTH, members
from autodiff.ops.table import FUNCTIONS as ONLY_FUNCTIONS
from autodiff.tensor import Tensor

# PyTorch gives these an `out`, too, and no loop writes there by itself.
_WITH_OUT = """
cat column_stack diag dstack gather hstack index_add index_copy index_select masked_select
scatter scatter_add scatter_reduce stack take take_along_dim tril triu vstack
all any amax amin argmax argmin logsumexp mean nansum nonzero prod std sum var
arange empty eye full linspace ones zeros
float_power histc index_reduce ldexp nextafter renorm
isin isneginf isposinf logspace msort mvlgamma nanmean
diff slice_scatter cumprod cumsum logcumsumexp
addmm addmv addr addbmm baddbmm matmul mm bmm mv dot outer vdot cross kron chain_matmul
"""
# The same of results of two tensors, or of one whose dtype out must have.
_WITH_OUTS = "aminmax frexp max min mode histogram sort topk argsort log_softmax softmax"
# Written over their first argument: the methods of these names.
_IN_PLACE = """
abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided_ asin_
asinh_ atan_ atanh_ ceil_ clamp_ clamp_max_ clamp_min_ clip_ cos_ cosh_ deg2rad_ erf_ erfc_ exp2_
exp_ expm1_ fill_ fix_ floor_ frac_ gcd_ i0_ index_put_ lcm_ ldexp_ log10_ log1p_ log2_
log_ logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_ resize_as_ round_ rsqrt_
sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ trunc_ xlogy_ zero_
"""
_MAKERS = """
tensor as_tensor asarray scalar_tensor arange empty empty_like empty_strided eye full full_like
linspace logspace
ones ones_like zeros zeros_like rand rand_like randint randint_like randn randn_like randperm normal
tril_indices triu_indices range
from_file hann_window hamming_window blackman_window bartlett_window kaiser_window
"""


def _table() -> dict[str, Callable[..., Any]]:
    forms = {
        **dict.fromkeys(_WITH_OUT.split(), with_out),
        **dict.fromkeys(_WITH_OUTS.split(), with_outs),
        "cat": partial(with_out, into=join.cat_to),
        "stack": partial(with_out, into=join.stack_to),
        **{name: partial(placed, writes=name in _WITH_OUT.split()) for name in _MAKERS.split()},
    }
    table = {**arithmetic.UNARY, **arithmetic.BINARY}
    own = members(BOTH, ONLY_FUNCTIONS)
    table |= {name: forms.get(name, guarded)(function) for name, function in own}
    for name in ("is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_anomaly_enabled"):
        table[name] = guarded(getattr(anomaly, name))
    for name, function in copies.COPIES.items():
        several = name.removesuffix("_copy") in copies.SEVERAL
        table[name] = guarded(function) if several else with_out(function)
    table |= {alias: table[name] for alias, name in ALIASES.items() if name in table}
    table |= {name: guarded(METHODS[name]) for name in _IN_PLACE.split()}
    table |= {name: guarded(function) for name, function in matrix_names.AT_TOP.items()}
    table |= {name: guarded(getattr(Tensor, name)) for name in ("detach", "detach_")}
    return table | {
        "is_tensor": everyday.is_tensor,  # which takes anything
        "broadcast_to": guarded(views.expand),
        "concat": table["cat"],
        "concatenate": table["cat"],
        "row_stack": table["vstack"],
    }


FUNCTIONS = _table()
globals().update(FUNCTIONS | typed.TYPES)
__all__ = sorted([*FUNCTIONS, *typed.TYPES])
