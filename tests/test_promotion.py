"""Result dtypes are PyTorch's, for every pair of dtypes, 0-d tensors and Python numbers."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from golden.record_promotion import GOLDEN, combinations, letters
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import dtypes
from autodiff.ops.declare import FUNCTIONS

RECORDED: dict[str, str] = json.loads(GOLDEN.read_text())["letters"]
# Functions that also take what PyTorch refuses: numbers first, bools as integers of one bit.
LENIENT = {"abs", "relu", "pow", "floor_divide", "remainder", "fmod"}
LENIENT |= {"lt", "le", "gt", "ge", "eq", "ne", "bitwise_left_shift", "bitwise_right_shift"}


@pytest.mark.parametrize("name", RECORDED)
def test_result_dtype(name: str) -> None:
    got, expected = letters(ad, name), RECORDED[name]
    for args, ours, theirs in zip(combinations(ad, name), got, expected, strict=True):
        if theirs == "x" and name in LENIENT:
            continue
        assert ours == theirs, args


@pytest.mark.parametrize("text", ["b - i", "i - b", "b - 1", "i - True", "1 - b", "i.sub_(b)"])
def test_bools_are_not_subtracted(text: str) -> None:
    with pytest.raises(RuntimeError, match="Subtraction, the `-` operator, with a bool tensor"):
        eval(text, {"b": ad.tensor([True]), "i": ad.tensor([1])})


VALUES = {
    ad.uint8: [0, 1, 3, 100, 200, 255],
    ad.int8: [-128, -3, 0, 1, 99, 127],
    ad.int16: [-(2**15), -3, 0, 1, 300, 2**15 - 1],
    ad.int32: [-(2**31), -3, 0, 1, 70_000, 2**31 - 1],
    ad.int64: [-(2**63), -2, 0, 1, 2**62, 2**63 - 1],
    ad.float16: [-1.5, 0.1, 0.7, 1.0, 200.0, 60_000.0],
    ad.float32: [-1e30, 0.1, 0.7, 1.0, 255.3, 3e38],
    ad.float64: [-1e300, 0.1, 0.7, 1.0, 255.3, 2.0**70],
}
COMPUTED = [f for f in FUNCTIONS.values() if f.primitive.result not in ("bool", "where")]


@pytest.mark.parametrize("function", COMPUTED, ids=lambda f: f.name)
def test_operands_are_converted_before_anything_is_computed(function: Any) -> None:
    for first, rest in product(VALUES, VALUES):
        given = [ad.tensor(VALUES[first if i == 0 else rest], dtype=first if i == 0 else rest)
                 for i in range(function.primitive.arity)]  # fmt: skip
        try:
            y = function.op.call(*given)
        except (RuntimeError, NotImplementedError):
            continue  # integers that it refuses, or that are divided by zero
        expected = function.op.call(*[x.to(y.dtype) for x in given])
        assert y.tolist() == pytest.approx(expected.tolist(), rel=0, abs=0, nan_ok=True)


def test_integers_are_close_as_numbers_are() -> None:
    a, b = ad.tensor([100, 200], dtype=ad.uint8), ad.tensor([200, 100], dtype=ad.uint8)
    assert ad.isclose(a, b, rtol=0, atol=150).all()
    assert not ad.isclose(a, b, rtol=0, atol=99).any()
    assert ad.tensor([True, False]).isclose(ad.tensor([True, True])).tolist() == [True, False]


EXACT: dict[
    str, Any
] = {  # functions that refuse a number which the dtype of their tensor does not hold
    "clamp": lambda x, v: ad.clamp(x, v, v),
    "clamp_": lambda x, v: x.clamp_(max=v),
    "add": lambda x, v: ad.add(x, x, alpha=v),
    "add_": lambda x, v: x.add_(x, alpha=v),
    "threshold": lambda x, v: ad.nn.functional.threshold(x, 0, v),
    "hardtanh": lambda x, v: ad.nn.functional.hardtanh(x, v, v),
    "linspace": lambda x, v: ad.linspace(v, 0, 3, dtype=x.dtype),
}


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([d for d in dtypes.ALL if d is not ad.bool]),
    st.sampled_from([7, 8, 15, 16, 31, 32, 62]).flatmap(lambda k: st.integers(2**k - 2, 2**k + 2))
    | st.sampled_from([65504, 65505, 70000, 7e4, 65504.0, 3.3e38, 3.4e38, 1e300, 1e5])
    | st.integers(0, 2**63 - 1),
    st.booleans(),
)
def test_numbers_that_a_dtype_cannot_hold(
    name: str, d: ad.dtype, value: float, negative: bool
) -> None:
    value = -value if negative else value
    assume(isinstance(value, int) or d.is_floating_point)
    assume(name != "hardtanh" or value > 0 or d is not ad.uint8)
    about = ad.finfo(d) if d.is_floating_point else ad.iinfo(d)
    least = -about.max if d is ad.uint8 else about.min  # which wraps
    assume(not about.max < value < about.max * 1.001 or isinstance(value, int))
    assume(not d.is_floating_point or not about.max < abs(value) <= 65520)  # linspace rounds it
    x = ad.ones(2, dtype=d)
    if least <= value <= about.max:
        EXACT[name](x, value)
        return
    with pytest.raises((RuntimeError, ValueError), match="without overflow"):
        EXACT[name](x, value)


OWN = ad.pointwise(lambda x, n: ad.exp(x * n) * ad.log(n))


@pytest.mark.parametrize("d", dtypes.FLOATS)
@pytest.mark.parametrize("default", [ad.float32, ad.float64])
def test_a_gradient_has_the_dtype_of_its_leaf(default: ad.dtype, d: ad.dtype) -> None:
    """Beside integers, too, of which floats of another dtype are computed on the way."""
    ad.set_default_dtype(default)
    calls = [(OWN, 2), *((f.op.call, f.primitive.arity) for f in COMPUTED)]
    try:
        for (call, n), kind in product(calls, (ad.int64, ad.uint8)):
            for at in range(n):
                xs = [ad.tensor([2, 3], dtype=kind) for _ in range(n)]
                xs[at] = x = ad.tensor([1.5, 2.0], dtype=d, requires_grad=True)
                try:
                    y = call(*xs)
                    (g,) = ad.autograd.grad(y.sum(), x, create_graph=True)
                except (RuntimeError, NotImplementedError):
                    continue  # what it refuses, or has no gradient of
                assert g.dtype is d, (call, at)
                if g.requires_grad:
                    assert ad.autograd.grad(g.sum(), x)[0].dtype is d, (call, at)
    finally:
        ad.set_default_dtype(ad.float32)
