"""Optimisers are PyTorch's: recorded trajectories, texts, state; and what they do at the edges."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from golden.record_optim import (
    COMPOSED,
    ERRORS,
    GOLDEN,
    LBFGS,
    RECORDED,
    REPRS,
    cases,
    make,
    minimise,
    run,
    through,
    train,
)
from golden.recording import failure
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import nn, optim

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())


def assert_close(got: Any, expected: Any, name: str) -> None:
    # In float32 the last places of tanh grow to 1e-6 where the steps adapt to small gradients.
    tolerance = 2e-6 if "float32" in name else 1e-12
    if name.startswith("Muon"):  # a product that is rounded to bfloat16 the other way
        tolerance = 1e-3
    for mine, theirs in zip(got, expected, strict=True):
        assert flat(mine) == pytest.approx(flat(theirs), rel=tolerance, abs=tolerance), name


@pytest.mark.parametrize("name", RECORD["trajectories"])
def test_a_hundred_steps_are_pytorchs(name: str) -> None:
    got, expected = run(ad, optim, name, cases()[name]), RECORD["trajectories"][name]
    for mine, theirs in zip(got, expected, strict=True):
        assert_close(mine, theirs, name)


@pytest.mark.parametrize("name", RECORD["stopped"])
def test_training_goes_on_from_pytorchs_state(name: str) -> None:
    saved, dtype = RECORD["stopped"][name], getattr(ad, name.split("-")[1])
    params, optimizer = make(ad, optim, name, [{} for _ in cases()[name]])
    state = {}
    for i, own in saved["state"].items():
        wide = {key: ad.float32 if key == "step" else dtype for key in own}
        state[int(i)] = {key: ad.tensor(own[key], dtype=wide[key]) for key in own}
    optimizer.load_state_dict({"state": state, "param_groups": saved["param_groups"]})
    for x, values in zip(params, saved["params"], strict=True):
        x.data = ad.tensor(values, dtype=dtype)
    train(ad, params, optimizer, range(12, 20))
    # Loading gives ASGD's rates, which were float32, the dtype of the parameter, as in PyTorch.
    precision = "float32" if name.startswith("ASGD") else name
    assert_close([p.tolist() for p in params], saved["end"], precision)
    assert optimizer.state_dict()["param_groups"] == saved["param_groups"]


@pytest.mark.parametrize("name", RECORD["through"])
def test_gradients_go_through_steps_as_pytorchs(name: str) -> None:
    # Where the rate is a number, PyTorch divides it by a float32 count by way of a reciprocal; and
    # 0.9 ** count is a float32, which is rounded as PyTorch's but for one in a hundred.
    tolerance = 1e-6 if name in ("Adam", "AdamW", "NAdam decoupled") else 1e-12
    for mine, theirs in zip(through(ad, optim, name), RECORD["through"][name], strict=True):
        if theirs is None:
            assert mine is None
        else:
            assert mine == pytest.approx(theirs, rel=tolerance, abs=tolerance)


# The first momentum is a copy of the gradient, which PyTorch detaches.
@pytest.mark.parametrize("name", [name for name in RECORDED if "SGD " not in name])
def test_recorded_steps_go_where_native_ones_go_with_their_slopes(name: str) -> None:
    options = {"lr": 0.1, **RECORDED[name]}
    kind = getattr(optim, name.split()[0])

    def moved(start: list[float], differentiable: bool) -> tuple[ad.Tensor, ad.Tensor]:
        leaf = ad.tensor(start, dtype=ad.float64, requires_grad=True)
        x = leaf.clone() if differentiable else leaf
        optimizer = kind([x], **options, differentiable=differentiable)
        for _ in range(7):
            loss = (x.tanh() - 0.4).square().sum()
            (x.grad,) = ad.autograd.grad(loss, x, create_graph=differentiable)
            optimizer.step()
        return leaf, x

    start, small = [0.7, -1.2, 0.3], 1e-6
    leaf, x = moved(start, True)
    x.sum().backward()
    assert leaf.grad is not None
    for i, slope in enumerate(leaf.grad.tolist()):
        ends = []
        for step in (-small, small):
            there = [*start[:i], start[i] + step, *start[i + 1 :]]
            ends.append(moved(there, False)[1].detach())
        middle = (ends[0] + ends[1]) / 2
        assert x.tolist() == pytest.approx(middle.tolist(), rel=1e-4)
        assert slope == pytest.approx((ends[1] - ends[0]).sum().item() / (2 * small), rel=1e-3)


def test_a_recorded_step_writes_its_state_and_refuses_leaves() -> None:
    leaf = ad.ones(2, requires_grad=True)
    x = leaf * 1
    optimizer = optim.Adam([x], differentiable=True, amsgrad=True)
    x.grad = ad.ones(2)
    optimizer.step()
    state = optimizer.state[x]
    kept = {name: (value, value._version) for name, value in state.items()}
    x.grad = ad.ones(2)
    optimizer.step()
    for name, (value, version) in kept.items():
        assert state[name] is value
        assert value._version > version
    assert state["step"].item() == 2
    other = optim.SGD([leaf], differentiable=True)
    leaf.grad = ad.ones(2)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        other.step()
    with pytest.raises(ValueError, match="non-leaf"):
        optim.SGD([x])


@pytest.mark.filterwarnings("ignore:.*stays eager")
def test_a_compiled_function_that_records_steps_stays_eager() -> None:
    def meta(leaf: ad.Tensor) -> ad.Tensor:
        x = leaf * 1
        optimizer = optim.SGD([x], lr=0.5, differentiable=True)
        for _ in range(2):
            (x.grad,) = ad.autograd.grad((x.tanh() ** 2).sum(), x, create_graph=True)
            optimizer.step()
        return (x**2).sum()

    found = []
    for call in (meta, ad.compile(meta)):
        leaf = ad.tensor([0.5, -1.0], requires_grad=True)
        for _ in range(3):
            call(leaf).backward()
        assert leaf.grad is not None
        found.append(leaf.grad.tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("stop", [0, 3])
@pytest.mark.parametrize("name", RECORD["lbfgs"])
def test_lbfgs_is_pytorchs(name: str, stop: int) -> None:
    got = minimise(ad, optim, LBFGS[name], stop)
    for step, (mine, theirs) in enumerate(zip(got, RECORD["lbfgs"][name], strict=True)):
        assert flat(mine) == pytest.approx(flat(theirs), rel=1e-9, abs=1e-9), step


def flat(x: Any) -> list[float]:
    if isinstance(x, dict):
        return flat([x[key] for key in sorted(x)])
    return [y for item in x for y in flat(item)] if isinstance(x, list) else [x]


@pytest.mark.parametrize("kind", COMPOSED)
def test_steps_on_empty_matrices(kind: str) -> None:
    x = ad.zeros(0, 3, requires_grad=True)
    x.grad = ad.zeros(0, 3)
    getattr(optim, kind)([x]).step()
    assert x.shape == (0, 3)


def test_lbfgs_looks_for_a_minimum_with_what_pytorch_saved() -> None:
    """A state whose numbers are plain ones, and which holds none of what an iteration leaves."""
    x = leaf(3.0, -2.0)
    optimizer = optim.LBFGS([x], max_iter=30, line_search_fn="strong_wolfe")
    optimizer.load_state_dict(
        {
            "state": {0: {"n_iter": 0, "func_evals": 7}},
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )

    def closure() -> Any:
        optimizer.zero_grad()
        loss = ((x - 1) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert x.tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    assert optimizer.state[x]["func_evals"] > 7
    with pytest.raises(TypeError, match="closure"):
        optimizer.step()  # type: ignore[call-arg]


@pytest.mark.parametrize("name", RECORD["errors"])
def test_errors_are_pytorchs(name: str) -> None:
    assert failure(ERRORS[name], ad, optim) == RECORD["errors"][name]


@pytest.mark.parametrize("name", RECORD["reprs"])
def test_texts_are_pytorchs(name: str) -> None:
    assert repr(REPRS[name](ad, optim)) == RECORD["reprs"][name]


def test_every_case_is_recorded() -> None:
    assert list(RECORD["trajectories"]) == list(RECORD["stopped"]) == list(cases())
    assert list(RECORD["lbfgs"]) == list(LBFGS)
    assert list(RECORD["errors"]) == list(ERRORS)
    assert list(RECORD["reprs"]) == list(REPRS)


def leaf(*values: float) -> Any:
    x = ad.tensor(values, requires_grad=True)
    x.grad = ad.ones(len(values))
    return x


def test_a_step_writes_outside_the_graph_and_counts_as_a_write() -> None:
    x = leaf(1.0, 2.0)
    before = x._version
    optim.SGD([x], lr=0.5).step()
    assert x.tolist() == [0.5, 1.5]
    assert x._version == before + 1
    assert x.is_leaf
    assert x.requires_grad
    y = x * x
    optim.SGD([x], lr=0.5).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_parameters_without_a_gradient_are_left_alone() -> None:
    x, y = leaf(1.0), ad.ones(1, requires_grad=True)
    optimizer = optim.SGD([x, y], lr=0.5, momentum=0.9)
    optimizer.step()
    assert y.item() == 1.0
    assert list(optimizer.state) == [x]
    y.grad = ad.ones(1)
    optimizer.step()
    assert optimizer.state[y]["momentum_buffer"].item() == 1.0
    assert optimizer.state[x]["momentum_buffer"].item() == pytest.approx(1.9)


def test_the_momentum_buffer_is_not_the_gradient() -> None:
    x = leaf(1.0)
    optimizer = optim.SGD([x], momentum=0.5)
    optimizer.step()
    x.grad.fill_(7.0)
    assert optimizer.state[x]["momentum_buffer"].item() == 1.0


def test_options_are_read_at_each_step() -> None:
    x = leaf(0.0)
    optimizer = optim.SGD([x], lr=1.0)
    seen = []
    for lr in (1.0, 0.25, ad.tensor(0.5)):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        seen.append(x.item())
    optimizer.param_groups[0]["maximize"] = True
    optimizer.step()
    assert [*seen, x.item()] == [-1.0, -1.25, -1.75, -1.25]
    optimizer.add_param_group({"params": leaf(0.0), "lr": 2.0})
    optimizer.step()
    assert optimizer.param_groups[1]["params"][0].item() == -2.0


def test_data_that_was_replaced_is_what_is_updated() -> None:
    x = leaf(1.0)
    optimizer = optim.SGD([x], lr=1.0, momentum=0.5)
    optimizer.step()
    x.data = ad.tensor([5.0])
    x.grad = ad.ones(1)
    optimizer.step()
    assert x.item() == 3.5


def test_strided_parameters_and_gradients() -> None:
    x = ad.zeros(2, 3).t().requires_grad_()
    (x * ad.arange(6).reshape(3, 2)).sum().backward()
    optim.SGD([x], lr=1.0, momentum=0.9).step()
    assert x.tolist() == [[0.0, -1.0], [-2.0, -3.0], [-4.0, -5.0]]


def test_zero_grad() -> None:
    x = leaf(1.0)
    optimizer = optim.SGD([x])
    kept = x.grad
    optimizer.zero_grad(set_to_none=False)
    assert x.grad.item() == kept.item() == 0.0
    optimizer.zero_grad()
    assert x.grad is None
    optimizer.step()
    assert x.item() == 1.0


def test_closure() -> None:
    x = leaf(1.0)
    optimizer = optim.SGD([x], lr=0.25)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with ad.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert x.item() == 0.5


def test_duplicates_and_shared_parameters() -> None:
    x = leaf(1.0)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([x, x])
    optimizer = optim.SGD([x])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": x})
    with pytest.raises(TypeError, match="param_group must be a dict"):
        optimizer.add_param_group(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="with/without names"):
        optimizer.add_param_group({"params": [("b", leaf(1.0))]})
    with pytest.raises(NotImplementedError):
        optim.Optimizer([x], {}).step()


def test_state_that_does_not_fit_is_an_error_that_names_the_step() -> None:
    x = leaf(1.0, 2.0)
    optimizer = optim.SGD([x], momentum=0.5)
    optimizer.state[x]["momentum_buffer"] = ad.ones(3)
    with pytest.raises(RuntimeError, match=r"SGD\.step"):
        optimizer.step()
    whole = ad.ones(2, dtype=ad.int64)
    whole.grad = ad.ones(2, dtype=ad.int64)
    with pytest.raises(RuntimeError, match=r"SGD\.step"):
        optim.SGD([whole]).step()


def test_state_moves_to_the_dtype_of_its_parameter() -> None:
    x = leaf(1.0)
    source = optim.SGD([x], momentum=0.5)
    source.step()
    y = ad.ones(1, dtype=ad.float64, requires_grad=True)
    target = optim.SGD([y], lr=9.0)
    target.load_state_dict(source.state_dict())
    assert target.state[y]["momentum_buffer"].dtype is ad.float64
    assert target.param_groups[0]["lr"] == 1e-3
    assert target.param_groups[0]["params"] == [y]
    source.state[x]["momentum_buffer"].zero_()
    assert target.state[y]["momentum_buffer"].item() == 1.0


@settings(deadline=None)
@given(
    st.sampled_from([0.0, 0.9]),
    st.booleans(),
    st.integers(1, 6),
    st.sampled_from(["load", "deepcopy", "pickle"]),
)
def test_training_goes_on_from_saved_state(
    momentum: float, maximize: bool, steps: int, way: str
) -> None:
    def train(model: Any, optimizer: Any) -> Any:
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), ad.ones(3, 1)).backward()
            optimizer.step()
        return model(x).tolist()

    ad.manual_seed(0)
    x = ad.randn(3, 2)
    model = nn.MLP([2, 3, 1])
    optimizer = optim.SGD(model.parameters(), 0.01, momentum, maximize=maximize)
    train(model, optimizer)
    if way == "load":
        other = nn.MLP([2, 3, 1])
        other.load_state_dict(model.state_dict())
        resumed = optim.SGD(other.parameters())
        resumed.load_state_dict(optimizer.state_dict())
    elif way == "deepcopy":
        other, resumed = copy.deepcopy((model, optimizer))
    else:
        other, resumed = pickle.loads(pickle.dumps((model, optimizer)))
    assert train(other, resumed) == train(model, optimizer)


def test_a_shallow_copy_shares_groups_and_state() -> None:
    w = ad.ones(1, requires_grad=True)
    optimizer = optim.Adam([w])
    other = copy.copy(optimizer)
    assert other.param_groups is optimizer.param_groups
    assert other.state is optimizer.state


def test_loaded_names_take_the_place_of_others() -> None:
    def made(*names: str) -> optim.Optimizer:
        tensors = [ad.ones(1, requires_grad=True) for _ in range(2)]
        return optim.SGD(zip(names, tensors, strict=True) if names else tensors)

    for mine, theirs, expected in (("ab", "cd", "cd"), ("ab", "", "ab"), ("", "cd", "cd")):
        optimizer = made(*mine)
        optimizer.load_state_dict(made(*theirs).state_dict())
        assert optimizer.param_groups[0]["param_names"] == list(expected)


def test_hooks_of_all_optimizers_and_options_that_are_required() -> None:
    from autodiff.optim import optimizer as module

    class Own(optim.Optimizer):
        def __init__(self, params: Any, lr: float = module.required) -> None:
            super().__init__(params, {"lr": lr})

        def step(self, closure: Any = None) -> str:
            return "stepped"

    w = ad.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match="required optimization parameter lr"):
        Own([w])
    assert Own([{"params": [w], "lr": 0.1}]).step() == "stepped"
    seen: list[str] = []
    optimizers = Own([w], lr=0.1), optim.SGD([w])
    optimizers[0].register_step_pre_hook(lambda *given: seen.append("own"))
    optimizers[0].register_step_post_hook(lambda *given: seen.append("own after"))
    before = module.register_optimizer_step_pre_hook(lambda *given: seen.append("all"))
    after = module.register_optimizer_step_post_hook(lambda *given: seen.append("all after"))
    for optimizer in optimizers:
        optimizer.step()
    assert seen == ["all", "own", "own after", "all after", "all", "all after"]
    before.remove()
    after.remove()
    optimizers[1].step()
    assert len(seen) == 6


def test_what_retains_its_gradient_can_be_optimized() -> None:
    x = ad.ones(2, requires_grad=True) * 2
    with pytest.raises(ValueError, match="non-leaf"):
        optim.SGD([x])
    x.retain_grad()
    optimizer = optim.SGD([x], lr=0.5)
    x.sum().backward()
    optimizer.step()
    assert x.tolist() == [1.5, 1.5]


def test_state_for_all_parameters_is_kept_by_its_name() -> None:
    w = leaf(1.0)
    optimizer = optim.SGD([w], lr=0.1, momentum=0.5)
    optimizer.state["steps"] = ad.tensor(3)
    optimizer.state["scale"] = {"now": 0.5}
    step = ad.compile(optimizer.step)
    for _ in range(2):
        w.grad = ad.ones(1)
        step()
    other = optim.SGD([w], lr=0.1, momentum=0.5)
    other.load_state_dict(pickle.loads(pickle.dumps(optimizer)).state_dict())
    assert other.state["steps"].item() == 3
    assert other.state["scale"] == {"now": 0.5}
    assert other.state[w]["momentum_buffer"].item() == 1.5


def test_a_wrapper_of_an_optimizer_leaves_init_out() -> None:
    class Twice(optim.Optimizer):
        def __init__(self, inner: optim.Optimizer) -> None:
            self._optimizer_step_pre_hooks = {}  # type: ignore[assignment]
            self._optimizer_step_post_hooks = {}  # type: ignore[assignment]
            self._patch_step_function()
            self.inner, self.param_groups = inner, inner.param_groups

        def step(self, closure: Any = None) -> None:
            self.inner.step()
            self.inner.step()

    w = leaf(1.0)
    w.grad = ad.ones(1)
    Twice(optim.SGD([w], lr=0.25)).step()
    assert w.item() == 0.5
