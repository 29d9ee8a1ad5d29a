"""Recurrent layers: one direction of one layer over all its time steps, as one operation.

Its input is packed: the rows of step 0, then those of step 1 ..., of sequences ordered by length,
so that step t has the first `sizes[t]` of them; the product of the inputs with their weights is
made before, for all steps at once. The result is flat: the output rows, then (LSTM) the last cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.descriptor import fresh
from autodiff.native import NULL, error, lib, take_failure
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode
from autodiff.ops.cells import CELLS, cell_step
from autodiff.ops.halves import in_float32
from autodiff.ops.join import cat
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.steps import Steps, resized
from autodiff.ops.views import narrow, reshape
from autodiff.tensor import Tensor, live_node, wrap


def composed(steps: Steps, xs: Sequence[Tensor]) -> Tensor:
    """A scan of differentiable operations, a step after the other."""
    gates, w, *first, b, proj = steps.parts(xs)
    first = [x for x in first if x is not None]
    state = [narrow(x, 0, 0, 0) for x in first]
    states: list[Any] = [None] * len(steps.sizes)
    for t in steps.order:
        offset, rows = steps.rows(t)
        state = [resized(x, rows, one) for x, one in zip(state, first, strict=True)]
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


def _rows(p: Any, start: int, rows: int, columns: int) -> Any:
    """A matrix of some of a contiguous vector."""
    return fresh(lib.ad_as_strided(p, 2, (rows, columns), (columns, 1), start), "scan", p)


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
    given, made = ([NULL if p is None else p for p in ps] for ps in (ins, outs))
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
    hidden, width, n = gates.shape[1] // cell.gates, h0.shape[1], h0.shape[0]
    more = 0 if c0 is None else n * hidden
    flat = fresh(lib.ad_empty(gates.dtype, 1, (total * width + more,)), "scan")
    out = _rows(flat, 0, total, width)
    last = None if c0 is None else _rows(flat, total * width, n, hidden)
    keeps = cell.kept and (steps.recorded or not steps.native)
    steps.kept = _empty(gates, total, cell.kept * hidden) if keeps else None
    steps.cells = None if c0 is None else wrap(_empty(gates, total + n, hidden))
    steps.states = wrap(_empty(gates, total + n, width)) if steps.recorded else None
    steps.made = out if proj is None else _empty(gates, total, hidden)
    if steps.native:
        cells, states = (None if x is None else x._p for x in (steps.cells, steps.states))
        ins = [gates, w, _dense(h0), _dense(c0), _dense(b)]
        _natively(lib.ad_recur, cell.forward, steps, ins, [out, cells, steps.kept, states, last])
    else:
        _step_by_step(steps, gates, out, last, args[:-1])
    return lib.ad_alias(flat)


def _step_by_step(steps: Steps, gates: Any, out: Any, last: Any, xs: Sequence[Any]) -> None:
    """The steps of sequences that differ in length, or are projected: to `out` and what is kept."""
    _, w, h0, c0, b, proj = steps.parts(xs)
    cell, kept = CELLS[steps.kind], steps.kept
    first = [wrap(h0)] if c0 is None else [wrap(h0), wrap(c0)]
    state = [narrow(x, 0, 0, 0) for x in first]
    cells = None if c0 is None else steps.begun(steps.cells, first[1])
    for t in steps.order:
        at, rows = steps.rows(t)
        state = [resized(x, rows, one) for x, one in zip(state, first, strict=True)]
        z = _product(state[0]._p, w, NULL if b is None else b, 2)
        news = _columns(steps.made, at, rows, 1)
        given, more = (_columns(p, i, rows, cell.gates) for p, i in ((z, 0), (gates, at)))
        for part, other in zip(given[: cell.summed], more, strict=False):
            wrap(part).add_(wrap(other))
        given += more[cell.summed :]
        if kept is not None:
            given.append(state[-1]._p)
        if cells is not None:
            news += _columns(cells._p, at, rows, 1)
        keep = [] if kept is None else _columns(kept, at, rows, cell.kept)
        cell.forward.write_all(given, [*news, *keep])
        state = [wrap(new) for new in news]
        if proj is not None:
            (row,) = _columns(out, at, rows, 1)
            product = _product(news[0], proj, NULL, 2)
            if lib.ad_copy(row, product):
                raise error("scan", row, product)
            state[0] = wrap(row)
    if cells is not None:
        wrap(last).copy_(steps.last(cells))
    if steps.states is not None:
        steps.begun(steps.states, first[0]).copy_(wrap(out))


class _Sweep:
    """Back through the steps; what is summed over all of them is one product at the end.

    `ends` are the cotangents of the last state, `firsts` become those of the first.
    """

    def __init__(self, node: OpNode, g: Tensor) -> None:
        steps: Steps = node.args[0]
        xs = node.unpack()
        gates, self.w, h0, c0, _, self.proj = steps.parts(xs)
        self.node, self.steps, self.cell, self.c0 = node, steps, CELLS[steps.kind], c0
        total, width, n = steps.offsets[-1], h0.shape[1], steps.sizes[0]
        self.out = steps.after(steps.states)._p
        g = g.contiguous()
        self.g = g.narrow(0, 0, total * width).view(total, width)
        self.before = self.held = steps.before(steps.states)._p
        self.gates = self.hidden = _empty(gates, total, gates.shape[1])
        if steps.kind == "GRU":
            self.hidden = _empty(gates, total, gates.shape[1])
        self.made = None if self.proj is None else _empty(gates, total, width)
        zeros = wrap(h0).new_zeros((n, width))
        self.ends, self.firsts = [zeros], [zeros.clone()]
        if c0 is not None:
            self.cells = steps.after(steps.cells)._p
            self.held = steps.before(steps.cells)._p
            self.ends.append(g.narrow(0, total * width, n * c0.shape[1]).view(n, c0.shape[1]))
            self.firsts.append(wrap(c0).new_zeros((n, c0.shape[1])))

    def natively(self) -> None:
        """All steps by one call."""
        steps, kept = self.steps, self.steps.kept
        c = None if self.c0 is None else self.ends[1].contiguous()._p
        after = self.cells if self.c0 is not None else None if kept is not None else self.out
        ins = [self.g._p, self.w, kept, None if kept is None else self.held, after, c]
        hidden = None if self.hidden is self.gates else self.hidden
        outs = [self.gates, hidden, *(x._p for x in self.firsts), None][:4]
        _natively(lib.ad_recur_vjp, self.cell.backward, steps, ins, outs)

    def step_by_step(self) -> None:
        """One step after the other, the last first."""
        steps = self.steps
        state = [x.narrow(0, 0, 0) for x in self.ends]
        for t in reversed(steps.order):
            at, rows = steps.rows(t)
            state = _through(state, rows, self.ends, self.firsts)
            gh, gs = self.g.narrow(0, at, rows)._p, state[0]._p
            if self.proj is not None:
                dh = wrap(gh) + state[0]
                if lib.ad_copy(_columns(self.made, at, rows, 1)[0], dh._p):
                    raise error("scan", dh._p)
                gh = _product(dh._p, self.proj, NULL, 0)
                gs = _zeros(gh, rows, gh.shape[1])
            state[1:], direct = self.step(at, rows, gh, gs, state[1:])
            (d,) = _columns(self.hidden, at, rows, 1)
            state[0] = wrap(_product(d, self.w, NULL, 0))
            if direct is not None:
                state[0].add_(direct)
        _through(state, 0, self.ends, self.firsts)

    def step(
        self, at: int, rows: int, gh: Any, gs: Any, cells: list[Tensor]
    ) -> tuple[list[Tensor], Tensor | None]:
        """The cotangents of a step's gates; those of c, and what GRU's h gets directly."""
        steps, cell = self.steps, self.cell
        dz = _columns(self.gates, at, rows, cell.gates)
        if steps.kept is None:
            cell.backward.write_all([*_columns(self.out, at, rows, 1), gh, gs], dz)
            return [], None
        held = [*_columns(steps.kept, at, rows, 4), *_columns(self.held, at, rows, 1)]
        by_itself = _empty(gh, rows, gh.shape[1])
        if self.c0 is not None:
            held += [*_columns(self.cells, at, rows, 1), gh, gs, cells[0]._p]
            cell.backward.write_all(held, [*dz, by_itself])
            return [wrap(by_itself)], None
        held += [gh, gs, _zeros(gh, rows, gh.shape[1])]
        cell.backward.write_all(held, [*dz, *_columns(self.hidden, at, rows, 3), by_itself])
        return [], wrap(by_itself)

    def cotangents(self) -> list[Tensor | None]:
        """Those of all inputs."""
        node, steps = self.node, self.steps
        found: list[Tensor | None] = [wrap(self.gates), None, *self.firsts]
        if node.needs(1):
            found[1] = wrap(_product(self.hidden, self.before, NULL, 1))
        if steps.biased:
            found.append(wrap(self.hidden).sum(0) if node.needs(len(found)) else None)
        if steps.projected:
            found.append(wrap(_product(self.made, steps.made, NULL, 1)))
        return found


def _sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
    sweep = _Sweep(node, g)
    if sweep.steps.native:
        sweep.natively()
    else:
        sweep.step_by_step()
    return sweep.cotangents()


def _through(
    state: Sequence[Tensor], rows: int, ends: Sequence[Tensor], firsts: Sequence[Tensor]
) -> list[Tensor]:
    """The cotangents of a state, of so many sequences: those of what began here are put away."""
    for x, first in zip(state, firsts, strict=True):
        if rows < x.shape[0]:
            narrow(first, 0, rows, x.shape[0] - rows).copy_(narrow(x, 0, rows, x.shape[0] - rows))
    return [resized(x, rows, end) for x, end in zip(state, ends, strict=True)]


def _rule(node: OpNode, g: Tensor, *saved: Tensor) -> Sequence[Tensor | None]:
    if not mode.grad:  # a walk to chosen inputs, that records nothing
        return _sweep(node, g)
    return cotangents_of(lambda *xs: composed(node.args[0], xs), node, g, saved)


_OPS = {
    n: Op(
        f"recurrent_{n}",
        _forward,
        _rule,
        saves=tuple(range(n)),
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
