"""A compiled step is never stale: what changes between two calls takes effect on the next one."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twins import BATCH, SIZE, Change, Trainer, Twins, adam, bits, sgd

import autodiff as ad
from autodiff import nn, torch_function


def first(t: Trainer) -> nn.Parameter:
    return t.model[0].weight


def share(t: Trainer) -> None:
    t.model.append(nn.Linear(2, 2))
    t.model.append(nn.Linear(2, 2))
    t.model[-1].weight = t.model[-2].weight


def replace(t: Trainer) -> None:
    t.model[0].weight = nn.Parameter(first(t).detach() * 0.5)


def load_other(t: Trainer) -> None:
    t.model.load_state_dict({k: v * 0.5 for k, v in t.model.state_dict().items()})


def assign(t: Trainer) -> None:
    state = {k: v * 0.5 for k, v in t.model.state_dict().items()}
    t.model.load_state_dict(state, assign=True)


def load_optimizer(t: Trainer) -> None:
    t.optimizer.load_state_dict(copy.deepcopy(t.optimizer.state_dict()))


def halve(g: ad.Tensor) -> ad.Tensor:
    return g * 0.5


def halve_parameter(t: Trainer) -> Any:
    def hook(*args: Any) -> None:
        first(t).detach().mul_(0.5)

    return hook


def halve_grad(p: ad.Tensor) -> None:
    p.grad *= 0.5


def halve_last(*args: Any) -> Any:
    return (args[-1] if isinstance(args[-1], ad.Tensor) else args[-1][0]) * 0.5


def halve_grads(module: Any, grad_input: Any, grad_output: Any) -> Any:
    return tuple(g * 0.5 for g in grad_input)


def add_group(t: Trainer) -> None:
    t.optimizer.add_param_group({"params": [nn.Parameter(ad.ones(2))], "lr": 1.0})


def leave_group(t: Trainer) -> None:
    t.optimizer.param_groups[0]["params"].remove(first(t))


def set_option(name: str, value: Any) -> Change:
    return lambda t: t.optimizer.param_groups[0].__setitem__(name, value)


STRUCTURE: dict[str, Change] = {
    "eval": lambda t: t.model.eval(),
    "eval of a part": lambda t: t.model[2].eval(),
    "a layer's option": lambda t: setattr(t.model[2], "p", 0.6),
    "frozen": lambda t: first(t).requires_grad_(False),
    "all of a module frozen": lambda t: t.model[0].requires_grad_(False),
    "replaced parameter": replace,
    "replaced module": lambda t: t.model.__setitem__(1, nn.ReLU()),
    "added module": lambda t: t.model.append(nn.Tanh()),
    "shared parameters": share,
    "replaced data": lambda t: setattr(first(t), "data", first(t).data.clone()),
    "assigned state": assign,
    "another method forward": lambda t: setattr(t.model[1], "forward", ad.sin),
    "no zero_grad": lambda t: setattr(t, "zero", False),
    "hook of a tensor": lambda t: first(t).register_hook(halve),
    "hook after accumulation": lambda t: first(t).register_post_accumulate_grad_hook(halve_grad),
    "forward hook": lambda t: t.model[1].register_forward_hook(halve_last),
    "forward pre-hook": lambda t: t.model[0].register_forward_pre_hook(halve_last),
    "backward hook": lambda t: t.model[1].register_full_backward_hook(halve_grads),
    "step hook": lambda t: t.optimizer.register_step_post_hook(halve_parameter(t)),
    "step pre-hook": lambda t: t.optimizer.register_step_pre_hook(halve_parameter(t)),
    "added group": add_group,
    "left the group": leave_group,
    "nesterov": set_option("nesterov", True),
    "maximize": set_option("maximize", True),
    "loaded optimizer": load_optimizer,
    "another method step": lambda t: setattr(t.optimizer, "step", lambda: first(t).data.mul_(0.5)),
    "another method zero_grad": lambda t: setattr(t.optimizer, "zero_grad", lambda: None),
    "rebound attribute": lambda t: setattr(t, "scale", 3.0),
    "another model": lambda t: setattr(t, "model", nn.Sequential(nn.Linear(SIZE, 2))),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_a_change_of_what_a_step_does_takes_effect(name: str) -> None:
    twins = Twins()
    twins.steps()
    before = twins.compiled.state()
    assert twins.runs
    handles = [h for h in twins.each(STRUCTURE[name]) if hasattr(h, "remove")]
    twins.steps(4)
    assert twins.compiled.state() != before
    for handle in handles:  # a hook that is taken away is not called again
        handle.remove()
    twins.steps(3)


LIVE: dict[str, Change] = {
    "lr": set_option("lr", 0.5),
    "momentum": set_option("momentum", 0.3),
    "weight decay": set_option("weight_decay", 0.3),
    "scheduler": lambda t: t.scheduler.step(),
    "loaded model": load_other,
    "written parameter": lambda t: first(t).detach().fill_(0.5),
    "seed": lambda t: ad.manual_seed(11),
}
LIVE_ADAM: dict[str, Change] = {
    "lr": LIVE["lr"],
    "betas": set_option("betas", (0.5, 0.6)),
    "eps": set_option("eps", 0.1),
    "weight decay": LIVE["weight decay"],
    "scheduler": LIVE["scheduler"],
    "step count": lambda t: t.optimizer.state[first(t)]["step"].fill_(40.0),
}
CASES = [(sgd, name, change) for name, change in LIVE.items()]
CASES += [(adam, name, change) for name, change in LIVE_ADAM.items()]


@pytest.mark.parametrize(
    ("optimizer", "name", "change"), CASES, ids=[f"{o.__name__}-{n}" for o, n, _ in CASES]
)
def test_a_live_number_takes_effect_without_recording(
    optimizer: Any, name: str, change: Change
) -> None:
    plain, twins = Twins(optimizer), Twins(optimizer)
    for each in (plain, twins):
        each.steps()
    recordings, runs = twins.recordings, twins.runs
    twins.each(change)
    for each in (plain, twins):
        each.steps()
    assert (twins.recordings, twins.runs) == (recordings, runs + 3)
    assert name == "seed" or twins.compiled.state() != plain.compiled.state()


def test_toggling_does_not_thrash() -> None:
    twins = Twins()
    twins.steps()
    for _ in range(4):
        for train in (False, True):
            twins.each(lambda t: t.model.train(train))  # noqa: B023
            for rows in (BATCH, 2):
                twins.steps(1, rows)
    assert twins.recordings <= 5
    assert twins.runs >= 12


def test_gradients_accumulate_are_cleared_and_replaced_between_calls() -> None:
    twins = Twins()
    twins.each(lambda t: setattr(t, "zero", False))
    ways: list[Change] = [
        lambda t: t.optimizer.zero_grad(),
        lambda t: t.optimizer.zero_grad(set_to_none=False),
        lambda t: None,
        lambda t: setattr(first(t), "grad", ad.ones(SIZE, SIZE)),
        lambda t: setattr(first(t), "grad", None),
        lambda t: first(t).grad.mul_(0.5),
        lambda t: None,
        lambda t: None,
    ]
    for way in ways * 3:
        twins.steps(1)
        twins.each(way)
    assert not twins.compiled.step.stats().eager


def test_old_gradients_and_results_stay() -> None:
    trainer = Trainer()
    x, y = ad.randn(BATCH, SIZE), ad.randn(BATCH, 2)
    kept, were = [], []
    for _ in range(6):
        result = trainer.step(x, y)
        kept.append([result, first(trainer).grad, result.detach()])
        were.append(bits(kept[-1]))
    assert bits(kept) == were
    assert len({each[1].data_ptr() for each in kept}) == 6


def test_modes_have_recordings_of_their_own() -> None:
    model = nn.Linear(SIZE, 2)
    run = ad.compile(model)
    for _ in range(3):
        for mode in (ad.enable_grad, ad.no_grad, ad.inference_mode):
            x = ad.randn(BATCH, SIZE)
            with mode():
                got, want = run(x), model(x)
            assert bits(got) == bits(want)
            assert got.is_inference() == want.is_inference()
    assert run.stats().recordings == 3


def test_signatures_of_arguments() -> None:
    run = ad.compile(lambda x: x * 2.0 + ad.ones(1))
    x = ad.randn(4, 4)
    variants = [
        *(x, x.t(), x[:2], x[:, 1], x.double(), x.long(), x[:0], x[0, 0], x.expand(2, 4, 4)),
        *(x[::2], x.clone().requires_grad_(), nn.Parameter(x.clone()), x.clone().flatten()),
    ]
    for _ in range(3):
        for variant in variants:
            assert bits(run(variant)) == bits(run.fn(variant))
    assert run.stats().recordings == len(variants)


def test_default_dtype(settings_kept: None) -> None:
    run = ad.compile(lambda x: x * ad.full((2,), 0.1) + 1)
    x = ad.arange(2)
    for d in (ad.float32, ad.float64, ad.float32, ad.float64):
        ad.set_default_dtype(d)
        for _ in range(2):
            assert run(x).dtype is d
            assert bits(run(x)) == bits(run.fn(x))


FACTOR = 2.0


def helper(x: ad.Tensor) -> ad.Tensor:
    return x * FACTOR


def uses_globals(x: ad.Tensor) -> ad.Tensor:
    return helper(x) + FACTOR


def test_globals_and_functions_named(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ad.compile(uses_globals)
    x = ad.ones(2)
    for value in (2.0, 3.0, 2.0, 4.0):
        monkeypatch.setitem(globals(), "FACTOR", value)
        for _ in range(3):
            assert run(x).tolist() == [2 * value] * 2
    monkeypatch.setitem(globals(), "helper", ad.neg)
    assert run(x).tolist() == [FACTOR - 1] * 2


FACTOR = ad.ones(2, requires_grad=True)
TENSOR: dict[str, Callable[[ad.Tensor], Any]] = {
    "data": lambda w: setattr(w, "data", w.data * 0.5),
    "transposed in place": lambda w: w.detach_().t_(),
    "frozen": lambda w: w.requires_grad_(not w.requires_grad),
    "outside the graph": lambda w: w.detach_(),
    "written in the graph": lambda w: w.mul_(FACTOR),
}


@pytest.mark.parametrize("name", TENSOR)
@pytest.mark.parametrize("kind", ["leaf", "constant", "view", "listed"])
def test_a_tensor_found_by_name_is_the_one_it_is_now(name: str, kind: str) -> None:
    base = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
    w = base if kind == "constant" else base[:] if kind == "view" else base.requires_grad_()
    held = [w]

    def fn(x: ad.Tensor) -> ad.Tensor:
        return (x * (held[0] if kind == "listed" else w)).sum(0)

    compiled, x = ad.compile(fn), ad.tensor([[1.0, 3.0]])
    assert compiled(x).tolist() == compiled(x).tolist() == fn(x).tolist()
    try:
        TENSOR[name](w)
    except RuntimeError:
        pytest.skip("not of this kind")
    want, got = fn(x), compiled(x)
    assert (bits(got), got.requires_grad) == (bits(want), want.requires_grad)


CHANGES: dict[str, Callable[[list[Any]], Any]] = {
    "appended": lambda held: held.append(3.0),
    "dropped": lambda held: held.pop(),
    "reversed": lambda held: held.reverse(),
    "emptied": lambda held: held.clear(),
    "another number": lambda held: held.__setitem__(0, 5.0),
    "another zero": lambda held: held.__setitem__(1, -0.0),
    "another type": lambda held: held.__setitem__(0, 2),
    "another tensor": lambda held: held.__setitem__(2, ad.zeros(1)),
    "an equal number": lambda held: held.__setitem__(0, 4.0 / 2.0),
}


@pytest.mark.parametrize("n", [0, 40])
@pytest.mark.parametrize("name", CHANGES)
def test_a_list_is_looked_at_item_by_item(name: str, n: int) -> None:
    held: list[Any] = [2.0, 0.0, ad.ones(1), *range(n)]

    def fn(x: ad.Tensor) -> ad.Tensor:
        for item in held:
            x = x * (1 if isinstance(item, ad.Tensor) else math.copysign(2, item)) + item
        return x

    compiled, x = ad.compile(fn), ad.ones(2)
    for _ in range(3):
        assert bits(compiled(x)) == bits(fn(x))
    CHANGES[name](held)
    for _ in range(3):
        assert bits(compiled(x)) == bits(fn(x))
        assert compiled(x).dtype is fn(x).dtype


def test_closures() -> None:
    factor, other = 2.0, ad.ones(2)

    def fn(x: ad.Tensor) -> ad.Tensor:
        return x * factor + other

    run = ad.compile(fn)
    for _ in range(3):
        assert run(ad.ones(2)).tolist() == [3.0, 3.0]
    factor = 5.0
    assert run(ad.ones(2)).tolist() == [6.0, 6.0]
    other = ad.zeros(2)
    for _ in range(2):
        assert run(ad.ones(2)).tolist() == [5.0, 5.0]
    other.fill_(1.0)  # values of tensors are no part of a recording
    runs = run.stats().runs
    assert run(ad.ones(2)).tolist() == [6.0, 6.0]
    assert run.stats().runs == runs + 1


def test_whether_gradients_end_at_an_argument_is_part_of_the_signature() -> None:
    @ad.compile
    def step(x: ad.Tensor) -> bool:
        (x * 2).sum().backward()
        return x.is_leaf

    for _ in range(3):
        x = ad.ones(2, requires_grad=True)
        assert step(x)
        assert x.grad is not None
    with pytest.warns(UserWarning, match="its backward goes beyond what it makes"):
        assert not step(x * 3)
    assert x.grad.tolist() == [8.0, 8.0]
    y = ad.ones(2, requires_grad=True)
    assert step(y)
    assert y.grad is not None
    assert step.stats().runs == 3


def test_python_arguments_are_part_of_the_signature() -> None:
    run = ad.compile(lambda x, n, flag=False: x * n if flag else x + n)
    x = ad.ones(2)
    for _ in range(3):
        for n in (1, 1.0, True, 2, -0.0, 0.0, float("nan"), 2.5):
            for flag in (False, True):
                assert bits(run(x, n, flag=flag)) == bits(run.fn(x, n, flag=flag))
    assert run.stats().recordings == 16


def test_the_cache_is_bounded() -> None:
    run = ad.compile(lambda x, n: x * n)
    for n in range(100):
        for _ in range(2):
            assert run(ad.ones(1), n).item() == n
    assert run.stats().recordings <= 32


def test_going_back_and_forth_makes_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "factor", 2.5)
    run = ad.compile(lambda x, k: x * factor + k)  # noqa: F821
    xs = [ad.randn(n) for n in (3, 4)]
    for _ in range(3):
        for x in xs:
            run(x, 1.5)
    ways = {id(r.quick) for r in run.used()}
    for i in range(1, 5):
        monkeypatch.setitem(globals(), "factor", 2.5 * i / i)  # equal, but other objects
        for x in xs:
            assert bits(run(x, 1.5 * i / i)) == bits(x * 2.5 + 1.5)
    assert {id(r.quick) for r in run.used()} == ways
    assert len(ways) == 2


@pytest.mark.parametrize("where", ["argument", "global"])
def test_zero_has_a_sign(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ad.compile(lambda x, k: x * k + x * factor)  # noqa: F821
    x = ad.ones(2)
    for value in (0.0, 0.0, 0.0, -0.0, -0.0, -0.0, 0.0):
        monkeypatch.setitem(globals(), "factor", value if where == "global" else -0.0)
        k = value if where == "argument" else -0.0
        assert bits(run(x, k)) == bits(run.fn(x, k))


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("parametrized", [False, True])
def test_a_computed_weight_is_that_of_the_last_call(kind: str, parametrized: bool) -> None:
    """Between calls, and where the next one reads it: hooks stay eager, parametrizations do not."""
    home = nn.utils.parametrizations if parametrized else nn.utils
    state = ad.get_rng_state()

    def trained(wrap: Any) -> Any:
        ad.set_rng_state(state)
        model = getattr(home, kind)(nn.Linear(SIZE, 2))
        optimizer, x = sgd(model.parameters()), ad.randn(BATCH, SIZE)

        def step() -> ad.Tensor:
            optimizer.zero_grad()
            loss = model.weight.detach().square().sum() + model(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        run = wrap(step)
        return [(bits(run()), bits(model.weight.detach())) for _ in range(5)], run

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found, run = trained(ad.compile)
    assert found == trained(lambda step: step)[0]
    assert bool(run.stats().runs) == parametrized
    assert parametrized or f"parametrizations.{kind}" in str(caught[0].message)


@pytest.mark.parametrize("reads", [False, True])
def test_a_closure_runs_its_recording_though_the_optimizer_changes_its_state(reads: bool) -> None:
    found: list[Any] = []
    for wrap in (ad.compile, lambda fn: fn):
        p = nn.Parameter(ad.ones(3))
        optimizer = ad.optim.LBFGS([p], max_iter=4)

        def loss() -> ad.Tensor:
            optimizer.zero_grad()  # noqa: B023
            return ((p * ad.arange(3.0) - 1) ** 2).sum()  # noqa: B023

        def plain() -> ad.Tensor:
            y = loss()
            y.backward()
            return y

        def reading() -> ad.Tensor:
            y = loss() * optimizer.state[p].get("n_iter", 0)  # noqa: B023
            y.backward()
            return y

        run = wrap(reading if reads else plain)
        found.append([bits([optimizer.step(run), p.detach()]) for _ in range(3)])
        if wrap is ad.compile:
            assert bool(run.stats().runs) != reads
    assert found[0] == found[1]


class Scaled(ad.Tensor):
    __torch_function__ = staticmethod(torch_function.disabled)  # so that its calls are recorded
    scale: float


@pytest.mark.parametrize("kind", [nn.Parameter, Scaled])
@pytest.mark.parametrize("way", ["global", "argument", "nested", "module"])
def test_what_users_set_on_tensors_is_relied_on(kind: type[ad.Tensor], way: str) -> None:
    def make(scale: float) -> Any:
        x: Any = nn.Parameter(ad.ones(1)) if kind is nn.Parameter else ad.ones(1).as_subclass(kind)
        x.scale = scale
        return x

    w = make(2.0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = w

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return x * self.w.scale * getattr(self.w, "other", 1.0)

    net = Net()
    steps: dict[str, Callable[[Any], ad.Tensor]] = {
        "global": lambda x: ad.ones(1) * w.scale * getattr(w, "other", 1.0),
        "argument": lambda x: ad.ones(1) * x.scale * getattr(x, "other", 1.0),
        "nested": lambda x: ad.ones(1) * x["w"].scale * getattr(x["w"], "other", 1.0),
        "module": lambda x: net(ad.ones(1)),
    }
    step = ad.compile(steps[way])
    given = {"argument": w, "nested": {"w": w}}.get(way, ad.ones(1))

    def result() -> float:
        return [step(given).item() for _ in range(3)][-1]

    assert result() == 2.0
    w.scale = 5.0
    assert result() == 5.0
    w.other = 3.0
    assert result() == 15.0
    if way == "argument":
        assert step(make(7.0)).item() == 7.0
        assert step(w).item() == 15.0
    assert step.stats().runs > 0


def test_methods_of_an_optimizer_that_are_put_back() -> None:
    w = nn.Parameter(ad.ones(2))
    optimizer: Any = ad.optim.SGD([w], lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        w.sum().backward()

    compiled, x = ad.compile(step), 0.0
    for i in range(12):
        if i % 6 == 3:
            optimizer.zero_grad = lambda: None
        elif i % 6 == 0 and i:
            del optimizer.zero_grad
        x = x + 1 if i % 6 >= 3 else 1.0
        compiled()
        assert w.grad is not None
        assert w.grad.tolist() == [x, x]


def test_what_detects_anomalies_sees_each_operation() -> None:
    step = ad.compile(lambda w: (w * 0).sqrt().sum().backward())
    for _ in range(3):
        for _ in range(3):
            step(ad.ones(2, requires_grad=True))
        with ad.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="nan values"):
            step(ad.ones(2, requires_grad=True))
    assert step.stats().runs > 5
