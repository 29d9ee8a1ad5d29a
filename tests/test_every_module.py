"""Every module gives what PyTorch's gives, and compiled what it gives plainly."""

from __future__ import annotations

import copy
import inspect
import json
from typing import Any

import pytest
from golden import record_layers
from golden.record_every_module import ERRORS, EVERY, GOLDEN, LINES, MORE
from golden.recording import failure
from test_layers import differences
from twins import bits

import autodiff as ad
from autodiff import nn

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())
HERE_ALONE = {"MLP", "Neuron"}  # PyTorch has none
OF_OTHERS = {"DataParallel", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList",
             "RNNBase", "RNNCellBase", "Sequential", "TransformerDecoder",
             "TransformerEncoder"}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EVERY)
def test_a_module_gives_what_pytorchs_gives(name: str) -> None:
    check(EVERY[name](ad), RECORD["every"][name], name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MORE)
def test_more_gives_what_pytorchs_gives(name: str) -> None:
    check(MORE[name](ad), RECORD["more"][name], name)


def check(got: Any, expected: Any, name: str) -> None:
    wrong = differences(got, expected, 2e-5 if "float32" in name else 1e-10)
    assert not wrong, wrong[:5]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    kind, text = failure(ERRORS[name], ad)
    expected, words = RECORD["errors"][name]
    assert kind == expected
    assert text.startswith(words)


def test_every_module_has_a_line_and_every_line_is_recorded() -> None:
    modules = {
        name
        for name in nn.__all__
        if inspect.isclass(kind := getattr(nn, name)) and issubclass(kind, nn.Module)
    }
    assert modules - {name for name, *_ in LINES} == HERE_ALONE | OF_OTHERS
    for part, cases in (("every", EVERY), ("more", MORE), ("errors", ERRORS)):
        assert list(RECORD[part]) == list(cases)


class Step:
    """A call of a module and the gradients that it leads to, as a call of a compiled function."""

    def __init__(self, module: Any, options: dict[str, Any]) -> None:
        self.module, self.options = module, options

    def __call__(self, *given: Any) -> Any:
        ys = record_layers.first_of(self.module(*given, **self.options))
        total = sum((y * y).sum() for y in ys if y.requires_grad)
        wanted = [x for one in given for x in record_layers.first_of(one)]
        wanted = [x for x in [*wanted, *self.module.parameters()] if getattr(x, "requires_grad", 0)]
        if isinstance(total, ad.Tensor) and wanted:
            ys += [g for g in ad.autograd.grad(total, wanted, allow_unused=True) if g is not None]
        return [y.detach() for y in ys]


def as_compiled(lib: Any, module: Any, given: Any, options: Any = None) -> list[Any]:
    """In the place of `passes`: three calls plainly, and three of the module's compiled twin."""
    state, runs = ad.get_rng_state(), []
    for through in (lambda step: step, ad.compile):
        ad.set_rng_state(state)
        twin = copy.deepcopy(module)
        step = through(Step(twin, options or {}))
        found = [step(*given) for _ in range(3)]
        runs.append([bits(found), bits(list(twin.buffers()))])
    assert runs[0] == runs[1]
    looks = isinstance(module, nn.AdaptiveLogSoftmaxWithLoss)  # at its targets: it stays eager
    assert bool(step.stats().runs) is not looks
    module(*given, **(options or {}))  # a lazy module has its shapes now
    return []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EVERY)
def test_a_compiled_module_gives_what_it_gives_plainly(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_layers, "passes", as_compiled)
    EVERY[name](ad)
