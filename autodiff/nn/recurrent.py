"""Recurrent layers over whole sequences, padded or packed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.nn import functional, init
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.nn.utils.rnn import PackedSequence
from autodiff.node import mode
from autodiff.ops.cells import CELLS
from autodiff.ops.contraction import linear
from autodiff.ops.create import empty, zeros
from autodiff.ops.join import cat, stack
from autodiff.ops.recurrent import scan
from autodiff.ops.slices import index_select
from autodiff.ops.steps import Steps
from autodiff.ops.views import reshape, transpose
from autodiff.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

_KINDS = dict.fromkeys(["bias", "batch_first"], bool) | dict.fromkeys(
    ["input_size", "hidden_size", "num_layers"], int
)


class RNNBase(Module):
    """What RNN, LSTM and GRU share: several layers, each in one direction or in both.

    The input is (steps, batch, input_size), batch first if `batch_first`, or without a batch, or a
    PackedSequence; the output has hidden_size (or proj_size) features a direction. The state is
    (layers * directions, batch, hidden_size). Dropout is between layers, in training. All weights
    start uniform on +-1/sqrt(hidden_size).

    >>> [name for name, _ in nn.RNN(3, 4).named_parameters()]
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_sizes(dropout)
        check_device(type(self).__name__, device)
        if mode not in CELLS:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self._all_weights: list[list[str]] = []
        out, ends = proj_size or hidden_size, ("", "_reverse")[: 1 + bidirectional]
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * len(ends)
            for end in ends:
                shapes = {f"{name}_l{layer}{end}": n for name, n in self._shapes(width).items()}
                for name, shape in shapes.items():
                    setattr(self, name, Parameter(empty(*shape, dtype=dtype)))
                self._all_weights.append(list(shapes))
        self._flat_weights_names = [name for names in self._all_weights for name in names]
        self.reset_parameters()

    def _shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        """The parameters of a layer in one direction, of an input of so many features."""
        rows = CELLS[self.mode].gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, width),
            "weight_hh": (rows, self.proj_size or self.hidden_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    def _check_sizes(self, dropout: float) -> None:
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={self.num_layers}",
                stacklevel=4,
            )
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                found = type(value).__name__
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {found}")
            if kind is int and value <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: the weights are used where they lie."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults: dict[str, Any] = {"proj_size": 0, "num_layers": 1, "bias": True}
        defaults |= {"batch_first": False, "dropout": 0, "bidirectional": False}
        for name, default in defaults.items():
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text

    # ---- calls ----

    def _check_state(self, state: Sequence[Tensor], batch: int) -> None:
        layers = self.num_layers * (2 if self.bidirectional else 1)
        for i, (x, size) in enumerate(zip(state, self._state_sizes(), strict=True)):
            expected = (layers, batch, size)
            if x.shape != expected:
                which = f" hidden[{i}]" if len(state) > 1 else " hidden"
                raise RuntimeError(f"Expected{which} size {expected}, got {list(x.shape)}")

    def _state_sizes(self) -> tuple[int, ...]:
        out = self.proj_size or self.hidden_size
        return (out, self.hidden_size) if self.mode == "LSTM" else (out,)

    def _given_state(self, hx: Any, x: Tensor, batched: bool) -> list[Tensor]:
        """The state as a list of tensors with a batch; dims are checked against the input's."""
        state = [hx[0], hx[1]] if self.mode == "LSTM" else [hx]
        wanted = 3 if batched else 2
        if any(s.dim() != wanted for s in state):
            what = "batched 3-D" if batched else "unbatched 2-D"
            names = " and ".join(("hx", "cx")[: len(state)])
            dims = ", ".join(f"{s.dim()}-D" for s in state)
            got = f"({dims}) tensors" if len(state) > 1 else f"{dims} tensor"
            raise RuntimeError(f"For {what} input, {names} should also be {wanted}-D but got {got}")
        return state if batched else [s.unsqueeze(1) for s in state]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The outputs of all steps, and the last state: h, or (h, c) of LSTM."""
        packed = isinstance(input, PackedSequence)
        if packed:
            return self._packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D instead"
            )
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(1)
        x = transpose(x, 0, 1) if batched and self.batch_first else x
        steps, batch, width = x.shape
        state = None if hx is None else self._given_state(hx, x, batched)
        self._check_input(x, width)
        if not steps:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        rows = reshape(x, (steps * batch, width))
        y, after = self._run(rows, [batch] * steps, batch, state)
        y = reshape(y, (steps, batch, y.shape[1]))
        if not batched:
            y, after = y.squeeze(1), [s.squeeze(1) for s in after]
        elif self.batch_first:
            y = transpose(y, 0, 1)
        return y, tuple(after) if self.mode == "LSTM" else after[0]

    def _check_input(self, x: Tensor, width: int) -> None:
        weight: Tensor = self.__dict__[self._flat_weights_names[0]]
        if x.dtype is not weight.dtype and mode.autocast is None:
            raise ValueError(
                f"RNN input dtype ({x.dtype!r}) does not match weight dtype ({weight.dtype!r}). "
                f"Convert input: input.to({weight.dtype!r}), or convert model: "
                f"model.to({x.dtype!r})"
            )
        if width != self.input_size:
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {width}"
            )

    def _packed(self, sequence: PackedSequence, hx: Any) -> Any:
        x, order = sequence.data, sequence.sorted_indices
        sizes = sequence.batch_sizes.tolist()
        state = None if hx is None else self._given_state(hx, x, True)
        if state is not None and order is not None:
            state = [index_select(s, 1, order) for s in state]
        self._check_input(x, x.shape[-1])
        y, after = self._run(x, sizes, sizes[0], state)
        back = sequence.unsorted_indices
        if back is not None:
            after = [index_select(s, 1, back) for s in after]
        y = PackedSequence(y, *sequence[1:])
        return y, tuple(after) if self.mode == "LSTM" else after[0]

    def _run(
        self, x: Tensor, sizes: Sequence[int], batch: int, state: Sequence[Tensor] | None
    ) -> tuple[Any, list[Tensor]]:
        """Packed rows through all layers: the rows of the last, and the states after."""
        if state is not None:
            self._check_state(state, batch)
        if not batch:
            return self._nothing(x, sizes)
        first = [zeros((batch, n), dtype=x.dtype) for n in self._state_sizes()]
        ends: list[tuple[Tensor, ...]] = []
        directions = 2 if self.bidirectional else 1
        values = self.__dict__
        for layer in range(self.num_layers):
            outs = []
            for direction in range(directions):
                i = layer * directions + direction
                begin = first if state is None else [s[i] for s in state]
                w, u, *more = [values[name] for name in self._all_weights[i]]
                b, hidden = more[:2] if self.bias else (None, None)
                proj = more[-1] if self.proj_size else None
                steps = Steps(self.mode, sizes, direction == 1, self.bias, proj is not None)
                y, *end = scan(linear(x, w, b), steps, u, *begin, hidden, proj)
                outs.append(y)
                ends.append(tuple(end))
            x = outs[0] if directions == 1 else cat(outs, 1)
            if self.dropout and layer < self.num_layers - 1:
                x = functional.dropout(x, self.dropout, self.training)
        return x, [stack(each) for each in zip(*ends, strict=True)]

    def _nothing(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        directions = 2 if self.bidirectional else 1
        layers, widths = self.num_layers * directions, self._state_sizes()
        nil = sum((w.sum() for w in self.parameters()), x.sum())  # what the results depend on
        after = [zeros((layers, 0, n), dtype=x.dtype) + nil for n in widths]
        return zeros((0, directions * widths[0]), dtype=x.dtype) + nil, after


class RNN(RNNBase):
    """h = tanh(W x + b + U h + c) at each step, or relu of it; see RNNBase.

    >>> output, h = nn.RNN(3, 4, num_layers=2)(ad.zeros(5, 1, 3))
    >>> output.shape, h.shape
    (torch.Size([5, 1, 4]), torch.Size([2, 1, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Gates i, f, o and candidate g at each step: c = f c + i g, h = o tanh(c); see RNNBase.

    >>> output, (h, c) = nn.LSTM(3, 4, batch_first=True)(ad.zeros(1, 5, 3))
    >>> output.shape, h.shape, c.shape
    (torch.Size([1, 5, 4]), torch.Size([1, 1, 4]), torch.Size([1, 1, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gates r, z and n = tanh(W x + b + r (U h + c)) at each step: h = n + z (h - n).

    >>> output, h = nn.GRU(3, 4, bidirectional=True)(ad.zeros(5, 1, 3))
    >>> output.shape, h.shape
    (torch.Size([5, 1, 8]), torch.Size([2, 1, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


# ---- cells ----
