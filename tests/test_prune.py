"""Parameters are pruned as PyTorch prunes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from golden import record_prune as record
from golden.recording import alike, failure

import autodiff as ad
from autodiff import nn
from autodiff.nn.utils import prune

pytestmark = pytest.mark.usefixtures("settings_kept")
GOLDEN = json.loads(record.GOLDEN.read_text())


@pytest.mark.parametrize("text", record.PROGRAMS)
def test_what_is_pruned_and_learned_is_pytorchs(text: str) -> None:
    for (*got, pruned), (*want, wanted) in zip(
        record.facts(ad, text), GOLDEN["facts"][text], strict=True
    ):
        assert pruned is wanted
        for mine, theirs in zip(got, want, strict=True):
            if isinstance(theirs, dict):
                assert list(mine) == list(theirs)
                mine, theirs = list(mine.values()), list(theirs.values())
            assert alike(mine, theirs, 2e-6)


@pytest.mark.parametrize("text", record.REFUSED)
def test_what_is_refused_and_why(text: str) -> None:
    kind, why = failure(record.run, ad, text)
    wanted, theirs = GOLDEN["refused"][text]
    assert kind == wanted
    assert why.replace("autodiff.", "torch.") == theirs


def test_what_fails_leaves_the_module_as_it_was() -> None:
    layer = prune.identity(nn.Linear(2, 2), "weight")
    with pytest.raises(ValueError, match="should be smaller"):
        prune.l1_unstructured(layer, "weight", 9)
    with pytest.raises(ValueError, match="should be smaller"):
        prune.l1_unstructured(layer, "bias", 9)
    assert prune.is_pruned(layer)
    assert sorted(layer.state_dict()) == ["bias", "weight_mask", "weight_orig"]
    assert type(prune.remove(layer, "weight").weight) is nn.Parameter


def test_methods_of_no_known_kind_are_refused() -> None:
    class Odd(prune.BasePruningMethod):
        PRUNING_TYPE = "odd"

        def compute_mask(self, t: Any, default_mask: Any) -> Any:
            return default_mask

    class Sliced(Odd):
        PRUNING_TYPE = "structured"

    layer = nn.Linear(2, 2)
    Odd.apply(layer, "weight")
    with pytest.raises(ValueError, match="Unrecognized PRUNING_TYPE odd"):
        Odd.apply(layer, "weight")
    Sliced.apply(layer, "bias")
    with pytest.raises(AttributeError, match="attribute `dim`"):
        Sliced.apply(layer, "bias")
    a, b = prune.Identity(), prune.Identity()
    a._tensor_name, b._tensor_name = "a", "b"
    both = prune.PruningContainer(a)
    with pytest.raises(ValueError, match="Found 'b'"):
        both.add_pruning_method(b)
    assert list(both) == [both[0]] == [a]


def test_a_pruned_step_compiled_is_the_eager_one() -> None:
    def steps(compiled: bool) -> list[float]:
        ad.manual_seed(0)
        layer = prune.l1_unstructured(nn.Linear(4, 3), "weight", 5)
        optimizer = ad.optim.SGD(layer.parameters(), lr=0.1)
        x = ad.randn(6, 4)

        def step() -> ad.Tensor:
            optimizer.zero_grad()
            loss = layer(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        run = ad.compile(step) if compiled else step
        return [run().item() for _ in range(4)]

    assert steps(True) == steps(False)


def test_what_prunes_is_found_among_the_hooks() -> None:
    """As tutorials look for it."""
    layer = nn.Linear(4, 3)
    prune.random_unstructured(layer, "weight", amount=0.3)
    prune.l1_unstructured(layer, "bias", amount=1)
    prune.ln_structured(layer, "weight", amount=0.5, n=2, dim=0)
    found = {hook._tensor_name: hook for hook in layer._forward_pre_hooks.values()}
    assert isinstance(found["bias"], prune.L1Unstructured)
    assert [type(method) for method in found["weight"]] == [
        prune.RandomUnstructured,
        prune.LnStructured,
    ]
