"""Recurrent layers and their cells as functions of weights, as PyTorch has them at the top."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.func.stateful import functional_call
from autodiff.nn import functional as F
from autodiff.nn.recurrent import RNNBase
from autodiff.nn.utils import skip_init
from autodiff.nn.utils.rnn import PackedSequence
from autodiff.ops.cells import CELLS, cell_step
from autodiff.ops.everyday import is_tensor
from autodiff.tensor import Tensor

HOME = "autodiff.at_top"  # where these are found


def cell_of(name: str, kind: str) -> Any:
    """A step of a recurrent layer, as a function of its weights."""

    def function(
        input: Tensor,
        hx: Any,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Any:
        state = tuple(hx) if kind == "LSTM" else (hx,)
        after = cell_step(F.linear(input, w_ih, b_ih), kind, state, w_hh, b_hh, None)
        return tuple(after) if kind == "LSTM" else after[0]

    function.__name__ = function.__qualname__ = name
    function.__module__ = HOME
    state = "[ad.zeros(1, 1)] * 2" if kind == "LSTM" else "ad.zeros(1, 1)"
    gates = CELLS[kind].gates
    function.__doc__ = (
        f"A step of `nn.{kind.partition('_')[0]}Cell` of these weights, from a state.\n\n"
        f">>> y = ad.{name}(ad.ones(1, 2), {state}, ad.ones({gates}, 2), ad.ones({gates}, 1))\n"
        f">>> y{'[0]' * (kind == 'LSTM')}.shape\ntorch.Size([1, 1])"
    )
    return function


def layer_of(name: str, kind: str) -> Any:
    """A recurrent layer, as a function of its weights."""

    def function(
        input: Tensor,
        hx: Any,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        if len(params) < 2:
            raise RuntimeError(
                f"{name}(): got {len(params)} weights, but needs two a layer or more"
            )
        h, hidden = (hx[0] if kind == "LSTM" else hx), params[1].shape[0] // CELLS[kind].gates
        width = h.shape[-1] if h.shape[-1] != hidden else 0
        rows = input.data if isinstance(input, PackedSequence) else input
        sizes = (rows.shape[-1], hidden, num_layers, has_biases, batch_first, dropout)
        layer = skip_init(RNNBase, kind, *sizes, bidirectional, width).train(train)
        names = [each for each, _ in layer.named_parameters()]
        if len(names) != len(params):
            raise RuntimeError(f"{name}(): got {len(params)} weights, but needs {len(names)}")
        y, after = functional_call(layer, dict(zip(names, params, strict=True)), (input, hx))
        return (y, *after) if kind == "LSTM" else (y, after)

    function.__name__ = function.__qualname__ = name
    function.__module__ = HOME
    layer = "RNN" if kind.startswith("RNN") else kind
    state = "ad.zeros(1, 1, 1)"
    state = f"[{state}] * 2" if kind == "LSTM" else state
    gates = CELLS[kind].gates
    weights = f"[ad.ones({gates}, 2), ad.ones({gates}, 1)]"
    function.__doc__ = (
        f"`nn.{layer}` of these weights, from a state: the outputs, and the state after.\n\n"
        "Of packed sequences: their data, batch_sizes, the state, weights, and the options after "
        "them, but `batch_first`.\n\n"
        f">>> found = ad.{name}(ad.ones(3, 1, 2), {state}, {weights},\n"
        "...     False, 1, 0.0, False, False, False)\n>>> found[0].shape\ntorch.Size([3, 1, 1])"
    )
    return function


def or_packed(layer: Callable[..., Any], checked: Callable[..., Any]) -> Any:
    """A layer, which looks at no types, of packed sequences; else as it is checked."""

    @functools.wraps(layer)
    def either(*args: Any, **kwargs: Any) -> Any:
        rows: Any = args[:2]
        if len(args) == 9 and isinstance(args[3], (tuple, list)) and all(map(is_tensor, rows)):
            y, *after = layer(PackedSequence(*rows), *args[2:], False)
            return (y.data, *after)
        return checked(*args, **kwargs)

    return either
