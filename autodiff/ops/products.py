"""Products of vectors and of tensors: outer, inner, cross, tensordot, kron; diagonals, traces."""

from __future__ import annotations

import math
from typing import Any

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.native import describe, lib, take_failure
from autodiff.ops.base import Op, OpNode, called, has_history, titled
from autodiff.ops.contraction import dot, linear, matmul
from autodiff.ops.diagonals import _diag_embed, diagonal
from autodiff.ops.elementwise import mul
from autodiff.ops.guard import must_be
from autodiff.ops.out import written
from autodiff.ops.reductions import KINDS
from autodiff.ops.reductions import sum as total
from autodiff.ops.stacking import broadcast_tensors
from autodiff.ops.views import _unsqueeze, expand, permute, reshape
from autodiff.shapes import MAX_DIMS, dim_index
from autodiff.tensor import Tensor, own

# ---- of vectors ----


def check_vectors(op: str, **given: Tensor) -> None:
    """Errors where one of those given is no vector."""
    for name, x in given.items():
        if type(x) is Tensor and x._p.ndim == 1:
            continue
        if not isinstance(x, Tensor):
            raise must_be(op, name, "Tensor", x)
        if x.ndim != 1:
            raise RuntimeError(f"{op}: Expected 1-D argument {name}, but got {x.ndim}-D")


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of each element of a vector (n) with each of another (m): (n, m).

    >>> ad.outer(ad.tensor([1, 2]), ad.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    check_vectors("outer", self=input, vec2=vec2)
    return mul.call(_unsqueeze(input, 1), vec2)


@called("VdotBackward0")
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors: `dot`, as there are no complex numbers.

    >>> ad.vdot(ad.tensor([1, 2]), ad.tensor([3, 4]))
    tensor(11)
    """
    return dot(input, other)


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
        return written("mul", out, input * other, input, other)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    if input.ndim == other.ndim == 1:
        y = titled(matmul(input, other), "ViewBackward0")
    elif other.ndim == 2 and other.is_floating_point():
        y = titled(linear(input, other), "ViewBackward0")
    else:
        y = tensordot(input, other, ([-1], [-1]))
    return written("inner", out, y, input, other)


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross products along `dim`, of size 3: the first such dimension where none is given.

    >>> ad.cross(ad.tensor([1, 0, 0]), ad.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    if dim is None:
        sizes = [d for d, n in enumerate(input.shape) if n == 3]
        if not sizes:
            raise RuntimeError(f"no dimension of size 3 in input {list(input.shape)}")
        dim = sizes[0]
    return linalg_cross(input, other, dim=dim)


def check_alike(a: Tensor, b: Tensor) -> None:
    """RuntimeError where the dtypes differ, NotImplementedError where they are bool."""
    if a.dtype is dtypes.bool:
        raise NotImplementedError("\"cross\" not implemented for 'Bool'")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"expected scalar type {a.dtype.title} but found {b.dtype.title}")


def linalg_cross(
    input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None
) -> Tensor:
    """The cross products along a dimension of size 3; the others broadcast.

    >>> linalg.cross(ad.tensor([1.0, 0.0, 0.0]), ad.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    p, q = input._p, other._p
    at = dim_index(dim, p.ndim) if p.ndim == q.ndim and p.ndim else 0
    made = lib.ad_cross(p, q, at)
    y = _cross.result_of((input, other), made, (at,)) if made else _apart(input, other, dim, at)
    return y if out is None else written("linalg_cross", out, y, input, other)


def _apart(a: Tensor, b: Tensor, dim: int, at: int) -> Tensor:
    """The same of tensors of several shapes, or what is wrong with them."""
    failure = take_failure()
    if a.ndim != b.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    check_alike(a, b)
    if a.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if a.shape[at] != 3 or b.shape[at] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {a.shape[at]} and "
            f"{b.shape[at]}"
        )
    if failure[0] != lib.AD_BAD_SHAPE:
        raise describe(failure, "linalg_cross", a._p, b._p)
    return _cross.on(broadcast_tensors(a, b), at)


def _cross_rule(
    node: OpNode, g: Tensor, a: Tensor | None, b: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """d(a x b) = b x g, g x a."""
    (at,) = node.args
    ga = None if b is None else _cross.on((b, g), at)
    return ga, None if a is None else _cross.on((g, a), at)


_cross: Op = Op("linalg_cross", lib.ad_cross, _cross_rule, bilinear=True, shaped=False)


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


def _turned(x: Tensor, order: list[int]) -> Tensor:
    return x if order == sorted(order) else permute(x, *order)


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
            raise must_be("tensordot", name, "Tensor", x)
    first, second = _dims_of(a, b, dims)
    x, y = a, b
    sizes, others = list(x.shape), list(y.shape)
    for i, j in zip(first, second, strict=True):
        if sizes[i] == 1 != others[j]:
            y, others[j] = y.sum(j, keepdim=True).to(y.dtype), 1
        elif others[j] == 1 != sizes[i]:
            x, sizes[i] = x.sum(i, keepdim=True).to(x.dtype), 1
        elif sizes[i] != others[j]:
            given = dims if isinstance(dims, int) else 0
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {sizes[i]} in dim "
                f"{i - x.ndim if given else i} and second has size {others[j]} in dim {j}"
            )
    left = [d for d in range(len(sizes)) if d not in first]
    right = [d for d in range(len(others)) if d not in second]
    size = math.prod([sizes[d] for d in first])
    shape, columns = [sizes[d] for d in left], [others[d] for d in right]
    rows = reshape(_turned(x, [*left, *first]), [math.prod(shape), size])
    product = matmul(rows, reshape(_turned(y, [*second, *right]), [size, math.prod(columns)]))
    shape += columns
    return written("tensordot", out, reshape(product, shape), a, b)


@called("UnsafeViewBackward0")
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product: each element of input, times all of other. Shapes are filled up by 1.

    >>> ad.kron(ad.tensor([[1, 10]]), ad.tensor([[1, 2]]))
    tensor([[ 1,  2, 10, 20]])
    """
    if not has_history((input, other)):
        p = lib.ad_kron(mul.native, input._p, other._p)
        if p:
            return own(p, "kron", input._p, other._p)
        take_failure()
    shapes = a, b = list(input.shape), list(other.shape)
    a, b = [1] * (len(b) - len(a)) + a, [1] * (len(a) - len(b)) + b
    if 2 * len(a) > MAX_DIMS:
        given = " and ".join(f"{x.ndim}-D" for x in (input, other))
        raise RuntimeError(f"kron: at most {MAX_DIMS // 2} dimensions are supported, got {given}")
    apart, beside, shape = [], [], []
    for n, m in zip(a, b, strict=True):
        apart += [n, 1]
        beside += [1, m]
        shape.append(n * m)
    if input._p.dtype == other._p.dtype and (p := lib.ad_kron(mul.native, input._p, other._p)):
        return _kron.result_of((input, other), p, (shapes, apart, beside))
    return reshape(mul.call(reshape(input, apart), reshape(other, beside)), shape)


def _kron_rule(
    node: OpNode, g: Tensor, a: Tensor | None, b: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Each element's cotangent is the inner product of its copy's with the other tensor."""
    shapes, apart, beside = node.args
    parts = reshape(g, [n * m for n, m in zip(apart, beside, strict=True)])
    ga = None if b is None else mul.call(parts, reshape(b, beside)).sum_to_size(apart)
    gb = None if a is None else mul.call(parts, reshape(a, apart)).sum_to_size(beside)
    return (
        None if ga is None else reshape(ga, shapes[0]),
        None if gb is None else reshape(gb, shapes[1]),
    )


_kron: Op = Op(
    "kron",
    lambda a, b, *_: lib.ad_kron(mul.native, a, b),
    _kron_rule,
    shaped=False,
    bilinear=True,
    grad_name="ViewBackward0",
)


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal: 0-d, int64 of integers. RuntimeError for no matrix.

    >>> ad.trace(ad.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    p = input._p
    if p.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    if p.dtype == dtypes.bool.code:
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    return total(diagonal(input)) if p.dtype < dtypes.FIRST_FLOAT else _trace(input)


def _trace_forward(p: Any) -> Any:
    line = fresh(lib.ad_diagonal(p, 0, 0, 1), "trace", p)
    return lib.ad_reduce(KINDS["sum"], line, 1, 0, p.dtype)


def _trace_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    line = expand(g, [min(node.shape)])
    return (_diag_embed(line, node.shape, 0, 0, 1),)


_trace: Op = Op("trace", _trace_forward, _trace_rule)
