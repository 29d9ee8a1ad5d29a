"""The special functions have PyTorch's values and derivatives, at edges too."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest
from golden.record_special import GOLDEN, facts

import autodiff as ad

RECORDED: dict[str, Any] = json.loads(GOLDEN.read_text())["calls"]


def alike(a: Any, b: Any, rel_tol: float = 1e-12) -> bool:
    """Whether two nested lists hold the same numbers, to rounding; nan is equal to nan."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(alike(p, q, rel_tol) for p, q in zip(a, b, strict=True))
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=rel_tol, abs_tol=1e-13) or (a != a and b != b)


# Where PyTorch's derivatives differ, as (call, order, index in NUMBERS), and what ours are. It has
# nan for the second one of sinc at 0, and of a limited logit where the number that was limited is
# 0, 1, infinite or nan. Of polygamma at infinity, 0, it has nan from order 2 on, and at minus
# infinity, where there is no limit, an infinite number. Its trigamma, in any derivative, has nine
# digits; those of even order cancel next to their zeros. Of zeta it has the same, of
# the derivative of i1 at nan a half, of that of log_ndtr at minus infinity nan.
LIMITED = ("x.logit(0.125)", "x.logit(eps=0.5)", "x.clone().logit_(0.125)")
OURS = {("x.sinc()", 2, 3): -(math.pi**2) / 3}
OURS |= {(text, 2, at): 0.0 for text in LIMITED for at in (3, 6, 9, 10, 11)}
GAMMA = {"x.lgamma()": -1, "x.clone().lgamma_()": -1, "x.digamma()": 0}
GAMMA |= {"x.polygamma(1)": 1, "x.polygamma(2)": 2, "x.clone().polygamma_(3)": 3}
OURS |= {
    (text, order, at): value
    for text, first in GAMMA.items()
    for order in range(max(0, 2 - first), 3)
    for at, value in ((9, 0.0), (10, math.nan))
}
OURS |= dict.fromkeys([("x.i0()", 2, 11), ("x.clone().i0_()", 2, 11)], math.nan)
OURS |= {(f"special.{name}(x)", order, 11): math.nan for name in ("i1", "i1e") for order in (1, 2)}
OURS |= {("special.log_ndtr(x)", 1, 10): math.inf}
OURS |= {
    ("special.zeta(3.0, x)", order, at): value
    for order in range(3)
    for at, value in ((9, 0.0), (10, math.nan))
}


def zero(values: Any) -> bool:
    """Whether no number of nested lists is anything but zero."""
    return all(map(zero, values)) if isinstance(values, list) else not values


@pytest.mark.parametrize("text", RECORDED)
def test_values_and_derivatives_are_pytorchs(text: str) -> None:
    got, want = facts(ad, text), RECORDED[text]
    for (name, order, at), value in OURS.items():
        if name == text and order < len(want):
            (want[order][0] if order else want[order])[at] = value
    for order, (ours, theirs) in enumerate(zip(got, want, strict=False)):
        polygamma = GAMMA.get(text, -9) + order > 0
        assert alike(ours, theirs, 1e-8 if polygamma else 1e-12), (
            f"{text}, derivative {order}: {ours}, PyTorch {theirs}"
        )
    assert len(got) >= len(want)
    assert zero(got[len(want) :])  # PyTorch may record nothing where all derivatives are zero


def test_numbers_instead_of_nan_leave_integers_alone() -> None:
    x, out = ad.tensor([1, 2]), ad.empty(2, dtype=ad.int64)
    assert ad.nan_to_num(x, 5.0, out=out) is out
    assert out.tolist() == [1, 2]
    assert x.nan_to_num_(5.0) is x
    assert x.nan_to_num().tolist() == [1, 2]


@pytest.mark.parametrize("order", [13, 14, 30, 31, 100, 101, 120, 143])
def test_polygamma_of_a_large_order_below_0(order: int) -> None:
    points = [-0.3, -1.49, -1.5, -2.75, -5.125, -11.0625]
    found = ad.polygamma(order, ad.tensor(points, dtype=ad.float64)).tolist()
    for x, y in zip(points, found, strict=True):
        terms = sum(1 / (Fraction(x) + k) ** (order + 1) for k in range(30))
        assert y == pytest.approx(
            float(-terms if order % 2 == 0 else terms) * math.factorial(order)
        )
    assert ad.polygamma(order, ad.tensor(-3.0)).item() == (math.inf if order % 2 else -math.inf)


def terms_of(order: int, x: float) -> float:
    """The sum of order! / (x + k)^(order + 1)."""
    top = math.lgamma(order + 1)
    return math.fsum(math.exp(top - (order + 1) * math.log(x + k)) for k in range(5000))


@pytest.mark.parametrize("order", [34, 35, 40, 60, 100])
def test_polygamma_of_a_factorial_past_float32(order: int) -> None:
    points = [0.5, 1.0, order / 4, order / 2, 3.0 * order]
    narrow = ad.polygamma(order, ad.tensor(points)).tolist()
    wide = ad.polygamma(order, ad.tensor(points, dtype=ad.float64))
    for x, y in zip(narrow, wide.float().tolist(), strict=True):
        assert x == pytest.approx(y, rel=2e-4, abs=1e-37), x
    for x, y in zip(points, wide.tolist(), strict=True):
        assert abs(y) == pytest.approx(terms_of(order, x), rel=1e-10, abs=0)


@pytest.mark.parametrize("d", [ad.float32, ad.float64], ids=repr)
def test_logarithms_of_powers_are_whole(d: ad.dtype) -> None:
    reach = 126 if d is ad.float32 else 1022
    whole = ad.arange(-reach, reach + 1).to(d)
    assert ad.equal(ad.log2(ad.tensor([2.0 ** int(k) for k in whole.tolist()], dtype=d)), whole)
    tens = ad.arange(11 if d is ad.float32 else 23).to(d)
    assert ad.equal(ad.log10(ad.tensor([10.0 ** int(k) for k in tens.tolist()], dtype=d)), tens)
    between = ad.tensor([1.9999, 2.0001, 9.999, 10.001], dtype=d)
    assert not (between.log2() == between.log2().round()).any()
    assert not (between.log10() == between.log10().round()).any()


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_numbers_whose_reciprocals_or_values_are_too_large_are_no_edges(dtype: ad.dtype) -> None:
    """I1 / x is a half where 1 / x is infinite; lgamma is infinite where gamma(1 - x) is, too."""
    tiny = [s * x for s in (1, -1) for x in (1e-45, 1e-39, 1e-30, 5e-324, 1e-310, 1e-20)]
    for function in (ad.special.i1, ad.special.i1e):
        x = ad.tensor(tiny, dtype=dtype, requires_grad=True)
        (slope,) = ad.autograd.grad(function(x).sum(), x)
        assert slope.tolist() == [0.5] * len(tiny)
    assert ad.lgamma(ad.tensor([-ad.finfo(dtype).max, -math.inf])).tolist() == [math.inf] * 2


@pytest.mark.parametrize("d", [ad.float16, ad.bfloat16, ad.float32, ad.float64])
def test_defaults_of_nan_to_num_are_the_numbers_they_stand_for(d: ad.dtype) -> None:
    largest = ad.finfo(d).max
    values = [1.0, math.inf, -math.inf, math.nan, largest, -largest, 0.0]
    xs = [ad.tensor(values, dtype=d, requires_grad=True) for _ in range(2)]
    ys = [xs[0].nan_to_num(), xs[1].nan_to_num(0.0, largest, -largest)]
    for y in ys:
        y.sum().backward()
    assert ys[0].tolist() == ys[1].tolist() == [1, largest, -largest, 0, largest, -largest, 0]
    for x in xs:
        assert x.grad is not None
        assert x.grad.tolist() == [1, 0, 0, 0, 1, 1, 1]


PARTS = [(ad.float32, -149, 128), (ad.float64, -1074, 1024), (ad.float16, -24, 16)]


@pytest.mark.parametrize(("d", "least", "most"), PARTS, ids=str)
def test_frexp_and_ldexp_are_exact(d: ad.dtype, least: int, most: int) -> None:
    powers = ad.tensor([2.0**e for e in range(least, most)], dtype=ad.float64)
    x = ad.cat([powers * (1 + k / 8) for k in range(8)] + [powers * (1 - 2**-9)]).to(d)
    x = ad.cat([x, -x, ad.tensor([0.0, -0.0, math.inf, -math.inf, math.nan], dtype=d)])
    mantissa, exponent = ad.frexp(x)
    assert exponent.dtype is ad.int32
    for v, m, e in zip(x.tolist(), mantissa.tolist(), exponent.tolist(), strict=True):
        if not math.isfinite(v):
            assert (str(m), e) == (str(v), 0)
            continue
        assert (str(m), e) == (str(math.frexp(v)[0]), math.frexp(v)[1])
    for n in (-200, -127, -103, -1, 0, 5, 149, 2000):
        for v, y in zip(x.tolist(), ad.ldexp(x, ad.tensor([n])).tolist(), strict=True):
            try:
                want = float(ad.tensor(math.ldexp(v, n), dtype=d))
            except OverflowError:
                want = math.copysign(math.inf, v)
            assert str(y) == str(want), (v, n)


@pytest.mark.parametrize("d", [ad.float32, ad.float64], ids=str)
def test_frexp_and_ldexp_send_gradients_by_powers_of_two(d: ad.dtype) -> None:
    x = ad.tensor([3.0, -0.4, 0.0], dtype=d, requires_grad=True)
    ad.ldexp(x, ad.tensor([2, -3, 5])).sum().backward()
    assert x.grad.tolist() == [4.0, 0.125, 32.0]
    (slopes,) = ad.autograd.grad(ad.frexp(x).mantissa.sum(), x)
    assert slopes.tolist() == [0.25, 2.0, 1.0]
