"""Names that PyTorch has of what is here under another, and small functions: as PyTorch's."""

from __future__ import annotations

import copy
import json
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from golden.record_names import GOLDEN, PLAIN, SMOOTH, derivatives, outcome
from golden.recording import alike

import autodiff as ad
from autodiff.functions import FUNCTIONS
from autodiff.methods import METHODS
from autodiff.ops import shared as shared_memory
from autodiff.ops.written import finish, unwrapped

RECORDED = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("text", SMOOTH)
def test_values_and_derivatives_are_pytorchs(text: str) -> None:
    for dtype, tolerance in (("float64", 1e-9), ("float32", 2e-4)):
        got, wanted = derivatives(ad, text, dtype), RECORDED["smooth"][text]
        got[2] = got[2] if wanted[2] is not None else None
        assert alike(got, wanted, tolerance), f"{dtype}: {got}, not {wanted}"


@pytest.mark.parametrize("text", PLAIN)
def test_calls_end_as_pytorchs(text: str) -> None:
    got, wanted = outcome(ad, text), RECORDED["plain"][text]
    assert alike(got, wanted, 1e-5), f"{got}, not {wanted}"


def test_what_is_at_the_top_is_of_nn_or_its_own() -> None:
    for name in ad._AT_TOP.split():
        own = getattr(ad, name).__module__ == "autodiff.at_top"
        assert own or getattr(ad, name) is getattr(ad.nn.functional, name)


GIVEN = [lambda base: base.resize_(9), lambda base: base.set_(ad.ones(4))]


@pytest.mark.parametrize("give", GIVEN)
def test_views_of_memory_that_was_given_up_have_no_base(give: Callable[..., Any]) -> None:
    """A write to one does not change the other's history, nor is it told of one."""
    for through_view in (True, False):
        base, w = ad.zeros(4), ad.ones(2, requires_grad=True)
        view = base[:2]
        give(base)
        (view if through_view else base[:2]).mul_(w)
        assert (view.requires_grad, base.requires_grad) == (through_view, not through_view)


def test_what_an_operation_made_keeps_its_shape_in_other_memory() -> None:
    """Else backward would give its operands gradients of a shape that is not theirs."""
    x = ad.ones(4, requires_grad=True)
    y = 2 * x
    with ad.no_grad():
        with pytest.raises(RuntimeError, match="another shape"):
            y.set_(ad.zeros(3))
        y.set_(ad.zeros(4))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0] * 4


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0, float("inf")])
def test_rows_of_no_columns_have_no_distance(p: float) -> None:
    x = ad.zeros(3, 0)
    assert ad.cdist(x, x, p).tolist() == [[0.0] * 3] * 3
    assert ad.pdist(x, p).tolist() == [0.0] * 3
    for rows in (2**32 + 1, 2**33, 2**62):  # whose pairs are more than 63 bits count
        with pytest.raises(RuntimeError, match="overflowed"):
            ad.pdist(x[:1].expand(rows, 0), p)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_processes_write_to_shared_memory() -> None:
    """And to that alone; a view of it, transposed, keeps its shape, strides and dtype."""
    shared = ad.arange(6).reshape(2, 3).t().share_memory_()
    own, layer = ad.zeros(2), ad.nn.Linear(2, 1).share_memory()
    flags = ad.tensor([True, False]).share_memory_()
    assert flags.is_shared()
    assert shared.is_shared()
    assert shared[1:].is_shared()
    assert not own.is_shared()
    assert (shared.tolist(), shared.stride()) == ([[0, 3], [1, 4], [2, 5]], (1, 3))
    child = os.fork()
    if not child:
        with ad.no_grad():
            for x in (shared[0], own, layer.weight, flags):
                x.fill_(7)
        os._exit(0)
    os.waitpid(child, 0)
    assert shared.tolist() == [[7, 7], [1, 4], [2, 5]]
    assert own.tolist() == [0, 0]
    assert flags.tolist() == [True, True]
    assert layer.weight.tolist() == [[7, 7]]
    assert layer.weight.is_leaf


def test_shared_memory_is_given_back() -> None:
    before = len(shared_memory._BLOCKS)
    x = ad.ones(3).share_memory_()
    view = x[1:]
    del x
    assert view.tolist() == [1, 1]
    assert len(shared_memory._BLOCKS) == before + 1
    del view
    assert len(shared_memory._BLOCKS) == before


def test_an_uninitialized_buffer_is_held_until_it_has_a_shape() -> None:
    module = ad.nn.Module()
    module.rates = ad.nn.UninitializedBuffer(dtype=ad.float64)
    kept = [copy.deepcopy(module.rates), pickle.loads(pickle.dumps(module.rates))]
    assert [repr(x) for x in kept] == ["<UninitializedBuffer>"] * 2
    module.rates.materialize((2,))
    assert module.state_dict()["rates"].shape == (2,)
    assert module.rates.dtype is ad.float64
    assert type(module.rates) is ad.nn.Buffer


WRONG = {
    "ad.sum()": "sum() missing 1 required positional argument: 'input'",
    "ad.sum(x, 0, False, 1)": "sum() takes from 1 to 3 positional arguments but 4 were given",
    "ad.sum(x, 0, axis=1)": "sum() got multiple values for argument 'dim'",
    "ad.sum(x, foo=1)": "sum() got an unexpected keyword argument 'foo'",
    "x.sum(0, foo=1)": "sum() got an unexpected keyword argument 'foo'",
    "x.sum(keepdim=1)": "sum(): argument 'keepdim' must be bool, not int",
    "ad.transpose(x, dim1=1)": "transpose() missing 1 required positional argument: 'dim0'",
    "ad.layer_norm(x, (3,), None, None, 's')": "argument 'eps' (position 5) must be float, not str",
    "ad.gather(x, index='a', axis=0)": "argument 'index' (position 3) must be Tensor, not str",
}


@pytest.mark.parametrize(("call", "text"), WRONG.items())
def test_a_call_with_other_arguments_says_what_the_function_takes(call: str, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        eval(call, {"ad": ad, "x": ad.zeros(2, 3)})
    assert text in str(caught.value)


def test_what_stands_before_a_function_has_its_defaults() -> None:
    twins = 0
    for function in [*FUNCTIONS.values(), *METHODS.values()]:
        inner: Any = getattr(function, "__wrapped__", None)
        finish(function)
        if inner is None or function.__code__.co_filename.count(": call") == 0:
            continue
        own: Any = unwrapped(function)
        given, wanted = function.__defaults__ or (), own.__defaults__ or ()
        assert given[len(given) - len(wanted) :] == wanted
        assert function.__kwdefaults__ == own.__kwdefaults__
        n = own.__code__.co_argcount + own.__code__.co_kwonlyargcount
        assert function.__code__.co_varnames[:n] == own.__code__.co_varnames[:n]
        twins += 1
    assert twins > 100
