"""Softmax, its logarithm, and what it divides by: logsumexp. Each is one row program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import FIRST_FLOAT, SCALAR_NAMES, dtype, get_default_dtype
from autodiff.native import NULL, lib, numbered
from autodiff.ops.base import OUTPUT, Op, OpNode
from autodiff.ops.cast import to_dtype
from autodiff.ops.elementwise import mul
from autodiff.ops.guard import must_be
from autodiff.ops.reductions import _restore, _sum_dim
from autodiff.shapes import dim_index, dim_mask, inverse, mask_dims
from autodiff.tensor import Tensor

_PROGRAMS = numbered(lib.ad_rows_name)


def _forward(program: str) -> Any:
    """Of x, or of x and another, along the dimensions of a mask."""
    code, rows = _PROGRAMS[program], lib.ad_rows
    if program.endswith("vjp"):
        return lambda x, other, mask, *_: rows(code, x, other, mask, 1)
    return lambda x, mask, keepdim=True: rows(code, x, NULL, mask, keepdim)


# ---- rows along several dimensions, which the native programs want to follow one another ----


def _rows_last(p: Any, mask: int) -> tuple[Any, int, list[int]]:
    """A view with the dimensions of rows behind the others, their mask then, and how to go back."""
    kept = mask_dims(~mask, p.ndim)
    order = [*kept, *mask_dims(mask, p.ndim)]
    view = fresh(lib.ad_permute(p, p.ndim, order), "permute", p)
    return view, (1 << p.ndim) - (1 << len(kept)), inverse(order)


def _are_apart(mask: int) -> bool:
    return bool((mask + (mask & -mask)) & mask)


def one_a_row(native: Callable[..., Any]) -> Callable[..., Any]:
    """native(p, mask, keepdim, ...) of any dimensions."""

    def forward(p: Any, mask: int, keepdim: bool, *args: Any) -> Any:
        if not _are_apart(mask):
            return native(p, mask, keepdim, *args)
        view, last, _ = _rows_last(p, mask)
        y = fresh(native(view, last, False, *args), "reduce", p)
        if not keepdim:
            return lib.ad_alias(y)
        shape = [1 if mask >> d & 1 else p.shape[d] for d in range(p.ndim)]
        return lib.ad_view(y, p.ndim, shape)

    return forward


def each_of_rows(native: Callable[..., Any]) -> Callable[..., Any]:
    """native(p, one a row, mask, ...) of any dimensions, whose result is like p."""

    def forward(p: Any, other: Any, mask: int, *args: Any) -> Any:
        if not _are_apart(mask):
            return native(p, other, mask, *args)
        view, last, back = _rows_last(p, mask)
        y = fresh(native(view, other, last, *args), "reduce", p)
        return lib.ad_permute(y, p.ndim, back)

    return forward


# ---- softmax ----


def _row_sum(node: OpNode, x: Tensor) -> Tensor:
    return _sum_dim(x, node.args[0], True, x._p.dtype)


def _softmax_rule(node: OpNode, g: Tensor, y: Tensor) -> tuple[Tensor]:
    """dx = (g - sum(g y)) y."""
    return (_softmax_vjp.on((y, g), node.args[0]),)


def _softmax_vjp_rule(node: OpNode, h: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Of (g - sum(g y)) y: in g it is linear and its own adjoint."""
    inner, outer = _row_sum(node, g * y), _row_sum(node, h * y)
    return h * (g - inner) - g * outer, _softmax_vjp.on((y, h), node.args[0])


def _log_softmax_rule(node: OpNode, g: Tensor, y: Tensor) -> tuple[Tensor]:
    """dx = g - exp(y) sum(g)."""
    return (_log_softmax_vjp.on((y, g), node.args[0]),)


def _log_softmax_vjp_rule(node: OpNode, h: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    share = y.exp()
    product = mul.call(h, share)
    return -product * _row_sum(node, g), h - _row_sum(node, product)


_softmax = Op("softmax", _forward("softmax"), _softmax_rule, saves=(OUTPUT,), shaped=False)
_log_softmax = Op(
    "log_softmax", _forward("log_softmax"), _log_softmax_rule, saves=(OUTPUT,), shaped=False
)
_softmax_vjp: Op = Op("softmax_vjp", _forward("softmax_vjp"), _softmax_vjp_rule, saves=(0, 1),
        shaped=False, grad_name="SoftmaxBackwardDataBackward0")  # fmt: skip
_log_softmax_vjp: Op = Op("log_softmax_vjp", _forward("log_softmax_vjp"), _log_softmax_vjp_rule,
        saves=(0, 1), shaped=False, grad_name="LogSoftmaxBackwardDataBackward0")  # fmt: skip


def _along(op: Op, x: Tensor, dim: int, d: dtype | None) -> Tensor:
    if not isinstance(x, Tensor):
        raise must_be(op.name, "input", "Tensor", x, 1)
    x = x if d is None else to_dtype(x, d)
    p = x._p
    if p.dtype < FIRST_FLOAT:
        raise NotImplementedError(f'"{op.name}" not implemented for {SCALAR_NAMES[p.dtype]!r}')
    n = p.ndim
    return op(x, dim_mask(dim_index(dim, n), n))


def softmax(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """exp(input) divided by its sum along `dim`: rows of probabilities.

    NotImplementedError of other than floats, unless `dtype` converts them.

    >>> ad.tensor([0.0, 0.0]).softmax(0)
    tensor([0.5000, 0.5000])
    """
    return _along(_softmax, input, dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The logarithm of softmax, exact also where softmax rounds to zero.

    >>> ad.tensor([0.0, 0.0]).log_softmax(0)
    tensor([-0.6931, -0.6931])
    """
    return _along(_log_softmax, input, dim, dtype)


def _logsumexp_rule(node: OpNode, g: Tensor, x: Tensor) -> tuple[Tensor]:
    """dx = g softmax(x), which needs no large result to be exact."""
    return (_logsumexp_vjp.on((x, g), *node.args),)


def _logsumexp_vjp_rule(node: OpNode, h: Tensor, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Of g softmax(x), which is the vjp of ones."""
    share = _logsumexp_vjp.on((x, g.new_ones(g.shape)), *node.args)
    inner = _row_sum(node, mul.call(h, share))
    return mul.call(_restore(node, g), share * (h - inner)), inner.reshape(g.shape)


_logsumexp = Op(
    "logsumexp", one_a_row(_forward("logsumexp")), _logsumexp_rule, saves=(0,), shaped=False
)
_logsumexp_vjp: Op = Op(
    "logsumexp_vjp", each_of_rows(_forward("logsumexp_vjp")), _logsumexp_vjp_rule, saves=(0, 1)
)


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The logarithm of the sum of exponentials over `dim`, an int or a tuple; no overflow.

    Integers are taken as the default dtype; -inf where there are no elements.

    >>> ad.tensor([1000.0, 1000.0]).logsumexp(0)
    tensor(1000.6932)
    """
    if dim is None:
        raise TypeError(
            "logsumexp(): argument 'dim' (position 2) must be tuple of ints, not NoneType"
        )
    x = input if input.is_floating_point() else to_dtype(input, get_default_dtype())
    return _logsumexp(x, dim_mask(dim, x.ndim), keepdim)
