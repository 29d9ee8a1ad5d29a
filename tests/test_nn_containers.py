"""Containers of modules: their texts, their edits and their errors are PyTorch's."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from golden.record_modules import EDITS, ERRORS, GOLDEN, PARAMETERS, REPRS
from golden.recording import failure

import autodiff as ad
import autodiff.nn
from autodiff import nn

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", RECORD["reprs"])
def test_reprs_are_pytorchs(name: str) -> None:
    assert repr(REPRS[name](ad)) == RECORD["reprs"][name]


@pytest.mark.parametrize("name", RECORD["edits"])
def test_edits_are_pytorchs(name: str) -> None:
    assert repr(EDITS[name](ad)) == RECORD["edits"][name]


@pytest.mark.parametrize("name", RECORD["errors"])
def test_errors_are_pytorchs(name: str) -> None:
    kind, text = failure(ERRORS[name], ad)
    ours = text.replace("autodiff.nn.containers", "autodiff.nn.container")
    assert [kind, ours.replace("autodiff.nn.", "torch.nn.modules.")] == RECORD["errors"][name]


def test_every_case_is_recorded() -> None:
    for section, cases in (("reprs", REPRS), ("edits", EDITS), ("errors", ERRORS)):
        assert list(RECORD[section]) == list(cases)


@pytest.mark.parametrize("name", [n for n in REPRS if n not in PARAMETERS and "custom" not in n])
def test_copies_and_pickles_read_the_same(name: str) -> None:
    module = REPRS[name](ad)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(other) == repr(module)
        assert list(other.state_dict()) == list(module.state_dict())


def test_insert_out_of_range_and_from_the_end() -> None:
    modules = nn.ModuleList([nn.Tanh(), nn.ReLU()])
    modules.insert(-1, nn.Sigmoid())
    assert [type(m).__name__ for m in modules] == ["Tanh", "Sigmoid", "ReLU"]
    with pytest.raises(IndexError, match="out of range: 9"):
        modules.insert(9, nn.Tanh())
    with pytest.raises(TypeError, match="not a Module subclass"):
        modules.insert(0, 3)  # type: ignore[arg-type]


def test_views_of_a_dict_follow_it() -> None:
    modules = nn.ModuleDict()
    keys, items, values = modules.keys(), modules.items(), modules.values()
    layer = modules["a"] = nn.Tanh()
    assert (list(keys), list(items), list(values)) == (["a"], [("a", layer)], [layer])


def test_a_part_is_of_the_same_class() -> None:
    class Mine(nn.ModuleList):
        pass

    class Row(nn.Sequential):
        pass

    assert type(Mine([nn.Tanh()])[:1]) is Mine
    assert type(Row(nn.Tanh())[:1]) is Row
    assert type(nn.MLP([1, 2, 1])[:2]) is nn.Sequential


def test_members_of_containers_are_trained() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.ModuleList([nn.Linear(2, 2) for _ in range(2)])
            self.heads = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 3)})

        def forward(self, x: Any, head: str) -> Any:
            for row in self.rows:
                x = row(x)
            return self.heads[head](x)

    net = Net()
    net(ad.ones(1, 2), "b").sum().backward()
    have = {name for name, p in net.named_parameters() if p.grad is not None}
    assert have == {
        f"{layer}.{kind}"
        for layer in ("rows.0", "rows.1", "heads.b")
        for kind in ("weight", "bias")
    }


def test_conversions_that_there_are_not_are_refused() -> None:
    module = nn.Linear(1, 1)
    for wrong in (lambda: module.to(1.5), lambda: module.to(dtypes=ad.float64)):
        with pytest.raises(TypeError, match=r"to\(\) takes a dtype, a device or a tensor"):
            wrong()
    with pytest.raises(ValueError, match=r"invalid type: 'torch\.NopeTensor'"):
        module.type("torch.NopeTensor")
    with pytest.raises(RuntimeError, match="floating point"):
        module.type(ad.int64)
    with pytest.raises(AssertionError, match="only 'cpu'"):
        module.to_empty(device="cuda")
