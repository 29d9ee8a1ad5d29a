"""The gated linear unit: one half of a tensor let through by the other."""

from __future__ import annotations

from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import FIRST_FLOAT, SCALAR_NAMES
from autodiff.expr import build, inputs
from autodiff.native import lib
from autodiff.ops.base import Op, OpNode
from autodiff.ops.guard import must_be
from autodiff.ops.join import cat
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.views import _slice
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor

_g, _a, _b = inputs(3)
_gate = PointwiseOp("glu", build("gated", _g, _a), 2)
_gate_vjp = PointwiseOp("glu_vjp", _g * _a * build("sigmoid_slope", _b), 3, "GluBackwardBackward0")


def _forward(p: Any, dim: int) -> Any:
    half = p.shape[dim] // 2
    a = fresh(lib.ad_slice(p, dim, 0, half, 1), "glu", p)
    b = fresh(lib.ad_slice(p, dim, half, 2 * half, 1), "glu", p)
    return lib.ad_pw2(_gate.native, a, b) or lib.ad_alias(_gate.results([a, b])[0])


def _rule(node: OpNode, g: Tensor, x: Tensor) -> tuple[Tensor]:
    """da = g sigmoid(b); db = g a sigmoid(b) sigmoid(-b)."""
    (dim,) = node.args
    half = x.shape[dim] // 2
    a, b = _slice(x, dim, 0, half, 1), _slice(x, dim, half, 2 * half, 1)
    return (cat([_gate.call(g, b), _gate_vjp.call(g, a, b)], dim),)


_glu = Op("glu", _forward, _rule, saves=(0,), shaped=False)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b) for the halves a and b of `input` along `dim`, whose size is even.

    >>> F.glu(ad.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    if not isinstance(input, Tensor):
        raise must_be("glu", "input", "Tensor", input, 1)
    p = input._p
    if p.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    d = dim_index(dim, p.ndim)
    if p.shape[d] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {d} is size {p.shape[d]}"
        )
    if p.dtype < FIRST_FLOAT:
        raise NotImplementedError(f'"glu" not implemented for {SCALAR_NAMES[p.dtype]!r}')
    return _glu(input, d)
