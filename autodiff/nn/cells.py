"""Cells of recurrent layers: one step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.nn import init
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.cells import CELLS, cell_step
from autodiff.ops.contraction import linear
from autodiff.ops.create import empty, zeros
from autodiff.tensor import Tensor

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """One step of a recurrent layer: of (batch, input_size) or (input_size), and a state. Its
    weights have `num_chunks` times hidden_size rows.

    >>> nn.RNNCellBase(3, 4, bias=False, num_chunks=2).weight_hh.shape
    torch.Size([8, 4])
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        check_device(type(self).__name__, device)
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        kind = self.__dict__.get("nonlinearity", "tanh")
        return text if kind == "tanh" else f"{text}, nonlinearity={kind}"

    def _step(self, input: Tensor, state: Sequence[Tensor] | None, kind: str) -> list[Tensor]:
        if input.dim() not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.dim()}D instead"
            )
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        if x.shape[1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}"
            )
        for i, s in enumerate(state or ()):
            if s.dim() not in (1, 2):
                name, which = type(self).__name__, f"hx[{i}]" if kind == "LSTM" else "hidden"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {s.dim()}D instead")
        if state is None:
            first = zeros((x.shape[0], self.hidden_size), dtype=x.dtype)
            state = (first, first)
        elif not batched:
            state = [s.unsqueeze(0) for s in state]
        for s in state:
            if s.shape[0] != x.shape[0]:
                raise RuntimeError(
                    f"Input batch size {x.shape[0]} doesn't match hidden0 batch size {s.shape[0]}"
                )
            if s.shape[1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden0 has inconsistent hidden_size: got {s.shape[1]}, expected "
                    f"{self.hidden_size}"
                )
        gates = linear(x, self.weight_ih, self.bias_ih)
        after = cell_step(gates, kind, state, self.weight_hh, self.bias_hh, None)
        return list(after) if batched else [s.squeeze(0) for s in after]


class RNNCell(RNNCellBase):
    """h = tanh(W x + b + U h + c), or relu of it.

    >>> nn.RNNCell(3, 4)(ad.zeros(1, 3)).shape
    torch.Size([1, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        state = None if hx is None else (hx,)
        return self._step(input, state, f"RNN_{self.nonlinearity.upper()}")[0]


class _GatedCell(RNNCellBase):
    _kind: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, CELLS[self._kind].gates, device, dtype)


class LSTMCell(_GatedCell):
    """c = f c + i g and h = o tanh(c), of the gates i, f, o and the candidate g: (h, c).

    >>> h, c = nn.LSTMCell(3, 4)(ad.zeros(1, 3))
    >>> h.shape, c.shape
    (torch.Size([1, 4]), torch.Size([1, 4]))
    """

    _kind = "LSTM"

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        h, c = self._step(input, None if hx is None else (hx[0], hx[1]), self._kind)
        return h, c


class GRUCell(_GatedCell):
    """h = n + z (h - n), of the gates r, z and n = tanh(W x + b + r (U h + c)).

    >>> nn.GRUCell(3, 4)(ad.zeros(1, 3)).shape
    torch.Size([1, 4])
    """

    _kind = "GRU"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, None if hx is None else (hx,), self._kind)[0]
