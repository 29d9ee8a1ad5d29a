"""Planted faults: each law must notice the mistakes it is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import laws
import pytest
import test_kernels
from golden.record_promotion import letters
from native_calls import leave_to_python
from test_create import test_default_dtype
from test_promotion import RECORDED

import autodiff as ad
from autodiff import dtypes, walk
from autodiff.compiled import function
from autodiff.compiled.recording import Recording
from autodiff.expr import PRIMITIVES, Expr, Rule, build, inputs
from autodiff.native import lib
from autodiff.node import AccumulateGrad
from autodiff.ops.base import OPS
from autodiff.ops.declare import FUNCTIONS
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.pointwise_node import PointwiseNode
from autodiff.testing.cases import CASES, Case

Patch = pytest.MonkeyPatch
BY_NAME = {case.name: case for case in CASES}


@dataclass(frozen=True)
class Fault:
    """A mistake, the law that must find it, and in which case, with what words."""

    plant: Callable[[Patch], None]
    law: Callable[..., None]
    case: str
    match: str


FAULTS: list[Fault] = []


def breaks(
    law: Callable[..., None], case: str, match: str
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def register(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        FAULTS.append(Fault(plant, law, case, match))
        return plant

    return register


def forget_programs() -> None:
    """Has pointwise ops made anew when they are called next."""
    for f in FUNCTIONS.values():
        lib.ad_op_forget(f.op.native)
    forget_recipes()


def forget_recipes() -> None:
    """Has nodes of pointwise ops made as their plans, which were changed, tell."""
    for f in FUNCTIONS.values():
        f.op.recipes[:] = [None] * len(f.op.recipes)


def change_rule(patch: Patch, name: str, vjp: Rule) -> None:
    """Gives a primitive another derivative."""
    patch.setitem(PRIMITIVES, name, PRIMITIVES[name]._replace(vjp=vjp))
    for f in FUNCTIONS.values():
        patch.setattr(f.op, "plans", {})
    forget_recipes()


def change_root(patch: Patch, name: str, root: Expr) -> None:
    """Gives a pointwise op another expression to run."""
    patch.setattr(FUNCTIONS[name].op, "root", root)
    patch.setattr(FUNCTIONS[name].op, "roots", [root])
    forget_programs()


@breaks(laws.check_value, "tanh", "tanh at")
def another_function(patch: Patch) -> None:
    change_root(patch, "tanh", build("sin", *inputs(1)))


@breaks(laws.check_value, "exp", "exp at")
def a_value_off_by_little(patch: Patch) -> None:
    change_root(patch, "exp", build("exp", *inputs(1)) * (1 + 1e-10))


@breaks(laws.check_value, "contiguous", "contiguous at")
@breaks(laws.check_layout, "contiguous", "depends on the layout")
def strides_unheeded(patch: Patch) -> None:
    def memory_order(p: Any, d: int) -> Any:
        flat = lib.ad_as_strided(p, 1, [p.numel], [1], lib.ad_offset(p))
        shaped = lib.ad_view(flat, p.ndim, [p.shape[i] for i in range(p.ndim)])
        return lib.ad_contiguous(shaped, d)

    patch.setattr(OPS["contiguous"], "forward", memory_order)


@breaks(laws.check_gradient, "tanh", "Jacobian mismatch")
def a_wrong_derivative(patch: Patch) -> None:
    change_rule(patch, "tanh", lambda g, y, x: (g * (1 + y * y),))


@breaks(laws.check_gradient, "sub", "with respect to input 1")
def a_wrong_sign(patch: Patch) -> None:
    change_rule(patch, "sub", lambda g, y, a, b: (g, g))


@breaks(laws.check_gradient, "mul", "with respect to input 1")
def a_missing_derivative(patch: Patch) -> None:
    change_rule(patch, "mul", lambda g, y, a, b: (g * b, None))


@breaks(laws.check_gradient, "T", "Jacobian mismatch")
def a_cotangent_not_transposed(patch: Patch) -> None:
    patch.setattr(OPS["reversed_dims"], "rule", lambda node, g: (g.reshape(g.shape[::-1]),))


@breaks(laws.check_gradient, "mul", r"is torch\.float64 \[2, 3\], and the input")
def broadcasting_not_undone(patch: Patch) -> None:
    patch.setattr(PointwiseNode, "fit", lambda self, grads: grads)


@breaks(laws.check_second_gradient, "prod_dim", "Jacobian mismatch")
def a_wrong_second_derivative(patch: Patch) -> None:
    rule = OPS["prod_dim"].rule
    patch.setattr(OPS["prod_dim"], "rule", lambda node, g, x: rule(node, g, x.detach()))


@breaks(laws.check_operands_unchanged, "clone", "clone changed an operand")
def an_operand_written_to(patch: Patch) -> None:
    def scribble(p: Any) -> Any:
        y = lib.ad_clone(p)
        lib.ad_copy(p, lib.ad_full_f64(p.dtype, 0, [], 9.0))
        return y

    patch.setattr(OPS["clone"], "forward", scribble)


@breaks(laws.check_grads_are_their_own, "sum", "strid|memory")
def a_gradient_left_as_it_came(patch: Patch) -> None:
    def accumulate(leaf: AccumulateGrad, g: ad.Tensor, fresh: bool, create: bool) -> None:
        leaf.put(g)

    patch.setattr(walk, "_accumulate", accumulate)


@breaks(laws.check_inplace, "exp", "the gradient of exp in place differs|assert")
def a_write_that_leaves_no_node(patch: Patch) -> None:
    def into(self: PointwiseOp, out: ad.Tensor, xs: Any) -> ad.Tensor:
        out.detach().copy_(self.call(*xs).detach())
        return out

    patch.setattr(PointwiseOp, "into", into)


@breaks(laws.check_out, "exp", "exp wrote beside out")
def a_write_that_does_not_heed_strides(patch: Patch) -> None:
    def into(self: PointwiseOp, out: ad.Tensor, xs: Any) -> ad.Tensor:
        y = self.call(*xs)
        room = out.as_strided((2 * out.numel(),), (1,), 0)
        room.copy_(y.max())
        out.copy_(y)
        return out

    patch.setattr(PointwiseOp, "into", into)


@breaks(laws.check_fused, "gelu", "gelu fused differs")
def a_fused_call_that_rounds_otherwise(patch: Patch) -> None:
    rounded = PointwiseOp("gelu", build("gelu", *inputs(1)) * (1 + 2**-50), 1)
    patch.setattr(FUNCTIONS["gelu"].op, "call", rounded.call)


@breaks(laws.check_compiled, "exp", "exp compiled differs")
def a_replay_that_returns_the_first_one_s_results(patch: Patch) -> None:
    run = Recording.run

    def first(self: Recording, inputs: list[ad.Tensor]) -> Any:
        return vars(self).setdefault("first", run(self, inputs))

    patch.setattr(Recording, "run", first)
    patch.setattr(function, "make_quick", lambda *_: function.slowly)
    patch.setattr(function, "replayed", lambda recording, args, inputs, python, slow: python)


@breaks(laws.check_halves, "clone", "clone")
def a_result_left_wide(patch: Patch) -> None:
    halves = (ad.float16.code, ad.bfloat16.code)

    def wide(p: Any) -> Any:
        return lib.ad_contiguous(p, ad.float32.code if p.dtype in halves else p.dtype)

    patch.setattr(OPS["clone"], "forward", wide)


@breaks(laws.check_value, "contiguous", "contiguous at")
def a_tail_lane_left_out(patch: Patch) -> None:
    """The elements beyond whole vectors of four are not written."""

    def short(p: Any, d: int) -> Any:
        y = lib.ad_contiguous(p, d)
        whole = p.numel // 4 * 4
        tail = lib.ad_as_strided(y, 1, [p.numel - whole], [1], whole)
        lib.ad_copy(tail, lib.ad_full_f64(d, 0, [], 0.0))
        return y

    patch.setattr(OPS["contiguous"], "forward", short)


@breaks(laws.check_gradient, "sub", "with respect to input 1")
def a_plan_of_another_call(patch: Patch) -> None:
    """What was derived for one input that wants a gradient is used where both do."""

    class Stale(dict[int, Any]):
        def __getitem__(self, wanted: int) -> Any:
            return super().__getitem__(min(self, default=wanted))

    op = FUNCTIONS["sub"].op
    patch.setattr(op, "plans", Stale())
    forget_recipes()
    op.call(ad.ones(1, dtype=ad.float64, requires_grad=True), ad.ones(1, dtype=ad.float64))


@pytest.fixture
def planting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Patch]:
    leave_to_python(monkeypatch)
    yield monkeypatch
    monkeypatch.undo()
    forget_programs()


def operands(case: Case) -> list[ad.Tensor]:
    """Two by three, transposed in memory, then rows that broadcast."""
    matrix = ad.tensor([[0.5, -1.0], [0.25, 2.0], [1.5, 0.75]], dtype=ad.float64).t()
    row = ad.tensor([1.25, 0.5, -2.0], dtype=ad.float64)
    arity = 1 if case.pointwise is None else case.pointwise.n_in
    return [matrix, *[row] * (arity - 1)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.plant.__name__}-{f.law.__name__}")
def test_the_law_finds_the_fault(fault: Fault, planting: Patch) -> None:
    case = BY_NAME[fault.case]
    fault.law(case, operands(case))
    fault.plant(planting)
    with pytest.raises((AssertionError, RuntimeError), match=fault.match):
        fault.law(case, operands(case))


def test_every_law_has_a_fault() -> None:
    assert {fault.law for fault in FAULTS} == set(laws.LAWS)


def test_a_wrong_dtype_is_found(planting: Patch) -> None:
    assert letters(ad, "exp") == RECORDED["exp"]
    planting.setitem(PRIMITIVES, "exp", PRIMITIVES["exp"]._replace(result="same"))
    forget_programs()
    assert letters(ad, "exp") != RECORDED["exp"]


def test_a_stale_program_is_found(planting: Patch) -> None:
    planting.setattr(dtypes, "default_hooks", [])  # what forgets programs of another default dtype
    assert (ad.tensor([1]) + 0.5).dtype is ad.float32
    with pytest.raises(AssertionError):
        test_default_dtype()


@pytest.mark.parametrize("off", [-1, 1])
def test_a_kernel_whose_tail_is_off_by_one_is_found(off: int, planting: Patch) -> None:
    def kernel(op: int, kind: int, n: int, *operands: Any) -> int:
        wrong = n % 8 and n < 67  # the longest call has no room for one more
        return int(lib.ad_pw_kernel(op, kind, n + off if wrong else n, *operands))

    planting.setattr(test_kernels, "lib", SimpleNamespace(ad_pw_kernel=kernel))
    with pytest.raises(AssertionError):
        test_kernels.test_every_length_in_place_and_nothing_past_the_end(
            test_kernels.row_of("neg", "f32"), None
        )


def test_an_undeclared_primitive_is_found(planting: Patch) -> None:
    planting.setitem(PRIMITIVES, "new", PRIMITIVES["exp"]._replace(name="new"))
    assert laws.untested() == {"new"}
