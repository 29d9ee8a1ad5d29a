"""How accurate elementary functions are, and what they give at the edges of their domains.

benchmarks/accuracy.py does the same for far more numbers; docs/accuracy.md tells what it found.
"""

import itertools
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff.native import ffi, lib

UNARY = ("exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "erf", "atan")
LIMITS = {"f32": 2.0, "f64": 4.0}
NAMES = itertools.takewhile(lambda name: name, map(lib.ad_instr_name, itertools.count()))
OPS = {ffi.string(name).decode(): i for i, name in enumerate(NAMES)}
TYPES = {"f32": 0, "f64": 1}
DTYPES = {"f32": np.float32, "f64": np.float64}
STEP = 30011  # prime, so that all low bits are met
INF, NAN = math.inf, math.nan
BOTH = ("f32", "f64")
both = pytest.mark.parametrize("kind", BOTH)
unary = pytest.mark.parametrize("name", UNARY)


def apply(function, name, kind, *operands):
    """What a kernel or the reference gives for arrays of one type."""
    with np.errstate(all="ignore"):  # the cast of a signalling nan is announced
        xs = [np.ascontiguousarray(x, DTYPES[kind]) for x in operands]
    out = np.empty_like(xs[0])
    pointers = [ffi.from_buffer(x) for x in xs]
    padded = [*pointers, *[ffi.NULL] * (3 - len(xs))]
    assert function(OPS[name], TYPES[kind], out.size, ffi.from_buffer(out), *padded) == 0
    return out


def kernel(name, kind, *operands):
    return apply(lib.ad_pw_kernel, name, kind, *operands)


def patterns():
    """float32 numbers of all magnitudes and signs, the edges among them, and many around 1."""
    every = np.arange(0, 2**32, STEP, dtype=np.int64).astype(np.uint32).view(np.float32)
    edges = [0.0, -0.0, INF, -INF, NAN, *EDGES["f32"], *(-x for x in EDGES["f32"])]
    near_1 = 1 + np.arange(-20000, 20000, dtype=np.float32) * np.float32(15 * 2.0**-24)
    return np.concatenate([every, near_1, np.array(edges, np.float32)])


def errors(got, want):
    """|got - want| in ulps of float32 at want; infinite where one of them alone is nan."""
    with np.errstate(all="ignore"):
        nearest = want.astype(np.float32)
        unit = np.spacing(np.minimum(np.abs(nearest), np.float32(3e38))).astype(np.float64)
        error = np.abs(got.astype(np.float64) - want) / unit
    same = (got == nearest) | (np.isnan(got) & np.isnan(want))
    return np.where(same, 0.0, np.where(np.isnan(error), INF, error))


def check_float32(name, *operands):
    want = apply(lib.ad_pw_reference, name, "f64", *operands)
    got = kernel(name, "f32", *operands)
    error = errors(got, want)
    at = int(error.argmax())
    assert error[at] <= LIMITS["f32"], ([float(x[at]).hex() for x in operands], got[at], want[at])
    known = ~np.isnan(want)
    assert (np.signbit(got) == np.signbit(want))[known].all()


@unary
def test_float32_of_all_magnitudes(name):
    check_float32(name, patterns())


def test_float32_roots_are_rounded_once():
    """All numbers of two binades: in others the same digits come again."""
    every = np.arange(0x3F800000, 0x40800000, dtype=np.uint32).view(np.float32)
    for x in np.split(every, 16):
        assert (kernel("sqrt", "f32", x) == np.sqrt(x.astype(np.float64)).astype(np.float32)).all()


def test_float32_powers():
    rng = np.random.default_rng(0)
    x = np.abs(rng.permutation(patterns()))
    near = (1 + rng.uniform(-0.5, 0.5, x.size) ** 9).astype(np.float32)
    target = rng.uniform(-152, 130, x.size)  # from below the denormal numbers to past the largest
    for base in (x, near):
        with np.errstate(all="ignore"):
            exponent = (target / np.log2(base.astype(np.float64))).astype(np.float32)
        check_float32("pow", base, exponent)
    whole = rng.integers(-12, 13, x.size).astype(np.float32)
    check_float32("pow", -near * 16, whole)
    check_float32("pow", patterns(), rng.permutation(patterns()))


GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("accuracy.json").read_text())


# Largest errors of the functions that are programs of instructions, in units of the last place of
# the value, or where it has zeros, of the value or 1, whichever is larger.
COMPOSED = {"erfc": 5, "erfinv": 5, "lgamma": 12, "digamma": 9, "trigamma": 8}
WITH_ZEROS = ("lgamma", "digamma")


@both
@pytest.mark.parametrize("name", COMPOSED)
def test_programs_against_high_precision(name, kind):
    x = ad.tensor([float.fromhex(p[0][0]) for p in GOLDEN[name]]).to(ad.float64)
    given = x.to(ad.float32 if kind == "f32" else ad.float64)
    got = given.polygamma(1) if name == "trigamma" else getattr(given, name)()
    for at, y, (_, near, missing) in zip(x.tolist(), got.tolist(), GOLDEN[name], strict=True):
        want = float.fromhex(near)
        loose = name in WITH_ZEROS and (name == "digamma" or at < 0)
        unit = np.spacing(DTYPES[kind](max(abs(want), 1.0 if loose else 0.0)))
        error = (y - want) / float(unit) - missing * (kind == "f64")
        limit = 6 if name == "lgamma" and at > 0 else COMPOSED[name]
        assert abs(error) <= limit, (at.hex(), y, near)


@both
@pytest.mark.parametrize("name", ["igamma", "igammac"])
def test_incomplete_gamma_against_high_precision(name, kind):
    """Where the value is small, an error of its logarithm is multiplied by that."""
    dtype = ad.float32 if kind == "f32" else ad.float64
    given = [[float.fromhex(p[0][i]) for p in GOLDEN[name]] for i in (0, 1)]
    got = getattr(ad, name)(*[ad.tensor(x, dtype=dtype) for x in given])
    for *at, y, (_, near, _missing) in zip(*given, got.tolist(), GOLDEN[name], strict=True):
        want = float.fromhex(near)
        if want > (1e-37 if kind == "f32" else 1e-300):
            units = abs(y - want) / want / ad.finfo(dtype).eps
            assert units < 12 - 3 * math.log(want), (at, y, want)
        else:
            assert 0 <= y < 1e-36


@both
def test_incomplete_gamma_far_out_is_all_or_nothing(kind):
    """Wherever x^a overflows, exp(-x) is 0."""
    dtype = ad.float32 if kind == "f32" else ad.float64
    far = [10.0**k for k in range(6, 38 if kind == "f32" else 308)]
    x = ad.tensor(far, dtype=dtype)
    for a in (0.5, 1.0, 2.5, 4.9, 30.0, 1e4):
        shape = ad.full((len(far),), a, dtype=dtype)
        assert ad.igamma(shape, x).tolist() == [1.0] * len(far)
        assert ad.igammac(shape, x).tolist() == [0.0] * len(far)


@pytest.mark.parametrize("name", [n for n in GOLDEN if n in OPS])
def test_float64_against_high_precision(name):
    columns = zip(*(p[0] for p in GOLDEN[name]), strict=True)
    got = kernel(name, "f64", *([float.fromhex(x) for x in column] for column in columns))
    for y, (xs, near, missing) in zip(got.tolist(), GOLDEN[name], strict=True):
        want = float.fromhex(near)
        assert abs((y - want) / math.ulp(want) - missing) <= LIMITS["f64"], (xs, y, near)


def above(x, kind):
    return float(np.nextafter(DTYPES[kind](x), DTYPES[kind](INF)))


# smallest and largest denormal, smallest normal and largest finite number
EDGES = {
    "f32": (2.0**-149, 2.0**-126 - 2.0**-149, 2.0**-126, (2 - 2.0**-23) * 2.0**127),
    "f64": (5e-324, 2.0**-1022 - 5e-324, 2.0**-1022, sys.float_info.max),
}
EXACT = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (NAN, NAN), (1e4, INF), (-1e4, 0.0)],
    "exp2": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (NAN, NAN), (1e4, INF), (-1e4, 0), (9, 512)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (NAN, NAN), (-1e4, -1.0)],
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (INF, INF), (-1.0, NAN), (-INF, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-2.0, NAN), (INF, INF), (-INF, NAN)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN), (2.0**-126, 1.0)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (20.0, 1.0)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (NAN, NAN), (1e4, 1), (-1e4, 0)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (6.0, 1.0), (-7, -1)],
    "erfc": [(0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 2.0), (NAN, NAN), (30, 0), (-30, 2)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), (NAN, NAN)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-1.0, NAN), (NAN, NAN), (2.0**-126, 2.0**-63)],
    "rsqrt": [(0.0, INF), (-0.0, -INF), (INF, 0.0), (-1.0, NAN), (4.0, 0.5)],
    "round": [(0.5, 0.0), (1.5, 2.0), (2.5, 2.0), (-0.5, -0.0), (-1.5, -2.0), (-0.0, -0.0)],
    "trunc": [(-0.5, -0.0), (1.9, 1.0), (-INF, -INF), (NAN, NAN), (8388609.0, 8388609.0)],
    "floor": [(-0.0, -0.0), (-0.5, -1.0), (INF, INF), (2.0**-126, 0.0)],
    "ceil": [(-0.5, -0.0), (0.5, 1.0), (2.0**-126, 1.0)],
}


def same(got, want):
    """The same number, with the sign of a zero."""
    if want != want:
        return got != got
    return got == want and math.copysign(1, got) == math.copysign(1, want)


@both
@pytest.mark.parametrize("name", EXACT)
def test_exact_values(name, kind):
    points, values = zip(*EXACT[name], strict=True)
    for x, y, want in zip(points, kernel(name, kind, points).tolist(), values, strict=True):
        assert same(y, want), (x, y)


@both
@pytest.mark.parametrize("name", ["expm1", "log1p", "sin", "tan", "tanh", "atan"])
def test_next_to_0_the_function_is_its_argument(name, kind):
    points = [sign * x for x in EDGES[kind][:3] for sign in (1, -1)]
    assert kernel(name, kind, points).tolist() == points


# the largest argument with a finite exponential, and the smallest whose exponential is not 0
OVERFLOW = {
    "f32": (88.72283172607422, -103.97207641601562),
    "f64": (709.782712893384, -745.1332191019411),
}


@both
def test_exp_overflows_and_underflows_where_it_should(kind):
    largest, smallest = OVERFLOW[kind]
    past = -above(-smallest, kind)
    high, infinite, tiny, zero = kernel(
        "exp", kind, [largest, above(largest, kind), smallest, past]
    )
    assert EDGES[kind][3] * 0.99 < high < INF
    assert infinite == INF
    assert tiny == EDGES[kind][0]
    assert zero == 0
    assert kernel("expm1", kind, [largest])[0] < INF
    assert kernel("expm1", kind, [above(largest, kind)])[0] == INF


@both
def test_sigmoid_underflows_with_exp(kind):
    smallest = OVERFLOW[kind][1]
    xs = [smallest, -above(-smallest, kind), smallest + 1, smallest + 30]
    got = kernel("sigmoid", kind, xs)
    assert got[0] == EDGES[kind][0]
    assert got[1] == 0
    assert got.tolist() == kernel("exp", kind, xs).tolist()  # which it is, 1 + exp(x) being 1


def test_sin_and_cos_of_huge_numbers():
    for x in (1e30, 2.0**100, 2.0**1000, sys.float_info.max):
        assert math.isclose(kernel("sin", "f64", [x])[0], math.sin(x), rel_tol=1e-15)
        assert math.isclose(kernel("cos", "f64", [x])[0], math.cos(x), rel_tol=1e-15)


POWERS = [
    *((x, 0.0, 1.0) for x in (0.0, -0.0, 2.0, -INF, INF, NAN)),
    *((1.0, y, 1.0) for y in (2.0, -INF, INF, NAN)),
    *((-1.0, INF, 1.0), (-1.0, -INF, 1.0), (-1.0, 3.0, -1.0), (-1.0, 4.0, 1.0)),
    *((0.0, 3.0, 0.0), (-0.0, 3.0, -0.0), (-0.0, 2.0, 0.0), (-0.0, 0.5, 0.0)),
    *((0.0, -3.0, INF), (-0.0, -3.0, -INF), (-0.0, -2.0, INF), (-0.0, -INF, INF)),
    *((0.5, INF, 0.0), (0.5, -INF, INF), (-2.0, INF, INF), (-2.0, -INF, 0.0)),
    *((INF, 0.5, INF), (INF, -0.5, 0.0), (-INF, 3.0, -INF), (-INF, 2.0, INF)),
    *((-INF, -3.0, -0.0), (-INF, -2.0, 0.0), (-INF, 0.5, INF), (-8.0, 1 / 3, NAN)),
    *((-2.0, 3.0, -8.0), (-2.0, -1.0, -0.5), (2.0, 1e4, INF), (-2.0, 10001.0, -INF)),
    *((2.0, -1e4, 0.0), (-2.0, -10001.0, -0.0), (NAN, 1.0, NAN), (2.0, NAN, NAN)),
    *((2.0, 127.0, 2.0**127), (2.0, -126.0, 2.0**-126), (2.0, -149.0, 2.0**-149)),
]


@both
def test_special_powers(kind):
    xs, ys, values = zip(*POWERS, strict=True)
    for x, y, got, want in zip(xs, ys, kernel("pow", kind, xs, ys).tolist(), values, strict=True):
        assert same(got, want), (x, y, got)


# as Python's % and C's fmod, by the sign of a zero
DIVISIONS = {
    "remainder": [(-1.0, INF, INF), (1.0, -INF, -INF), (5.0, INF, 5.0), (-7.0, 3.0, 2.0)],
    "fmod": [(-6.0, 3.0, -0.0), (5.0, INF, 5.0), (-7.0, 3.0, -1.0), (2.0**100, 3.0, 1.0)],
    "floordiv": [(-7.0, 2.0, -4.0), (-0.0, 2.0, -0.0), (1.0, 0.0, INF), (0.0, 0.0, NAN)],
    "div": [(1.0, -0.0, -INF), (0.0, 0.0, NAN), (INF, INF, NAN), (-1.0, INF, -0.0)],
}


@both
@pytest.mark.parametrize("name", DIVISIONS)
def test_divisions_at_the_edges(name, kind):
    xs, ys, values = zip(*DIVISIONS[name], strict=True)
    for x, y, got, want in zip(xs, ys, kernel(name, kind, xs, ys).tolist(), values, strict=True):
        assert same(got, want), (x, y, got)


def test_rounded_once():
    x, y = patterns(), np.roll(patterns(), 7)
    with np.errstate(all="ignore"):
        assert np.array_equal(kernel("sqrt", "f32", x), np.sqrt(x), equal_nan=True)
        assert np.array_equal(kernel("div", "f32", x, y), x / y, equal_nan=True)


@both
@unary
def test_a_tail_has_the_bits_of_a_whole_vector(name, kind):
    rng = random.Random(name)
    xs = [rng.gauss(0, 3) * 10 ** rng.uniform(-3, 3) for _ in range(35)]
    whole = kernel(name, kind, xs)
    for n in range(1, 35):
        assert kernel(name, kind, xs[:n]).tobytes() == whole[:n].tobytes()


def test_casts_of_what_does_not_fit():
    values = [NAN, INF, -INF, 2.0**63, -(2.0**63), 1e30, -1.9, 1.9]
    out = ffi.new("int64_t[]", len(values))
    xs = ffi.new("double[]", values)
    args = (OPS["to_i64"], TYPES["f64"], len(values), out, xs, ffi.NULL, ffi.NULL)
    assert lib.ad_pw_kernel(*args) == 0
    assert list(out) == [-(2**63)] * 6 + [-1, 1]


UNFIT = [NAN, INF, -INF, 1e30, -1e30, 2.0**31, -(2.0**31), 3e9, -3e9, 2.0**40 + 2.0**20]
FIT = {-1.9: -1, 1.9: 1, -0.5: 0, 2.0**31 - 128: 2**31 - 128, 128 - 2.0**31: 128 - 2**31}


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64], ids=str)
@pytest.mark.parametrize("times", [1, 9])
def test_what_does_not_fit_an_int32_is_the_smallest(dtype, times):
    want = ([-(2**31)] * len(UNFIT) + list(FIT.values())) * times
    x = ad.tensor([*UNFIT, *FIT] * times, dtype=dtype)
    assert x.to(ad.int32).tolist() == want
    assert ad.stack([x, x])[:, ::2].t().to(ad.int32)[:, 1].tolist() == want[::2]
    assert ad.zeros(len(want), dtype=ad.int32).copy_(x).tolist() == want
    wide = ad.tensor([2**40 + 7, -(2**31) - 1])  # an int64 wraps
    assert wide.to(ad.int32).tolist() == [7, 2**31 - 1]


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64], ids=str)
def test_a_fused_cast_to_int32_is_the_cast(dtype):
    """Whatever reads it: a float, a bool, a narrower integer, a wider one, itself."""
    wanted = (ad.float32, ad.float64, ad.bool, ad.uint8, ad.int32, ad.int64)
    x = ad.tensor([*UNFIT, *FIT], dtype=dtype)
    for target in wanted:
        fused = ad.pointwise(lambda a, d=target: (a * 1).to(ad.int32).to(d))
        got, want = fused(x), x.to(ad.int32).to(target)
        assert got.dtype is target
        assert got.tolist() == want.tolist()
        if target.is_floating_point:
            assert math.copysign(1, got.tolist()[[*UNFIT, *FIT].index(-0.5)]) == 1
    plus = ad.pointwise(lambda a: a.to(ad.int32) + 1)
    assert plus(x).tolist() == (x.to(ad.int32) + 1).tolist()


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512", "neon"])
def test_other_variants(isa):
    used = ffi.string(lib.ad_isa()).decode()
    if isa == used or not lib.ad_isa_available(isa.encode()):
        pytest.skip("this process has it, or this machine has not")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    env = os.environ | {"AUTODIFF_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [*command, "-k", "not variants"], env=env, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout
