"""The one table of what the families offer: as functions, as methods of tensors, or as both."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

BOTH = {
    "arithmetic": "add sub div pow addcmul addcdiv lerp logit nan_to_num round positive",
    "clamping": "clamp clamp_min clamp_max",
    "comparing": "equal isclose allclose",
    "views": "reshape permute transpose select narrow squeeze unsqueeze flatten",
    "clones": "clone",
    "splitting": "unbind split chunk split_with_sizes tensor_split hsplit vsplit dsplit",
    "regions": "as_strided",
    "rearrange": "movedim swapaxes ravel unflatten",
    "transposes": "t adjoint",
    "order": "flip fliplr flipud rot90 roll",
    "repetition": "tile repeat_interleave",
    "diagonals": "diagonal diag diag_embed diagflat tril triu",
    "reductions": "sum mean prod any all",
    "extremes": "max min amax amin argmax argmin",
    "contraction": "matmul mm bmm mv dot",
    "blended": "addmm addmv addr addbmm baddbmm",
    "products": "outer inner vdot cross kron trace",
    "covariance": "cov corrcoef",
    "everyday": "is_nonzero isposinf isneginf nanmean mvlgamma msort",
    "derived": "aminmax argwhere bincount count_nonzero diff dist nansum nonzero_static norm",
    "gather": "gather take_along_dim nonzero",
    "scatter": "scatter scatter_add scatter_reduce",
    "placing": "index_copy index_fill index_put take put masked_scatter",
    "assign": "masked_fill",
    "indexing": "masked_select",
    "slices": "index_select index_add",
    "scan": "cumsum cumprod cummax cummin logcumsumexp",
    "sorting": "sort argsort topk",
    "ranks": "kthvalue median nanmedian nanquantile quantile",
    "reals": "nextafter frexp isreal is_complex is_conj is_neg real angle",
    "searching": "unique unique_consecutive",
    "normalize": "softmax log_softmax logsumexp",
    "statistics": "var std",
    "equations": "cholesky_solve cholesky_inverse matrix_exp",
    "powers": "float_power ldexp",
    "tallies": "mode histc histogram",
    "calculus": "renorm",
    "embedded": "select_scatter slice_scatter diagonal_scatter as_strided_scatter index_reduce",
    "storage": "narrow_copy",
    "typed": "is_same_size is_signed get_device",
    "random": "bernoulli multinomial",
}
METHODS = {
    "overwriting": "add_ sub_ div_ pow_ clamp_ clamp_min_ clamp_max_ addcmul_ addcdiv_ lerp_ "
    "logit_ nan_to_num_ polygamma_ round_",
    "views": "view expand alias",
    "clones": "contiguous",
    "rearrange": "reshape_as unfold",
    "repetition": "repeat",
    "diagonals": "tril_ triu_ fill_diagonal_",
    "reductions": "sum_to_size",
    "blended": "addmm_ addmv_ addr_ addbmm_ baddbmm_",
    "scatter": "scatter_ scatter_add_ scatter_reduce_",
    "placing": "index_copy_ index_fill_ index_put_ put_ masked_scatter_",
    "assign": "copy_ fill_ zero_ masked_fill_",
    "slices": "index_add_",
    "scan": "cumsum_ cumprod_",
    "create": "new_zeros new_ones new_empty new_full",
    "convert": "new_tensor",
    "powers": "float_power_",
    "storage": "storage untyped_storage is_set_to resize_ resize_as_ set_ new_empty_strided",
    "shared": "is_shared share_memory_ is_pinned pin_memory",
    "typed": "new as_subclass dim_order ndimension apply_ map_ map2_",
    "draws": "uniform_ normal_ log_normal_ exponential_ cauchy_ geometric_ bernoulli_ random_",
}
FUNCTIONS = {
    "arithmetic": "rsub where polygamma",
    "comparing": "result_type",
    "diagonals": "tril_indices triu_indices",
    "products": "tensordot",
    "everyday": "is_tensor is_floating_point numel isin block_diag combinations logspace",
    "assign": "fill",
    "reals": "range imag",
    "searching": "bucketize searchsorted",
    "statistics": "var_mean std_mean",
    "create": "empty zeros ones full empty_like zeros_like ones_like full_like eye arange linspace",
    "convert": "tensor as_tensor from_numpy",
    "calculus": "gradient trapezoid cumulative_trapezoid vander",
    "embedded": "unravel_index",
    "storage": "empty_strided frombuffer from_file",
    "tallies": "histogramdd",
    "typed": "scalar_tensor asarray is_inference typename is_storage",
    "random": "rand randn rand_like randn_like randint randint_like randperm normal poisson",
    "settings": "use_deterministic_algorithms set_deterministic_debug_mode "
    "get_deterministic_debug_mode are_deterministic_algorithms_enabled can_cast "
    "is_deterministic_algorithms_warn_only_enabled set_float32_matmul_precision "
    "get_float32_matmul_precision set_default_device get_default_device set_default_tensor_type "
    "get_num_interop_threads set_num_interop_threads set_flush_denormal compiled_with_cxx11_abi",
    "stacking": "atleast_1d atleast_2d atleast_3d broadcast_shapes broadcast_tensors meshgrid "
    "cartesian_prod hstack vstack dstack column_stack",
    "windows": "hann_window hamming_window blackman_window bartlett_window kaiser_window",
    "chains": "chain_matmul",
    "distances": "cdist pdist",
    "norms": "frobenius_norm nuclear_norm",
    "einsum": "einsum",
    "quantize": "fake_quantize_per_tensor_affine fake_quantize_per_channel_affine",
    "segments": "segment_reduce",
    "join": "cat stack",
    "lowrank": "svd_lowrank pca_lowrank",
    "lu": "lu_unpack",
    "dlpack": "from_dlpack to_dlpack",
    "generator": "manual_seed initial_seed seed get_rng_state set_rng_state",
}
# Further names, which what is written over a tensor has, too.
_ALIASES = """
absolute=abs negative=neg subtract=sub multiply=mul divide=div true_divide=div ger=outer
clip=clamp __rdiv__=__rtruediv__ less=lt less_equal=le greater=gt greater_equal=ge not_equal=ne
arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctanh=atanh arctan2=atan2
fix=trunc sgn=sign trapz=trapezoid conj=real conj_physical=real resolve_conj=real resolve_neg=real
swapdims=transpose moveaxis=movedim broadcast_to=expand unsafe_chunk=chunk unsafe_split=split
unsafe_split_with_sizes=split_with_sizes
"""
ALIASES = dict(pair.split("=") for pair in _ALIASES.split())


def members(*tables: dict[str, str]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The names in tables, and what they name in their modules."""
    for table in tables:
        for module, names in table.items():
            home = importlib.import_module(f"autodiff.ops.{module}")
            for name in names.split():
                yield name, getattr(home, name)
