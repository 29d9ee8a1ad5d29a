"""Two tensors that change places: whatever knew one of them knows the other's content."""

from __future__ import annotations

import copy
import pickle

import pytest

import autodiff as ad
from autodiff import nn
from autodiff.utils import swap_tensors


class Named(ad.Tensor):
    name: str


def test_values_gradients_class_and_attributes_change_places() -> None:
    a, b = nn.Parameter(ad.zeros(2)), ad.ones(3).as_subclass(Named)
    a.tag, b.name = "a", "b"  # type: ignore[attr-defined]
    a.grad = ad.full((2,), 5.0)
    swap_tensors(a, b)
    assert type(a) is Named
    assert type(b) is nn.Parameter
    assert (a.tolist(), a.requires_grad, a.grad, vars(a)) == ([1] * 3, False, None, {"name": "b"})
    assert (b.tolist(), b.requires_grad, vars(b)) == ([0, 0], True, {"tag": "a"})
    assert b.grad is not None
    assert b.grad.tolist() == [5, 5]
    (2 * b).sum().backward()
    assert b.grad.tolist() == [7, 7]
    assert b.grad_fn is None
    assert b.is_leaf


def test_results_keep_their_history() -> None:
    x = ad.ones(2, requires_grad=True)
    y, z = 3 * x, ad.zeros(2)
    swap_tensors(y, z)
    assert (y.requires_grad, z.requires_grad) == (False, True)
    z.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3, 3]


def test_a_graph_of_what_was_swapped_cannot_be_run_back() -> None:
    a, b = nn.Parameter(ad.ones(2)), nn.Parameter(ad.ones(2))
    loss = (a * a).sum()
    swap_tensors(a, b)
    with pytest.raises(RuntimeError, match="poisoned by swap_tensors"):
        loss.backward()
    (a * a).sum().backward()
    assert a.grad is not None
    assert b.grad is None


def test_a_view_is_of_the_memory_that_it_has() -> None:
    x = ad.ones(2, requires_grad=True)
    base, other = 2 * x, ad.full((2,), 7.0, requires_grad=True) * 1
    view = base[:1]
    swap_tensors(base, other)
    view.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2, 0]


def test_what_cannot_be_swapped_is_told() -> None:
    a = nn.Parameter(ad.ones(2))
    with pytest.raises(RuntimeError, match="different slots: a Parameter and a Tensor"):
        swap_tensors(a, ad.ones(2))
    with pytest.raises(TypeError, match="t1 must be Tensor, not int"):
        swap_tensors(1, a)  # type: ignore[arg-type]
    swap_tensors(a, a)
    assert a.tolist() == [1, 1]


def test_a_compiled_step_follows_a_swap() -> None:
    layer, other = nn.Linear(2, 2), nn.Linear(2, 2)
    step = ad.compile(layer)
    x = ad.ones(1, 2)
    for _ in range(3):
        step(x)
    assert step.stats().runs
    swap_tensors(layer.weight, other.weight)
    assert ad.equal(step(x), layer(x))
    assert ad.equal(pickle.loads(pickle.dumps(layer.weight)), copy.deepcopy(layer.weight))
