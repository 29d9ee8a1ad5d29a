"""Recurrent layers: one direction of one layer over all its time steps, as one operation.

Its input is packed: the rows of step 0, then those of step 1 ..., of sequences ordered by length,
so that step t has the first `sizes[t]` of them; the product of the inputs with their weights is
made before, for all steps at once. The result is flat: the output rows, then (LSTM) the last cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from autodiff.expr import Expr, build, inputs
from autodiff.native import NULL, descriptors, lib, take_failure
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.contraction import linear
from autodiff.ops.convert import tensor
from autodiff.ops.halves import in_float32
from autodiff.ops.indexing import index_select
from autodiff.ops.join import cat
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.views import narrow, reshape
from autodiff.tensor import Tensor, live_node, wrap

__all__ = ["CELLS", "Steps", "cell_step", "scan"]


def _sigmoid(x: Expr) -> Expr:
    return build("sigmoid", x)


def _tanh(x: Expr) -> Expr:
    return build("tanh", x)


class Cell(NamedTuple):
    """What a kind of cell computes at a step, and back.

    `forward`: of what the inputs and the states add to each gate, and the state before (c, or h of
    GRU), the new state and what is kept. `backward`: of what was kept, the state before and after,
    and both cotangents of h, from its row and the step after (and of c, or what GRU sends on by
    itself), those of the gates and the state before.
    """

    gates: int
    kept: int
    forward: PointwiseOp
    backward: PointwiseOp


def _lstm() -> Cell:
    xi, xf, xg, xo, hi, hf, hg, ho, c = inputs(9)
    i, f, g, o = _sigmoid(xi + hi), _sigmoid(xf + hf), _tanh(xg + hg), _sigmoid(xo + ho)
    new = f * c + i * g
    forward = PointwiseOp("lstm", o * _tanh(new), 9, also=(new, i, f, g, o))
    i, f, g, o, c, new, dy, dnext, dc = inputs(9)
    t, dh = _tanh(new), dy + dnext
    d = dc + dh * o * (1 - t * t)
    gates = (d * c * f * (1 - f), d * i * (1 - g * g), dh * t * o * (1 - o), d * f)
    return Cell(4, 4, forward, PointwiseOp("lstm_vjp", d * g * i * (1 - i), 9, also=gates))


def _gru() -> Cell:
    gr, gz, gn, hr, hz, hn, h = inputs(7)
    r, z = _sigmoid(gr + hr), _sigmoid(gz + hz)
    n = _tanh(gn + r * hn)
    forward = PointwiseOp("gru", n + z * (h - n), 7, also=(r, z, n, hn))
    r, z, n, hn, h, dy, dnext, direct = inputs(8)
    dh = dy + (dnext + direct)
    dn = dh * (1 - z) * (1 - n * n)
    dr, dz = dn * hn * r * (1 - r), dh * (h - n) * z * (1 - z)
    gates = (dz, dn, dr, dz, dn * r, dh * z)
    return Cell(3, 4, forward, PointwiseOp("gru_vjp", dr, 8, also=gates))


def _rnn(name: str, function: Callable[[Expr], Expr], slope: Callable[[Expr], Expr]) -> Cell:
    a, b, dnext = inputs(3)
    forward = PointwiseOp(name, function(a + b), 2)
    return Cell(1, 0, forward, PointwiseOp(f"{name}_vjp", (b + dnext) * slope(a), 3))


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
_lstm_cell = PointwiseOp("lstm_cell", _sigmoid(_f) * _c + _sigmoid(_i) * _tanh(_g), 4 + 1)
_lstm_out = PointwiseOp("lstm_out", _sigmoid(_i) * _tanh(_f), 2)
_gru_gate = PointwiseOp("gru_gate", _sigmoid(_i + _f), 2)
_gru_new = PointwiseOp("gru_new", _tanh(_i + _f * _g), 3)
_gru_out = PointwiseOp("gru_out", _i + _f * (_g - _i), 3)


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
    x, y = ([narrow(a, 1, k * n, n) for k in range(CELLS[kind].gates)] for a in (gates, hidden))
    if kind == "GRU":
        r, z = _gru_gate.call(x[0], y[0]), _gru_gate.call(x[1], y[1])
        return (_gru_out.call(_gru_new.call(x[2], r, y[2]), z, h),)
    if kind != "LSTM":
        return (CELLS[kind].forward.call(gates, hidden),)
    i, f, g, o = (p + q for p, q in zip(x, y, strict=True))
    c = _lstm_cell.call(i, f, g, o, state[1])
    h = _lstm_out.call(o, c)
    return (h if proj is None else linear(h, proj), c)


# ---- all steps ----


class Steps:
    """How the rows of a packed sequence make time steps, and what backward needs of a scan."""

    __slots__ = (
        "biased",
        "cells",
        "kept",
        "kind",
        "made",
        "offsets",
        "order",
        "projected",
        "recorded",
        "sizes",
    )
    recorded: bool  # whether there will be a backward, which needs what follows
    kept: Any  # the gates of each row
    cells: Any  # the cell state of each row
    made: Any  # what is projected to the output rows

    def __init__(
        self, kind: str, sizes: Sequence[int], reverse: bool, biased: bool, projected: bool
    ) -> None:
        self.kind, self.sizes, self.biased, self.projected = kind, sizes, biased, projected
        self.offsets = [0, *accumulate(sizes)]
        self.order = range(len(sizes))[:: -1 if reverse else 1]

    def parts(self, xs: Sequence[Any]) -> tuple[Any, ...]:
        """Gates, weight and first state (h, c or None), bias or None, projection or None."""
        gates, w, h, *rest = xs
        c = rest.pop(0) if self.kind == "LSTM" else None
        b = rest.pop(0) if self.biased else None
        return gates, w, h, c, b, rest.pop(0) if self.projected else None

    @property
    def even(self) -> bool:
        """Whether all steps have all the sequences."""
        return self.sizes[-1] == self.sizes[0]

    def rows(self, t: int) -> tuple[int, int]:
        """Where a step's rows begin, and how many there are."""
        return self.offsets[t], self.sizes[t]

    def last(self, out: Tensor) -> Tensor:
        """Of each sequence, the row of its last step in the order of the scan."""
        n, first = self.sizes[0], self.sizes[-1]
        if self.order.step < 0 or len(self.sizes) == 1:
            return narrow(out, 0, 0, n)
        if first == n:
            return narrow(out, 0, self.offsets[-2], n)
        return index_select(out, 0, tensor(self._lasts()))

    def _lasts(self) -> list[int]:
        found = {j: self.offsets[t] + j for t, size in enumerate(self.sizes) for j in range(size)}
        return [found[j] for j in range(self.sizes[0])]

    def before(self, out: Tensor, first: Tensor) -> Tensor:
        """For each row, the state that its step began with, of all states and the first."""
        sizes, n = self.sizes, self.sizes[0]
        if sizes[-1] == n:
            rest = out.shape[0] - n
            if self.order.step > 0:
                return cat([first, narrow(out, 0, 0, rest)])
            return cat([narrow(out, 0, n, rest), first])
        at: list[int] = []
        for t, size in enumerate(sizes):
            s = t - self.order.step
            held = sizes[s] if 0 <= s < len(sizes) else 0
            offset = self.offsets[s] if held else 0
            at += [offset + j if j < held else out.shape[0] + j for j in range(size)]
        return index_select(cat([out, first]), 0, tensor(at))


def _resized(x: Tensor, rows: int, first: Tensor) -> Tensor:
    """The states of so many sequences: those that begin now have their first."""
    have = x.shape[0]
    if rows <= have:
        return x if rows == have else narrow(x, 0, 0, rows)
    return cat([x, narrow(first, 0, have, rows - have)])


def composed(steps: Steps, xs: Sequence[Tensor]) -> Tensor:
    """A scan of differentiable operations, a step after the other."""
    gates, w, *first, b, proj = steps.parts(xs)
    first = [x for x in first if x is not None]
    state = [narrow(x, 0, 0, 0) for x in first]
    states: list[Any] = [None] * len(steps.sizes)
    for t in steps.order:
        offset, rows = steps.rows(t)
        state = [_resized(x, rows, one) for x, one in zip(state, first, strict=True)]
        state = list(cell_step(narrow(gates, 0, offset, rows), steps.kind, state, w, b, proj))
        states[t] = state
    flat = [reshape(cat([s[0] for s in states]), -1)]
    if steps.kind == "LSTM":
        flat.append(reshape(steps.last(cat([s[1] for s in states])), -1))
    return cat(flat) if len(flat) > 1 else flat[0]


def _columns(p: Any, offset: int, rows: int, parts: int) -> list[Any]:
    """Some rows of a contiguous matrix, in so many parts of equal width."""
    width = p.shape[1]
    size, start = width // parts, lib.ad_offset(p) + offset * width
    return [
        fresh(lib.ad_as_strided(p, 2, (rows, size), (width, 1), start + k * size), "scan", p)
        for k in range(parts)
    ]


def _empty(like: Any, rows: int, columns: int) -> Any:
    return fresh(lib.ad_empty(like.dtype, 2, (rows, columns)), "scan")


def _zeros(like: Any, rows: int, columns: int) -> Any:
    return fresh(lib.ad_full_f64(like.dtype, 2, (rows, columns), 0.0), "scan")


def _product(a: Any, b: Any, bias: Any, flags: int) -> Any:
    return fresh(lib.ad_matmul_t(a, b, bias, flags), "matmul", a, b)


def _natively(
    call: Callable[..., int], op: PointwiseOp, steps: Steps, ins: list[Any], outs: list[Any]
) -> None:
    """All steps of sequences of one length by one call."""
    given, made = (descriptors([NULL if p is None else p for p in ps]) for ps in (ins, outs))
    gates, reverse = CELLS[steps.kind].gates, steps.order.step < 0
    while call(op.native, gates, len(steps.sizes), reverse, given, made):
        op.specialise(take_failure(), [wrap(p) for p in ins if p is not None])


def _dense(p: Any) -> Any:
    return p if p is None or p.contiguous else fresh(lib.ad_contiguous(p, p.dtype), "scan", p)


def _forward(*args: Any) -> Any:
    steps: Steps = args[-1]
    gates, w, h0, c0, b, proj = steps.parts(args[:-1])
    cell, total = CELLS[steps.kind], steps.offsets[-1]
    gates = _dense(gates)
    hidden = gates.shape[1] // cell.gates
    last = 0 if c0 is None else h0.shape[0] * hidden
    flat = _empty(gates, 1, total * h0.shape[1] + last)
    out = fresh(lib.ad_as_strided(flat, 2, (total, h0.shape[1]), (h0.shape[1], 1), 0), "scan", flat)
    native = steps.even and proj is None
    keeps = cell.kept and (steps.recorded or not native)
    kept = steps.kept = _empty(gates, total, cell.kept * hidden) if keeps else None
    cells = steps.cells = None if c0 is None else _empty(gates, total, hidden)
    made = steps.made = out if proj is None else _empty(gates, total, hidden)
    bias = NULL if b is None else b
    if native:
        ins = [gates, w, _dense(h0), _dense(c0), _dense(b)]
        _natively(lib.ad_recur, cell.forward, steps, ins, [out, cells, kept])
        return _flat(steps, flat, cells)
    first = [wrap(h0)] if c0 is None else [wrap(h0), wrap(c0)]
    state = [narrow(x, 0, 0, 0) for x in first]
    for t in steps.order:
        at, rows = steps.rows(t)
        state = [_resized(x, rows, one) for x, one in zip(state, first, strict=True)]
        h = state[0]._p
        z = _product(h, w, bias, 2)
        (new,) = _columns(made, at, rows, 1)
        given = [*_columns(gates, at, rows, cell.gates), *_columns(z, 0, rows, cell.gates)]
        if steps.kind == "LSTM":
            c = _columns(cells, at, rows, 1)
            keep = _columns(kept, at, rows, 4)
            cell.forward.write_all([*given, state[1]._p], [new, *c, *keep])
            state = [wrap(new), wrap(c[0])]
        else:
            keep = _columns(kept, at, rows, cell.kept) if cell.kept else []
            cell.forward.write_all([*given, h] if keep else given, [new, *keep])
            state = [wrap(new)]
        if proj is not None:
            (row,) = _columns(out, at, rows, 1)
            product = _product(new, proj, NULL, 2)
            lib.ad_copy(row, product)
            state[0] = wrap(row)
    return _flat(steps, flat, cells)


def _flat(steps: Steps, flat: Any, cells: Any) -> Any:
    """The result of a scan: memory that has the output rows, and room for the last of these."""
    found = wrap(flat).view(-1)
    if cells is not None:
        last = steps.last(wrap(cells)).view(-1)
        narrow(found, 0, found.shape[0] - last.shape[0], last.shape[0]).copy_(last)
    return lib.ad_alias(found._p)


def _sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
    """Back through the steps; what is summed over all of them is one product at the end."""
    steps: Steps = node.args[0]
    *xs, y = node.unpack()
    gates, w, h0, c0, _, proj = steps.parts(xs)
    cell, total, width = CELLS[steps.kind], steps.offsets[-1], h0.shape[1]
    out = wrap(y).narrow(0, 0, total * width).view(total, width)
    g = g.contiguous()
    gy = g.narrow(0, 0, total * width).view(total, width)
    before = steps.before(out, wrap(h0))
    dgates = _empty(gates, total, gates.shape[1])
    dhidden = _empty(gates, total, gates.shape[1]) if steps.kind == "GRU" else dgates
    dout = None if proj is None else _empty(gates, total, width)
    n = steps.sizes[0]
    zeros = wrap(h0).new_zeros((n, width))
    ends, firsts = [zeros], [zeros.clone()]
    if c0 is not None:
        c_before = steps.before(wrap(steps.cells), wrap(c0))
        ends.append(g.narrow(0, total * width, n * c0.shape[1]).view(n, c0.shape[1]))
        firsts.append(wrap(c0).new_zeros((n, c0.shape[1])))
    if steps.even and proj is None:
        c = None if c0 is None else ends[1].contiguous()._p
        held = before._p if c0 is None else c_before._p
        after = steps.cells if c0 is not None else None if cell.kept else out._p
        ins = [gy._p, w, steps.kept, held if cell.kept else None, after, c]
        outs = [dgates, None if dhidden is dgates else dhidden, *(x._p for x in firsts), None][:4]
        _natively(lib.ad_recur_vjp, cell.backward, steps, ins, outs)
        return _cotangents(node, steps, xs, before._p, dgates, dhidden, dout, firsts)
    state = [x.narrow(0, 0, 0) for x in ends]
    for t in reversed(steps.order):
        at, rows = steps.rows(t)
        state = _through(state, rows, ends, firsts)
        gh, gs = gy.narrow(0, at, rows)._p, state[0]._p
        if proj is not None and dout is not None:
            dh = wrap(gh) + state[0]
            lib.ad_copy(_columns(dout, at, rows, 1)[0], dh._p)
            gh = _product(dh._p, proj, NULL, 0)
            gs = _zeros(gates, rows, c0.shape[1])
        dz = _columns(dgates, at, rows, cell.gates)
        if steps.kind == "LSTM":
            dc = _empty(gates, rows, c0.shape[1])
            held = [*_columns(steps.kept, at, rows, 4), *_columns(c_before._p, at, rows, 1)]
            held += [*_columns(steps.cells, at, rows, 1), gh, gs, state[1]._p]
            cell.backward.write_all(held, [*dz, dc])
            state = [state[0], wrap(dc)]
        elif steps.kind == "GRU":
            direct = _empty(gates, rows, width)
            held = [*_columns(steps.kept, at, rows, 4), *_columns(before._p, at, rows, 1)]
            held += [gh, gs, _zeros(gates, rows, width)]
            cell.backward.write_all(held, [*dz, *_columns(dhidden, at, rows, 3), direct])
        else:
            cell.backward.write_all([*_columns(out._p, at, rows, 1), gh, gs], dz)
        (d,) = _columns(dhidden, at, rows, 1)
        state[0] = wrap(_product(d, w, NULL, 0))
        if steps.kind == "GRU":
            state[0].add_(wrap(direct))
    _through(state, 0, ends, firsts)
    return _cotangents(node, steps, xs, before._p, dgates, dhidden, dout, firsts)


def _cotangents(
    node: OpNode,
    steps: Steps,
    xs: Sequence[Any],
    before: Any,
    dgates: Any,
    dhidden: Any,
    dout: Any,
    firsts: Sequence[Tensor],
) -> list[Tensor | None]:
    """The cotangents of all inputs: what is summed over the rows is one product."""
    found: list[Tensor | None] = [wrap(dgates)]
    found.append(wrap(_product(dhidden, before, NULL, 1)) if node.needs(1) else None)
    found += firsts
    if steps.biased:
        found.append(wrap(dhidden).sum(0) if node.needs(len(found)) else None)
    if steps.projected:
        found.append(wrap(_product(dout, steps.made, NULL, 1)))
    return found


def _through(
    state: Sequence[Tensor], rows: int, ends: Sequence[Tensor], firsts: Sequence[Tensor]
) -> list[Tensor]:
    """The cotangents of a state, of so many sequences: those of what began here are put away."""
    for x, first in zip(state, firsts, strict=True):
        if rows < x.shape[0]:
            narrow(first, 0, rows, x.shape[0] - rows).copy_(narrow(x, 0, rows, x.shape[0] - rows))
    return [_resized(x, rows, end) for x, end in zip(state, ends, strict=True)]


def _rule(node: OpNode, g: Tensor, *saved: Tensor) -> Sequence[Tensor | None]:
    if not mode.grad:  # a walk to chosen inputs, that records nothing
        return _sweep(node, g)
    return cotangents_of(lambda *xs: composed(node.args[0], xs), node, g, saved[:-1])


_OPS = {
    n: Op(
        f"recurrent_{n}",
        _forward,
        _rule,
        saves=(*range(n), -1),
        grad_name="RecurrentBackward0",
        sweep=_sweep,
    )
    for n in range(3, 7)
}


@in_float32
def scan(gates: Tensor, steps: Steps, w: Tensor, *rest: Tensor | None) -> tuple[Tensor, ...]:
    """The output rows of all steps and the last state: h, and c of LSTM.

    `rest` is the first h, the first c (LSTM), and where they are there the bias and the projection.
    """
    given = [gates, w, *[x for x in rest if x is not None]]
    h = given[2]
    total, n, width = steps.offsets[-1], steps.sizes[0], h.shape[1]
    steps.recorded = mode.grad and any(live_node(x) is not None for x in given)
    flat = _OPS[len(given)].on(given, steps)
    if steps.kind != "LSTM":
        out = reshape(flat, (total, width))
        return out, steps.last(out)
    out = reshape(narrow(flat, 0, 0, total * width), (total, width))
    cells = narrow(flat, 0, total * width, flat.shape[0] - total * width)
    return out, steps.last(out), reshape(cells, (n, given[3].shape[1]))
