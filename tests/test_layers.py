"""Layers with state are PyTorch's: values, gradients, buffers, texts, initial numbers, errors."""

from __future__ import annotations

import copy
import json
import math
import pickle
import warnings
from typing import Any

import pytest
from golden.record_layers import ERRORS, GOLDEN, NUMBERS
from golden.recording import failure

import autodiff as ad
from autodiff import nn
from autodiff.native import ffi, lib
from autodiff.nn import functional
from autodiff.ops import attention

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())


def differences(got: Any, expected: Any, tolerance: float, path: str = "") -> list[str]:
    """Where two nests of numbers and texts differ."""
    if isinstance(expected, list):
        if not isinstance(got, (list, tuple)) or len(got) != len(expected):
            return [f"{path}: {got} instead of {expected}"]
        return [
            text
            for i, pair in enumerate(zip(got, expected, strict=True))
            for text in differences(*pair, tolerance, f"{path}.{i}")
        ]
    if isinstance(expected, float) and isinstance(got, (int, float)):
        near = math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance)
        same = near or (got != got and expected != expected)
    else:
        same = got == expected
    return [] if same else [f"{path}: {got!r} instead of {expected!r}"]


@pytest.mark.parametrize("name", RECORD["numbers"])
def test_same_as_pytorch(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = NUMBERS[name](ad)
    wrong = differences(got, RECORD["numbers"][name], 2e-5 if "float32" in name else 1e-10)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("name", RECORD["errors"])
def test_refused_as_pytorch_refuses(name: str) -> None:
    kind, text = failure(ERRORS[name], ad)
    expected, words = RECORD["errors"][name]
    assert kind == expected
    assert text.startswith(words)  # and may say more


def test_every_case_is_recorded() -> None:
    assert list(RECORD["numbers"]) == list(NUMBERS)
    assert list(RECORD["errors"]) == list(ERRORS)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 40), (1, 50), (70,)])
def test_attention_by_blocks_is_attention(
    causal: bool, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "BLOCK", 1)
    q, k, v = (
        ad.randn(*shape[:-1], n, 4, dtype=ad.float64).requires_grad_() for n in (shape[-1], 37, 37)
    )
    for mask in (None,) if causal else (None, ad.rand(shape[-1], 37) < 0.5, ad.randn(37).double()):
        given = (q, k, v) if mask is None else (q, k, v, mask)
        whole = attention.composed(attention.Asked(causal, 0.5), *given)
        blocks = functional.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, 0.5)
        assert ad.allclose(whole, blocks, rtol=1e-12)
        g = ad.randn(whole.shape, dtype=ad.float64)
        each = [ad.autograd.grad(y, (q, k, v), g) for y in (whole, blocks)]
        for a, b in zip(*each, strict=True):
            assert ad.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_attention_to_many_keys_takes_little_memory() -> None:
    q, k, v = (ad.randn(3000, 8).requires_grad_() for _ in range(3))
    stats = ffi.new("int64_t[4]")
    lib.ad_memory_reset_peak()
    lib.ad_memory_stats(stats)
    before = stats[0]
    functional.scaled_dot_product_attention(q, k, v).sum().backward()
    lib.ad_memory_stats(stats)
    assert (
        stats[2] - before < 20_000_000
    )  # all scores at once are 36 MB, and there would be several


def test_copies_of_parametrized_modules_are_apart() -> None:
    module = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    other = copy.deepcopy(module)
    nn.utils.parametrize.remove_parametrizations(other, "weight")
    assert type(other) is nn.Linear
    assert ad.equal(module.weight, other.weight)
    module.weight = ad.ones(3, 2)
    assert ad.allclose(module.weight, ad.ones(3, 2))
    assert not ad.equal(module.weight, other.weight)
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(module)


@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(3, 4, 2),
        nn.BatchNorm2d(3),
        nn.MultiheadAttention(4, 2),
        nn.TransformerEncoderLayer(4, 2, 6),
        nn.Embedding(3, 2, padding_idx=1),
        nn.GRUCell(3, 2, bias=False),
        nn.LazyLinear(3),
    ],
    ids=lambda m: type(m).__name__,
)
def test_modules_are_copied_and_pickled_whole(module: nn.Module) -> None:
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(other) == repr(module)
        assert list(other.state_dict()) == list(module.state_dict())
        if not isinstance(module, nn.LazyLinear):
            pairs = zip(module.state_dict().values(), other.state_dict().values(), strict=True)
            assert all(ad.equal(a, b) and a.data_ptr() != b.data_ptr() for a, b in pairs)
