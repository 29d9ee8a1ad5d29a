"""Attributes of modules and others that a compiled call sets are set by its runs, too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twins import bits

import autodiff as ad
from autodiff import nn

TOTAL = ad.zeros(3)
SIZES = (3, 2, 3, 3, 2, 2, 3, 3, 3)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Some of these calls stay eager, with a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Holder:
    """What keeps things apart from the module."""

    def __init__(self, linear: nn.Linear) -> None:
        self.linear = linear
        self.kept: Any = None
        self.more: Any = None
        self.both: Any = {}
        self.counts = {"n": 0, "s": 1}
        self.n = 0


class Keeper(nn.Module):
    """A layer, and a body that may keep what it likes, here or apart."""

    def __init__(self, body: Callable[[Any, Any, Any], Any], apart: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.kept: Any = None
        self.more: Any = None
        self.both: Any = {}
        self.counts = {"n": 0, "s": 1}
        self.n = 0
        self.body = body
        self.holder = Holder(self.linear) if apart else None

    def forward(self, x: ad.Tensor) -> Any:
        return self.body(self.holder or self, x, self.linear(x))


def shown(value: Any) -> Any:
    """What can be compared of a value."""
    if isinstance(value, ad.Tensor):
        return repr(value.tolist()), tuple(value.shape), value.requires_grad  # nan is nan
    if isinstance(value, (list, tuple)):
        return [shown(part) for part in value]
    if isinstance(value, dict):
        return {key: shown(part) for key, part in value.items()}
    return value


def made(
    body: Callable[[Any, Any, Any], Any], compiled: bool, apart: bool = False
) -> tuple[Any, Any]:
    """A module with this body, or what it keeps things in, and a step that trains it."""
    ad.manual_seed(0)
    module = Keeper(body, apart)
    optimizer = ad.optim.SGD(module.parameters(), lr=0.1)

    def step(x: ad.Tensor) -> ad.Tensor:
        optimizer.zero_grad()
        loss = module(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return module.holder or module, ad.compile(step) if compiled else step


def session(
    body: Callable[[Any, Any, Any], Any], compiled: bool, apart: bool
) -> tuple[list[Any], Any]:
    """What steps on batches of several sizes return and leave."""
    module, step = made(body, compiled, apart)
    found = []
    for i, n in enumerate(SIZES):
        loss = step(ad.linspace(-1, i, 4 * n).view(n, 4))
        found.append(shown([loss, module.kept, module.more, dict(module.both), module.n]))
        found.append([*module.counts.items()])
        if i == 5:
            module.kept = None
        if i == 6:
            module.n += 7
            module.counts["n"] -= 7
    return found, step


def keeps(module: Any, x: Any, y: Any) -> Any:
    module.kept = y.softmax(-1).detach()
    return y


def keeps_with_its_graph(module: Any, x: Any, y: Any) -> Any:
    module.kept = y.softmax(-1)
    return module.kept * y


def keeps_several(module: Any, x: Any, y: Any) -> Any:
    module.kept = [None, {"a": y.detach()}]
    module.kept[0] = y.exp().detach(), "text", 3
    return y


def keeps_its_argument(module: Any, x: Any, y: Any) -> Any:
    module.kept = x
    return y


def keeps_a_parameter(module: Any, x: Any, y: Any) -> Any:
    module.kept = [module.linear.weight]
    return y


def keeps_a_view(module: Any, x: Any, y: Any) -> Any:
    module.kept = module.linear.weight[0].detach()
    return y


def keeps_a_shape(module: Any, x: Any, y: Any) -> Any:
    module.kept = y.shape
    return y


def adds_to_what_it_kept(module: Any, x: Any, y: Any) -> Any:
    total = y.detach().sum() if module.kept is None else module.kept + y.detach().sum()
    module.kept = total
    return y + total


def asks_for_none(module: Any, x: Any, y: Any) -> Any:
    y = y if module.kept is None else 2 * y
    module.kept = y.detach()
    return y


def asks_for_a_shape(module: Any, x: Any, y: Any) -> Any:
    same = module.kept is not None and module.kept.shape == y.shape
    module.kept = y.detach()
    return 3 * y if same else y


def asks_for_a_value(module: Any, x: Any, y: Any) -> Any:
    seen = module.kept is not None and bool(module.kept)
    module.kept = y.detach().sum() > 0
    return 3 * y if seen else y


def asks_for_a_graph(module: Any, x: Any, y: Any) -> Any:
    seen = module.kept is not None and module.kept.requires_grad
    module.kept = y.exp() if not seen else y.detach()
    return y


def passes_on(module: Any, x: Any, y: Any) -> Any:
    module.more = module.kept
    module.kept = y.detach()
    return y


def counts(module: Any, x: Any, y: Any) -> Any:
    module.kept = (module.kept or 0) + 1
    return module.kept * y


def swaps(module: Any, x: Any, y: Any) -> Any:
    module.kept, module.more = module.more, [y.detach()]
    return y if module.kept is None else y + module.kept[0].sum()


def carries(module: Any, x: Any, y: Any) -> Any:
    """A state, of one size whatever the batch."""
    before = ad.ones(4) if module.kept is None else module.kept
    module.kept = 0.9 * before + 0.1 * y.detach().mean(0)
    return y - module.kept


def carries_several(module: Any, x: Any, y: Any) -> Any:
    h, c, n = module.kept or (ad.zeros(4), ad.ones(2, 4), 3)
    c = c + y.detach().sum(0) * h
    module.kept = (h + 1, c, n)
    return y * c[0].tanh()


def carries_what_it_writes_to(module: Any, x: Any, y: Any) -> Any:
    if module.kept is None:
        module.kept = ad.zeros(4)
    module.kept = module.kept.mul_(0.5).add(y.detach().sum(0))
    return y * module.kept.tanh()


def carries_by_turns(module: Any, x: Any, y: Any) -> Any:
    if module.kept is None:
        module.kept, module.more = ad.ones(4), ad.zeros(4)
    module.kept, module.more = module.more + 1, module.kept * y.detach().mean(0)
    return y + module.kept * module.more


RECORDED = (
    carries,
    carries_several,
    carries_what_it_writes_to,
    carries_by_turns,
    keeps,
    keeps_with_its_graph,
    keeps_several,
    keeps_its_argument,
)
OTHERS = (
    keeps_a_parameter,
    keeps_a_view,
    keeps_a_shape,
    adds_to_what_it_kept,
    asks_for_none,
    asks_for_a_shape,
)
OTHERS += (asks_for_a_value, asks_for_a_graph, passes_on, counts, swaps)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("body", [*RECORDED, *OTHERS], ids=lambda body: body.__name__)
def test_what_calls_leave_is_what_eager_ones_leave(body: Any, apart: bool) -> None:
    found, step = session(body, True, apart)
    assert found == session(body, False, apart)[0]
    if body in RECORDED:
        assert step.stats().runs >= 2


PARTS = (
    "m.kept = y.detach()",
    "m.more = m.kept",
    "m.more = [y.detach() * 2, m.kept]",
    "m.kept = (m.kept.tanh() + y.mean() if isinstance(m.kept, Tensor) else y).detach()",
    "m.more = m.kept.tanh() * 2 if isinstance(m.kept, Tensor) else None",
    "y = y + m.more.mean().tanh() if isinstance(m.more, Tensor) else y",
    "if isinstance(m.kept, Tensor): m.kept.mul_(0.5)",
    "m.kept = None",
    "m.kept = int(y.shape[0])",
    "y = y + m.kept.sum().tanh() if isinstance(m.kept, Tensor) else y",
    "y = y * 2 if m.more is not None else y",
    "y = y - len(m.more) if isinstance(m.more, list) else y",
    "y = y * len(m.kept) if isinstance(m.kept, Tensor) else y",
    "m.kept, m.more = m.more, m.kept",
    "m.n += 1",
    "m.n += len(x)",
    "y = y * m.n",
    "m.n = 3",
    "m.n += getattr(m, 'n')",
    "m.both['a'] = y.detach().mean() + (m.both['a'] if 'a' in m.both else 0)",
    "m.both['b'] = m.both['a'] * 2 if 'a' in m.both else y.detach()",
)


def assert_as_eagerly(parts: list[str], apart: bool) -> None:
    scope: dict[str, Any] = {"Tensor": ad.Tensor}
    exec("\n    ".join(["def body(m, x, y):", *parts, "return y"]), scope)
    found = session(scope["body"], True, apart)[0]
    assert found == session(scope["body"], False, apart)[0]


@settings(max_examples=80)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5), st.booleans())
@example(["m.n += 1", "y = y * getattr(m, 'n')"], False)
def test_any_body_leaves_what_it_leaves_eagerly(parts: list[str], apart: bool) -> None:
    assert_as_eagerly(parts, apart)


COUNTS = (
    "m.n += 1",
    "m.n -= len(x)",
    "m.counts['n'] += 1",
    "m.counts['n'] -= len(x)",
    "m.counts['s'] += 1",
    "m.counts['s'] = 2",
    "m.counts['n'] = m.counts['n'] + 1",
    "m.counts['n'] += m.counts['s']",
    "m.counts['n'] *= 2",
    "m.counts.update(n=3)",
    "m.counts.setdefault('t', 3)",
    "m.counts.pop('n'); m.counts['n'] = 0",
    "m.counts = {**m.counts, 's': 5}",
    "c = m.counts; c['n'] += 1",
    "k = 'n'; m.counts[k] += 1",
    "for k in m.counts: m.counts[k] += 1",
    "(lambda c: c.update(n=c['n'] + 1))(m.counts)",
    "y = y + 0.1 * m.n",
    "y = y + 0.1 * getattr(m, 'n')",
    "y = y + 0.1 * vars(m)['n']",
    "y = y + 0.1 * m.counts['n']",
    "y = y + 0.1 * m.counts.get('n')",
    "c = m.counts; y = y + 0.1 * c['n']",
    "k = 'n'; y = y + 0.1 * m.counts[k]",
    "y = y + 0.1 * dict(m.counts)['n']",
    "y = y + 0.1 * sum(m.counts.values())",
    "y = y + 0.1 * (m.counts | {})['n']",
    "y = y + 0.1 * [v for v in m.counts.values()][0]",
    "y = y + 0.1 * (lambda: m.counts['n'])()",
    "y = y + 0.1 if m.counts == {'n': 2, 's': 1} else y",
    "y = y + 0.1 * int(f\"{m.counts['n']}\")",
    "n, *_ = m.counts.values(); y = y + 0.1 * n",
)


@settings(max_examples=80)
@given(st.lists(st.sampled_from(COUNTS), min_size=1, max_size=4), st.booleans())
@example(["m.counts['n'] += 1", "m.counts = {**m.counts, 's': 5}"], False)
def test_any_body_counts_as_it_counts_eagerly(parts: list[str], apart: bool) -> None:
    assert_as_eagerly(parts, apart)


def test_states_of_functions_and_files_are_carried_on() -> None:
    """Variables of a function around it, a global, entries of a dict."""

    def states(compiled: bool) -> Any:
        global TOTAL
        TOTAL, mean, table = ad.zeros(3), ad.zeros(3), {"mean": ad.ones(3)}

        def step(x: ad.Tensor) -> ad.Tensor:
            global TOTAL
            nonlocal mean
            TOTAL = TOTAL + x
            mean = 0.5 * mean + x * table["mean"].tanh()
            table["mean"] = table["mean"] * 0.5 + mean
            return mean.sum()

        call = ad.compile(step) if compiled else step
        found = []
        for i in range(7):
            found += [call(ad.full((3,), float(i))), TOTAL, mean, dict(table)]
            if i == 4:
                mean, table["mean"] = TOTAL * 3, ad.zeros(3)
        return shown(found), call

    found, call = states(True)
    assert found == states(False)[0]
    assert call.stats().runs == 6


@pytest.mark.parametrize("apart", [False, True])
def test_numbers_that_are_only_added_to_are_counted(apart: bool) -> None:
    """Where nothing is made of them, which would be another thing at each call."""

    def counting(module: Any, x: Any, y: Any) -> Any:
        module.n += 1
        module.n += len(x) * 2
        return y

    def looking(module: Any, x: Any, y: Any) -> Any:
        module.n += 1
        return y * module.n

    for body in (counting, looking):
        found, step = session(body, True, apart)
        assert found == session(body, False, apart)[0]
        assert bool(step.stats().runs) == (body is counting)


def test_what_another_name_stands_for_is_not_carried_on() -> None:
    """What was in two places at first is in one of them from then on."""

    def states(compiled: bool) -> Any:
        holder = Holder(nn.Linear(1, 1))
        holder.more = holder.kept = ad.ones(3)

        def step(x: ad.Tensor) -> ad.Tensor:
            holder.kept = holder.kept + holder.more * x
            return holder.kept.sum()

        call = ad.compile(step) if compiled else step
        found = []
        for i in range(6):
            found += [call(ad.full((3,), float(i))), holder.kept, holder.more]
            if i == 3:
                holder.kept = holder.more
        return shown(found)

    assert states(True) == states(False)


def test_what_was_left_is_not_written_over() -> None:
    module, step = made(keeps, True)
    held = []
    for _ in range(6):
        step(ad.ones(3, 4))
        held.append((module.kept, module.kept.tolist()))
    assert step.stats().runs >= 4
    assert len({id(kept) for kept, _ in held}) == 6
    assert all(kept.tolist() == values for kept, values in held)


def test_another_compiled_function_finds_what_was_left() -> None:
    module, step = made(keeps, True)
    total = ad.compile(lambda: module.kept.sum() + module.kept[0, 0])
    for _ in range(6):
        step(ad.ones(3, 4))
        assert total().tolist() == (module.kept.sum() + module.kept[0, 0]).tolist()


def test_many_steps_at_once_leave_the_last() -> None:
    module, step = made(keeps, True)
    step.repeat(7, ad.ones(3, 4))
    other, eager = made(keeps, False)
    for _ in range(7):
        eager(ad.ones(3, 4))
    assert shown(module.kept) == shown(other.kept)


def test_gradients_go_through_what_a_compiled_module_keeps() -> None:
    def gradients(compiled: bool) -> Any:
        ad.manual_seed(0)
        module = Keeper(keeps_with_its_graph, False)
        call = ad.compile(module) if compiled else module
        for _ in range(5):
            y = call(ad.ones(3, 4))
            (y.sum() + module.kept.square().sum()).backward()
        return [p.grad.tolist() for p in module.parameters()]

    for got, expected in zip(gradients(True), gradients(False), strict=True):
        assert ad.allclose(ad.tensor(got), ad.tensor(expected))


def test_nothing_of_the_recorded_call_is_held() -> None:
    import gc
    import weakref

    module, step = made(keeps, True)
    refs = []
    for _ in range(4):
        step(ad.ones(3, 4))
        refs.append(weakref.ref(module.kept))
    gc.collect()
    assert [ref() is None for ref in refs] == [True, True, True, False]


class Flags:
    """What a call sets and does not read."""

    def __init__(self) -> None:
        self.flag: Any = False
        self.on = True

    def sets(self, x: ad.Tensor) -> ad.Tensor:
        if self.on:
            self.flag = True
        return x * 2

    def makes(self, x: ad.Tensor) -> ad.Tensor:
        self.kind, self.size = "made", x.shape[0]
        return x * 2


def sets_it_on_itself(x: ad.Tensor) -> ad.Tensor:
    sets_it_on_itself.flag = True  # type: ignore[attr-defined]
    return x * 2


@pytest.mark.parametrize("first", [False, True, None, 1])
@pytest.mark.parametrize("name", ["sets", "makes", "on itself"])
def test_numbers_and_flags_that_a_call_sets_are_set_by_each_run(name: str, first: Any) -> None:
    def states(compiled: bool) -> Any:
        thing: Any = Flags()
        step = sets_it_on_itself if name == "on itself" else getattr(thing, name)
        thing = sets_it_on_itself if name == "on itself" else thing
        thing.flag, thing.on, found = first, True, []
        call = ad.compile(step) if compiled else step
        for value in [None, None, True, False, None, False, "off", False, "on", True, False]:
            if value in ("off", "on"):
                thing.on = value == "on"
            elif value is not None:
                thing.flag = value
            call(ad.ones(2))
            found.append({**vars(thing)})
        return found, call

    got, call = states(True)
    assert got == states(False)[0]
    assert call.stats().runs >= 4
    assert not call.stats().eager


class Noting(nn.Module):
    """A layer that keeps a part of the loss in a dict of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.kept: dict[str, Any] = {"scale": 0.5}

    def forward(self, x: Any) -> Any:
        y = self.layer(x)
        self.kept["loss"] = y.pow(2).mean() * self.kept["scale"]
        return y


def test_what_is_set_in_a_dict_of_a_module_and_read_is_of_each_run() -> None:
    def found(compiled: bool) -> list[Any]:
        ad.manual_seed(1)
        model = Noting()

        def step(x: Any) -> Any:
            model.zero_grad()
            loss = model(x).sum() + model.kept["loss"]
            loss.backward()
            return loss

        call = ad.compile(step) if compiled else step
        shown = []
        for i in range(9):
            if i == 6:
                model.kept["scale"] = 0.25
            shown.append(bits([call(ad.ones(3, 2) * i), dict(model.kept)]))
        assert not compiled or call.stats().runs == 6
        return shown

    assert found(True) == found(False)


class Balanced(nn.Module):
    """A layer that keeps a list made anew, and a dict that is read before it is."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.losses: list[Any] = []
        self.state: dict[str, Any] = {"h": ad.zeros(2), "scale": 0.5}

    def forward(self, x: Any) -> Any:
        y = self.layer(x) + self.state["h"] * self.state["scale"]
        self.losses = [y.pow(2).mean()]
        self.losses.append(self.losses[0] * 2)
        self.state = {"h": y.detach().mean(0), "scale": self.state["scale"]}
        return y


CHANGED: dict[str, Callable[[Balanced, dict[str, Any]], Any]] = {
    "a number": lambda m, _: m.state.update(scale=2.0),
    "a tensor": lambda m, _: m.state.update(h=ad.ones(2)),
    "its values": lambda m, _: m.state["h"].fill_(3.0),
    "another dict": lambda m, _: setattr(m, "state", {"h": ad.ones(2), "scale": 1.0}),
    "one that another name has": lambda m, other: setattr(m, "state", other),
    "what another name has": lambda _, other: other.update(scale=-1.0),
    "a list": lambda m, _: m.losses.clear(),
}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("name", CHANGED)
def test_containers_that_a_call_makes_anew_are_those_of_each_run(name: str, named: bool) -> None:
    def found(compiled: bool) -> list[Any]:
        ad.manual_seed(1)
        model = Balanced()
        other = model.state

        def step(x: Any) -> Any:
            model.zero_grad()
            loss = model(x).sum() + sum(model.losses) * (other["scale"] if named else 1)
            loss.backward()
            return loss

        call = ad.compile(step) if compiled else step
        shown = []
        for i in range(12):
            if i in (4, 8):
                CHANGED[name](model, other)
            shown.append(bits([call(ad.ones(3, 2) * i), model.losses, model.state]))
        assert not compiled or call.stats().runs > 3
        return shown

    assert found(True) == found(False)
