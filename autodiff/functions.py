"""The one table of public functions: what `autodiff.<name>` offers besides its classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from autodiff import anomaly
from autodiff.methods import ALIASES, METHODS
from autodiff.ops import (
    arithmetic,
    assign,
    blended,
    calculus,
    chains,
    comparing,
    contraction,
    convert,
    copies,
    covariance,
    create,
    derived,
    diagonals,
    dlpack,
    einsum,
    embedded,
    equations,
    everyday,
    gather,
    generator,
    indexing,
    join,
    lowrank,
    lu,
    matrix_names,
    normalize,
    norms,
    order,
    placing,
    powers,
    products,
    quantize,
    random,
    ranks,
    reals,
    rearrange,
    reductions,
    regions,
    repetition,
    scan,
    scatter,
    searching,
    segments,
    settings,
    slices,
    sorting,
    splitting,
    stacking,
    statistics,
    storage,
    tallies,
    typed,
    views,
    windows,
)
from autodiff.ops.guard import guarded
from autodiff.ops.keywords import placed, with_out, with_outs
from autodiff.tensor import Tensor

_BY_MODULE: dict[Any, str] = {
    anomaly: "is_anomaly_check_nan_enabled is_anomaly_enabled set_anomaly_enabled",
    arithmetic: "add sub rsub div pow where clamp clamp_min clamp_max addcmul addcdiv lerp "
    "logit nan_to_num polygamma round positive",
    comparing: "equal isclose allclose result_type",
    views: "reshape permute transpose t select narrow squeeze unsqueeze flatten clone",
    settings: "use_deterministic_algorithms set_deterministic_debug_mode "
    "get_deterministic_debug_mode "
    "are_deterministic_algorithms_enabled can_cast "
    "is_deterministic_algorithms_warn_only_enabled set_float32_matmul_precision "
    "get_float32_matmul_precision set_default_device get_default_device set_default_tensor_type "
    "get_num_interop_threads set_num_interop_threads set_flush_denormal compiled_with_cxx11_abi",
    storage: "empty_strided frombuffer narrow_copy",
    typed: "scalar_tensor asarray is_same_size is_signed is_inference get_device "
    "typename is_storage",
    equations: "cholesky_solve cholesky_inverse matrix_exp",
    powers: "float_power ldexp gcd lcm",
    tallies: "mode histc histogram",
    calculus: "gradient cumulative_trapezoid vander renorm",
    embedded: "select_scatter slice_scatter diagonal_scatter as_strided_scatter unravel_index "
    "index_reduce",
    splitting: "unbind split chunk split_with_sizes tensor_split hsplit vsplit dsplit",
    regions: "as_strided",
    rearrange: "movedim swapaxes adjoint ravel unflatten",
    order: "flip fliplr flipud rot90 roll",
    repetition: "tile repeat_interleave",
    diagonals: "diagonal diag diag_embed diagflat tril triu tril_indices triu_indices",
    stacking: "atleast_1d atleast_2d atleast_3d broadcast_shapes broadcast_tensors meshgrid "
    "cartesian_prod hstack vstack dstack column_stack",
    scatter: "scatter scatter_add scatter_reduce",
    placing: "index_copy index_fill index_put take put masked_scatter",
    reals: "nextafter frexp range pdist isreal is_complex is_conj is_neg real imag angle",
    windows: "hann_window hamming_window blackman_window bartlett_window kaiser_window",
    reductions: "sum mean prod max min amax amin argmax argmin any all",
    contraction: "matmul mm bmm mv dot",
    blended: "addmm addmv addr addbmm baddbmm",
    everyday: "is_tensor is_floating_point is_nonzero numel isposinf isneginf isin nanmean "
    "mvlgamma trapezoid msort block_diag combinations logspace",
    products: "outer inner vdot cross kron trace tensordot",
    chains: "chain_matmul",
    covariance: "cov corrcoef",
    derived: "aminmax argwhere bincount count_nonzero diff dist nansum norm",
    norms: "cdist frobenius_norm nuclear_norm",
    einsum: "einsum",
    gather: "gather take_along_dim nonzero",
    indexing: "masked_select",
    slices: "index_select index_add",
    scan: "cumsum cumprod cummax cummin logcumsumexp",
    sorting: "sort argsort topk",
    quantize: "fake_quantize_per_tensor_affine fake_quantize_per_channel_affine",
    segments: "segment_reduce",
    ranks: "kthvalue median nanmedian nanquantile quantile",
    searching: "bucketize searchsorted unique unique_consecutive",
    assign: "fill masked_fill",
    join: "cat stack",
    lowrank: "svd_lowrank pca_lowrank",
    lu: "lu_unpack",
    normalize: "softmax log_softmax logsumexp",
    statistics: "var std var_mean std_mean",
    convert: "tensor as_tensor from_numpy",
    create: "empty zeros ones full empty_like zeros_like ones_like full_like eye arange linspace",
    dlpack: "from_dlpack to_dlpack",
    generator: "manual_seed initial_seed seed get_rng_state set_rng_state",
    random: "rand randn rand_like randn_like randint randint_like randperm normal bernoulli "
    "poisson multinomial",
}
# PyTorch gives these an `out`, too, and no loop writes there by itself.
_WITH_OUT = """
cat column_stack diag dstack gather hstack index_add index_copy index_select masked_select
scatter scatter_add scatter_reduce stack take take_along_dim tril triu vstack
all any amax amin argmax argmin logsumexp mean nansum nonzero prod std sum var
arange empty eye full linspace ones zeros
float_power gcd histc index_reduce lcm ldexp nextafter renorm
isin isneginf isposinf logspace msort mvlgamma nanmean
diff slice_scatter
"""
# The same of results of two tensors, or of one whose dtype out must have.
_WITH_OUTS = "aminmax max min mode histogram sort topk argsort log_softmax softmax"
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
hann_window hamming_window blackman_window bartlett_window kaiser_window
"""


def _table() -> dict[str, Callable[..., Any]]:
    forms = {
        **dict.fromkeys(_WITH_OUT.split(), with_out),
        **dict.fromkeys(_WITH_OUTS.split(), with_outs),
        **{name: partial(placed, writes=name in _WITH_OUT.split()) for name in _MAKERS.split()},
    }
    table = {**arithmetic.UNARY, **arithmetic.BINARY}
    for module, names in _BY_MODULE.items():
        table |= {name: forms.get(name, guarded)(getattr(module, name)) for name in names.split()}
    for name, function in copies.COPIES.items():
        several = name.removesuffix("_copy") in copies.SEVERAL
        table[name] = guarded(function) if several else with_out(function)
    table |= {alias: table[name] for alias, name in ALIASES.items() if name in table}
    table |= {name: guarded(METHODS[name]) for name in _IN_PLACE.split()}
    table |= {name: guarded(function) for name, function in typed.MAKERS.items()}
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
globals().update(FUNCTIONS)
__all__ = sorted(FUNCTIONS)
