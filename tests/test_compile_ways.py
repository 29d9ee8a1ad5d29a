"""Changes x ways: however a compiled function asks for what a thing has, a change takes effect."""

from __future__ import annotations

import configparser
import dataclasses
import functools
import inspect
import io
import logging
import operator
import os
import queue
import random
import sys
import threading
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from twins import Fn, Row, Rows, bits, check_change

import autodiff as ad
from autodiff import nn

WAYS = Rows()
way = WAYS.add


@dataclasses.dataclass
class Settings:
    scale: float = 2.0
    shift: float = 1.0

    def named(self, name: str) -> Any:
        return getattr(self, name)


class Table:
    scale = 2.0


def number(thing: Any) -> Row:
    """What an object has by a name that is put together."""
    names = ["sca", "le"]
    return lambda x: x * getattr(thing, "".join(names)), lambda: setattr(thing, "scale", 5.0)


# ---- names that are computed ----


@way
def computed_name() -> Row:
    return number(Settings())


@way
def computed_name_of_a_class() -> Row:
    return number(type("Own", (Table,), {}))


@way
def computed_name_that_the_class_has() -> Row:
    own = type("Own", (Table,), {})
    return number(own())[0], lambda: setattr(own, "scale", 5.0)


@way
def computed_name_of_a_file() -> Row:
    settings = types.ModuleType("settings_by_computed_names")
    settings.scale = 2.0  # type: ignore[attr-defined]
    return number(settings)


@way
def computed_name_in_a_method() -> Row:
    settings, name = Settings(), "".join(["scale"])
    return lambda x: x * settings.named(name), lambda: setattr(settings, "scale", 5.0)


@way
def fields_of_a_dataclass() -> Row:
    settings = Settings()

    def fn(x: ad.Tensor) -> ad.Tensor:
        for field in dataclasses.fields(settings):
            x = x * getattr(settings, field.name)
        return x

    return fn, lambda: setattr(settings, "scale", 5.0)


@way
def asdict() -> Row:
    settings = Settings()
    return (
        lambda x: x * sum(dataclasses.asdict(settings).values()),
        lambda: setattr(settings, "scale", 5.0),
    )


@way
def all_that_vars_gives() -> Row:
    settings = Settings()
    return lambda x: x * sum(vars(settings).values()), lambda: vars(settings).update(more=1.0)


@way
def keywords_of_vars() -> Row:
    options = types.SimpleNamespace(alpha=2.0)
    return lambda x: ad.add(x, x, **vars(options)), lambda: setattr(options, "alpha", 5.0)


@way
def getter_made_outside() -> Row:
    settings, get = Settings(), operator.attrgetter("scale")
    return lambda x: x * get(settings), lambda: setattr(settings, "scale", 5.0)


# ---- what is not there, or hidden ----


@way
def attribute_that_is_missed() -> Row:
    class Empty:
        pass

    empty = Empty()

    def fn(x: ad.Tensor) -> ad.Tensor:
        try:
            return x * empty.scale  # type: ignore[attr-defined]
        except AttributeError:
            return x

    return fn, lambda: setattr(Empty, "scale", 5.0)


@way
def global_that_is_missed() -> Row:
    def fn(x: ad.Tensor) -> ad.Tensor:
        try:
            return x * GLOBAL_TO_COME  # type: ignore[name-defined]
        except NameError:
            return x

    return fn, lambda: globals().update(GLOBAL_TO_COME=5.0)


@way
def key_of_globals() -> Row:
    return (
        lambda x: x * globals().get("KEY_TO_COME", 2.0),
        lambda: globals().update(KEY_TO_COME=5.0),
    )


@way
def attribute_of_a_metaclass_that_a_class_gets() -> Row:
    own = type("Own", (type("Meta", (type,), {"scale": 2.0}),), {})
    made: Any = own("Made", (), {})
    return lambda x: x * made.scale, lambda: setattr(made, "scale", 5.0)


@way
def file_taken_in_inside() -> Row:
    def file(scale: float) -> types.ModuleType:
        made = sys.modules["file_taken_in"] = types.ModuleType("file_taken_in")
        made.scale = scale  # type: ignore[attr-defined]
        return made

    def fn(x: ad.Tensor) -> Any:
        import file_taken_in  # type: ignore[import-not-found]

        return x * file_taken_in.scale

    file(2.0)
    return fn, lambda: file(5.0)


# ---- functions of the language's, and what they were made of ----


@way
def results_that_are_kept() -> Row:
    scale = 2.0

    @functools.lru_cache
    def kept() -> float:
        return scale

    def change() -> None:
        nonlocal scale
        scale = 5.0
        kept.cache_clear()

    return lambda x: x * kept(), change


@way
def results_that_are_forgotten() -> Row:
    scales = [2.0, 5.0]
    kept = functools.lru_cache(functools.partial(scales.pop, 0))
    kept()
    return lambda x: x * kept(), kept.cache_clear


@way
def method_dispatched_by_a_class() -> Row:
    class Own:
        @functools.singledispatchmethod
        def of(self, scale: Any) -> float:
            return 2.0

    own = Own()
    return (
        lambda x: x * own.of(1.0),
        lambda: vars(Own)["of"].register(float, lambda self, scale: 5.0),
    )


@way
def method_of_a_dict() -> Row:
    table = {"scale": 2.0}
    get = table.get
    return lambda x: x * get("scale"), lambda: table.update(scale=5.0)


@way
def partial_of_a_builtin_function() -> Row:
    numbers = [2.0]
    total = functools.partial(sum, numbers)
    return lambda x: x * total(), lambda: numbers.append(3.0)


@way
def partial_that_has_a_list() -> Row:
    numbers = [2.0]
    scaled = functools.partial(lambda x, given: x * given[0], given=numbers)
    return lambda x: scaled(x), lambda: numbers.insert(0, 5.0)


@way
def method_of_a_layer() -> Row:
    layer = nn.Linear(2, 2)
    forward = layer.forward
    return lambda x: forward(x), lambda: setattr(layer, "weight", nn.Parameter(ad.ones(2, 2)))


@way
def method_of_a_flag() -> Row:
    event = threading.Event()
    is_set = event.is_set
    return lambda x: x * 2 if is_set() else x, event.set


# ---- objects of the language's, and of NumPy's ----


@way
def flag_of_threads() -> Row:
    event = threading.Event()
    return lambda x: x * 2 if event.is_set() else x, event.set


@way
def level_of_a_logger() -> Row:
    logger = logging.getLogger("of a compiled step")
    logger.setLevel(logging.INFO)
    return (
        lambda x: x * 2 if logger.isEnabledFor(logging.DEBUG) else x,
        lambda: logger.setLevel(logging.DEBUG),
    )


@way
def file_of_settings() -> Row:
    settings = configparser.ConfigParser()
    settings.read_dict({"step": {"scale": "2.0"}})
    return (
        lambda x: x * settings.getfloat("step", "scale"),
        lambda: settings.set("step", "scale", "5.0"),
    )


@way
def what_hangs_on_an_object() -> Row:
    table, of = Table(), weakref.WeakKeyDictionary[Table, float]()
    of[table] = 2.0
    return lambda x: x * of[table], lambda: of.update({table: 5.0})


@way
def objects_that_are_weakly_held() -> Row:
    tables = [Settings(), Settings()]
    held = weakref.WeakValueDictionary(enumerate(tables))
    return lambda x: x * held[1].scale, lambda: setattr(tables[1], "scale", 5.0)


@way
def variable_of_the_environment() -> Row:
    os.environ["OF_A_COMPILED_STEP"] = "2.0"
    return (
        lambda x: x * float(os.environ["OF_A_COMPILED_STEP"]),
        lambda: os.environ.update(OF_A_COMPILED_STEP="5.0"),
    )


@way
def variable_of_the_environment_that_is_not_there() -> Row:
    os.environ.pop("NOT_OF_A_COMPILED_STEP", None)
    return (
        lambda x: x * float(os.getenv("NOT_OF_A_COMPILED_STEP", "2.0")),
        lambda: os.environ.update(NOT_OF_A_COMPILED_STEP="5.0"),
    )


@way
def array_of_few_numbers() -> Row:
    numbers = np.ones(3)
    return lambda x: x * float(numbers.sum()), lambda: numbers.fill(5.0)


@pytest.fixture(autouse=True)
def everything_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    here, there = [*globals()], {*os.environ}
    yield
    for name in globals().keys() - here:
        del globals()[name]
    for name in os.environ.keys() - there:
        del os.environ[name]
    sys.modules.pop("file_taken_in", None)


@pytest.mark.parametrize("name", WAYS)
def test_a_change_takes_effect_on_the_next_call(name: str) -> None:
    check_change(*WAYS[name]())


def written() -> io.TextIOBase:
    return io.StringIO("1.0\n2.0\n" * 20)


def filled(q: Any) -> Any:
    for i in range(40):
        q.put(float(i))
    return q


DRAWS: dict[str, Callable[[], Fn]] = {
    "bound next": lambda: _by(iter(range(40)).__next__),
    "partial of next": lambda: _by(functools.partial(next, iter(range(40)))),
    "bound pop": lambda: _by([*range(40)].pop),
    "bound draw": lambda: _by(random.Random(1).random),
    "bound draw of NumPy's": lambda: _by(np.random.default_rng(1).normal),
    "queue": lambda: _of(filled(queue.Queue()), lambda q: q.get()),
    "queue without a lock": lambda: _of(filled(queue.SimpleQueue()), lambda q: q.get()),
    "line": lambda: _of(written(), lambda file: file.readline()),
    "next line": lambda: _of(written(), next),
    "results kept of ever new arguments": lambda: _by(functools.lru_cache(random.random)),
}


def _by(draw: Callable[[], Any]) -> Fn:
    return lambda x: x * draw()


def _of(source: Any, draw: Callable[[Any], Any]) -> Fn:
    return lambda x: x * float(draw(source))


@pytest.mark.parametrize("name", DRAWS)
def test_what_comes_next_does_so_at_each_call(name: str) -> None:
    x, found = ad.ones(2), []
    for wrap in (ad.compile, lambda fn: fn):
        random.seed(3)
        fn = wrap(DRAWS[name]())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append([bits(fn(x)) for _ in range(12)])
    assert found[0] == found[1]


def test_a_file_that_is_written_to_does_no_harm(tmp_path: Any) -> None:
    with (tmp_path / "log").open("w") as file:
        compiled = ad.compile(lambda x: print(x.shape, file=file) or x * 2, fullgraph=True)
        for _ in range(3):
            compiled(ad.ones(2))
    assert compiled.stats().runs == 2


def test_constant_names_ask_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an object has besides may change, as where all is asked for it may not."""
    settings = Settings()
    told = ad.compile(
        lambda x: (
            x * getattr(settings, "scale", inspect.Parameter.empty)
            if getattr(settings, "scale", None) and getattr(settings, "scale", 1.0)
            else hasattr(settings, "scale")
        )
    )
    for i in range(4):
        settings.shift = float(i)
        told(ad.ones(2))
    assert told.stats().recordings == 1
