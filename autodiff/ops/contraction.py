"""The contraction family: matrix products of every shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.native import NULL, describe, error, lib, take_failure
from autodiff.ops.base import Op, OpNode, has_history, is_untold, titled
from autodiff.ops.elementwise import mul
from autodiff.ops.guard import must_be
from autodiff.ops.reductions import _sum_to, sum_to_size
from autodiff.ops.views import reshape, squeeze, transpose, unsqueeze
from autodiff.tensor import Tensor, own, tensor_of


def _product_rule(
    node: OpNode, g: Tensor, a: Tensor | None, b: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """d(AB) = g B^T, A^T g, where A is a or its transpose; broadcast batches are summed."""
    flags, shapes = node.args
    ta, tb = flags & 1, flags >> 1
    ga = gb = None
    if b is not None:
        ga = _multiply(b, g, tb | 2) if ta else _multiply(g, b, 2 * (1 - tb))
        ga = ga if shapes is None else sum_to_size(ga, shapes[0])
    if a is not None:
        gb = _multiply(g, a, 1 | 2 * ta) if tb else _multiply(a, g, 1 - ta)
        gb = gb if shapes is None else sum_to_size(gb, shapes[1])
    return ga, gb


def _sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
    """The rule of matrices, or of batches of one shape, by one native call; of others as it is."""
    saved, edges, args = node.unpack(), node.edges, node.args
    if args:
        flags = args[0] | (args[1] is None) << 3
    else:
        flags = 2 if len(edges) == 2 or edges[2] is None else 6
    a, b = NULL if edges[1] is None else saved[0], NULL if edges[0] is None else saved[-1]
    p = _mm_vjp(g._p, a, b, flags)
    if not p:
        failure = take_failure()
        if failure[0] == lib.AD_NO_MEMORY:
            raise describe(failure, node.op.name, g._p)
        return node.vjp(g)
    grads: list[Tensor | None] = []
    for edge in edges:
        y = None
        if edge is not None:
            y = tensor_of(p or _next())
            p = None
        grads.append(y)
    return grads


_mm_vjp, _next, _matmul_t = lib.ad_mm_vjp, lib.ad_next, lib.ad_matmul_t

# a times b; bit 0 of the flags transposes a, bit 1 b. Batches come with the shapes of both, or with
# None where these are one.
_product = Op("matmul", lambda a, b, flags, shapes: lib.ad_matmul_t(a, b, NULL, flags),
        _product_rule, bilinear=True, shaped=False,
        grad_name=lambda node: "MmBackward0" if node.args[1] is None else "UnsafeViewBackward0",
        sweep=_sweep)  # fmt: skip
_batches = _product.named("BmmBackward0")
_stacks = _product.named("UnsafeViewBackward0")


def _dot_rule(
    node: OpNode, g: Tensor, a: Tensor | None, b: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    return None if b is None else mul.call(g, b), None if a is None else mul.call(g, a)


_dot = Op("dot", lib.ad_vector_product, _dot_rule, bilinear=True, shaped=False)


def _mv_rule(
    node: OpNode, g: Tensor, a: Tensor | None, v: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """y = A v: dA = g v^T, dv = A^T g."""
    ga = None if v is None else mul.call(unsqueeze(g, 1), v)
    return ga, None if a is None else matmul(transpose(a, 0, 1), g)


_mv = Op("mv", lib.ad_vector_product, _mv_rule, bilinear=True, shaped=False)


def _multiply(a: Tensor, b: Tensor, flags: int) -> Tensor:
    p = lib.ad_mm(a._p, b._p, flags)
    if p:
        return _product.result_of((a, b), p, (flags, None))
    return _product.on((a, b), flags, (a.shape, b.shape))


def _linear_rule(
    node: OpNode, g: Tensor, x: Tensor | None, w: Tensor | None
) -> tuple[Tensor | None, ...]:
    """y = x w^T + b over the last dimension of x: dx = g w, dw = g^T x, db = the sum of g."""
    gx = gw = gb = None
    shape, rows = g.shape, g
    if x is not None:
        rows = g if g._p.ndim == 2 else reshape(g, [shape[:-1].numel(), shape[-1]])
        given = x if x._p.ndim == 2 else reshape(x, [x.shape[:-1].numel(), x.shape[-1]])
        gw = _multiply(rows, given, 1)
    if g._p.contiguous:
        rows = g
    if w is not None:
        gx = _multiply(rows, w, 0)
        if rows is not g:  # the rows of one product, which were copied, and not many small ones
            gx = reshape(gx, [*shape[:-1], w.shape[1]])
    if len(node.edges) > 2 and node.needs(2):
        gb = _sum_to(rows, (shape[-1],))
    return gx, gw, gb


def _linear_name(node: OpNode) -> str:
    """As of the steps that PyTorch makes of many rows, where x was saved to tell of them."""
    biased, (x, *_) = len(node.edges) > 2, node.saved or (None,)
    if node.edges[1] is not None and x is not None and x.ndim > 2:
        return "ViewBackward0" if biased else "UnsafeViewBackward0"
    return "AddmmBackward0" if biased else "MmBackward0"


_linear = Op("linear", lambda x, w, b=NULL: lib.ad_matmul_t(x, w, b, 2), _linear_rule,
        bilinear=True, shaped=False, grad_name=_linear_name, sweep=_sweep)  # fmt: skip


def _check_dtypes(op: str, a: Tensor, b: Tensor) -> None:
    if a._p.dtype != b._p.dtype:
        kinds = " != ".join(dtypes.CPP_NAMES[x._p.dtype] for x in (a, b))
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {kinds}: {op} of {a.dtype!r} and "
            f"{b.dtype!r}"
        )
    if a._p.dtype == dtypes.bool.code:
        raise NotImplementedError(f"\"{op}\" not implemented for 'Bool'")


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (..., k) times weight (n, k) transposed, plus bias (n); or times a weight (k), alone.

    >>> F.linear(ad.tensor([1.0, 2.0]), ad.tensor([[1.0, 1.0], [0.0, 1.0]]))
    tensor([3., 2.])
    """
    found: Tensor | None = _linear_at_once(input, weight, bias)
    if found is not None:
        return found
    try:  # the native call checks everything; what is wrong is worded below
        w = weight._p
        if w.ndim == 2:
            p = _matmul_t(input._p, w, NULL if bias is None else bias._p, 2)
            if p:
                given = (input, weight) if bias is None else (input, weight, bias)
                return _linear.result_of(given, p, ())
            failure = take_failure()
            if failure[0] == lib.AD_NO_MEMORY:
                raise describe(failure, "linear", input._p, w)
        elif w.ndim == 1 and bias is None and input.ndim:
            return matmul(input, weight)
    except AttributeError:
        pass
    _check_linear(input, weight, bias)
    row = unsqueeze(input, 0)
    y = _linear.on((row, weight) if bias is None else (row, weight, bias))
    return titled(reshape(y, y.shape[1:]), "SqueezeBackward4" if bias is None else "ViewBackward0")


_linear_at_once = _linear.direct(_matmul_t, 2, always=())
_product_at_once = _product.direct(lib.ad_mm, 0, always=(0, None))
_batches_at_once, _stacks_at_once = (
    op.direct(lib.ad_bmm, 0, always=(0, None)) for op in (_batches, _stacks)
)


def _check_linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    for i, (name, x) in enumerate((("input", input), ("weight", weight), ("bias", bias)), 1):
        if not isinstance(x, Tensor) and (x is not None or name != "bias"):
            raise must_be("linear", name, "Tensor", x, i)
    if weight.ndim != 2 or input.ndim < 1 or input.shape[-1] != weight.shape[1]:
        folded = ""
        if weight.ndim == 2 and input.ndim > 1:  # as PyTorch tells of them
            (n, k), last = weight.shape, input.shape[-1]
            folded = f" ({math.prod(input.shape[:-1])}x{last} and {k}x{n})"
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied{folded}: linear of input "
            f"{list(input.shape)} with "
            f"weight {list(weight.shape)}: the input's last size must be the weight's last"
        )
    _check_dtypes("linear", input, weight)
    if bias is None:
        return
    if bias.ndim != 1 or bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            f"linear: bias {list(bias.shape)} does not fit weight {list(weight.shape)}: expected "
            f"[{weight.shape[0]}]"
        )
    if bias._p.dtype != weight._p.dtype:
        names = " and ".join(x.dtype.title for x in (bias, weight))
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {names}: linear")


_VECTORS_AT_ONCE = {op: op.direct(lib.ad_vector_product, always=()) for op in (_mv, _dot)}


def _product_of_vectors(op: Op, a: Tensor, b: Tensor) -> Tensor | None:
    """The product of what is a vector at least in part; None where that is more, or cannot be."""
    found: Tensor | None = _VECTORS_AT_ONCE[op](a, b)
    if found is not None:
        return found
    p = lib.ad_vector_product(a._p, b._p)
    return op.result_of((a, b), p, ()) if p else None


def _product_of_matrices(a: Tensor, b: Tensor) -> Tensor | None:
    """The product of two, or of batches of one shape; None where that is more, or cannot be."""
    two = a._p.ndim == 2
    found: Tensor | None = None if two else _stacks_at_once(a, b)
    if found is not None:
        return found
    p = (lib.ad_mm if two else lib.ad_bmm)(a._p, b._p, 0)
    return (_product if two else _stacks).result_of((a, b), p, (0, None)) if p else None


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product; vectors are rows on the left, columns on the right; batches broadcast.

    (..., n, k) by (..., k, m) is (..., n, m). RuntimeError for other sizes or two dtypes.

    >>> ad.matmul(ad.tensor([[1, 2], [3, 4]]), ad.tensor([1, 1]))
    tensor([3, 7])
    >>> ad.matmul(ad.ones(5, 2, 3), ad.ones(3, 4)).shape
    torch.Size([5, 2, 4])
    """
    found: Tensor | None = _product_at_once(input, other)
    if found is not None:
        return found
    if not isinstance(other, Tensor):
        raise must_be("matmul", "other", "Tensor", other, 2)
    a, b = input, other
    ndim, other_ndim = a._p.ndim, b._p.ndim
    row, column = ndim == 1, other_ndim == 1
    matrix = column and ndim == 2
    if ndim == other_ndim > 1:
        found = _product_of_matrices(a, b)
    elif (row and column) or matrix or ((row or column) and not has_history((a, b))):
        found = _product_of_vectors(_mv if matrix else _dot, a, b)
    if found is not None:
        return found
    a = unsqueeze(a, 0) if row else a
    b = unsqueeze(b, 1) if column else b
    try:
        y = _multiply(a, b, 0)
    except (RuntimeError, IndexError) as failure:
        raise _refused(input, other, a, b, failure) from None
    y = squeeze(y, -1) if column else y
    y = squeeze(y, -1 if column else -2) if row else y
    if y._node is not None and (row or column):
        many = a._p.ndim + b._p.ndim > 4
        titled(
            y, "UnsafeViewBackward0" if many else "MvBackward0" if column else "SqueezeBackward4"
        )
    return y


def _refused(x: Tensor, y: Tensor, a: Tensor, b: Tensor, failure: Exception) -> Exception:
    """Why a product of x and y, made matrices a and b, cannot be."""
    if a.ndim == 0 or b.ndim == 0:
        return RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D"
        )
    _check_dtypes("matmul", a, b)
    if a.shape[-1] == b.shape[-2]:
        return failure
    if x.ndim == y.ndim == 1:
        return RuntimeError(
            f"inconsistent tensor size, expected tensor {list(x.shape)} and src {list(y.shape)} to "
            f"have the same number of elements, but got {x.numel()} and {y.numel()} elements "
            "respectively"
        )
    inner = " and ".join(_sizes(x, y))
    return RuntimeError(
        f"mat1 and mat2 shapes cannot be multiplied ({inner}): the last size of the first must be "
        "the second last of the second"
    )


def _sizes(*tensors: Tensor) -> list[str]:
    return ["x".join(map(str, x.shape)) for x in tensors]


def _check_second(op: str, name: str, x: Any) -> None:
    if not isinstance(x, Tensor):
        raise must_be(op, name, "Tensor", x, 2)


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of matrices (n, k) and (k, m) of one dtype: (n, m). RuntimeError for others.

    >>> ad.mm(ad.tensor([[1, 2], [3, 4]]), ad.eye(2, dtype=ad.int64))
    tensor([[1, 2],
            [3, 4]])
    """
    _check_second("mm", "mat2", mat2)
    for name, x in (("self", input), ("mat2", mat2)):
        if x._p.ndim != 2:
            raise RuntimeError(f"mm: {name} must be a matrix, but it is {x.ndim}-D {list(x.shape)}")
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices (b, n, k) and (b, k, m): (b, n, m).

    RuntimeError for other shapes, and for two dtypes.

    >>> ad.bmm(ad.ones(5, 2, 3), ad.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    _check_second("bmm", "mat2", mat2)
    found: Tensor | None = _batches_at_once(input, mat2) if input._p.ndim == 3 else None
    return batches("bmm", input, mat2) if found is None else found


def batches(op: str, input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices. RuntimeError where they are no such."""
    a, b = input._p, mat2._p
    p = lib.ad_bmm(a, b, 0) if a.ndim == 3 else NULL
    if not p:
        check_batches(op, input, mat2)
        raise error(op, a, b)
    if is_untold(input, mat2):
        return own(p, op)
    return _batches.result_of((input, mat2), p, (0, None))


def check_batches(op: str, batch1: Tensor, batch2: Tensor) -> None:
    """RuntimeError where the two are no batches of matrices that can be multiplied."""
    for name, x in (("batch1", batch1), ("batch2", batch2)):
        if x._p.ndim != 3:
            raise RuntimeError(
                f"{op}: {name} must be a 3D tensor, but it is {x.ndim}-D {list(x.shape)}"
            )
    wanted = [batch1.shape[0], batch1.shape[2]]
    if list(batch2.shape[:2]) != wanted:
        raise RuntimeError(
            f"{op}: Expected size for first two dimensions of batch2 tensor to be: {wanted} but "
            f"got: {list(batch2.shape[:2])}. The shapes are {list(batch1.shape)} and "
            f"{list(batch2.shape)}"
        )
    if batch1._p.dtype != batch2._p.dtype:
        raise RuntimeError(
            f"expected scalar type {batch1.dtype.title} but found {batch2.dtype.title}"
        )
    _check_dtypes(op, batch1, batch2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix (n, k) times a vector (k) of its dtype: (n). RuntimeError for others.

    >>> ad.mv(ad.tensor([[1.0, 2.0], [3.0, 4.0]]), ad.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if type(vec) is Tensor and input._p.ndim == 2 and vec._p.ndim == 1:
        found = _product_of_vectors(_mv, input, vec)
        if found is not None:
            return found
    _check_second("mv", "vec", vec)
    if input._p.ndim != 2 or vec._p.ndim != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got 1, {input.ndim}, {vec.ndim} dimensions"
        )
    if input._p.shape[1] != vec._p.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({input.shape[0]}), mat ({_sizes(input)[0]}), vec "
            f"({vec.shape[0]}): {' and '.join(_sizes(input, vec))} cannot be multiplied"
        )
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of one length and dtype: 0-d. RuntimeError for others.

    >>> ad.dot(ad.tensor([1, 2]), ad.tensor([3, 4]))
    tensor(11)
    """
    _check_second("dot", "tensor", tensor)
    a, b = input._p, tensor._p
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    found = _product_of_vectors(_dot, input, tensor)
    if found is not None:
        return found
    if a.dtype != b.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{dtypes.SCALAR_NAMES[a.dtype]} and {dtypes.SCALAR_NAMES[b.dtype]}"
        )
    return matmul(input, tensor)
