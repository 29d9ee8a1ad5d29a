"""The laws every operation obeys. A law takes a case and operands, and raises if it is broken."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import autodiff as ad
from autodiff.expr import PRIMITIVES, Expr, expanded, inputs, topological
from autodiff.lower import INSTRUCTIONS
from autodiff.ops.calling import apply
from autodiff.ops.declare import FUNCTIONS
from autodiff.ops.numbers import number
from autodiff.ops.pointwise import PointwiseOp
from autodiff.testing import Array
from autodiff.testing.cases import Case
from autodiff.testing.cases_composed import COMPOSED
from autodiff.testing.draw import operand_dtypes

Operands = Sequence[ad.Tensor]


def bits(x: ad.Tensor) -> tuple[Any, ...]:
    """What tells two tensors apart: dtype, shape and elements; nan is equal to nan."""
    return x.dtype, tuple(x.shape), [repr(v) for v in x.detach().reshape(-1).tolist()]


def as_leaves(xs: Operands) -> list[ad.Tensor]:
    """The operands in their layouts, requiring grad where their dtype can."""
    return [x.detach().requires_grad_(x.is_floating_point()) for x in xs]


def plain(x: ad.Tensor) -> ad.Tensor:
    """A row-major copy."""
    return ad.tensor(x.tolist(), dtype=x.dtype).reshape(x.shape)


def check_value(case: Case, xs: Operands) -> None:
    """The result is that of the reference, in float64 and in float32."""
    assert case.reference is not None, f"{case} has no reference"
    for d, rtol, atol in ((ad.float64, 1e-12, 1e-13), (ad.float32, 4e-6, 2e-6)):
        given = [x.to(d) if x.is_floating_point() else x for x in xs]
        got, want = case.call(*given), case.reference(*map(Array.of, given))
        assert tuple(got.shape) == want.shape, f"shape {got.shape}, expected {want.shape}"
        for index, value in Array.of(got).values.items():
            expected = want[index]
            near = math.isclose(value, expected, rel_tol=rtol, abs_tol=atol)
            assert near or (value != value and expected != expected), (
                f"{case} at {index} in {d}: {value}, expected {expected}"
            )


def check_gradient(case: Case, xs: Operands) -> None:
    """Backward agrees with finite differences, whatever the layout."""
    ad.gradcheck(case.call, as_leaves(xs), atol=1e-6)


def check_second_gradient(case: Case, xs: Operands) -> None:
    """Backward of backward agrees with finite differences."""
    ad.gradgradcheck(case.call, as_leaves(xs), atol=1e-5)


def check_operands_unchanged(case: Case, xs: Operands) -> None:
    """Neither forward nor backward writes to an operand, or moves its version."""
    leaves = as_leaves(xs)
    before = [(bits(x), x._version) for x in leaves]
    gradients(case, leaves)
    assert [(bits(x), x._version) for x in leaves] == before, f"{case} changed an operand"


def check_grads_are_their_own(case: Case, xs: Operands) -> None:
    """Backward leaves in `.grad` what can be viewed and written to, whatever the layouts."""
    leaves = as_leaves(xs)
    y = case.call(*leaves)
    if y.requires_grad:
        y.backward(ad.ones((), dtype=y.dtype).expand(y.shape))
    for x in leaves:
        if x.grad is not None:
            x.grad.view(-1).add_(1)


def check_alone(case: Case, xs: Operands) -> None:
    """The gradient of an operand is the same where no other requires grad, and where recorded."""
    leaves = as_leaves(xs)
    _, found = derivatives(case, leaves)
    wanted = [i for i, x in enumerate(leaves) if x.requires_grad]
    for i, g in zip(wanted, found, strict=False) if len(wanted) > 1 else ():
        for recorded in (False, True):
            alone = [x.detach().requires_grad_(x is leaves[i]) for x in leaves]
            got = next(iter(derivatives(case, alone, recorded)[1]), None)
            if g is None or got is None:
                assert all(x is None or not x.any() for x in (g, got)), f"{case}, operand {i}"
            else:
                near = ad.allclose(got, g, rtol=1e-9, atol=1e-12, equal_nan=True)
                assert near, f"{case}, operand {i}: another gradient alone"


def gradients(case: Case, leaves: Operands) -> tuple[ad.Tensor, list[Any]]:
    """The result, and the bits of its gradients for a cotangent that differs at each element."""
    y, found = derivatives(case, leaves)
    return y, [None if g is None else bits(g) for g in found]


def check_layout(case: Case, xs: Operands) -> None:
    """Operands in any layout give the bits that row-major copies give, forward and backward."""
    y, given = gradients(case, as_leaves(xs))
    expected, want = gradients(case, as_leaves([plain(x) for x in xs]))
    assert bits(y) == bits(expected), f"{case} depends on the layout"
    assert given == want, f"the gradient of {case} depends on the layout"


def check_inplace(case: Case, xs: Operands) -> None:
    """Written over its first operand, a result and its gradients are those out of place."""
    op = case.pointwise
    assert op is not None
    shape = case.call(*xs).shape
    for d in (ad.float64, ad.float32):
        given = [x.expand(shape) if i == 0 else x for i, x in enumerate(xs)]
        leaves = as_leaves([x.to(d) if x.is_floating_point() else x for x in given])
        y = op.call(*leaves)
        z = leaves[0].clone()
        returned = op.into(z, [z, *leaves[1:]])
        assert returned is z
        assert bits(z) == bits(y.to(z.dtype)), f"{case} in place differs"
        assert z.requires_grad == (y.requires_grad or (not op.differentiable and z.requires_grad))
        wanted = [x for x in leaves if x.requires_grad]
        if not y.requires_grad and z.requires_grad:
            for g in ad.autograd.grad(z.sum(), wanted, allow_unused=True):
                assert g is None or not g.any(), f"{case} in place lets a gradient through"
        if y.requires_grad:
            found = [ad.autograd.grad(r.sum(), wanted, allow_unused=True) for r in (z, y)]
            for a, b in zip(*found, strict=True):
                assert (a is None) == (b is None)
                assert a is None or bits(a) == bits(b), f"the gradient of {case} in place differs"


def check_out(case: Case, xs: Operands) -> None:
    """Written to `out`, in a layout of its own, a result is what it is otherwise.

    Where gradients are recorded, none may be wanted; inside no_grad() anything may be written.
    """
    op = case.pointwise
    assert op is not None
    y = op.call(*xs)
    room = ad.full((*y.shape[::-1], 2), 5, dtype=y.dtype)
    out = room.select(-1, 1).permute(*reversed(range(y.ndim)))
    leaves = as_leaves(xs)
    if op.differentiable and any(x.requires_grad for x in leaves):
        with pytest.raises(RuntimeError, match="functions with out="):
            apply(op, tuple(leaves), out)
    with ad.no_grad():
        assert apply(op, tuple(leaves), out) is out
    assert bits(out) == bits(y), f"{case} with out= differs"
    beside = ad.full(out.shape[::-1], 5, dtype=y.dtype)
    assert bits(room.select(-1, 0)) == bits(beside), f"{case} wrote beside out"


def composed(root: Expr, xs: Operands) -> ad.Tensor:
    """An expression's value, each of its instructions run as an op of its own."""
    values: dict[int, ad.Tensor] = {}
    (whole,) = expanded([root])
    for node in topological([whole]):
        if node.op == "input":
            values[id(node)] = xs[node.value]
        elif node.op == "const":
            values[id(node)] = number(node.value)
        else:
            args = [values[id(arg)] for arg in node.args]
            symbols = tuple(inputs(len(args)))
            one = PointwiseOp(node.op, Expr(node.op, symbols, node.value), len(args))
            values[id(node)] = one.call(*args)
    return values[id(whole)]


def check_fused(case: Case, xs: Operands) -> None:
    """One fused call gives the bits of its instructions run one by one."""
    op = case.pointwise
    assert op is not None
    for d in (ad.float64, ad.float32):
        given = [x.to(d) if x.is_floating_point() else x for x in xs]
        assert bits(op.call(*given)) == bits(composed(op.root, given)), f"{case} fused differs"


def elsewhere(xs: Operands) -> list[ad.Tensor]:
    """The operands in other memory of the same layout, those of floating point a little smaller."""
    found = []
    for x in xs:
        span = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
        whole = ad.zeros(span if x.numel() else 1, dtype=x.dtype)
        y = whole.as_strided(x.shape, x.stride())
        core = [slice(0, 1) if s == 0 else slice(None) for s in x.stride()]
        if x.numel():
            y[tuple(core)].copy_(x[tuple(core)] * (0.875 if x.is_floating_point() else 1))
        found.append(y)
    return found


def check_compiled(case: Case, xs: Operands) -> None:
    """Recorded and run again on other memory, a call and its gradients have the bits of eager."""

    def run(*leaves: ad.Tensor) -> list[Any]:
        y = case.call(*leaves)
        if not isinstance(y, ad.Tensor) or not y.requires_grad:
            return [y]
        g = (ad.arange(y.numel(), dtype=y.dtype) / 8 + 0.5).reshape(y.shape)
        wanted = [x for x in leaves if x.requires_grad]
        return [y.detach(), *ad.autograd.grad(y, wanted, g, allow_unused=True)]

    compiled = ad.compile(run)
    with warnings.catch_warnings(record=True) as stays_eager:
        warnings.simplefilter("always")
        for leaves in (as_leaves(xs), as_leaves(elsewhere(xs)), as_leaves(xs)):
            got, want = compiled(*leaves), run(*leaves)
            assert [None if y is None else bits(y) for y in got] == [
                None if y is None else bits(y) for y in want
            ], f"{case} compiled differs"
    assert stays_eager or compiled.stats().runs >= 1, f"{case} is recorded at each call"


def check_halves(case: Case, xs: Operands) -> None:
    """Of floats of 16 bits, dtypes are as of float32, and values near; compiled, they are equal."""
    d, near = (ad.float16, 2.0**-10) if len(case.name) % 2 else (ad.bfloat16, 2.0**-7)
    given = [x.to(d) if x.is_floating_point() else x for x in xs]
    wide = [x.float() if x.is_floating_point() else x for x in given]
    try:
        y, found = derivatives(case, as_leaves(given))
    except NotImplementedError:
        return  # as of PyTorch: factorizations, and what is made of them
    z, want = derivatives(case, as_leaves(wide))
    for got, expected in zip([y, *found], [z, *want], strict=True):
        assert (got is None) == (expected is None)
        if got is None or expected is None:
            continue
        assert got.dtype is (d if expected.dtype is ad.float32 else expected.dtype), str(case)
        assert got.shape == expected.shape
        values = expected.detach().reshape(-1).tolist()
        bound = NEAR * near * max([1.0, *(abs(v) for v in values if math.isfinite(v))])
        for a, b in zip(got.detach().reshape(-1).tolist(), values, strict=True):
            close = math.isclose(a, b, rel_tol=0.0, abs_tol=bound)
            assert close or (a != a and b != b), f"{case} in {d}: {a}, in float32 {b}"
    check_compiled(case, given)


NEAR = 16  # roundings of the largest number


def derivatives(
    case: Case, leaves: Operands, recorded: bool = False
) -> tuple[ad.Tensor, list[ad.Tensor | None]]:
    """The result, and its gradients for a cotangent that differs at each element."""
    y = case.call(*leaves)
    if not y.requires_grad:
        return y, []
    g = (ad.arange(y.numel(), dtype=y.dtype) / 8 + 0.5).reshape(y.shape)
    wanted = [x for x in leaves if x.requires_grad]
    return y, list(ad.autograd.grad(y, wanted, g, create_graph=recorded, allow_unused=True))


GENERAL = [
    check_value,
    check_gradient,
    check_second_gradient,
    check_operands_unchanged,
    check_grads_are_their_own,
    check_layout,
    check_compiled,
    check_halves,
]
POINTWISE = [check_inplace, check_out, check_fused]
LAWS = GENERAL + POINTWISE


def applies(law: Callable[..., None], case: Case) -> bool:
    """Whether a law is about a case at all."""
    if law in (check_gradient, check_second_gradient):
        return case.differentiable
    if law is check_inplace and case.pointwise is not None:
        first, *others = operand_dtypes(FUNCTIONS[case.name].primitive)
        return not others or first is others[0]  # else it cannot hold the result
    return law in GENERAL or case.pointwise is not None


def untested() -> set[str]:
    """Primitives that are no public functions, nor cases, nor instructions that only rules use."""
    of_others = {"zeros_like", "ones_like", "floored"}  # that one of cosine_similarity, a case
    composed = {row.name for row in COMPOSED}
    return set(PRIMITIVES) - set(FUNCTIONS) - set(INSTRUCTIONS) - of_others - composed
