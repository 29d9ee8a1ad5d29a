"""The public functions. Written by `python -m autodiff._stubs`."""

import builtins
from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

from autodiff.dtypes import dtype as Dtype
from autodiff.ops.derived import aminmax_result
from autodiff.ops.generator import Generator
from autodiff.ops.ranks import kthvalue_result, median_result, nanmedian_result
from autodiff.ops.reductions import max_result, min_result
from autodiff.ops.scan import cummax_result, cummin_result
from autodiff.ops.sorting import sort_result, topk_result
from autodiff.ops.systems import slogdet_result
from autodiff.shapes import Size
from autodiff.tensor import Tensor

FUNCTIONS: dict[str, Callable[..., Any]]
__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "addbmm",
    "addcdiv",
    "addcmul",
    "addmm",
    "addmv",
    "addr",
    "adjoint",
    "all",
    "allclose",
    "amax",
    "amin",
    "aminmax",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "as_strided",
    "as_tensor",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "baddbmm",
    "bernoulli",
    "bincount",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "bmm",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "bucketize",
    "cartesian_prod",
    "cat",
    "cdist",
    "ceil",
    "chain_matmul",
    "cholesky",
    "chunk",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "clone",
    "column_stack",
    "concat",
    "concatenate",
    "corrcoef",
    "cos",
    "cosh",
    "count_nonzero",
    "cov",
    "cross",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "deg2rad",
    "det",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "diff",
    "digamma",
    "dist",
    "div",
    "divide",
    "dot",
    "dsplit",
    "dstack",
    "einsum",
    "empty",
    "empty_like",
    "eq",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "eye",
    "fill",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "gather",
    "ge",
    "ger",
    "get_rng_state",
    "greater",
    "greater_equal",
    "gt",
    "hsplit",
    "hstack",
    "hypot",
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_select",
    "initial_seed",
    "inner",
    "inverse",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "kron",
    "kthvalue",
    "le",
    "lerp",
    "less",
    "less_equal",
    "lgamma",
    "linspace",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logaddexp2",
    "logcumsumexp",
    "logdet",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logsumexp",
    "lt",
    "manual_seed",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "matmul",
    "matrix_power",
    "max",
    "maximum",
    "mean",
    "median",
    "meshgrid",
    "min",
    "minimum",
    "mm",
    "moveaxis",
    "movedim",
    "mul",
    "multinomial",
    "multiply",
    "mv",
    "nan_to_num",
    "nanmedian",
    "nanquantile",
    "nansum",
    "narrow",
    "ne",
    "neg",
    "negative",
    "nonzero",
    "norm",
    "normal",
    "not_equal",
    "ones",
    "ones_like",
    "outer",
    "permute",
    "poisson",
    "polygamma",
    "positive",
    "pow",
    "prod",
    "put",
    "quantile",
    "rad2deg",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "ravel",
    "reciprocal",
    "relu",
    "remainder",
    "repeat_interleave",
    "reshape",
    "result_type",
    "roll",
    "rot90",
    "round",
    "row_stack",
    "rsqrt",
    "rsub",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "searchsorted",
    "seed",
    "select",
    "set_rng_state",
    "sigmoid",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "slogdet",
    "softmax",
    "sort",
    "split",
    "split_with_sizes",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "std_mean",
    "sub",
    "subtract",
    "sum",
    "swapaxes",
    "swapdims",
    "t",
    "take",
    "take_along_dim",
    "tan",
    "tanh",
    "tensor",
    "tensor_split",
    "tensordot",
    "tile",
    "topk",
    "trace",
    "transpose",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
    "true_divide",
    "trunc",
    "unbind",
    "unflatten",
    "unique",
    "unique_consecutive",
    "unsqueeze",
    "var",
    "var_mean",
    "vdot",
    "vsplit",
    "vstack",
    "where",
    "xlogy",
    "zeros",
    "zeros_like",
]

def abs(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def absolute(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def acos(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def acosh(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def add(input: Any, other: Any, *, alpha: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def addbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Any = ...,
    alpha: Any = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def addcdiv(
    input: Any, tensor1: Any, tensor2: Any, *, value: Any = ..., out: Tensor | None = ...
) -> Tensor: ...
def addcmul(
    input: Any, tensor1: Any, tensor2: Any, *, value: Any = ..., out: Tensor | None = ...
) -> Tensor: ...
def addmm(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    *,
    beta: Any = ...,
    alpha: Any = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def addmv(
    input: Tensor,
    mat: Tensor,
    vec: Tensor,
    *,
    beta: Any = ...,
    alpha: Any = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def addr(
    input: Tensor,
    vec1: Tensor,
    vec2: Tensor,
    *,
    beta: Any = ...,
    alpha: Any = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def adjoint(x: Tensor) -> Tensor: ...
def all(
    input: Tensor, dim: Any = ..., keepdim: builtins.bool = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def allclose(
    input: Tensor,
    other: Tensor,
    rtol: builtins.float = ...,
    atol: builtins.float = ...,
    equal_nan: builtins.bool = ...,
) -> builtins.bool: ...
def amax(
    input: Tensor, dim: Any = ..., keepdim: builtins.bool = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def amin(
    input: Tensor, dim: Any = ..., keepdim: builtins.bool = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def aminmax(
    input: Tensor, *, dim: builtins.int | None = ..., keepdim: builtins.bool = ..., out: Any = ...
) -> aminmax_result: ...
def any(
    input: Tensor, dim: Any = ..., keepdim: builtins.bool = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def arange(
    start: Any,
    end: Any = ...,
    step: Any = ...,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    out: Tensor | None = ...,
    device: Any = ...,
) -> Tensor: ...
def argmax(
    input: Tensor,
    dim: builtins.int | None = ...,
    keepdim: builtins.bool = ...,
    *,
    out: Tensor | None = ...,
) -> Tensor: ...
def argmin(
    input: Tensor,
    dim: builtins.int | None = ...,
    keepdim: builtins.bool = ...,
    *,
    out: Tensor | None = ...,
) -> Tensor: ...
def argsort(
    input: Tensor,
    dim: builtins.int = ...,
    descending: builtins.bool = ...,
    *,
    stable: builtins.bool = ...,
) -> Tensor: ...
def argwhere(input: Tensor) -> Tensor: ...
def as_strided(
    input: Tensor, size: Any, stride: Any, storage_offset: builtins.int | None = ...
) -> Tensor: ...
def as_tensor(data: Any, dtype: Dtype | None = ..., *, device: Any = ...) -> Tensor: ...
def asin(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def asinh(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def atan(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def atan2(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def atanh(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def atleast_1d(*tensors: Any) -> Any: ...
def atleast_2d(*tensors: Any) -> Any: ...
def atleast_3d(*tensors: Any) -> Any: ...
def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Any = ...,
    alpha: Any = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def bernoulli(
    input: Tensor,
    p: builtins.float | None = ...,
    *,
    generator: Generator | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def bincount(
    input: Tensor, weights: Tensor | None = ..., minlength: builtins.int = ...
) -> Tensor: ...
def bitwise_and(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def bitwise_left_shift(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def bitwise_not(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def bitwise_or(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def bitwise_right_shift(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def bitwise_xor(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def broadcast_shapes(*shapes: Any) -> Size: ...
def broadcast_tensors(*tensors: Any) -> builtins.tuple[Tensor, ...]: ...
def broadcast_to(x: Tensor, *sizes: Any, size: Any = ...) -> Tensor: ...
def bucketize(
    input: Any,
    boundaries: Tensor,
    *,
    out_int32: builtins.bool = ...,
    right: builtins.bool = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def cartesian_prod(*tensors: Any) -> Tensor: ...
def cat(
    tensors: Sequence[Tensor], dim: builtins.int = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def cdist(
    x1: Tensor, x2: Tensor, p: builtins.float = ..., compute_mode: builtins.str = ...
) -> Tensor: ...
def ceil(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def chain_matmul(*matrices: Any, out: Tensor | None = ...) -> Tensor: ...
def cholesky(input: Tensor, upper: builtins.bool = ..., *, out: Tensor | None = ...) -> Tensor: ...
def chunk(
    input: Tensor, chunks: builtins.int, dim: builtins.int = ...
) -> builtins.tuple[Tensor, ...]: ...
def clamp(input: Any, min: Any = ..., max: Any = ..., *, out: Tensor | None = ...) -> Tensor: ...
def clamp_max(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def clamp_min(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def clip(input: Any, min: Any = ..., max: Any = ..., *, out: Tensor | None = ...) -> Tensor: ...
def clone(input: Tensor) -> Tensor: ...
def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = ...) -> Tensor: ...
def concat(
    tensors: Sequence[Tensor], dim: builtins.int = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def concatenate(
    tensors: Sequence[Tensor], dim: builtins.int = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def corrcoef(input: Tensor) -> Tensor: ...
def cos(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def cosh(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def count_nonzero(input: Tensor, dim: Any = ...) -> Tensor: ...
def cov(
    input: Tensor,
    *,
    correction: builtins.int = ...,
    fweights: Tensor | None = ...,
    aweights: Tensor | None = ...,
) -> Tensor: ...
def cross(
    input: Tensor, other: Tensor, dim: builtins.int | None = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def cummax(input: Tensor, dim: builtins.int, *, out: Any = ...) -> cummax_result: ...
def cummin(input: Tensor, dim: builtins.int, *, out: Any = ...) -> cummin_result: ...
def cumprod(
    input: Tensor, dim: builtins.int, *, dtype: Dtype | None = ..., out: Tensor | None = ...
) -> Tensor: ...
def cumsum(
    input: Tensor, dim: builtins.int, *, dtype: Dtype | None = ..., out: Tensor | None = ...
) -> Tensor: ...
def deg2rad(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def det(input: Tensor) -> Tensor: ...
def diag(input: Tensor, diagonal: builtins.int = ..., *, out: Tensor | None = ...) -> Tensor: ...
def diag_embed(
    input: Tensor, offset: builtins.int = ..., dim1: builtins.int = ..., dim2: builtins.int = ...
) -> Tensor: ...
def diagflat(input: Tensor, offset: builtins.int = ...) -> Tensor: ...
def diagonal(
    input: Tensor, offset: builtins.int = ..., dim1: builtins.int = ..., dim2: builtins.int = ...
) -> Tensor: ...
def diff(
    input: Tensor,
    n: builtins.int = ...,
    dim: builtins.int = ...,
    prepend: Tensor | None = ...,
    append: Tensor | None = ...,
) -> Tensor: ...
def digamma(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def dist(input: Tensor, other: Tensor, p: builtins.float = ...) -> Tensor: ...
def div(
    input: Any, other: Any, *, rounding_mode: builtins.str | None = ..., out: Tensor | None = ...
) -> Tensor: ...
def divide(
    input: Any, other: Any, *, rounding_mode: builtins.str | None = ..., out: Tensor | None = ...
) -> Tensor: ...
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def dsplit(input: Tensor, indices_or_sections: Any) -> builtins.tuple[Tensor, ...]: ...
def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = ...) -> Tensor: ...
def einsum(*args: Any) -> Tensor: ...
def empty(
    *sizes: Any,
    size: Any = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    out: Tensor | None = ...,
    device: Any = ...,
) -> Tensor: ...
def empty_like(
    input: Tensor,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def eq(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def equal(input: Tensor, other: Tensor) -> builtins.bool: ...
def erf(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def erfc(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def erfinv(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def exp(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def exp2(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def expm1(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def eye(
    n: builtins.int,
    m: builtins.int | None = ...,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    out: Tensor | None = ...,
    device: Any = ...,
) -> Tensor: ...
def fill(input: Tensor, value: Any) -> Tensor: ...
def flatten(
    input: Tensor, start_dim: builtins.int = ..., end_dim: builtins.int = ...
) -> Tensor: ...
def flip(input: Tensor, *order: Any, dims: Any = ...) -> Tensor: ...
def fliplr(input: Tensor) -> Tensor: ...
def flipud(input: Tensor) -> Tensor: ...
def floor(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def floor_divide(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def fmax(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def fmin(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def fmod(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def frac(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def from_dlpack(
    ext_tensor: Any, *, device: Any = ..., copy: builtins.bool | None = ...
) -> Tensor: ...
def from_numpy(ndarray: Any) -> Tensor: ...
def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    out: Tensor | None = ...,
    device: Any = ...,
) -> Tensor: ...
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def gather(
    input: Tensor, dim: builtins.int, index: Tensor, *, out: Tensor | None = ...
) -> Tensor: ...
def ge(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def ger(input: Tensor, vec2: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def get_rng_state() -> Tensor: ...
def greater(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def greater_equal(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def gt(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def hsplit(input: Tensor, indices_or_sections: Any) -> builtins.tuple[Tensor, ...]: ...
def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = ...) -> Tensor: ...
def hypot(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def index_add(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    source: Tensor,
    *,
    alpha: Any = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def index_copy(
    input: Tensor, dim: builtins.int, index: Tensor, source: Tensor, *, out: Tensor | None = ...
) -> Tensor: ...
def index_fill(input: Tensor, dim: builtins.int, index: Tensor, value: Any) -> Tensor: ...
def index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: builtins.bool = ...
) -> Tensor: ...
def index_select(
    input: Tensor, dim: builtins.int, index: Tensor, *, out: Tensor | None = ...
) -> Tensor: ...
def initial_seed() -> builtins.int: ...
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def inverse(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def isclose(
    input: Tensor,
    other: Tensor,
    rtol: builtins.float = ...,
    atol: builtins.float = ...,
    equal_nan: builtins.bool = ...,
) -> Tensor: ...
def isfinite(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def isinf(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def isnan(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def kthvalue(
    input: Tensor,
    k: builtins.int,
    dim: builtins.int = ...,
    keepdim: builtins.bool = ...,
    *,
    out: Any = ...,
) -> kthvalue_result: ...
def le(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def lerp(input: Any, end: Any, weight: Any, *, out: Tensor | None = ...) -> Tensor: ...
def less(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def less_equal(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def lgamma(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def linspace(
    start: Any,
    end: Any,
    steps: builtins.int,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    out: Tensor | None = ...,
    device: Any = ...,
) -> Tensor: ...
def log(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def log10(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def log1p(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def log2(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def log_softmax(input: Tensor, dim: builtins.int, *, dtype: Dtype | None = ...) -> Tensor: ...
def logaddexp(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def logaddexp2(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def logcumsumexp(input: Tensor, dim: builtins.int, *, out: Tensor | None = ...) -> Tensor: ...
def logdet(input: Tensor) -> Tensor: ...
def logical_and(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def logical_not(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def logical_or(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def logical_xor(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def logit(input: Any, eps: builtins.float | None = ..., *, out: Tensor | None = ...) -> Tensor: ...
def logsumexp(
    input: Tensor, dim: Any, keepdim: builtins.bool = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def lt(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def manual_seed(seed: builtins.int) -> Generator: ...
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor: ...
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor: ...
def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def matrix_power(input: Tensor, n: builtins.int, *, out: Tensor | None = ...) -> Tensor: ...
@overload
def max(input: Tensor, dim: None = ..., keepdim: builtins.bool = ...) -> Tensor: ...
@overload
def max(input: Tensor, dim: Tensor) -> Tensor: ...
@overload
def max(input: Tensor, dim: builtins.int, keepdim: builtins.bool = ...) -> max_result: ...
def maximum(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def mean(
    input: Tensor,
    dim: Any = ...,
    keepdim: builtins.bool = ...,
    *,
    dtype: Dtype | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
@overload
def median(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
@overload
def median(
    input: Tensor, dim: builtins.int, keepdim: builtins.bool = ..., *, out: Any = ...
) -> median_result: ...
def meshgrid(*tensors: Any, indexing: builtins.str | None = ...) -> builtins.tuple[Tensor, ...]: ...
@overload
def min(input: Tensor, dim: None = ..., keepdim: builtins.bool = ...) -> Tensor: ...
@overload
def min(input: Tensor, dim: Tensor) -> Tensor: ...
@overload
def min(input: Tensor, dim: builtins.int, keepdim: builtins.bool = ...) -> min_result: ...
def minimum(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def moveaxis(input: Tensor, source: Any, destination: Any) -> Tensor: ...
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor: ...
def mul(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def multinomial(
    input: Tensor,
    num_samples: builtins.int,
    replacement: builtins.bool = ...,
    *,
    generator: Generator | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def multiply(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def nan_to_num(
    input: Tensor,
    nan: builtins.float | None = ...,
    posinf: builtins.float | None = ...,
    neginf: builtins.float | None = ...,
    *,
    out: Tensor | None = ...,
) -> Tensor: ...
@overload
def nanmedian(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
@overload
def nanmedian(
    input: Tensor, dim: builtins.int, keepdim: builtins.bool = ..., *, out: Any = ...
) -> nanmedian_result: ...
def nanquantile(
    input: Tensor,
    q: Any,
    dim: builtins.int | None = ...,
    keepdim: builtins.bool = ...,
    *,
    interpolation: builtins.str = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def nansum(
    input: Tensor,
    dim: Any = ...,
    keepdim: builtins.bool = ...,
    *,
    dtype: Dtype | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def narrow(
    input: Tensor, dim: builtins.int, start: builtins.int, length: builtins.int
) -> Tensor: ...
def ne(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def neg(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def negative(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
@overload
def nonzero(input: Tensor, *, as_tuple: Literal[False] = ...) -> Tensor: ...
@overload
def nonzero(input: Tensor, *, as_tuple: Literal[True]) -> builtins.tuple[Tensor, ...]: ...
def norm(
    input: Tensor,
    p: Any = ...,
    dim: Any = ...,
    keepdim: builtins.bool = ...,
    out: Tensor | None = ...,
    dtype: Dtype | None = ...,
) -> Tensor: ...
def normal(
    mean: Any,
    std: Any = ...,
    size: Any = ...,
    *,
    generator: Generator | None = ...,
    out: Tensor | None = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
) -> Tensor: ...
def not_equal(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def ones(
    *sizes: Any,
    size: Any = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    out: Tensor | None = ...,
    device: Any = ...,
) -> Tensor: ...
def ones_like(
    input: Tensor,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def permute(input: Tensor, *sizes: Any, dims: Any = ...) -> Tensor: ...
def poisson(input: Tensor, generator: Generator | None = ...) -> Tensor: ...
def polygamma(n: builtins.int, input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def positive(input: Tensor) -> Tensor: ...
def pow(input: Any, exponent: Any, *, out: Tensor | None = ...) -> Tensor: ...
def prod(
    input: Tensor,
    dim: builtins.int | None = ...,
    keepdim: builtins.bool = ...,
    *,
    dtype: Dtype | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def put(
    input: Tensor, index: Tensor, source: Tensor, accumulate: builtins.bool = ...
) -> Tensor: ...
def quantile(
    input: Tensor,
    q: Any,
    dim: builtins.int | None = ...,
    keepdim: builtins.bool = ...,
    *,
    interpolation: builtins.str = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def rad2deg(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def rand(
    *sizes: Any,
    size: Any = ...,
    generator: Generator | None = ...,
    out: Tensor | None = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def randint(
    low: builtins.int,
    high: Any = ...,
    size: Any = ...,
    *,
    generator: Generator | None = ...,
    out: Tensor | None = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def randint_like(
    input: Tensor,
    low: builtins.int,
    high: builtins.int | None = ...,
    *,
    generator: Generator | None = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def randn(
    *sizes: Any,
    size: Any = ...,
    generator: Generator | None = ...,
    out: Tensor | None = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def randperm(
    n: builtins.int,
    *,
    generator: Generator | None = ...,
    out: Tensor | None = ...,
    dtype: Dtype | None = ...,
    device: Any = ...,
) -> Tensor: ...
def ravel(input: Tensor) -> Tensor: ...
def reciprocal(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def relu(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def remainder(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def repeat_interleave(
    input: Tensor,
    repeats: Any = ...,
    dim: builtins.int | None = ...,
    *,
    output_size: builtins.int | None = ...,
) -> Tensor: ...
def reshape(input: Tensor, *sizes: Any, shape: Any = ...) -> Tensor: ...
def result_type(tensor1: Any, tensor2: Any) -> Dtype: ...
def roll(input: Tensor, shifts: Any, dims: Any = ...) -> Tensor: ...
def rot90(input: Tensor, k: builtins.int = ..., dims: Any = ...) -> Tensor: ...
def round(input: Any, *, decimals: builtins.int = ..., out: Tensor | None = ...) -> Any: ...
def row_stack(tensors: Sequence[Tensor], *, out: Tensor | None = ...) -> Tensor: ...
def rsqrt(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def rsub(input: Any, other: Any, *, alpha: Any = ...) -> Tensor: ...
def scatter(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    src: Any = ...,
    *,
    value: Any = ...,
    reduce: Any = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def scatter_add(
    input: Tensor, dim: builtins.int, index: Tensor, src: Tensor, *, out: Tensor | None = ...
) -> Tensor: ...
def scatter_reduce(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    src: Tensor,
    reduce: builtins.str,
    *,
    include_self: builtins.bool = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: builtins.bool = ...,
    right: builtins.bool = ...,
    side: builtins.str | None = ...,
    sorter: Tensor | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def seed() -> builtins.int: ...
def select(input: Tensor, dim: builtins.int, index: builtins.int) -> Tensor: ...
def set_rng_state(new_state: Tensor) -> None: ...
def sigmoid(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def sign(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def signbit(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def sin(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def sinc(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def sinh(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def slogdet(input: Tensor, *, out: Any = ...) -> slogdet_result: ...
def softmax(input: Tensor, dim: builtins.int, *, dtype: Dtype | None = ...) -> Tensor: ...
def sort(
    input: Tensor,
    dim: builtins.int = ...,
    descending: builtins.bool = ...,
    *,
    stable: builtins.bool = ...,
    out: Any = ...,
) -> sort_result: ...
def split(
    tensor: Tensor, split_size_or_sections: Any, dim: builtins.int = ...
) -> builtins.tuple[Tensor, ...]: ...
def split_with_sizes(
    input: Tensor, split_sizes: Sequence[builtins.int], dim: builtins.int = ...
) -> builtins.tuple[Tensor, ...]: ...
def sqrt(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def square(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def squeeze(input: Tensor, dim: Any = ...) -> Tensor: ...
def stack(
    tensors: Sequence[Tensor], dim: builtins.int = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def std(
    input: Tensor,
    dim: Any = ...,
    unbiased: builtins.bool | None = ...,
    keepdim: builtins.bool = ...,
    *,
    correction: builtins.float | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def std_mean(
    input: Tensor,
    dim: Any = ...,
    unbiased: builtins.bool | None = ...,
    keepdim: builtins.bool = ...,
    *,
    correction: builtins.float | None = ...,
) -> builtins.tuple[Tensor, Tensor]: ...
def sub(input: Any, other: Any, *, alpha: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def subtract(input: Any, other: Any, *, alpha: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def sum(
    input: Tensor,
    dim: Any = ...,
    keepdim: builtins.bool = ...,
    *,
    dtype: Dtype | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def swapaxes(input: Tensor, axis0: builtins.int, axis1: builtins.int) -> Tensor: ...
def swapdims(input: Tensor, dim0: builtins.int, dim1: builtins.int) -> Tensor: ...
def t(input: Tensor) -> Tensor: ...
def take(input: Tensor, index: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def take_along_dim(
    input: Tensor, indices: Tensor, dim: builtins.int | None = ..., *, out: Tensor | None = ...
) -> Tensor: ...
def tan(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def tanh(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def tensor(
    data: Any, *, dtype: Dtype | None = ..., requires_grad: builtins.bool = ..., device: Any = ...
) -> Tensor: ...
def tensor_split(
    input: Tensor, indices_or_sections: Any, dim: builtins.int = ...
) -> builtins.tuple[Tensor, ...]: ...
def tensordot(a: Tensor, b: Tensor, dims: Any = ..., out: Tensor | None = ...) -> Tensor: ...
def tile(input: Tensor, *times: Any, dims: Any = ...) -> Tensor: ...
def topk(
    input: Tensor,
    k: builtins.int,
    dim: builtins.int = ...,
    largest: builtins.bool = ...,
    sorted: builtins.bool = ...,
    *,
    out: Any = ...,
) -> topk_result: ...
def trace(input: Tensor) -> Tensor: ...
def transpose(input: Tensor, dim0: builtins.int, dim1: builtins.int) -> Tensor: ...
def tril(input: Tensor, diagonal: builtins.int = ..., *, out: Tensor | None = ...) -> Tensor: ...
def tril_indices(
    row: builtins.int,
    col: builtins.int,
    offset: builtins.int = ...,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def triu(input: Tensor, diagonal: builtins.int = ..., *, out: Tensor | None = ...) -> Tensor: ...
def triu_indices(
    row: builtins.int,
    col: builtins.int,
    offset: builtins.int = ...,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
def true_divide(
    input: Any, other: Any, *, rounding_mode: builtins.str | None = ..., out: Tensor | None = ...
) -> Tensor: ...
def trunc(input: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def unbind(input: Tensor, dim: builtins.int = ...) -> builtins.tuple[Tensor, ...]: ...
def unflatten(input: Tensor, dim: builtins.int, sizes: Any) -> Tensor: ...
def unique(
    input: Tensor,
    sorted: builtins.bool = ...,
    return_inverse: builtins.bool = ...,
    return_counts: builtins.bool = ...,
    dim: builtins.int | None = ...,
) -> Any: ...
def unique_consecutive(
    input: Tensor,
    return_inverse: builtins.bool = ...,
    return_counts: builtins.bool = ...,
    dim: builtins.int | None = ...,
) -> Any: ...
def unsqueeze(input: Tensor, dim: builtins.int) -> Tensor: ...
def var(
    input: Tensor,
    dim: Any = ...,
    unbiased: builtins.bool | None = ...,
    keepdim: builtins.bool = ...,
    *,
    correction: builtins.float | None = ...,
    out: Tensor | None = ...,
) -> Tensor: ...
def var_mean(
    input: Tensor,
    dim: Any = ...,
    unbiased: builtins.bool | None = ...,
    keepdim: builtins.bool = ...,
    *,
    correction: builtins.float | None = ...,
) -> builtins.tuple[Tensor, Tensor]: ...
def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = ...) -> Tensor: ...
def vsplit(input: Tensor, indices_or_sections: Any) -> builtins.tuple[Tensor, ...]: ...
def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = ...) -> Tensor: ...
@overload
def where(condition: Any) -> builtins.tuple[Tensor, ...]: ...
@overload
def where(condition: Any, input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def xlogy(input: Any, other: Any, *, out: Tensor | None = ...) -> Tensor: ...
def zeros(
    *sizes: Any,
    size: Any = ...,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    out: Tensor | None = ...,
    device: Any = ...,
) -> Tensor: ...
def zeros_like(
    input: Tensor,
    *,
    dtype: Dtype | None = ...,
    requires_grad: builtins.bool = ...,
    device: Any = ...,
) -> Tensor: ...
