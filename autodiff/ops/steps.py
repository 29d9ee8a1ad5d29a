"""How the rows of packed sequences make time steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from autodiff.ops.convert import tensor
from autodiff.ops.join import cat
from autodiff.ops.slices import index_select
from autodiff.ops.views import narrow
from autodiff.tensor import Tensor


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
        "states",
    )
    recorded: bool  # whether there will be a backward, which needs what follows
    kept: Any  # the gates of each row
    states: Any  # the state of each row beside the first (`begun`): the result may be written to
    cells: Any  # the same of cell states
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
    def native(self) -> bool:
        """Whether one native call does: all steps have all the sequences, nothing is projected."""
        return self.sizes[-1] == self.sizes[0] and not self.projected

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

    @property
    def _ahead(self) -> int:
        """How many rows of a first state lie before those of all states: else they lie behind."""
        n = self.sizes[0]
        return n if self.order.step > 0 and self.sizes[-1] == n else 0

    def begun(self, whole: Tensor, first: Tensor) -> Tensor:
        """The states of all rows, which lie beside the first one, that is put there."""
        n, rows, ahead = self.sizes[0], self.offsets[-1], self._ahead
        narrow(whole, 0, 0 if ahead else rows, n).copy_(first)
        return narrow(whole, 0, ahead, rows)

    def after(self, whole: Tensor) -> Tensor:
        """For each row, the state that its step ended with."""
        return narrow(whole, 0, self._ahead, self.offsets[-1])

    def before(self, whole: Tensor) -> Tensor:
        """For each row, the state that its step began with."""
        sizes, rows = self.sizes, self.offsets[-1]
        if sizes[-1] == sizes[0]:
            return narrow(whole, 0, 0 if self._ahead else sizes[0], rows)
        at: list[int] = []
        for t, size in enumerate(sizes):
            s = t - self.order.step
            held = sizes[s] if 0 <= s < len(sizes) else 0
            offset = self.offsets[s] if held else 0
            at += [offset + j if j < held else rows + j for j in range(size)]
        return index_select(whole, 0, tensor(at))


def resized(x: Tensor, rows: int, first: Tensor) -> Tensor:
    """The states of so many sequences: those that begin now have their first."""
    have = x.shape[0]
    if rows <= have:
        return x if rows == have else narrow(x, 0, 0, rows)
    return cat([x, narrow(first, 0, have, rows - have)])
