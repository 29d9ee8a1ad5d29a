"""Every pointwise instruction: its kernel against the plain reference, and that against Python."""

import hashlib
import itertools
import math
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
from autodiff.native import ffi, lib

Number = float | int
TYPES = ("f32", "f64", "i64")
C_TYPES = ("float", "double", "int64_t")
SIZES = (4, 8, 8)
BITS = ("I", "Q", "Q")
RESULTS = {"to_f32": 0, "to_f64": 1, "to_i64": 2}
OK, BAD_ARG, ZERO_DIV = 0, 3, 11
I64_MIN = -(2**63)

# Against libm, which is within 1 ulp itself, sigmoid made of it within 2. All else is exact.
TRANSCENDENTAL = (
    *("exp", "exp2", "expm1", "log", "log1p", "pow"),
    *("sin", "cos", "tan", "atan", "tanh", "sigmoid", "gated", "sigmoid_slope", "silu_slope"),
    *("erf", "erfc", "gelu"),
)
MAX_ULPS = (3, 4)
ERFC_ULPS = 5  # a product of three functions
EPSILONS = (2.0**-23, 2.0**-52)
# Below 0 these are differences, as good as their terms.
DIFFERENCES: dict[str, Callable[[float], float]] = {
    "gelu": lambda a: -a,
    "silu_slope": lambda a: -2 * a * math.exp(a) if a < 0 else -1,
}

REALS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.0, 2.5, -2.5, 3.0, 7.0, -7.0),
    *(math.inf, -math.inf, math.nan, 5e-324, -1e-45, 1e-38, -3e38, 1e300, 2.0**31, -(2.0**63)),
    *(2.0**63, 2.0**23 + 0.5, 8388609.0, -1e-10, 88.72, 88.73, -103.9, -104.1, 709.78, 709.79),
    *(-745.1, -745.2, 1e5, 2.0**70),
)
INTEGERS = (
    *(0, 1, -1, 2, -2, 3, 7, -7, 63, 64, 65, -63, -64, 255, 256, 2**31, -(2**31), 2**31 - 1),
    *(2**63 - 1, I64_MIN, I64_MIN + 1, 2**62, 10**10, -(10**10)),
)


class Row(NamedTuple):
    op: int
    name: str
    arity: int
    type: int

    @property
    def result(self) -> int:
        return RESULTS.get(self.name, self.type)

    def __str__(self) -> str:
        return f"{self.name}-{TYPES[self.type]}"


def all_rows() -> list[Row]:
    rows = []
    for op in itertools.takewhile(lib.ad_instr_name, itertools.count()):
        name = ffi.string(lib.ad_instr_name(op)).decode()
        arity = lib.ad_instr_arity(op)
        rows += [Row(op, name, arity, t) for t in range(3) if lib.ad_instr_has(op, t)]
    return rows


ROWS = all_rows()
each_row = pytest.mark.parametrize("row", ROWS, ids=str)


def row_of(name: str, type_: str) -> Row:
    return next(row for row in ROWS if str(row) == f"{name}-{type_}")


def buffer(kind: int, values: Sequence[Number]) -> Any:
    return ffi.new(f"{C_TYPES[kind]}[]", [narrow(v) for v in values] if kind == 0 else values)


def narrow(value: float) -> float:
    """The value, or infinity where a float cannot hold it."""
    return math.copysign(math.inf, value) if abs(value) > 3.5e38 else value


def run(function: Callable[..., int], row: Row, operands: Sequence[Any], n: int) -> tuple[Any, int]:
    dst = ffi.new(f"{C_TYPES[row.result]}[]", n)
    padded = [*operands, *[ffi.NULL] * (3 - len(operands))]
    return dst, function(row.op, row.type, n, dst, *padded)


def bits(kind: int, values: Any) -> list[int]:
    """Bit patterns, with every nan the same."""
    raw = struct.unpack(f"<{len(values)}{BITS[kind]}", bytes(ffi.buffer(values)))
    return [-1 if v != v else b for v, b in zip(values, raw, strict=True)]


def ordered(kind: int, pattern: int) -> int:
    """Bit patterns as integers that count floats in order; nan far off."""
    sign = 1 << (8 * SIZES[kind] - 1)
    if pattern < 0:
        return 1 << 70
    return sign - pattern if pattern & sign else pattern


def samples(row: Row, count: int = 1500) -> list[Any]:
    """Every pair of special values, then random ones: any bits, and usual magnitudes."""
    rng = random.Random(row.op)
    special: Sequence[Number] = INTEGERS if row.type == 2 else REALS
    tuples = list(itertools.product(special, repeat=min(row.arity, 2)))
    columns = [list(column) for column in zip(*tuples, strict=True)]
    if row.arity == 3:
        columns.append(rng.sample(columns[0], len(tuples)))
    for column in columns:
        for _ in range(count):
            column += [any_bits(rng, row.type), usual(rng, row.type)]
    return [buffer(row.type, column) for column in columns]


def any_bits(rng: random.Random, kind: int) -> Number:
    if kind == 2:
        return rng.randrange(I64_MIN, 2**63)
    raw = rng.getrandbits(8 * SIZES[kind]).to_bytes(SIZES[kind], "little")
    value: float = struct.unpack("<f" if kind == 0 else "<d", raw)[0]
    return value


def usual(rng: random.Random, kind: int) -> Number:
    if kind == 2:
        return rng.randint(-20, 20)
    return rng.gauss(0, 1) * 10 ** rng.uniform(-3, 3)


@each_row
def test_kernel_agrees_with_the_reference(row: Row) -> None:
    operands = samples(row)
    n = len(operands[0])
    got, status = run(lib.ad_pw_kernel, row, operands, n)
    want, expected_status = run(lib.ad_pw_reference, row, operands, n)
    assert status == expected_status
    limit = MAX_ULPS[row.type] if row.name in TRANSCENDENTAL and row.type < 2 else 0
    limit = ERFC_ULPS if row.name == "erfc" else limit
    for i, pair in enumerate(zip(bits(row.result, got), bits(row.result, want), strict=True)):
        x, y = (ordered(row.result, b) if limit else b for b in pair)
        terms = DIFFERENCES.get(row.name)
        bound = EPSILONS[row.type] * terms(operands[0][i]) if terms else -1
        cancelled = abs(got[i] - want[i]) <= bound
        assert cancelled or abs(x - y) <= limit, ([o[i] for o in operands], got[i], want[i])
        assert math.copysign(1, got[i]) == math.copysign(1, want[i]) or got[i] != got[i]


@pytest.mark.parametrize(
    ("row", "alias"), [(row, i) for row in ROWS for i in (None, *range(row.arity))], ids=str
)
def test_every_length_in_place_and_nothing_past_the_end(row: Row, alias: int | None) -> None:
    longest, guard = 67, b"\xa5" * 64
    operands = samples(row, 40)
    sources = [bytes(ffi.buffer(o))[-longest * SIZES[row.type] :] for o in operands]
    whole, _ = run(lib.ad_pw_kernel, row, [ffi.from_buffer(s) for s in sources], longest)
    for n in range(longest + 1):
        read, written = n * SIZES[row.type], n * SIZES[row.result]
        used = written if alias is None else max(read, written)
        buffers = [bytearray(s[:read] + bytes(used) + guard) for s in sources]
        target = bytearray(used + 64) if alias is None else buffers[alias]
        target[used:] = guard
        pointers = [ffi.from_buffer(b) for b in buffers]
        padded = [*pointers, *[ffi.NULL] * (3 - row.arity)]
        lib.ad_pw_kernel(row.op, row.type, n, ffi.from_buffer(target), *padded)
        got = ffi.new(f"{C_TYPES[row.result]}[]", n)
        ffi.memmove(got, target, written)
        assert bits(row.result, got) == bits(row.result, whole[0:n] if n else got)
        assert target[used:] == guard


MATH: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "exp2": lambda a: 2.0**a,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
    "erf": math.erf,
    "pow": math.pow,
    "sqrt": math.sqrt,
    "fmod": math.fmod,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": round,
    "remainder": lambda a, b: a % b,
}


@pytest.mark.parametrize("name", MATH)
def test_reference_agrees_with_python(name: str) -> None:
    row, rng = row_of(name, "f64"), random.Random(0)
    columns = [[rng.uniform(0.01, 40) for _ in range(500)] for _ in range(row.arity)]
    got, _ = run(lib.ad_pw_reference, row, [buffer(1, c) for c in columns], 500)
    for y, arguments in zip(got, zip(*columns, strict=True), strict=True):
        assert math.isclose(y, MATH[name](*arguments), rel_tol=1e-15)


def wrapped(value: int) -> int:
    return (value - I64_MIN) % 2**64 + I64_MIN


INTEGER_LAWS: dict[str, Callable[..., int]] = {
    "add": lambda a, b: wrapped(a + b),
    "sub": lambda a, b: wrapped(a - b),
    "mul": lambda a, b: wrapped(a * b),
    "fma": lambda a, b, c: wrapped(a * b + c),
    "neg": lambda a: wrapped(-a),
    "abs": lambda a: wrapped(abs(a)),
    "floordiv": lambda a, b: wrapped(a // b) if b else 0,
    "remainder": lambda a, b: a % b if b else 0,
    "truncdiv": lambda a, b: wrapped(abs(a) // abs(b) * (1 if a * b > 0 else -1)) if b else 0,
    "fmod": lambda a, b: abs(a) % abs(b) * (1 if a > 0 else -1) if b else 0,
    "pow": lambda a, b: wrapped(pow(a, b, 2**64)) if b >= 0 else int(a in (1, -1)) * a ** (b % 2),
    "shl": lambda a, b: wrapped(a << b) if 0 <= b < 64 else 0,
    "shr": lambda a, b: a >> (b if 0 <= b < 64 else 63),
}


DIVISIONS = ("floordiv", "truncdiv", "remainder", "fmod")


@pytest.mark.parametrize("name", INTEGER_LAWS)
def test_integers_agree_with_python(name: str) -> None:
    row = row_of(name, "i64")
    operands = samples(row, 200)
    got, status = run(lib.ad_pw_kernel, row, operands, len(operands[0]))
    for y, arguments in zip(got, zip(*operands, strict=True), strict=True):
        assert y == INTEGER_LAWS[name](*arguments), arguments
    assert status == (ZERO_DIV if name in DIVISIONS else OK)


INT64 = st.integers(I64_MIN, -I64_MIN - 1)
NEAR_TWOS = st.builds(lambda k, by, sign: wrapped(sign * (1 << k) + by), st.integers(0, 63),
        st.integers(-1, 1), st.sampled_from([1, -1]))  # fmt: skip


@given(st.sampled_from(DIVISIONS), INT64 | NEAR_TWOS, st.lists(INT64 | NEAR_TWOS), st.data())
def test_many_are_divided_by_one_number(
    name: str, by: int, given: list[int], data: st.DataObject
) -> None:
    near = st.builds(lambda k, off: wrapped(k * by + off), INT64, st.integers(-1, 1))
    a = [I64_MIN, -I64_MIN - 1, *given, *data.draw(st.lists(near, min_size=32))]
    operands = [buffer(2, a), buffer(2, [by] * len(a))]
    got, status = run(lib.ad_pw_kernel, row_of(name, "i64"), operands, len(a))
    assert list(got) == [INTEGER_LAWS[name](x, by) for x in a]
    assert status == (OK if by else ZERO_DIV)


def test_division_by_zero_is_told_once() -> None:
    row = row_of("floordiv", "i64")
    seven = buffer(2, [7])
    assert run(lib.ad_pw_kernel, row, [seven, buffer(2, [0])], 1)[1] == ZERO_DIV
    assert run(lib.ad_pw_kernel, row, [seven, buffer(2, [2])], 1)[1] == OK


@pytest.mark.parametrize("function", [lib.ad_pw_kernel, lib.ad_pw_reference])
def test_impossible_calls_are_errors(function: Callable[..., int]) -> None:
    one = buffer(1, [1.0])
    add, null = row_of("add", "f64").op, ffi.NULL
    shl = row_of("shl", "i64").op
    for call in [
        (-1, 1, 1, one, one, one, null),
        (10_000, 1, 1, one, one, one, null),
        (add, 3, 1, one, one, one, null),
        (add, -1, 1, one, one, one, null),
        (shl, 1, 1, one, one, one, null),
        (add, 1, -1, one, one, one, null),
        (add, 1, 1, null, one, one, null),
        (add, 1, 1, one, one, null, null),
    ]:
        assert function(*call) == BAD_ARG
    assert function(add, 1, 0, null, null, null, null) == OK


def test_rows_of_some_length_beyond_the_caches() -> None:
    """Folded one after the other, where a CPU reads them faster so."""
    x = ad.arange(1100 * 257).reshape(1100, 257).remainder(11).double()
    sums = [float(sum(i % 11 for i in range(257 * r, 257 * r + 257))) for r in range(1100)]
    assert x.sum(1).tolist() == x.float().sum(1).tolist() == sums
    assert x.sum().item() == sum(sums)


def digest() -> str:
    """Of all results over many inputs."""
    hasher = hashlib.sha256()
    for row in ROWS:
        operands = samples(row, 500)
        got, _ = run(lib.ad_pw_kernel, row, operands, len(operands[0]))
        hasher.update(repr(bits(row.result, got)).encode())
    return hasher.hexdigest()


def test_variants_agree() -> None:
    """Each variant passes the tests above, and those with FMA give the same bits."""
    digests = set()
    used = ffi.string(lib.ad_isa()).decode()
    for isa in ("baseline", "avx2", "avx512", "neon"):
        if not lib.ad_isa_available(isa.encode()):
            continue
        path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
        env = os.environ | {"AUTODIFF_ISA": isa, "PYTHONPATH": path}
        if isa != used:
            tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
            tests += ["-k", "kernel_agrees or length"]
            result = run_python(tests, env)
            assert result.returncode == 0, f"{isa}:\n{result.stdout}"
        result = run_python(["-c", "import test_kernels; print(test_kernels.digest())"], env)
        assert result.returncode == 0, f"{isa}:\n{result.stderr}"
        if isa != "baseline":
            digests.add(result.stdout)
    assert len(digests) <= 1


def run_python(args: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], env=env, capture_output=True, text=True)
