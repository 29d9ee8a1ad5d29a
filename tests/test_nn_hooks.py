"""Hooks of modules: what they see, what they change, and when they are called is PyTorch's."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from typing import Any

import pytest
from golden import record_module_state as of_state
from golden.record_module_hooks import CASES, GOLDEN, run
from nested import alike

import autodiff as ad
import autodiff.nn
from autodiff import nn
from autodiff.hooks import RemovableHandle

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())["cases"]
STATES: dict[str, Any] = json.loads(of_state.GOLDEN.read_text())["cases"]


@pytest.mark.parametrize("name", RECORD)
def test_hooks_see_and_change_what_pytorchs_do(name: str) -> None:
    got, expected = run(CASES[name], ad), RECORD[name]
    for part in ("log", "warnings", "result"):
        assert alike(got[part], expected[part]), f"{part}: {got[part]}, PyTorch: {expected[part]}"


@pytest.mark.parametrize("name", of_state.CASES)
def test_hooks_of_state_dicts_are_pytorchs(name: str) -> None:
    got, expected = run(of_state.CASES[name], ad), STATES[name]
    assert alike(got, expected), f"{got}, PyTorch: {expected}"


def test_every_case_is_recorded() -> None:
    assert list(RECORD) == list(CASES)
    assert list(STATES) == list(of_state.CASES)


def add_one(module: Any, args: Any, out: Any) -> Any:
    return out + 1


def test_copies_and_pickles_keep_their_hooks_and_handles() -> None:
    module = nn.Tanh()
    handle = module.register_forward_hook(add_one)
    assert isinstance(handle, RemovableHandle)
    copied = copy.deepcopy(module)
    handle.remove()
    assert module(ad.zeros(1)).item() == 0.0
    assert copied(ad.zeros(1)).item() == 1.0
    handle = copied.register_forward_hook(add_one)
    other, its_handle = pickle.loads(pickle.dumps((copied, handle)))
    assert other(ad.zeros(1)).item() == 2.0
    its_handle.remove()
    assert other(ad.zeros(1)).item() == 1.0
    assert copied(ad.zeros(1)).item() == 2.0


def test_a_new_handle_takes_no_place_that_is_taken() -> None:
    """Hooks that were unpickled keep their ids, which this process may be about to give."""
    module = nn.Tanh()
    last = module.register_forward_hook(add_one).id
    hooks = module._hooks.after
    for i in range(1, 4):
        hooks[last + i] = hooks[last]
    module.register_forward_hook(add_one)
    assert module(ad.zeros(1)).item() == 5.0


def test_an_unhooked_call_makes_nothing_but_the_call() -> None:
    module = nn.Tanh()
    assert module._hooks is None
    module(ad.ones(1))
    assert module._hooks is None


def test_calls_are_plain_again_once_no_hook_is_for_all() -> None:
    before = nn.Module.__call__
    with nn.module.register_module_forward_hook(add_one):
        assert nn.Module.__call__ is not before
        assert nn.Tanh()(ad.zeros(1)).item() == 1.0
    nn.Tanh()(ad.zeros(1))
    assert nn.Module.__call__ is before


def test_hooked_modules_and_graphs_are_freed_without_the_cycle_collector() -> None:
    gc.disable()
    try:
        module = nn.Linear(2, 2)
        module.register_full_backward_hook(lambda *_: None)
        module.register_full_backward_pre_hook(lambda *_: None)
        module.register_forward_hook(lambda *_: None)
        module.register_load_state_dict_pre_hook(lambda *_: None)
        module.load_state_dict(module.state_dict())
        y = module(ad.ones(2, requires_grad=True))
        y.sum().backward()
        weight = weakref.ref(module.weight)
        del module, y
        assert weight() is None
    finally:
        gc.enable()


def test_inputs_without_a_gradient_keep_their_part_under_a_backward_hook() -> None:
    class Counts(nn.Module):
        def forward(self, x: ad.Tensor, seen: ad.Tensor) -> Any:
            assert not seen.requires_grad
            return x + seen, seen.add_(1)

    found, seen = [], ad.ones(2)
    module = Counts()
    module.register_full_backward_hook(lambda _, gi, go: found.append((gi, go)))
    y, count = module(ad.ones(2, requires_grad=True), seen)
    assert not count.requires_grad
    y.sum().backward()
    assert seen.tolist() == [2.0, 2.0]
    ((gi, go),) = found
    assert [g.tolist() for g in gi] == [[1.0, 1.0], [0.0, 0.0]]
    assert go[0].tolist() == [1.0, 1.0]
    assert go[1] is None


def test_the_hooks_that_a_module_tells_are_those_registered() -> None:
    module, calls = nn.Linear(2, 2), []
    before = lambda m, args: calls.append(len(args))  # noqa: E731
    after = lambda m, args, kwargs, out: calls.append(kwargs)  # noqa: E731
    handle = module.register_forward_pre_hook(before)
    module.register_forward_hook(after, with_kwargs=True)
    assert [*module._forward_pre_hooks.items()] == [(handle.id, before)]
    assert [*module._forward_hooks.values()] == [after]
    module(input=ad.ones(2))
    assert len(calls) == 2
    assert list(calls[1]) == ["input"]


def test_what_modules_register_is_told_and_may_be_replaced() -> None:
    told: list[tuple[str, str, str]] = []

    def teller(kind: str) -> Any:
        return lambda module, name, value: told.append((kind, name, type(value).__name__))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer: Any = nn.Linear(1, 1, bias=False)
            self.p: Any = nn.Parameter(ad.ones(1))
            self.p = None
            self.register_buffer("b", ad.ones(1))
            self.b: Any = ad.zeros(1)
            self.b = None
            self.layer = None
            self.register_parameter("r", None)

    kinds = ("module", "parameter", "buffer")
    registers = [
        getattr(nn.modules.module, f"register_module_{kind}_registration_hook") for kind in kinds
    ]
    handles = [add(teller(kind)) for kind, add in zip(kinds, registers, strict=True)]
    Net()
    for handle in handles:
        handle.remove()
    assert told == [  # as PyTorch's
        ("parameter", "weight", "Parameter"),
        ("module", "layer", "Linear"),
        ("parameter", "p", "Parameter"),
        *[("buffer", "b", kind) for kind in ("Tensor", "Tensor", "NoneType")],
        ("module", "layer", "NoneType"),
    ]
    other = nn.Parameter(ad.full((1, 1), 3.0))
    with registers[1](lambda module, name, value: other):
        layer = nn.Linear(1, 1, bias=False)
    with registers[0](lambda module, name, value: nn.ReLU()):
        net = nn.Sequential(nn.Tanh())
    assert layer.weight is other
    assert type(net[0]) is nn.ReLU
    assert told[-1][0] == "module"
