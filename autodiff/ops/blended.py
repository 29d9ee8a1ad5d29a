"""Products added to a tensor, each with a factor: beta * input + alpha * product."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.expr import inputs
from autodiff.native import operand_text
from autodiff.ops.assign import masked_fill, replace_
from autodiff.ops.base import called
from autodiff.ops.cast import to_dtype
from autodiff.ops.contraction import _check_dtypes, _linear, batches, check_batches, matmul, mv
from autodiff.ops.create import full
from autodiff.ops.elementwise import add, mul
from autodiff.ops.halves import in_float32
from autodiff.ops.numbers import number
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.products import check_vectors
from autodiff.ops.rearrange import regroup
from autodiff.ops.transposes import t
from autodiff.ops.views import _unsqueeze, expand, reshape
from autodiff.tensor import Tensor, live_node


def _blend() -> PointwiseOp:
    input, product, beta, alpha = inputs(4)
    return PointwiseOp("blend", input * beta + product * alpha, 4)


_BLEND = _blend()
_ALWAYS = full((), True)


def _factor(name: str, value: Any, integers: bool) -> Any:
    value = dtypes.plain(value)
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"argument '{name}' must be Number, not {type(value).__name__}")
    return int(value) if integers else value


def _sum(
    input: Tensor, multiply: Callable[..., Tensor], a: Tensor, b: Tensor, beta: Any, alpha: Any
) -> Tensor:
    """beta * input + alpha * (a times b); where beta is 0, no nans of the input come through."""
    plain = type(beta) is type(alpha) is int and beta == alpha == 1
    if plain and input._p.dtype not in dtypes.HALF_CODES:
        product = multiply(a, b)
        q = product._p
        if input._p.dtype == q.dtype:
            y = add.call(input, product)
            p = y._p
            if p.ndim == q.ndim and p.numel == q.numel > 0:  # input has broadcast, if any has
                return y
    return _blended(input, multiply, a, b, beta, alpha)


@in_float32
def _blended(
    input: Tensor, multiply: Callable[..., Tensor], a: Tensor, b: Tensor, beta: Any, alpha: Any
) -> Tensor:
    """The same with any factors; words what is wrong."""
    product = multiply(a, b)
    d = product._p.dtype
    integers = d < dtypes.FIRST_FLOAT
    if not type(beta) is type(alpha) is int:
        beta, alpha = _factor("beta", beta, integers), _factor("alpha", alpha, integers)
    if input._p.dtype != d:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {input.dtype.title}"
            f" and {dtypes.SCALAR_NAMES[d]}"
        )
    if input.shape != product.shape:
        input = expand(input, product.shape)
    if beta == 0:
        scaled = product if alpha == 1 else product * alpha
        if live_node(input) is None:
            return scaled
        return add.call(masked_fill(input, _ALWAYS, 0), scaled)
    return _BLEND.call(input, product, number(beta), number(alpha))


def _check_matrices(**given: Tensor) -> None:
    for name, x in given.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"argument '{name}' must be Tensor, not {type(x).__name__}")
        if x._p.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {x.ndim}-D tensor")


def _is_plain(a: Any, b: Any, c: Any) -> bool:
    """Whether a product of matrices and what is added have one shape and dtype, of floats."""
    return bool(
        c.ndim == 2
        and a.dtype == b.dtype == c.dtype >= dtypes.float32.code
        and c.shape[0] == a.shape[0]
        and c.shape[1] == b.shape[1]
    )


@called("AddmmBackward0")
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); input is broadcast, and ignored where beta is 0.

    >>> ad.addmm(ad.ones(2), ad.eye(2), ad.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 3.],
            [4., 5.]])
    """
    if not (type(mat1) is type(mat2) is Tensor and mat1._p.ndim == mat2._p.ndim == 2):
        _check_matrices(mat1=mat1, mat2=mat2)
    a, b, c = mat1._p, mat2._p, input._p
    biased = c.ndim == 1 and beta == alpha == 1 and a.dtype == b.dtype == c.dtype
    if biased and a.shape[1] == b.shape[0] and c.shape[0] == b.shape[1]:
        _check_dtypes("addmm", mat1, mat2)
        return _linear.on((mat1, t(mat2), input))
    if _is_plain(a, b, c) and beta == alpha == 1:
        return add.call(input, matmul(mat1, mat2))
    return _sum(input, matmul, mat1, mat2, beta, alpha)


@called("AddmvBackward0")
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec); input is broadcast, and ignored where beta is 0.

    >>> ad.addmv(ad.ones(2), ad.eye(2), ad.tensor([1.0, 2.0]), alpha=10)
    tensor([11., 21.])
    """
    a, v, c = mat._p, vec._p, input._p
    if a.ndim != 2 or v.ndim != 1 or c.ndim > 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}: "
            f"{' and '.join(operand_text(x._p) for x in (input, mat, vec))}"
        )
    try:
        return _sum(input, mv, mat, vec, beta, alpha)
    except RuntimeError:
        rows = a.shape[0]
        if a.shape[1] == v.shape[0] and (not c.ndim or c.shape[0] in (1, rows)):
            raise
        raise RuntimeError(
            f"size mismatch, got input ({input.shape[0] if input.ndim else 1}), mat "
            f"({rows}x{mat.shape[1]}), vec ({vec.shape[0]})"
        ) from None


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return mul.call(_unsqueeze(a, 1), b)


@called("AddrBackward0")
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2); input is ignored where beta is 0.

    >>> ad.addr(ad.zeros(2, 2), ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    check_vectors("addr", vec1=vec1, vec2=vec2)
    wide = dtypes.promote_types(dtypes.promote_types(vec1.dtype, vec2.dtype), input.dtype)
    if wide is dtypes.bool:
        product = _outer(vec1, vec2)
        given = expand(input, product.shape)
        return given.logical_or(product) if beta else product
    if not vec1._p.dtype == vec2._p.dtype == input._p.dtype:
        input, vec1, vec2 = (to_dtype(x, wide) for x in (input, vec1, vec2))
    return _sum(input, _outer, vec1, vec2, beta, alpha)


@called("BaddbmmBackward0")
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), of batches; input is ignored where beta is 0.

    >>> ad.baddbmm(ad.ones(5, 2, 4), ad.ones(5, 2, 3), ad.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    return _sum(input, functools.partial(batches, "baddbmm"), batch1, batch2, beta, alpha)


@called("AddbmmBackward0")
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * the sum of the batch's products; input is ignored where beta is 0.

    >>> ad.addbmm(ad.zeros(2, 4), ad.ones(5, 2, 3), ad.ones(5, 3, 4)).shape
    torch.Size([2, 4])
    """
    check_batches("addbmm", batch1, batch2)
    b, n, k = batch1.shape
    rows = regroup(batch1, [b, n, k], [1, 0, 2], [n, b * k])
    return _sum(input, matmul, rows, reshape(batch2, [b * k, batch2.shape[2]]), beta, alpha)


def _over(
    function: Callable[..., Tensor], x: Tensor, first: Tensor, second: Tensor, beta: Any, alpha: Any
) -> Tensor:
    y = function(x, first, second, beta=beta, alpha=alpha)
    if y.shape != x.shape:
        raise RuntimeError(
            f"Bad in-place call: input tensor size {list(x.shape)} and output tensor size "
            f"{list(y.shape)} should match"
        )
    return replace_(x, y)


def _inplace(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that writes the sum over its tensor, which must have the sum's shape."""
    name = f"{function.__name__}_"

    def method(
        self: Tensor, first: Tensor, second: Tensor, *, beta: Any = 1, alpha: Any = 1
    ) -> Tensor:
        return _over(function, self, first, second, beta, alpha)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{function.__name__}`, written over the tensor."
    return method


addmm_, addmv_, addr_ = map(_inplace, (addmm, addmv, addr))
addbmm_, baddbmm_ = map(_inplace, (addbmm, baddbmm))
