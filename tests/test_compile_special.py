"""What a compiled function does without a name for it: operators on objects of the user's, items of
containers that are no lists, what is held elsewhere, and what comes next of an iterator.
"""

from __future__ import annotations

import array
import collections
import contextvars
import dataclasses
import functools
import itertools
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.utils.data import DataLoader, TensorDataset


class Config:
    """Settings that are asked for by operators alone."""

    def __init__(self) -> None:
        self.of = {"scale": 2.0}

    def __getitem__(self, key: str) -> float:
        return self.of[key]

    def __getattr__(self, key: str) -> float:
        try:
            return vars(self)["of"][key]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(key) from None

    def __len__(self) -> int:
        return int(self.of["scale"])

    def __iter__(self) -> Iterator[float]:
        return iter(self.of.values())

    def __bool__(self) -> bool:
        return self.of["scale"] > 3

    def __float__(self) -> float:
        return self.of["scale"]

    def __mul__(self, x: Any) -> Any:
        return x * self.of["scale"]

    def __contains__(self, key: float) -> bool:
        return key in self.of.values()

    def __lt__(self, other: float) -> bool:
        return self.of["scale"] < other

    def __enter__(self) -> float:
        return self.of["scale"]

    def __exit__(self, *failure: object) -> None:
        pass


def within(x: ad.Tensor, c: Config) -> ad.Tensor:
    with c as scale:
        return x * scale


OPERATORS: dict[str, Callable[[ad.Tensor, Any], Any]] = {
    "item": lambda x, c: x * c["scale"],
    "attribute": lambda x, c: x * c.scale,
    "len": lambda x, c: x * len(c),
    "iter": lambda x, c: x * sum(c),
    "bool": lambda x, c: x * 2 if c else x * 3,
    "float": lambda x, c: x * float(c),
    "mul": lambda x, c: c * x,
    "contains": lambda x, c: x * 2 if 5.0 in c else x * 3,
    "less": lambda x, c: x * 2 if c < 3 else x * 3,
    "with": within,
    "renamed": lambda x, c: x * 4 if (d := c) else x * d["scale"],
}


def takes_effect(fn: Callable[..., Any], change: Callable[[], object], *args: Any) -> None:
    compiled, x = ad.compile(fn, fullgraph=True), ad.tensor([-0.5, 1.5])
    for _ in range(3):
        before = fn(x, *args).tolist()
        assert compiled(x, *args).tolist() == before
    assert (compiled.stats().recordings, compiled.stats().runs) == (1, 2)
    change()
    after = fn(x, *args).tolist()
    assert after != before
    for _ in range(3):
        assert compiled(x, *args).tolist() == after
    assert compiled.stats().recordings == 2


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("name", OPERATORS)
def test_what_operators_read_counts(name: str, given: bool) -> None:
    config, fn = Config(), OPERATORS[name]
    change = lambda: config.of.update(scale=5.0)  # noqa: E731
    if given:
        takes_effect(fn, change, config)
    else:
        takes_effect(lambda x: fn(x, config), change)


def test_an_object_that_has_no_attribute_may_raise_anything() -> None:
    class Table:
        __slots__ = ("of",)

        def __init__(self) -> None:
            self.of = {"scale": 2.0}

        def __getattr__(self, key: str) -> float:
            return self.of[key]

    table = Table()
    takes_effect(lambda x: x * table.scale, lambda: table.of.update(scale=5.0))


def test_a_module_is_asked_by_operators() -> None:
    class Bank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rates = [2.0]

        def __getitem__(self, i: int) -> float:
            return self.rates[i]

    bank = Bank()
    takes_effect(lambda x: x * bank[0], lambda: bank.rates.__setitem__(0, 5.0))


class Thing:
    """An object of the user's, which functions are given."""

    def __init__(self, **more: Any) -> None:
        vars(self).update(more)

    def method(self, x: ad.Tensor) -> ad.Tensor:
        return x * scale_of(self)

    def of(self, other: Any) -> Any:
        return other.scale


class Asked(type):
    def __getitem__(cls, key: str) -> Any:
        return vars(cls)["of"][key]


class Table(metaclass=Asked):
    of: ClassVar[dict[str, float]] = {}


def scale_of(thing: Any) -> Any:
    return thing.scale


def scale_of_that(*things: Any, **named: Any) -> Any:
    return scale_of([*things, *named.values()][-1])


def matched(thing: Any) -> Any:
    match thing:
        case Thing(scale=scale):
            return scale


class Net(nn.Module):
    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.thing = thing

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return forwarded(self, x)


def forwarded(net: Net, x: ad.Tensor) -> ad.Tensor:
    return x * net.thing.scale  # type: ignore[no-any-return]


GIVEN: dict[str, Callable[[Any], Callable[[ad.Tensor], Any]]] = {
    "name": lambda t: lambda x: x * scale_of(t),
    "keyword": lambda t: lambda x: x * scale_of(thing=t),
    "attribute": lambda t: (lambda a: lambda x: x * scale_of(a.part))(Thing(part=t)),
    "item": lambda t: (lambda a: lambda x: x * scale_of(a[0]))([t]),
    "loop": lambda t: (lambda a: lambda x: sum(x * scale_of(b) for b in a))([t]),
    "dict": lambda t: (lambda a: lambda x: x * scale_of(a["t"]))({"t": t}),
    "two functions": lambda t: lambda x: x * scale_of_that(1, t),
    "two functions, by name": lambda t: lambda x: x * scale_of_that(1, t=t),
    "map": lambda t: lambda x: x * sum(map(scale_of, [t])),
    "itself": lambda t: lambda x: t.method(x),
    "another's method": lambda t: (lambda o: lambda x: x * o.of(t))(Thing()),
    "renamed": lambda t: lambda x: x * scale_of(u) if (u := t) else x,
    "pattern": lambda t: lambda x: x * matched(t),
    "module": lambda t: Net(t),
    "module that is called": lambda t: (lambda net: lambda x: net(x))(nn.Sequential(Net(t))),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_functions_read_of_what_they_are_given_counts(name: str) -> None:
    thing = Thing(scale=2.0)
    takes_effect(GIVEN[name](thing), lambda: setattr(thing, "scale", 5.0))


def test_classes_that_operators_ask_and_keys_that_are_not_there_yet_count() -> None:
    Table.of = {"scale": 2.0}
    takes_effect(lambda x: x * Table["scale"], lambda: Table.of.update(scale=5.0))
    table: dict[str, float] = {}

    def fn(x: ad.Tensor) -> ad.Tensor:
        try:
            return x * table["scale"]
        except KeyError:
            return x

    takes_effect(fn, lambda: table.update(scale=5.0))
    globals()["SCALE"] = 2.0
    takes_effect(lambda x: x * globals()["SCALE"], lambda: globals().update(SCALE=5.0))


def test_a_look_makes_no_item() -> None:
    table = collections.defaultdict(lambda: 5.0, scale=2.0)
    step, x = ad.compile(lambda x: x * table["scale"] if x.ndim else x), ad.ones(1)
    assert [step(x).item() for _ in range(3)] == [2.0] * 3
    del table["scale"]
    step(ad.ones(()))
    assert not table
    assert step(x).item() == table["scale"] == 5.0


class Mine(list[float]):
    scale = 2.0


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda: array.array("d", [2]),
        lambda: bytearray([2]),
        lambda: collections.UserList([2.0]),
        lambda: collections.UserDict({0: 2.0}),
        lambda: collections.ChainMap({0: 2.0}),
        lambda: Mine([2.0]),
    ],
)
def test_items_of_other_containers_count(make: Callable[[], Any], given: bool) -> None:
    items = make()
    change = lambda: items.__setitem__(0, 5)  # noqa: E731
    if given:
        takes_effect(lambda x, items: x * items[0], change, items)
    else:
        takes_effect(lambda x: x * items[0], change)


def test_what_is_held_elsewhere_counts() -> None:
    variable = contextvars.ContextVar("scale", default=2.0)
    takes_effect(lambda x: x * variable.get(), lambda: variable.set(5.0))
    mine, config = Mine(), Config()
    takes_effect(lambda x: x * mine.scale, lambda: setattr(mine, "scale", 5.0))
    reference = weakref.ref(config)
    takes_effect(lambda x: x * reference()["scale"], lambda: config.of.update(scale=5.0))  # type: ignore[index]


def test_a_thread_finds_what_is_its_own() -> None:
    here, found = threading.local(), []
    here.scale = 2.0
    step, x = ad.compile(lambda x: x * here.scale), ad.ones(1)
    assert [step(x).item() for _ in range(3)] == [2.0] * 3

    def other() -> None:
        here.scale = 5.0
        found.extend(step(x).item() for _ in range(3))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [5.0] * 3
    assert step(x).item() == 2.0


def test_a_descriptor_that_has_nothing_yet_is_looked_at() -> None:
    class Setting:
        def __set_name__(self, owner: type, name: str) -> None:
            self.name = f"_{name}"

        def __get__(self, thing: Any, owner: type) -> Any:
            return vars(thing)[self.name]

        def __set__(self, thing: Any, value: float) -> None:
            vars(thing)[self.name] = value

    class Thing:
        used, unset = Setting(), Setting()

    thing = Thing()
    thing.used = 2.0

    def fn(x: ad.Tensor) -> ad.Tensor:
        return x * (thing.unset if x.numel() > 9 else thing.used)  # type: ignore[no-any-return]

    takes_effect(fn, lambda: setattr(thing, "used", 5.0))


@dataclasses.dataclass
class State:
    """Whose comparison reads what grows."""

    scale: float = 2.0
    losses: list[Any] = dataclasses.field(default_factory=list)


def test_what_no_operator_is_asked_for_does_not_count() -> None:
    class Log:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def __len__(self) -> int:
            return len(self.lines)

        def add(self, line: str) -> None:
            self.lines.append(line)

    log, state = Log(), State()

    def scaled(x: ad.Tensor, state: State) -> ad.Tensor:
        return x * state.scale

    def fn(x: ad.Tensor) -> ad.Tensor:
        log.add("called")
        y = scaled(x, state)
        state.losses.append(y)
        return y

    step = ad.compile(fn, fullgraph=True)
    for i in range(4):
        step(ad.ones(1))
        log.add(str(i))
        state.losses.append(i)
    assert step.stats().recordings == 1


def generator() -> Iterator[int]:
    yield from range(1, 99)


NEXT: dict[str, Callable[[], Any]] = {
    "count": lambda: itertools.count(1),
    "list": lambda: iter([*range(9)]),
    "generator": generator,
    "loader": lambda: (x for (x,) in DataLoader(TensorDataset(ad.arange(9.0)))),
    "batches": lambda: iter(DataLoader(TensorDataset(ad.arange(9.0)))),
    "random": lambda: random.Random(3),
    "numpy": lambda: np.random.default_rng(3),
}


def test_a_class_whose_module_is_told_by_its_objects() -> None:
    class Odd:
        __module__ = property(lambda self: "odd")  # type: ignore[assignment]
        scale = 2.0

    thing = Odd()
    step, x = ad.compile(lambda x: (x * thing.scale, Odd())[0]), ad.ones(1)
    assert [step(x).item() for _ in range(3)] == [2.0] * 3
    assert step.stats().runs == 2
    thing.scale = 3.0
    assert step(x).item() == 3.0


@pytest.mark.parametrize("name", NEXT)
def test_what_comes_next_is_another_thing_at_each_call(name: str) -> None:
    draws = name in ("random", "numpy")

    def made() -> Callable[[ad.Tensor], ad.Tensor]:
        source = NEXT[name]()
        if draws:
            return lambda x: x * source.random()  # type: ignore[no-any-return]
        return lambda x: x * (y[0] if isinstance(y := next(source), list) else y)

    plain, compiled, x = made(), ad.compile(made()), ad.ones(1)
    with pytest.warns(UserWarning, match="stays eager: it takes what comes next of a"):
        found = [compiled(x).item() for _ in range(5)]
    assert found == [plain(x).item() for _ in range(5)]
    with pytest.raises(RuntimeError, match="takes what comes next"):
        ad.compile(made(), fullgraph=True)(x)


@pytest.mark.parametrize("name", ["list", "random", "numpy"])
def test_what_is_not_drawn_of_does_not_matter(name: str) -> None:
    source, config = NEXT[name](), {"augment": False}

    @ad.compile
    def step(x: ad.Tensor) -> ad.Tensor:
        if config["augment"]:
            x = x * (next(source) if name == "list" else source.random())
        return x + 1

    assert [step(ad.ones(1)).item() for _ in range(3)] == [2.0] * 3
    assert step.stats().runs == 2
    config["augment"] = True
    plain = NEXT[name]()
    with pytest.warns(UserWarning, match="stays eager: it takes what comes next of a"):
        found = [step(ad.ones(1, dtype=ad.float64)).item() for _ in range(3)]
    assert found == [1 + (next(plain) if name == "list" else plain.random()) for _ in range(3)]


def test_functions_that_are_dispatched_by_a_class_are_looked_into() -> None:
    config = {"scale": 2.0}

    @functools.singledispatch
    def scaled(value: object, x: ad.Tensor) -> ad.Tensor:
        return x

    @scaled.register
    def _(value: int, x: ad.Tensor) -> ad.Tensor:
        return x * config["scale"]

    step = ad.compile(lambda x: scaled(1, x), fullgraph=True)
    assert [step(ad.ones(1)).item() for _ in range(3)] == [2.0] * 3
    config["scale"] = 3.0
    assert step(ad.ones(1)).item() == 3.0
    scaled.register(bool, lambda value, x: x)
    scaled.register(int, lambda value, x: x * 7)
    assert step(ad.ones(1)).item() == 7.0


class Own(random.Random):
    at = 0

    def random(self) -> float:
        self.at += 1
        return float(self.at)


@pytest.mark.filterwarnings("ignore:.*stays eager")
@pytest.mark.parametrize("make", [lambda: random.Random(1), Own, random.SystemRandom])
@pytest.mark.parametrize("seed", [False, True])
def test_what_is_drawn_of_is_drawn_at_each_call(seed: bool, make: Any) -> None:
    source = make()

    def seeded(x: ad.Tensor) -> ad.Tensor:
        source.seed(3)
        return x * source.random()

    step = ad.compile(seeded if seed else lambda x: x * source.random())
    found = [step(ad.ones(1)).item() for _ in range(12)]
    assert len({*found}) == (1 if seed and type(source) is random.Random else 12)
    assert not step.stats().runs


def test_a_buffer_that_is_counted_up_by_its_name_is_written() -> None:
    class Counts(nn.Module):
        n: ad.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("n", ad.tensor(0))

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            self.n += 1
            return x * self.n

    model = Counts()
    step = ad.compile(lambda x: model(x), fullgraph=True)
    assert [step(ad.ones(1)).item() for _ in range(5)] == [1, 2, 3, 4, 5]
    assert step.stats().runs == 4
    model.n = ad.tensor(9)  # another one
    assert [step(ad.ones(1)).item() for _ in range(2)] == [10, 11]


def test_an_iterator_of_the_user_s_is_looked_into() -> None:
    class Count:
        at = 0

        def __iter__(self) -> Count:
            return self

        def __next__(self) -> int:
            self.at += 1
            return self.at

    count = Count()
    step = ad.compile(lambda x: x * next(count))
    with pytest.warns(UserWarning, match="stays eager"):
        assert [step(ad.ones(1)).item() for _ in range(12)] == [*range(1, 13)]
