"""Planted faults: random sequences must run into each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from native_calls import leave_to_python
from sequences.machine import DifferenceError
from sequences.state import machine, steps_of, warm_up

import autodiff as ad
from autodiff import walk
from autodiff.ops.base import OPS
from autodiff.tensor import Tensor, late

Patch = pytest.MonkeyPatch
FAULTS: dict[str, tuple[Callable[[Patch], None], str]] = {}


def found_by(steps: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def register(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        FAULTS[plant.__name__] = plant, steps
        return plant

    return register


def everywhere(patch: Patch, name: str, value: Any) -> None:
    """Replaces what several modules of the package have imported."""
    for where, module in list(sys.modules.items()):
        if where.startswith("autodiff.") and name in vars(module):
            patch.setattr(module, name, value)


@found_by("pointwise pointwise2 overwrite update")
def no_version_check(patch: Patch) -> None:
    everywhere(patch, "version_sum", lambda ps: 0)


@found_by("update overwrite")
def writes_to_leaves_allowed(patch: Patch) -> None:
    everywhere(patch, "check_writable", lambda x, op: None)


@found_by("view assign pointwise")
def a_write_through_a_view_unknown_to_its_base(patch: Patch) -> None:
    def rebase(x: Tensor, written: Any) -> None:
        x._node = written

    everywhere(patch, "rebase", rebase)


@found_by("view pointwise update update2")
def views_that_do_not_follow_their_base(patch: Patch) -> None:
    patch.setattr(late, "renew_view", lambda x, of: None)


@found_by("view view2 pointwise")
def a_cotangent_not_transposed(patch: Patch) -> None:
    patch.setattr(OPS["transpose"], "rule", lambda n, g: (g.reshape(g.shape[::-1]),))


@found_by("view view2 pointwise")
def the_gradient_of_another_row(patch: Patch) -> None:
    rule = OPS["select"].rule

    def first_row(n: Any, g: Tensor) -> Any:
        n.args = (n.args[0], 0)
        return rule(n, g)

    patch.setattr(OPS["select"], "rule", first_row)


@found_by("backward pointwise")
def gradients_that_do_not_add_up(patch: Patch) -> None:
    def accumulate(leaf: Any, g: Tensor, fresh: bool, create: bool) -> None:
        leaf.grad = g.clone()

    patch.setattr(walk, "_accumulate", accumulate)


@found_by("backward grad pointwise pointwise2")
def a_graph_that_is_never_freed(patch: Patch) -> None:
    start = walk.Walk.__init__

    def keep(self: Any, *args: Any) -> None:
        start(self, *args)
        self.keep = True

    patch.setattr(walk.Walk, "__init__", keep)


@found_by("reduction reduction2 pointwise second second2 second3")
def a_wrong_second_derivative(patch: Patch) -> None:
    for name in ("prod", "prod_dim"):
        patch.setattr(OPS[name], "rule", detached(OPS[name].rule))


def detached(rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda n, g, x: rule(n, g, x.detach())


@found_by("index pointwise")
def a_gather_without_gradient(patch: Patch) -> None:
    patch.setattr(OPS["index"], "rule", lambda n, g: (g.new_zeros(n.shape),))


@found_by("copied pointwise")
def memory_that_stays(patch: Patch) -> None:
    forward, kept = OPS["clone"].forward, []

    def clone(p: Any) -> Any:
        kept.append(OPS["alias"].forward(p))
        return forward(p)

    patch.setattr(OPS["clone"], "forward", clone)
    leave_to_python(patch)


@found_by("view pointwise")
def memory_order_instead_of_strides(patch: Patch) -> None:
    def result_of(self: Tensor) -> Any:
        flat = tolist(self.as_strided((self.numel(),), (1,), 0)) if self.numel() else []
        return flat if self.ndim else flat[0]

    tolist = Tensor.tolist
    patch.setattr(Tensor, "tolist", result_of)


@pytest.mark.parametrize("fault", FAULTS)
def test_sequences_find_the_fault(fault: str, monkeypatch: Patch) -> None:
    plant, steps = FAULTS[fault]
    warm_up(ad)
    options = settings(
        max_examples=6000,  # ten times what the rarest takes, by and large
        stateful_step_count=12,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    plant(monkeypatch)
    with pytest.raises(DifferenceError):
        run_state_machine_as_test(machine(fault, steps_of(steps), ad), settings=options)
