"""User functions through `pointwise`: one fused call gives what its parts give one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import as_leaves, bits

import autodiff as ad
from autodiff import testing
from autodiff.expr import inputs
from autodiff.ops.pointwise import PointwiseOp

Function = Callable[..., Any]
UNARY: list[Function] = [ad.tanh, ad.sin, ad.exp, ad.sigmoid, ad.square, abs, lambda x: -x]
BINARY: list[Function] = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - 2 * b,
    lambda a, b: a / (b * b + 1),
    ad.maximum,
    lambda a, b: ad.where(a < b, a, b * 0.5),
]


def bounded(function: Function) -> Function:
    """The function kept small, so that compositions stay finite."""
    return lambda *args: ad.tanh(function(*args))


def chosen(pick: int) -> Function:
    return lambda *xs: xs[pick % len(xs)]


def one(f: Function, g: Function) -> Function:
    return lambda *xs: f(g(*xs))


def two(f: Function, g: Function, h: Function) -> Function:
    return lambda *xs: f(g(*xs), h(*xs))


FUNCTIONS = st.recursive(
    st.integers(0, 1).map(chosen),
    lambda inner: st.one_of(
        st.builds(one, st.sampled_from(UNARY).map(bounded), inner),
        st.builds(two, st.sampled_from(BINARY).map(bounded), inner, inner),
    ),
    max_leaves=6,
)
DTYPES = st.sampled_from([ad.float64, ad.float32])


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(FUNCTIONS, DTYPES, testing.broadcastable_shapes(2), st.data())
def test_fused_equals_composed(f: Function, d: ad.dtype, shapes: Any, data: Any) -> None:
    function = bounded(f)
    xs = as_leaves([data.draw(testing.tensors(shape, d)) for shape in shapes])
    fused, composed = ad.pointwise(function)(*xs), function(*xs)
    if composed.shape != fused.shape:  # a function of one operand alone
        composed = composed.expand(fused.shape)
    assert bits(fused) == bits(composed)
    options = {"allow_unused": True, "materialize_grads": True}
    for a, b in zip(
        ad.autograd.grad(fused.sum(), xs, **options),
        ad.autograd.grad(composed.sum(), xs, **options),
        strict=True,
    ):
        tolerance = 1e-12 if d is ad.float64 else 1e-4
        assert ad.allclose(a, b, rtol=tolerance, atol=tolerance)


def of_many_registers(x: Any, number: Any) -> Any:
    """All terms are held until the first is read, and numbers meet every kind of kernel."""
    terms = [ad.where(x * (k + 0.5) > number, x - number, 2 / (x + k)) for k in range(12)]
    total = number / 3
    for term in reversed(terms):
        total = total * 0.5 - ad.tanh(term) * number
    return total


@pytest.mark.parametrize("d", [ad.float32, ad.float64])
@pytest.mark.parametrize("n", [1, 300, 1025, 16_500])
def test_however_large_its_blocks_a_program_gives_what_its_parts_do(n: int, d: ad.dtype) -> None:
    long = ad.arange(1, 2 * n + 65, dtype=d) / n
    numbers: list[Any] = [1.25, ad.tensor(0.75, dtype=d), ad.full((n,), 0.75, dtype=d)]
    for x in (long[:n], long[16 : n + 16], long[: 2 * n : 2]):
        for number in numbers:
            fused = ad.pointwise(of_many_registers)(x, number)
            assert bits(fused) == bits(of_many_registers(x, number))


@pytest.mark.parametrize("second", [(2000,), (1,), ()])
@pytest.mark.parametrize("d", [ad.float32, ad.float64])
def test_cotangents_of_one_call_are_those_of_a_call_each(second: tuple[int, ...], d: ad.dtype):
    """A recorded backward pass runs an op for each input, a plain one all that repeat a part.

    Of a user's function, what the call has prepared is used instead.
    """

    def function(x: Any, y: Any, z: Any) -> Any:
        return ad.exp(-x * y) * x + ad.tanh(z) / y

    joined = PointwiseOp("joined", function(*inputs(3)), 3).call
    sloped = ad.pointwise(function)
    xs = [ad.rand(3, 2000), ad.rand(second, dtype=d), ad.rand(3, 1)]
    for wanted in ((0, 1, 2), (0, 1), (1, 2), (1,)):
        for i, x in enumerate(xs):
            x.requires_grad_(i in wanted)
        leaves = [xs[i] for i in wanted]
        assert (joined(*xs)._node.plan.joint is not None) == ({0, 1} <= set(wanted))
        node = sloped(*xs)._node
        assert len(node.saved) > len(node.plan.saved)
        for f in (joined, sloped):
            apart = ad.autograd.grad(f(*xs).sum(), leaves, create_graph=True)
            for x in leaves:
                x.grad = None
            f(*xs).sum().backward()
            assert [bits(x.grad) for x in leaves] == [bits(g) for g in apart]


def test_derivatives_are_kept_where_they_save_slow_functions() -> None:
    x, y = ad.rand(5, requires_grad=True), ad.rand(5, requires_grad=True)

    def kept(f: Function, *xs: ad.Tensor) -> int:
        node = ad.pointwise(f)(*xs)._node
        assert node is not None
        return len(node.saved or ()) - len(node.plan.saved)

    assert kept(lambda a: a * ad.tanh(a), x) == 1
    assert kept(lambda a, b: a * ad.tanh(b), x, y) == 2
    assert kept(lambda a, b: a * ad.tanh(b), x, y.detach()) == 1
    assert kept(lambda a: a * a + 1, x) == 0  # nothing is slow
    assert kept(ad.tanh, x) == 0  # the output is enough
    half = ad.rand(5, dtype=ad.float16, requires_grad=True)
    assert kept(lambda a: a * ad.tanh(a), half) == 0  # which would round it
    with ad.no_grad():
        assert ad.pointwise(lambda a: a * ad.tanh(a))(x)._node is None


def test_powers_have_the_slopes_of_their_parts() -> None:
    """A product with x several times is taken for a power where slopes are kept."""
    functions: list[Function] = [
        lambda a: ad.tanh(a * a) * a,
        lambda a: ad.exp(2 * a * a * a),
        lambda a: ad.sin(a) * a * a * ad.cos(a) * a,
        lambda a: (ad.sin(a) + 1) * a * a * a - a * a,
    ]
    for f in functions:
        x = ad.linspace(-1.5, 1.5, 9, dtype=ad.float64).requires_grad_()
        g = ad.pointwise(f)
        assert ad.gradcheck(g, x)
        assert ad.gradgradcheck(g, x)
        fused, composed = ad.autograd.grad(g(x).sum(), x)[0], ad.autograd.grad(f(x).sum(), x)[0]
        assert ad.allclose(fused, composed, rtol=1e-13, atol=1e-13)


def test_a_fused_function_is_one_node_and_one_call() -> None:
    @ad.pointwise
    def swish(x: Any, beta: Any) -> Any:
        """x sigmoid(beta x)."""
        return x * ad.sigmoid(beta * x)

    x = ad.ones(3, requires_grad=True)
    y = swish(x, 1.5)
    assert y.grad_fn is not None
    assert [edge for edge, _ in y.grad_fn.next_functions if edge] == [x._acc]
    assert swish.__doc__ == "x sigmoid(beta x)."


@pytest.mark.parametrize("beta", [0.5, 2])
def test_numbers_are_operands(beta: float) -> None:
    double = ad.float64
    x = ad.linspace(-2, 2, 7, dtype=double).requires_grad_()
    fused = ad.pointwise(lambda x, b: ad.exp(b * x) / (1 + x * x))
    assert ad.gradcheck(lambda x: fused(x, beta), x)
    assert ad.gradgradcheck(lambda x: fused(x, beta), x)


def test_functions_that_are_not_pointwise_are_refused() -> None:
    x = ad.ones(3)
    with pytest.raises(TypeError, match="has no truth value"):
        ad.pointwise(lambda x: x if x > 0 else -x)(x)
    with pytest.raises(TypeError, match="returns an expression of its inputs, not float"):
        ad.pointwise(lambda x: 1.0)(x)
    with pytest.raises(TypeError, match="takes at least one input"):
        ad.pointwise(lambda: 1.0)()
    with pytest.raises(TypeError, match="argument 2 must be a Tensor or a number, not str"):
        ad.pointwise(lambda x, y: x + y)(x, "y")


def in_pieces(f: Function, size: int, *xs: Any) -> Any:
    return ad.cat([f(*[x[i : i + size] for x in xs]) for i in range(0, xs[0].numel(), size)])


LARGE: list[Function] = [
    lambda x, y: x + y,
    lambda x, y: x < y,
    lambda x, y: x > 0.5,
    lambda x, y: x.to(ad.float64),
    lambda x, y: x.to(ad.int64),
    lambda x, y: x.to(ad.bool),
    lambda x, y: ad.where(x < y, x, y),
]


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("f", LARGE)
def test_results_stored_past_the_caches_are_those_of_pieces(f: Function, start: int):
    ad.manual_seed(5)
    x, y = ad.randn(6_300_001), ad.randn(6_300_001)
    got, want = f(x[start:], y[start:]), in_pieces(f, 100_003, x[start:], y[start:])
    assert got.dtype == want.dtype
    assert got.numpy().tobytes() == want.numpy().tobytes()


BIG = [2**51, 2**53 + 1, -(2**51), -(2**53) - 1, 2**62 + 2**38 + 1, 2**63 - 1, -(2**63)]
WIDE = [2.0**31, -(2.0**31), 2.0**40, 1e18, -1e30, float("inf"), float("nan"), -2147483520.0]


@pytest.mark.parametrize("target", [ad.float32, ad.float64])
@pytest.mark.parametrize("value", BIG)
def test_large_integers_round_in_any_place(value: int, target: ad.dtype):
    for place in (0, 31, 45, 99):
        numbers = [i * 12345 for i in range(-50, 50)]
        numbers[place] = value
        x = ad.tensor(numbers)
        want = [ad.tensor(number).to(target).item() for number in numbers]
        assert x.to(target).tolist() == want


@pytest.mark.parametrize("source", [ad.float32, ad.float64])
@pytest.mark.parametrize("value", WIDE)
def test_large_floats_truncate_in_any_place(value: float, source: ad.dtype):
    for place in (0, 31, 45, 99):
        numbers = [i * 1.7 for i in range(-50, 50)]
        numbers[place] = value
        x = ad.tensor(numbers, dtype=source)
        assert x.to(ad.int64).tolist() == [x[i].to(ad.int64).item() for i in range(100)]


@pytest.mark.parametrize("n", [1, 31, 32, 33, 1024, 1100])
@pytest.mark.parametrize("d", [ad.float32, ad.float64, ad.int64])
def test_comparisons_of_any_length(n: int, d: ad.dtype):
    ad.manual_seed(n)
    x, y = ad.randint(-2, 3, (n,)).to(d), ad.randint(-2, 3, (n,)).to(d)
    pairs = list(zip(x.tolist(), y.tolist(), strict=True))
    assert (x < y).tolist() == [a < b for a, b in pairs]
    assert (x <= y).tolist() == [a <= b for a, b in pairs]
    assert (x == y).tolist() == [a == b for a, b in pairs]
    assert (x != y).tolist() == [a != b for a, b in pairs]
    assert x.to(ad.bool).tolist() == [a != 0 for a, _ in pairs]


@pytest.mark.parametrize("divisor", [2.0, -0.5, 2.0**40, 3.0])
def test_a_division_by_a_number_is_that_by_a_tensor(divisor: float):
    x = ad.cat([ad.randn(100), ad.tensor([1e-45, -1e-38, 3e38, 0.0, -0.0, float("inf")])])
    assert bits(ad.pointwise(lambda v: v / divisor)(x)) == bits(x / ad.tensor([divisor]))


@pytest.mark.parametrize("d", [ad.float32, ad.float64, ad.int32])
def test_sums_of_negations_are_those_of_parts(d: ad.dtype):
    """They are subtractions, to the bit, of zeros of either sign too."""
    values = [0, 1, -3] if d is ad.int32 else [0.0, -0.0, 1.5, -1.5, float("inf"), 1e-45]
    x = ad.tensor(values, dtype=d)[:, None]
    y = ad.tensor(values, dtype=d)
    functions: list[Function] = [
        lambda a, b: a + -b,
        lambda a, b: -a + b,
        lambda a, b: -a + -b,
        lambda a, b: a - -b,
        lambda a, b: -a - b,
    ]
    for f in functions:
        assert bits(ad.pointwise(f)(x, y)) == bits(f(x, y))


IN_ONE: list[Function] = [  # what lower.py makes one instruction of
    lambda x, y, z: ad.where(x < y, z, 0.0),
    lambda x, y, z: ad.where(x <= y, z, 0.0),
    lambda x, y, z: ad.where(x < y, 0.0, z),
    lambda x, y, z: ad.where(x <= y, 0.0, z),
    lambda x, y, z: ad.where(x > 0, y, y * z),
    lambda x, y, z: ad.where(x > 0, x, x * z) - y,
    lambda x, y, z: ad.minimum(ad.maximum(x, y), z),
]
NEARLY: list[Function] = [  # and what it must not
    lambda x, y, z: ad.where(x < y, z, -0.0),
    lambda x, y, z: ad.where(x > 0, y, x * z),
    lambda x, y, z: ad.where(x >= 0, y, y * z),
    lambda x, y, z: ad.where(x > -1, y, y * z),
    lambda x, y, z: ad.maximum(ad.minimum(x, y), z),
]


@pytest.mark.parametrize("f", IN_ONE + NEARLY)
@pytest.mark.parametrize("d", [ad.float32, ad.float64, ad.bfloat16, ad.int64])
@pytest.mark.parametrize("n", [33, 1100])
def test_instructions_that_stand_for_several_give_their_bits(f: Function, d: ad.dtype, n: int):
    values = [0.0, -0.0, 1.5, -1.5, 2.0, -2.0, float("inf"), -float("inf"), float("nan"), 1e-45]
    some = ad.tensor(values if d.is_floating_point else [0, 1, -1, 5], dtype=d)
    turns = [some[ad.arange(n) // len(some) ** k % len(some)] for k in range(3)]
    for numbers in range(8):
        xs = [x[k + 1] if numbers >> k & 1 else x for k, x in enumerate(turns)]
        assert bits(ad.pointwise(f)(*xs)) == bits(f(*xs))
        rows = [x[:9, None] if numbers >> k & 1 else x[:30] for k, x in enumerate(turns)]
        assert bits(ad.pointwise(f)(*rows)) == bits(f(*rows))


PAIRS: list[Function] = [  # what pairs.c makes one instruction of, and some that it must not
    lambda x, y, z: x + y + z,
    lambda x, y, z: z + (x + y),
    lambda x, y, z: (x + y) * z,
    lambda x, y, z: z * (x - y),
    lambda x, y, z: x * y + z,
    lambda x, y, z: z + x * y,
    lambda x, y, z: x * y - z,
    lambda x, y, z: z - x * y,
    lambda x, y, z: x * y * z,
    lambda x, y, z: z * (x * y),
    lambda x, y, z: -x * y + z,
    lambda x, y, z: x - y + z,
    lambda x, y, z: (x * y + z) * (x * y - z) - (z - y) * (z - y),
    lambda x, y, z: x * y * x * y * z + (x + z) * (y * z),
]


@pytest.mark.parametrize("f", PAIRS)
@pytest.mark.parametrize("d", [ad.float32, ad.float64])
@pytest.mark.parametrize("n", [1, 33, 1100])
def test_each_of_two_instructions_in_one_rounds(f: Function, d: ad.dtype, n: int) -> None:
    values = [
        0.1,
        1 / 3,
        -0.7,
        0.0,
        -0.0,
        1.9e19,
        float("inf"),
        float("nan"),
        1e-38,
        3.0,
        1 - 2**-24,
    ]
    some = ad.tensor(values, dtype=d)
    turns = [some[ad.arange(n) // len(some) ** k % len(some)] for k in range(3)]
    for which in range(8):
        of_tensors = [x[0] if which >> k & 1 else x for k, x in enumerate(turns)]
        numbers = {k: 0.3 + k for k in range(3) if which >> k & 1}

        def of_numbers(*xs: Any, numbers: dict[int, float] = numbers) -> Any:
            return f(*[numbers.get(k, x) for k, x in enumerate(xs)])

        assert bits(ad.pointwise(f)(*of_tensors)) == bits(f(*of_tensors))
        if which < 7:
            assert bits(ad.pointwise(of_numbers)(*turns)) == bits(of_numbers(*turns))


TWO: list[Function] = [
    lambda x, y: x + y,
    lambda x, y: y - x,
    lambda x, y: x / (abs(y) + 1),
    ad.maximum,
    lambda x, y: x < y,
    lambda x, y: y <= x,
    lambda x, y: ad.where(x > 0, x, y),
]
SHAPES = [(5, 7), (16, 16), (17, 40), (40, 9), (33, 1100)]


@pytest.mark.parametrize("f", TWO)
@pytest.mark.parametrize("d", [ad.float32, ad.float64, ad.int64])
@pytest.mark.parametrize("shape", SHAPES)
def test_operands_of_any_layout_give_the_bits_of_contiguous_ones(
    f: Function, d: ad.dtype, shape: tuple[int, int]
):
    ad.manual_seed(3)
    rows, cols = shape
    x = (ad.randn(rows, cols) * 9).to(d)
    x[0, 0], x[1, 2] = 0, -1
    others = [
        (ad.randn(cols, rows) * 9).to(d).T,
        (ad.randn(cols) * 9).to(d),
        (ad.randn(rows, 1) * 9).to(d),
        (ad.randn(1) * 9).to(d),
        (ad.randn(rows, 2 * cols) * 9).to(d)[:, ::2],
    ]
    for y in others:
        whole = y.expand(shape).contiguous()
        assert bits(f(x, y)) == bits(f(x, whole))
        assert bits(f(y, x)) == bits(f(whole, x))


@pytest.mark.parametrize("d", [ad.float32, ad.float64, ad.int64, ad.int32, ad.bool])
@pytest.mark.parametrize("shape", [*SHAPES, (3, 20, 33)])
def test_a_transpose_moves_each_element(d: ad.dtype, shape: tuple[int, ...]):
    ad.manual_seed(4)
    x = (ad.randn(*shape) * 9).to(d)
    rows, y = x.tolist(), x.mT.contiguous()
    if len(shape) == 2:
        assert y.tolist() == [list(column) for column in zip(*rows, strict=True)]
    else:
        assert y.tolist() == [[list(c) for c in zip(*r, strict=True)] for r in rows]


# As PyTorch has it: of functions of two, those that take a number of Python for neither operand,
# and those that take one for the second.
TENSORS = (
    "atan2 fmax fmin heaviside hypot igamma igammac logaddexp logaddexp2 logical_and logical_or "
    "logical_xor maximum minimum"
)
FIRST_A_TENSOR = "clamp_max clamp_min copysign eq fmod ge gt le lt ne"


@pytest.mark.parametrize("name", f"{TENSORS} {FIRST_A_TENSOR}".split())
@pytest.mark.parametrize("number", [2.0, 2, True])
def test_numbers_are_refused_where_tensors_must_be(name: str, number: float) -> None:
    f, x = getattr(ad, name), ad.tensor([1.0, 2.0])
    kind = type(number).__name__
    with pytest.raises(TypeError, match=rf"^{name}\(\): argument .* must be Tensor, not {kind}$"):
        f(number, x)
    if name in FIRST_A_TENSOR.split():
        assert f(x, number).tolist() == f(x, ad.full((2,), float(number))).tolist()
        return
    for call in (lambda: f(x, number), lambda: getattr(x, name)(number)):
        with pytest.raises(TypeError, match=rf"^{name}\(\): .*position 2\) must be Tensor"):
            call()


def test_numbers_meet_as_python_computes_them() -> None:
    x = ad.tensor([2.0, 3.0], dtype=ad.float64, requires_grad=True)
    f = ad.pointwise(lambda x, a, b: x * (1 - a) / (a - b))
    assert f(x, 0.1, 0.7).tolist() == [v * (1 - 0.1) / (0.1 - 0.7) for v in (2.0, 3.0)]
    (x**-0.7).sum().backward()
    expected = [-0.7 * v ** (-0.7 - 1) for v in (2.0, 3.0)]
    assert x.grad.tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("shape", [(40,), (3000,), (7, 5)])
def test_results_of_one_program_may_be_equal(shape: tuple[int, ...]) -> None:
    a, b = inputs(2)
    op = PointwiseOp("several", a * b, 2, also=(a + b, a * b, a - b, a, a + b))
    x, y = ad.randn(shape), ad.randn(shape[::-1]).permute(*reversed(range(len(shape))))
    for got, expected in zip(
        op.run_all(x, (y._p,)), (x * y, x + y, x * y, x - y, x, x + y), strict=True
    ):
        assert bits(got) == bits(expected)


def test_many_inputs_and_high_orders_are_cut_into_pieces() -> None:
    """A derivative reads the cotangents of the orders before it besides the inputs."""

    def body(*x: Any) -> Any:
        return ad.sin(math.prod(x)) + ad.exp(0.1 * x[0] + x[1] * x[2] + x[-1])

    for n, orders in ((6, 2), (8, 1)):
        xs = [ad.full((2,), 0.3 + 0.1 * k, dtype=ad.float64, requires_grad=True) for k in range(n)]
        ys = [ad.pointwise(body)(*xs).sum(), body(*xs).sum()]
        for _ in range(orders):
            grads = [ad.autograd.grad(y, xs, create_graph=True) for y in ys]
            for fused, composed in zip(*grads, strict=True):
                assert ad.allclose(fused, composed, rtol=1e-10)
            ys = [sum((g * (k + 1)).sum() for k, g in enumerate(gs)) for gs in grads]


FLOATS = st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=2, max_size=40)


@given(FLOATS, st.sampled_from((ad.float32, ad.float64)), st.booleans())
def test_lerp_ends_where_it_should(values: list[float], d: ad.dtype, as_tensor: bool) -> None:
    """start + (end - start) need not be end."""
    start = ad.tensor(values, dtype=d)
    end = start.flip(0)
    for weight, expected in ((0.0, start), (1.0, end)):
        got = ad.lerp(start, end, ad.full_like(start, weight) if as_tensor else weight)
        assert got.tolist() == expected.tolist()


def test_lerp_is_of_one_floating_dtype() -> None:
    x, whole = ad.ones(2), ad.ones(2, dtype=ad.int64)
    with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
        ad.lerp(whole, whole, 0.5)
    for end, weight, name in ((whole, 0.5, "end"), (x.double(), 0.5, "end"), (x, whole, "weight")):
        with pytest.raises(RuntimeError, match=f"expected torch.float32 for `{name}`"):
            ad.lerp(x, end, weight)
