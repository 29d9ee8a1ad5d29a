"""Attributes of modules that a compiled call sets are set by its runs, too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import nn

SIZES = (3, 2, 3, 3, 2, 2, 3, 3, 3)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Some of these calls stay eager, with a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Keeper(nn.Module):
    """A layer, and a body that may keep what it likes."""

    def __init__(self, body: Callable[[Any, Any, Any], Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.kept: Any = None
        self.more: Any = None
        self.body = body

    def forward(self, x: ad.Tensor) -> Any:
        return self.body(self, x, self.linear(x))


def shown(value: Any) -> Any:
    """What can be compared of a value."""
    if isinstance(value, ad.Tensor):
        return value.tolist(), tuple(value.shape), value.requires_grad
    if isinstance(value, (list, tuple)):
        return [shown(part) for part in value]
    if isinstance(value, dict):
        return {key: shown(part) for key, part in value.items()}
    return value


def made(body: Callable[[Any, Any, Any], Any], compiled: bool) -> tuple[Keeper, Any]:
    """A module with this body, and a step that trains it."""
    ad.manual_seed(0)
    module = Keeper(body)
    optimizer = ad.optim.SGD(module.parameters(), lr=0.1)

    def step(x: ad.Tensor) -> ad.Tensor:
        optimizer.zero_grad()
        loss = module(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return module, ad.compile(step) if compiled else step


def session(body: Callable[[Any, Any, Any], Any], compiled: bool) -> tuple[list[Any], Any]:
    """What steps on batches of several sizes return and leave."""
    module, step = made(body, compiled)
    found = []
    for i, n in enumerate(SIZES):
        loss = step(ad.linspace(-1, i, 4 * n).view(n, 4))
        found.append((shown(loss), shown(module.kept), shown(module.more)))
        if i == 5:
            module.kept = None
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


@pytest.mark.parametrize("body", [*RECORDED, *OTHERS], ids=lambda body: body.__name__)
def test_what_calls_leave_is_what_eager_ones_leave(body: Any) -> None:
    found, step = session(body, True)
    assert found == session(body, False)[0]
    if body in RECORDED:
        assert step.stats().runs >= 2


PARTS = {
    "kept = y": lambda m, y: setattr(m, "kept", y.detach()),
    "more = kept": lambda m, y: setattr(m, "more", m.kept),
    "more = [y, kept]": lambda m, y: setattr(m, "more", [y.detach() * 2, m.kept]),
    "kept = kept + y": lambda m, y: setattr(
        m, "kept", (m.kept.tanh() + y.mean() if isinstance(m.kept, ad.Tensor) else y).detach()
    ),
    "more = kept * 2": lambda m, y: setattr(
        m, "more", m.kept.tanh() * 2 if isinstance(m.kept, ad.Tensor) else None
    ),
    "y = y + more": lambda m, y: y + m.more.mean().tanh() if isinstance(m.more, ad.Tensor) else y,
    "kept *= 0.5": lambda m, y: isinstance(m.kept, ad.Tensor) and bool(m.kept.mul_(0.5).dim()),
    "kept = None": lambda m, y: setattr(m, "kept", None),
    "kept = size": lambda m, y: setattr(m, "kept", int(y.shape[0])),
    "y += kept": lambda m, y: y + m.kept.sum().tanh() if isinstance(m.kept, ad.Tensor) else y,
    "y *= 2 if more": lambda m, y: y * 2 if m.more is not None else y,
    "y -= len": lambda m, y: y - len(m.more) if isinstance(m.more, list) else y,
    "y *= rows": lambda m, y: y * len(m.kept) if isinstance(m.kept, ad.Tensor) else y,
}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=5))
def test_any_body_leaves_what_it_leaves_eagerly(names: list[str]) -> None:
    def body(module: Any, x: Any, y: Any) -> Any:
        for name in names:
            found = PARTS[name](module, y)
            y = found if isinstance(found, ad.Tensor) else y
        return y

    assert session(body, True)[0] == session(body, False)[0]


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
        module = Keeper(keeps_with_its_graph)
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
