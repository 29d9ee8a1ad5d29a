"""Products that are compositions: addmm and its kind, tensordot, outer, kron, chains, cross."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.expr import inputs
from autodiff.native import lib, operand_text
from autodiff.ops.assign import copy_, masked_fill
from autodiff.ops.base import Op, OpNode
from autodiff.ops.contraction import _check_dtypes, _linear, check_batches, dot, matmul, mm, mv
from autodiff.ops.create import full
from autodiff.ops.elementwise import add
from autodiff.ops.halves import in_float32
from autodiff.ops.join import stack
from autodiff.ops.out import written
from autodiff.ops.pointwise import PointwiseOp, number
from autodiff.ops.views import _embed, expand, permute, reshape, select, t, unsqueeze
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, live_node

# ---- beta * input + alpha * product ----


def _blend() -> PointwiseOp:
    input, product, beta, alpha = inputs(4)
    return PointwiseOp("blend", input * beta + product * alpha, 4)


_BLEND = _blend()
_ALWAYS = full((), True)


def _factor(name: str, value: Any, integers: bool) -> Any:
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"argument '{name}' must be Number, not {type(value).__name__}")
    return int(value) if integers else value


@in_float32
def _sum(
    input: Tensor, multiply: Callable[..., Tensor], a: Tensor, b: Tensor, beta: Any, alpha: Any
) -> Tensor:
    """beta * input + alpha * (a times b); where beta is 0, no nans of the input come through."""
    product = multiply(a, b)
    d = product._p.dtype
    integers = d < dtypes.FIRST_FLOAT
    beta, alpha = _factor("beta", beta, integers), _factor("alpha", alpha, integers)
    if input._p.dtype != d:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {dtypes.SCALAR_NAMES[input._p.dtype]}"
            f" and {dtypes.SCALAR_NAMES[d]}"
        )
    if input.shape != product.shape:
        input = expand(input, product.shape)
    if beta == 0:
        scaled = product if alpha == 1 else product * alpha
        if live_node(input) is None:
            return scaled
        return add.call(masked_fill(input, _ALWAYS, 0), scaled)
    if beta == alpha == 1:
        return add.call(input, product)
    return _BLEND.call(input, product, number(beta), number(alpha))


def _check_matrices(**given: Tensor) -> None:
    for name, x in given.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"argument '{name}' must be Tensor, not {type(x).__name__}")
        if x.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {x.ndim}-D tensor")


def addmm(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); input is broadcast, and ignored where beta is 0.

    >>> ad.addmm(ad.ones(2), ad.eye(2), ad.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 3.],
            [4., 5.]])
    """
    _check_matrices(mat1=mat1, mat2=mat2)
    biased = input._p.ndim == 1 and beta == alpha == 1 and input.dtype is mat1.dtype is mat2.dtype
    if biased and mat1.shape[1] == mat2.shape[0] and input.shape[0] == mat2.shape[1]:
        _check_dtypes("addmm", mat1, mat2)
        y = _linear.on((mat1, t(mat2), input))
    else:
        y = _sum(input, mm, mat1, mat2, beta, alpha)
    return written("addmm", out, y, input, mat1, mat2)


def addmv(
    input: Tensor,
    mat: Tensor,
    vec: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (mat @ vec); input is broadcast, and ignored where beta is 0.

    >>> ad.addmv(ad.ones(2), ad.eye(2), ad.tensor([1.0, 2.0]), alpha=10)
    tensor([11., 21.])
    """
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}: "
            f"{' and '.join(operand_text(x._p) for x in (input, mat, vec))}"
        )
    rows = mat.shape[0]
    if mat.shape[1] != vec.shape[0] or (input.ndim and input.shape[0] not in (1, rows)):
        raise RuntimeError(
            f"size mismatch, got input ({input.shape[0] if input.ndim else 1}), mat "
            f"({rows}x{mat.shape[1]}), vec ({vec.shape[0]})"
        )
    return written("addmv", out, _sum(input, mv, mat, vec, beta, alpha), input, mat, vec)


def addr(
    input: Tensor,
    vec1: Tensor,
    vec2: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2); input is ignored where beta is 0.

    >>> ad.addr(ad.zeros(2, 2), ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    _check_vectors("addr", vec1=vec1, vec2=vec2)
    wide = dtypes.promote_types(dtypes.promote_types(vec1.dtype, vec2.dtype), input.dtype)
    if wide is dtypes.bool:
        product = unsqueeze(vec1, 1) * vec2
        y = expand(input, product.shape).logical_and(bool(beta)).logical_or(product)
    else:
        y = _sum(input.to(wide), outer, vec1.to(wide), vec2.to(wide), beta, alpha)
    return written("addr", out, y, input, vec1, vec2, converts=True)


def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), of batches; input is ignored where beta is 0.

    >>> ad.baddbmm(ad.ones(5, 2, 4), ad.ones(5, 2, 3), ad.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    check_batches("baddbmm", batch1, batch2)
    y = _sum(input, matmul, batch1, batch2, beta, alpha)
    return written("baddbmm", out, y, input, batch1, batch2)


def addbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * the sum of the batch's products; input is ignored where beta is 0.

    >>> ad.addbmm(ad.zeros(2, 4), ad.ones(5, 2, 3), ad.ones(5, 3, 4)).shape
    torch.Size([2, 4])
    """
    check_batches("addbmm", batch1, batch2)
    b, n, k = batch1.shape
    rows = reshape(permute(batch1, 1, 0, 2), [n, b * k])
    y = _sum(input, matmul, rows, reshape(batch2, [b * k, batch2.shape[2]]), beta, alpha)
    return written("addbmm", out, y, input, batch1, batch2)


def _inplace(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that writes the sum over its tensor, which must have the sum's shape."""
    name = f"{function.__name__}_"

    def method(
        self: Tensor, first: Tensor, second: Tensor, *, beta: Any = 1, alpha: Any = 1
    ) -> Tensor:
        y = function(self, first, second, beta=beta, alpha=alpha)
        if y.shape != self.shape:
            raise RuntimeError(
                f"Bad in-place call: input tensor size {list(self.shape)} and output tensor size "
                f"{list(y.shape)} should match"
            )
        return copy_(self, y)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{function.__name__}`, written over the tensor."
    return method


addmm_, addmv_, addr_ = map(_inplace, (addmm, addmv, addr))
addbmm_, baddbmm_ = map(_inplace, (addbmm, baddbmm))

# ---- of vectors ----


def _check_vectors(op: str, **given: Tensor) -> None:
    for name, x in given.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {type(x).__name__}")
        if x.ndim != 1:
            raise RuntimeError(f"{op}: Expected 1-D argument {name}, but got {x.ndim}-D")


def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of each element of a vector (n) with each of another (m): (n, m).

    >>> ad.outer(ad.tensor([1, 2]), ad.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _check_vectors("outer", self=input, vec2=vec2)
    return written("outer", out, unsqueeze(input, 1) * vec2, input, vec2, converts=True)


def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors: `dot`, as there are no complex numbers.

    >>> ad.vdot(ad.tensor([1, 2]), ad.tensor([3, 4]))
    tensor(11)
    """
    return dot(input, other, out=out)


def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sums of products over the last dimensions; of a number, the product.

    >>> ad.inner(ad.tensor([[1, 2], [3, 4]]), ad.tensor([1, 1]))
    tensor([3, 7])
    """
    if input.dtype is not other.dtype and input.ndim and other.ndim:
        raise RuntimeError(
            f"both inputs should have same dtype, but they are {input.dtype!r} and {other.dtype!r}"
        )
    if not input.ndim or not other.ndim:
        return written("inner", out, input * other, input, other, converts=True)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    y = tensordot(input, other, ([-1], [-1]))
    return written("inner", out, y, input, other)


def cross(
    input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The cross products along `dim`, of size 3: the first such dimension where none is given.

    >>> ad.cross(ad.tensor([1, 0, 0]), ad.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    if dim is None:
        sizes = [d for d, n in enumerate(input.shape) if n == 3]
        if not sizes:
            raise RuntimeError(f"no dimension of size 3 in input {list(input.shape)}")
        dim = sizes[0]
    return linalg_cross(input, other, dim=dim, out=out)


def check_alike(a: Tensor, b: Tensor) -> None:
    """RuntimeError where the dtypes differ, NotImplementedError where they are bool."""
    if a.dtype is dtypes.bool:
        raise NotImplementedError("\"cross\" not implemented for 'Bool'")
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected scalar type {dtypes.SCALAR_NAMES[a._p.dtype]} but found "
            f"{dtypes.SCALAR_NAMES[b._p.dtype]}"
        )


def linalg_cross(
    input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None
) -> Tensor:
    """The cross products along a dimension of size 3; the others broadcast.

    >>> linalg.cross(ad.tensor([1.0, 0.0, 0.0]), ad.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    check_alike(input, other)
    at = dim_index(dim, input.ndim)
    if input.ndim == 0 or input.shape[at] != 3 or other.shape[at] != 3:
        sizes = [x.shape[at] if x.ndim else 1 for x in (input, other)]
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {sizes[0]} and "
            f"{sizes[1]}"
        )
    a, b = ([select(x, at, i) for i in range(3)] for x in (input, other))
    parts = [a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)]
    return written("linalg_cross", out, stack(parts, at), input, other)


# ---- of tensors ----


def _dims_of(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(a.ndim - dims, a.ndim)), list(range(dims))
    if not isinstance(dims, (tuple, list)) or len(dims) != 2:
        raise RuntimeError(
            "tensordot expects dims to be int or tuple[list[int], list[int]] or list[list[int]] "
            f"containing two lists, but got dims={dims} of {type(dims).__name__}"
        )
    first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    found = []
    for x, given in ((a, first), (b, second)):
        places = [dim_index(d, x.ndim) for d in given]
        for d in places:
            if places.count(d) > 1:
                raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
        found.append(places)
    return found[0], found[1]


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """The sums of products over pairs of dimensions: the last `dims` of a with the first of b.

    `dims` may also be two lists, of a's dimensions and of b's. What is left of a comes first.

    >>> ad.tensordot(ad.ones(2, 3, 4), ad.ones(3, 4, 5)).shape
    torch.Size([2, 5])
    >>> ad.tensordot(ad.ones(2, 3), ad.ones(4, 2), dims=([0], [1])).shape
    torch.Size([3, 4])
    """
    for name, x in (("a", a), ("b", b)):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"tensordot(): argument '{name}' must be Tensor, not {type(x).__name__}"
            )
    first, second = _dims_of(a, b, dims)
    x, y = a, b
    for i, j in zip(first, second, strict=True):
        if x.shape[i] == 1 != y.shape[j]:
            y = y.sum(j, keepdim=True).to(y.dtype)
        elif y.shape[j] == 1 != x.shape[i]:
            x = x.sum(i, keepdim=True).to(x.dtype)
        elif x.shape[i] != y.shape[j]:
            given = dims if isinstance(dims, int) else 0
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {x.shape[i]} in dim "
                f"{i - x.ndim if given else i} and second has size {y.shape[j]} in dim {j}"
            )
    left = [d for d in range(x.ndim) if d not in first]
    right = [d for d in range(y.ndim) if d not in second]
    size = math.prod(x.shape[d] for d in first)
    rows = permute(x, *left, *first) if first else x
    cols = permute(y, *second, *right) if second else y
    m, n = (math.prod(z.shape[d] for d in kept) for z, kept in ((x, left), (y, right)))
    shape = [x.shape[d] for d in left] + [y.shape[d] for d in right]
    product = matmul(reshape(rows, [m, size]), reshape(cols, [size, n]))
    return written("tensordot", out, reshape(product, shape), a, b)


def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Kronecker's product: each element of input, times all of other. Shapes are filled up by 1.

    >>> ad.kron(ad.tensor([[1, 10]]), ad.tensor([[1, 2]]))
    tensor([[ 1,  2, 10, 20]])
    """
    n = max(input.ndim, other.ndim)
    a, b = ([1] * (n - x.ndim) + list(x.shape) for x in (input, other))
    left = reshape(input, [size for pair in zip(a, [1] * n, strict=True) for size in pair])
    right = reshape(other, [size for pair in zip([1] * n, b, strict=True) for size in pair])
    y = reshape(left * right, [p * q for p, q in zip(a, b, strict=True)])
    return written("kron", out, y, input, other, converts=True)


def _diagonal_view(p: Any, dim1: int, dim2: int) -> Any:
    kept = [d for d in range(p.ndim) if d not in (dim1, dim2)]
    shape = [p.shape[d] for d in kept] + [min(p.shape[dim1], p.shape[dim2])]
    steps = [p.strides[d] for d in kept] + [p.strides[dim1] + p.strides[dim2]]
    return lib.ad_as_strided(p, len(shape), shape, steps, lib.ad_offset(p))


def _diagonal_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    dims = node.args
    return (
        _embed(g, node.shape, lambda p: _diagonal_view(p, *dims), lambda h: diagonal_of(h, *dims)),
    )


# A view of what has equal indices in two dimensions, which become the last.
diagonal_of: Op = Op(
    "diagonal_of", _diagonal_view, _diagonal_rule, view=True, grad_name="DiagonalBackward0"
)


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal: 0-d, int64 of integers. RuntimeError for no matrix.

    >>> ad.trace(ad.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    if input.dtype is dtypes.bool:
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    return diagonal_of(input, 0, 1).sum()


# ---- chains ----


def _cheapest(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to split the product of matrices i to j, of sizes[i] x sizes[i + 1] and so on."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return split


def _check_tensors(op: str, given: Sequence[Any]) -> None:
    for i, x in enumerate(given):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{op}(): expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )


def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of matrices in the cheapest order; the first and the last may be vectors.

    >>> linalg.multi_dot([ad.ones(2, 3), ad.ones(3, 4), ad.ones(4)])
    tensor([12., 12.])
    """
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            "multi_dot(): argument 'tensors' must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    _check_tensors("multi_dot", tensors)
    n = len(tensors)
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    for place, x in (("first", tensors[0]), ("last", tensors[-1])):
        if x.ndim not in (1, 2):
            raise RuntimeError(
                f"multi_dot(): the {place} tensor must be 1D or 2D but got {x.ndim}D"
            )
    for i, x in enumerate(tensors[1:-1], 1):
        if x.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {x.ndim}D")
    for i, x in enumerate(tensors):
        if x.dtype is not tensors[0].dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but got tensor {i} is "
                f"{x.dtype!r} and tensor 0 is {tensors[0].dtype!r}"
            )
        if i and tensors[i - 1].shape[-1] != x.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i - 1} and {i} with shapes {list(tensors[i - 1].shape)} "
                f"and {list(x.shape)} cannot be multiplied"
            )
    sizes = [tensors[0].shape[0] if tensors[0].ndim == 2 else 1, *(x.shape[0] for x in tensors[1:])]
    split = _cheapest([*sizes, tensors[-1].shape[-1] if tensors[-1].ndim == 2 else 1])

    def product(i: int, j: int) -> Any:
        if i == j:
            return tensors[i]
        return matmul(product(i, split[i, j]), product(split[i, j] + 1, j))

    return written("linalg_multi_dot", out, product(0, n - 1), *tensors)


def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Tensor:
    """The product of matrices in the cheapest order. RuntimeError where one is no matrix.

    >>> ad.chain_matmul(ad.ones(2, 3), ad.ones(3, 4), ad.ones(4, 1)).shape
    torch.Size([2, 1])
    """
    _check_tensors("chain_matmul", matrices)
    for i, x in enumerate(matrices):
        if x.ndim != 2:
            raise RuntimeError(f"chain_matmul(): tensor {i} must be a matrix, got {x.ndim}-D")
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices, out=out)
