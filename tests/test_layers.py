"""Layers with state are PyTorch's: values, gradients, buffers, texts, initial numbers, errors."""

from __future__ import annotations

import copy
import functools
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


MASKS: dict[str, Any] = {
    "none": lambda rows, keys: None,
    "of keys": lambda rows, keys: ad.rand(2, 1, 1, keys) < 0.3,
    "of queries": lambda rows, keys: ad.randn(rows, 1, dtype=ad.float64),
    "turned": lambda rows, keys: ad.randn(3, keys, rows, dtype=ad.float64).mT,
    "turned bools": lambda rows, keys: (ad.rand(keys, rows) < 0.5).T,
    "of everything": lambda rows, keys: ad.zeros(keys, dtype=ad.bool),
}


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("mask", [*MASKS, "causal"])
def test_attention_by_blocks_is_attention(mask: str, p: float) -> None:
    causal = mask == "causal"
    for rows, keys, width, depth in (
        (70, 150, 4, 3),
        (130, 70, 1, 2),
        (33, 1, 2, 1),
        (1, 40, 3, 5),
    ):
        ad.manual_seed(rows)
        given = [
            ad.randn(*lead, *sizes, dtype=ad.float64).requires_grad_()
            for lead, sizes in (((2, 1), (rows, width)), ((3,), (keys, width)), ((), (keys, depth)))
        ]
        if (more := MASKS.get(mask, MASKS["none"])(rows, keys)) is not None:
            given.append(more)
        g = ad.randn(depth, rows, dtype=ad.float64).T.expand(2, 3, rows, depth)
        found = []
        for whole in (True, False):
            ad.manual_seed(5)
            ad.rand(3)
            asked = attention.Asked(causal, 0.5, p)
            if whole:
                y = attention.composed(asked, *given)
            else:
                y = functional.scaled_dot_product_attention(
                    *given[:3], more, p, is_causal=causal, scale=0.5
                )
            plain = ad.autograd.grad(y, given[:3], g, retain_graph=True)
            first = ad.autograd.grad(y, given[:3], g, create_graph=True)
            total = sum((x * x).sum() for x in first)
            second = ad.autograd.grad(total, given[:3], allow_unused=True)
            others = [x for x in second if x is not None]
            found.append([y, *plain, *first, *others, ad.rand(3)])
        for a, b in zip(*found, strict=True):
            assert ad.allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.2])
def test_attention_to_many_keys_takes_little_memory(p: float) -> None:
    q, k, v = (ad.randn(3000, 8).requires_grad_() for _ in range(3))
    stats = ffi.new("int64_t[4]")
    for mask in (None, ad.rand(3000) < 0.5):
        lib.ad_memory_reset_peak()
        lib.ad_memory_stats(stats)
        before = stats[0]
        functional.scaled_dot_product_attention(q, k, v, mask, p).sum().backward()
        lib.ad_memory_stats(stats)
        assert stats[2] - before < 4_000_000  # all scores at once are 36 MB


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


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_the_last_bag_ends_where_the_last_offset_says(mode: str) -> None:
    """PyTorch's sums are these, its slopes, means and maxima count what is past the end."""
    rows, numbers = ad.arange(12.0).view(6, 2).requires_grad_(), ad.tensor([1, 2, 5])
    bag = functools.partial(functional.embedding_bag, mode=mode, include_last_offset=True)
    got = bag(numbers, rows, ad.tensor([0, 0, 2]))
    want = functional.embedding_bag(numbers[:2], rows, ad.tensor([0, 0]), mode=mode)
    assert got.tolist() == want.tolist()
    (slope,) = ad.autograd.grad(got.sum(), rows)
    assert slope[5].tolist() == [0.0, 0.0]
    assert bag(numbers, rows, ad.tensor([0])).shape == (0, 2)
    with pytest.raises(RuntimeError, match="at least 1"):
        bag(numbers, rows, ad.tensor([], dtype=ad.int64))
    with pytest.raises(IndexError, match="offset -1 is negative"):
        bag(numbers, rows, ad.tensor([0, -1, 2]))
