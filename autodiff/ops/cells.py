"""What the cells of recurrent layers compute at a step, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autodiff.expr import Expr, build, inputs
from autodiff.named import NamedTuple
from autodiff.ops.contraction import linear
from autodiff.ops.elementwise import tanh
from autodiff.ops.halves import in_float32
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.views import narrow
from autodiff.tensor import Tensor


def _sigmoid(x: Expr) -> Expr:
    return build("sigmoid", x)


def _tanh(x: Expr) -> Expr:
    return build("tanh", x)


class Cell(NamedTuple):
    """What a kind of cell computes at a step, and back.

    `forward`: of what the states add to each gate, with what the inputs add to the first `summed`
    of them, what these add to the others, and the state before (c, or h of GRU), the new state and
    what is kept. `backward`: of what was kept, the state before and after,
    and both cotangents of h, from its row and the step after (and of c, or what GRU sends on by
    itself), those of the gates and the state before.
    """

    gates: int
    summed: int
    kept: int
    forward: PointwiseOp
    backward: PointwiseOp


def _lstm() -> Cell:
    i, f, g, o, c = inputs(5)
    i, f, g, o = _sigmoid(i), _sigmoid(f), _tanh(g), _sigmoid(o)
    new = f * c + i * g
    forward = PointwiseOp("lstm", o * _tanh(new), 5, also=(new, i, f, g, o))
    i, f, g, o, c, new, dy, dnext, dc = inputs(9)
    t, dh = _tanh(new), dy + dnext
    d = dc + dh * o * (1 - t * t)
    gates = (d * c * f * (1 - f), d * i * (1 - g * g), dh * t * o * (1 - o), d * f)
    return Cell(4, 4, 4, forward, PointwiseOp("lstm_vjp", d * g * i * (1 - i), 9, also=gates))


def _gru() -> Cell:
    r, z, hn, gn, h = inputs(5)
    r, z = _sigmoid(r), _sigmoid(z)
    n = _tanh(gn + r * hn)
    forward = PointwiseOp("gru", n + z * (h - n), 5, also=(r, z, n, hn))
    r, z, n, hn, h, dy, dnext, direct = inputs(8)
    dh = dy + (dnext + direct)
    dn = dh * (1 - z) * (1 - n * n)
    dr, dz = dn * hn * r * (1 - r), dh * (h - n) * z * (1 - z)
    gates = (dz, dn, dr, dz, dn * r, dh * z)
    return Cell(3, 2, 4, forward, PointwiseOp("gru_vjp", dr, 8, also=gates))


def _rnn(name: str, function: Callable[[Expr], Expr], slope: Callable[[Expr], Expr]) -> Cell:
    a, b, dnext = inputs(3)
    forward = PointwiseOp(name, function(a), 1)
    return Cell(1, 1, 0, forward, PointwiseOp(f"{name}_vjp", (b + dnext) * slope(a), 3))


CELLS = {
    "LSTM": _lstm(),
    "GRU": _gru(),
    "RNN_TANH": _rnn("rnn_tanh", _tanh, lambda h: 1 - h * h),
    "RNN_RELU": _rnn(
        "rnn_relu",
        lambda x: build("relu", x),
        lambda h: build("where", build("lt", 0, h), 1.0, 0.0),
    ),
}


# ---- a step of differentiable operations ----

_i, _f, _g, _o, _c = inputs(5)
_lstm_cell = PointwiseOp(
    "lstm_cell", _sigmoid(_f) * _c + _sigmoid(_i) * _tanh(_g), 4 + 1, "AddBackward0"
)
_lstm_out = PointwiseOp("lstm_out", _sigmoid(_i) * _f, 2, "MulBackward0")
_rnn_cells = {
    "RNN_TANH": PointwiseOp("rnn_tanh_cell", _tanh(_i + _f), 2, "TanhBackward0"),
    "RNN_RELU": PointwiseOp("rnn_relu_cell", build("relu", _i + _f), 2, "ReluBackward0"),
}
_gru_gate = PointwiseOp("gru_gate", _sigmoid(_i + _f), 2)
_gru_new = PointwiseOp("gru_new", _tanh(_i + _f * _g), 3)
_gru_out = PointwiseOp("gru_out", _i + _f * (_g - _i), 3, "AddBackward0")


@in_float32
def cell_step(
    gates: Tensor,
    kind: str,
    state: Sequence[Tensor],
    w: Tensor,
    b: Tensor | None,
    proj: Tensor | None,
) -> tuple[Tensor, ...]:
    """The state (h, and c of LSTM) after a step; `gates` is what the inputs add to each gate."""
    h = state[0]
    hidden = linear(h, w, b)
    n = gates.shape[1] // CELLS[kind].gates
    if kind == "GRU":
        x, y = ([narrow(a, 1, k * n, n) for k in range(3)] for a in (gates, hidden))
        r, z = _gru_gate.call(x[0], y[0]), _gru_gate.call(x[1], y[1])
        return (_gru_out.call(_gru_new.call(x[2], r, y[2]), z, h),)
    if kind != "LSTM":
        return (_rnn_cells[kind].call(gates, hidden),)
    both = gates + hidden
    i, f, g, o = (narrow(both, 1, k * n, n) for k in range(4))
    c = _lstm_cell.call(i, f, g, o, state[1])
    h = _lstm_out.call(o, tanh.call(c))  # which keeps no c: callers write over it
    return (h if proj is None else linear(h, proj), c)
