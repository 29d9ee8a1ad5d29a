"""What a compiled function adds to containers, and sets in them, each run adds and sets."""

from __future__ import annotations

import array
import collections
import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twins import bits

import autodiff as ad
from autodiff import nn

Make = Callable[[], tuple[Callable[[ad.Tensor], Any], Any]]  # a function, and what it adds to
ADDED: dict[str, Make] = {}
EAGER: dict[str, Make] = {}


def row(rows: dict[str, Make]) -> Callable[[Make], Make]:
    """Add a row, called as the function that makes it."""

    def put(make: Make) -> Make:
        rows[make.__name__.replace("_", " ")] = make
        return make

    return put


@row(ADDED)
def list_of_losses() -> Any:
    losses: list[Any] = []

    def fn(x: ad.Tensor) -> Any:
        loss = x.exp().sum()
        losses.append(loss)
        return loss

    return fn, losses


@row(ADDED)
def by_a_bound_method() -> Any:
    losses: list[Any] = []
    add = losses.append
    return lambda x: add(x.sum()), losses


@row(ADDED)
def by_the_dict_of_a_file() -> Any:
    def fn(x: ad.Tensor) -> None:
        globals()["put"] = x.sum()

    return fn, lambda: globals()["put"]


@row(ADDED)
def several_at_once() -> Any:
    found: list[Any] = []
    return lambda x: found.extend([x + 1, 2.0, "x", (x * 2, 1)]), found


@row(ADDED)
def dicts_in_a_list() -> Any:
    log: list[Any] = []
    return lambda x: log.append({"loss": x.sum(), "step": 1}), log


@row(ADDED)
def items_of_a_dict() -> Any:
    log: dict[str, Any] = {"loss": None, "other": 1}

    def fn(x: ad.Tensor) -> None:
        log["loss"] = x.sum()
        log["kind"] = "training"
        log.update(more=x + 1)

    return fn, log


@row(ADDED)
def number_that_is_set_again() -> Any:
    log: dict[str, Any] = {"kind": "training"}

    def fn(x: ad.Tensor) -> ad.Tensor:
        log["kind"] = "training"
        return x + 1

    return fn, log


@row(ADDED)
def list_in_a_dict() -> Any:
    history: dict[str, Any] = {"loss": []}
    return lambda x: history["loss"].append(x.sum()), history


@row(ADDED)
def list_in_a_dict_at_the_name_of_a_variable() -> Any:
    history: dict[str, Any] = {"loss": []}

    def fn(x: ad.Tensor) -> Any:
        loss = x.exp().sum()
        history["loss"].append(loss)
        return loss

    return fn, history


@row(ADDED)
def list_of_an_object() -> Any:
    thing = types.SimpleNamespace(losses=[])
    return lambda x: thing.losses.append(x.sum()), thing.losses


@row(ADDED)
def queue_of_the_last() -> Any:
    last: collections.deque[Any] = collections.deque([0.0], maxlen=2)
    return lambda x: last.append(x.sum()), last


@row(ADDED)
def set_of_numbers() -> Any:
    seen: set[Any] = set()
    return lambda x: seen.add(x.ndim), seen


@row(ADDED)
def several_in_a_set() -> Any:
    seen: set[Any] = set()
    return lambda x: seen.update((x.ndim, "x")), seen


@row(ADDED)
def place_in_a_list() -> Any:
    slots: list[Any] = [None, 1.0]

    def fn(x: ad.Tensor) -> None:
        slots[0] = x + 1

    return fn, slots


@row(ADDED)
def hook_that_keeps_what_it_sees() -> Any:
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda module, given, made: seen.append(made.detach()))
    return lambda x: layer(x).detach(), seen


LAST: Any = None


@row(ADDED)
def name_of_a_file() -> Any:
    def fn(x: ad.Tensor) -> None:
        global LAST
        LAST = x + 1

    return fn, lambda: LAST


@row(ADDED)
def attribute_of_a_class() -> Any:
    class Own:
        last: Any = None

    own = Own()

    def fn(x: ad.Tensor) -> None:
        Own.last = x + 1
        type(own).begun = True  # type: ignore[attr-defined]

    return fn, lambda: [Own.last, getattr(Own, "begun", False)]


@row(ADDED)
def attribute_of_another_file() -> Any:
    file: Any = types.ModuleType("file_that_is_added_to")

    def fn(x: ad.Tensor) -> None:
        file.last = x + 1

    return fn, lambda: file.last


@row(ADDED)
def attributes_by_computed_names() -> Any:
    thing = types.SimpleNamespace()

    def fn(x: ad.Tensor) -> None:
        for i in range(2):
            setattr(thing, f"part{i}", x * i)

    return fn, lambda: vars(thing)


@row(ADDED)
def attributes_that_a_class_sets_its_way() -> Any:
    class Own:
        def __setattr__(self, name: str, value: Any) -> None:
            self.__dict__[name] = value * 2

    own = Own()

    def fn(x: ad.Tensor) -> None:
        own.last = x + 1

    return fn, lambda: vars(own)


@row(ADDED)
def argument_that_is_kept() -> Any:
    thing = types.SimpleNamespace(last=None)

    def fn(x: ad.Tensor) -> ad.Tensor:
        thing.last = x
        return x + 1

    return fn, lambda: thing.last


@row(ADDED)
def log_of_a_module() -> Any:
    class Own(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.logged: dict[str, Any] = {}

        def log(self, name: str, value: ad.Tensor) -> None:
            self.logged[name] = value.detach()

    own = Own()

    def fn(x: ad.Tensor) -> ad.Tensor:
        loss = own(x).sum()
        own.log("loss", loss)
        return loss.detach()

    return fn, own.logged


@row(EAGER)
def attribute_with_a_graph() -> Any:
    layer, thing = nn.Linear(2, 2), types.SimpleNamespace(last=None)

    def fn(x: ad.Tensor) -> None:
        thing.last = layer(x)

    return fn, lambda: thing.last


@row(EAGER)
def first_place_of_a_list() -> Any:
    found: list[Any] = []
    return lambda x: found.extend([]) or found.insert(0, x + 1), found


@row(EAGER)
def result_with_a_graph() -> Any:
    layer, made = nn.Linear(2, 2), []
    return lambda x: made.append(layer(x)), made


@row(EAGER)
def objects() -> Any:
    made: list[Any] = []
    return lambda x: made.append(types.SimpleNamespace(x=x + 1)), made


def shown(x: Any) -> Any:
    if isinstance(x, types.SimpleNamespace):
        return shown(x.x)
    sequence = isinstance(x, (list, set, collections.deque))
    items = sorted(x, key=str) if isinstance(x, set) else x
    return [shown(item) for item in items] if sequence else bits(x)


def calls(make: Make, wrap: Callable[..., Any], n: int) -> tuple[Any, list[Any]]:
    """What is compiled, and what it added to looks like after each call."""
    ad.manual_seed(3)
    fn, thing = make()
    run = wrap(fn)
    found = []
    for i in range(n):
        if isinstance(thing, dict) and i == 4:
            thing["kind"] = "another"
        if isinstance(thing, set) and i == 4:
            thing.clear()
        result = run(ad.ones(2) * i)
        found.append([bits(result), shown(thing() if callable(thing) else thing)])
    return run, found


@pytest.mark.parametrize("name", ADDED)
def test_each_run_adds_what_a_call_does(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run, found = calls(ADDED[name], ad.compile, 7)
    assert found == calls(ADDED[name], lambda fn: fn, 7)[1]
    assert run.stats().runs >= 4


@pytest.mark.parametrize("name", EAGER)
def test_what_a_run_cannot_add_keeps_a_call_eager(name: str) -> None:
    with pytest.warns(UserWarning, match="stays eager: it changes what it relies on"):
        _, found = calls(EAGER[name], ad.compile, 9)
    assert found == calls(EAGER[name], lambda fn: fn, 9)[1]


GROWN: dict[str, Callable[[], Any]] = {
    "Counter": lambda: (kinds := collections.Counter(), lambda _: kinds.update("ab")),
    "array": lambda: (numbers := array.array("f"), lambda _: numbers.append(1.0)),
    "item of an array": lambda: (
        numbers := array.array("f", [0.0]),
        lambda x: numbers.__setitem__(0, float(x.ndim) + 9),
    ),
    "bytearray": lambda: (found := bytearray(), lambda _: found.extend(b"x")),
    "UserList": lambda: (losses := collections.UserList(), lambda x: losses.append(x.ndim)),
    "own list": lambda: (log := type("Own", (list,), {})(), lambda x: log.append(x.ndim)),
}


@pytest.mark.filterwarnings("ignore:.*stays eager")
@pytest.mark.parametrize("name", GROWN)
def test_other_containers_grow_as_well(name: str) -> None:
    found = []
    for wrap in (ad.compile, lambda fn: fn):
        thing, fn = GROWN[name]()
        run = wrap(fn)
        found.append([])
        for i in range(5):
            run(ad.ones(2))
            found[-1].append(repr(dict(thing) if name == "Counter" else [*thing]))
            if name == "item of an array" and i == 2:
                thing[0] = 3.0
    assert found[0] == found[1]


def test_what_is_added_is_what_is_returned() -> None:
    losses: list[ad.Tensor] = []

    @ad.compile
    def step(x: ad.Tensor) -> tuple[ad.Tensor, ad.Tensor]:
        loss = x.sum()
        losses.append(loss)
        return loss, loss

    for i in range(4):
        first, second = step(ad.ones(2) * i)
        assert first is second is losses[i]
    assert step.stats().runs == 3
    assert [loss.item() for loss in losses] == [0, 2, 4, 6]


@pytest.mark.parametrize("returned", [True, False])
def test_what_is_added_is_not_written_over(returned: bool) -> None:
    """Though results may be."""
    losses: list[ad.Tensor] = []

    def step(x: ad.Tensor) -> ad.Tensor:
        loss = x.sum()
        losses.append(loss)
        return loss if returned else x * 2

    run = ad.compile(step, reuse_outputs=True)
    for i in range(4):
        run(ad.ones(2) * i)
    assert [loss.item() for loss in losses] == [0, 2, 4, 6]


def test_what_lies_in_a_result_is_not_written_over() -> None:
    parts: list[ad.Tensor] = []

    def step(x: ad.Tensor) -> ad.Tensor:
        y = x * 2
        parts.append(y[0])
        return y

    run = ad.compile(step, reuse_outputs=True)
    held = [run(ad.ones(2) * i) for i in range(5)]
    assert run.stats().runs == 4
    assert [part.item() for part in parts] == [0, 2, 4, 6, 8]
    assert [y.tolist() for y in held] == [[2.0 * i, 2.0 * i] for i in range(5)]


def of_a_key(counts: dict[str, int], x: ad.Tensor) -> ad.Tensor:
    return x * counts["calls"]


def of_all_keys(counts: dict[str, int], x: ad.Tensor) -> ad.Tensor:
    return x * sum(counts.values())


def of_a_key_asked_otherwise(counts: dict[str, int], x: ad.Tensor) -> ad.Tensor:
    return x * counts.get("calls", 0)


def of_a_name(counts: dict[str, int], x: ad.Tensor) -> ad.Tensor:
    key = "calls" if x.ndim else "none"
    return x * counts[key]


LOOKS = of_a_key, of_all_keys, of_a_key_asked_otherwise, of_a_name


@pytest.mark.filterwarnings("ignore:.*stays eager")
@pytest.mark.parametrize("look", LOOKS)
def test_a_count_that_is_looked_at_is_not_frozen(look: Any) -> None:
    def found(compiled: bool) -> list[Any]:
        counts = {"calls": 0}

        def step(x: ad.Tensor) -> ad.Tensor:
            counts["calls"] += 1
            return look(counts, x)

        call = ad.compile(step) if compiled else step
        return [bits([call(ad.ones(2)), counts]) for _ in range(12)]

    assert found(True) == found(False)


@pytest.mark.filterwarnings("ignore:.*stays eager")
def test_a_variable_that_another_function_looks_at_is_not_frozen() -> None:
    def found(compiled: bool) -> list[Any]:
        n = 0

        def now() -> int:
            return n

        def step(x: ad.Tensor) -> ad.Tensor:
            nonlocal n
            n += 1
            return x * now()

        call = ad.compile(step) if compiled else step
        return [bits([call(ad.ones(2)), n]) for _ in range(12)]

    assert found(True) == found(False)


@pytest.mark.filterwarnings("ignore:.*stays eager")
def test_a_count_goes_on_from_what_was_put_there() -> None:
    def found(compiled: bool) -> list[Any]:
        counts: dict[str, Any] = {"calls": 0}

        def step(x: ad.Tensor) -> ad.Tensor:
            counts["calls"] += 1
            return x + 1

        call = ad.compile(step) if compiled else step
        shown = []
        for put in (0, 7, True, 0.5, 0, 2**70):
            counts["calls"] = put
            shown += [bits([call(ad.ones(2)), counts]) for _ in range(4)]
        return shown

    assert found(True) == found(False)


@row(ADDED)
def counts_by_keys() -> Any:
    stats = {"steps": 0, "rows": 3, "scale": 2.0}

    def fn(x: ad.Tensor) -> ad.Tensor:
        stats["steps"] += 1
        stats["rows"] -= len(x)
        return x * stats["scale"]

    return fn, stats


@row(ADDED)
def counts_by_keys_of_a_class_of_dicts() -> Any:
    trainer = types.SimpleNamespace(stats=collections.Counter(steps=0), lists={1: {"n": 2}})

    def fn(x: ad.Tensor) -> ad.Tensor:
        trainer.stats["steps"] += x.ndim
        trainer.lists[1]["n"] += 1
        return x.exp()

    return fn, lambda: {**trainer.stats, **trainer.lists}


def by_update(stats: dict[str, int]) -> None:
    stats.update(BEGUN)


def by_a_key(stats: dict[str, int]) -> None:
    stats["steps"] = 0


def by_keys(stats: dict[str, int]) -> None:
    for key in stats:
        stats[key] = 0


BEGUN = {"steps": 0}


@pytest.mark.parametrize("begin", [by_update, by_a_key, by_keys, dict.clear, BEGUN.__ior__])
def test_a_count_that_begins_anew_is_no_count(begin: Any) -> None:
    def found(compiled: bool) -> list[Any]:
        stats = collections.Counter(steps=5)

        def step(x: ad.Tensor) -> ad.Tensor:
            begin(stats)
            stats["steps"] += 2
            return x + 1

        call = ad.compile(step) if compiled else step
        shown = []
        for put in (9, 9, 9, 2, 2, 2, 2, 5):
            stats["steps"] = put
            shown.append(bits([call(ad.ones(2)), dict(stats)]))
        return shown

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found(True) == found(False)


class Thing:
    """What has an attribute behind a property."""

    made: Any = None

    def __init__(self) -> None:
        self.table: dict[str, Any] = {"k": 1, "loss": None}
        self.seen = {5}
        self.last = collections.deque([1, 1], maxlen=2)
        self.a = 1

    @property
    def kept(self) -> Any:
        return self.__dict__.get("_kept")

    @kept.setter
    def kept(self, value: Any) -> None:
        self._kept = value


def by_update(t: Thing, x: ad.Tensor) -> None:
    t.table.update(k=1, loss=x)


def by_update_of_all(t: Thing, x: ad.Tensor) -> None:
    vars(t).update(a=1)
    t.__dict__.update(a=1)


def by_property(t: Thing, x: ad.Tensor) -> None:
    t.kept = 1


def by_adding_to_a_set(t: Thing, x: ad.Tensor) -> None:
    t.seen.add(5)


def by_filling_a_queue(t: Thing, x: ad.Tensor) -> None:
    t.last.extend([1] * 2)


def by_keys(t: Thing, x: ad.Tensor) -> None:
    t.table["k"] = 1
    t.table |= {"n": 2}
    Thing.made = 3


SETS = by_update, by_update_of_all, by_property, by_adding_to_a_set, by_filling_a_queue, by_keys
SPOILED: dict[str, Callable[[Thing], Any]] = {
    "a key": lambda t: t.table.update(k=7),
    "another key": lambda t: t.table.update(n=7, m=8),
    "a property": lambda t: setattr(t, "_kept", 7),
    "an attribute": lambda t: setattr(t, "a", 7),
    "one of a set": lambda t: t.seen.discard(5),
    "more of a set": lambda t: t.seen.add(6),
    "a queue": lambda t: t.last.append(7),
    "a class": lambda t: setattr(Thing, "made", 7),
}


@pytest.mark.filterwarnings("ignore:.*stays eager")
@pytest.mark.parametrize("put", SETS)
@pytest.mark.parametrize("spoil", SPOILED)
def test_what_a_call_sets_to_what_it_is_is_set_at_each(put: Any, spoil: str) -> None:
    """Also where it is another by now."""

    def found(compiled: bool) -> list[Any]:
        thing, shown_at = Thing(), []
        Thing.made = 3

        def step(x: ad.Tensor) -> ad.Tensor:
            put(thing, x)
            return x + 1

        call = ad.compile(step) if compiled else step
        for i in range(12):
            shown_at.append([bits(call(ad.ones(2) * i)), Thing.made])
            shown_at.append([shown(value) for value in vars(thing).values()])
            if i in (4, 8):
                SPOILED[spoil](thing)
        return shown_at

    assert found(True) == found(False)
