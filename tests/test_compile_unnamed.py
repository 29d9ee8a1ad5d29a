"""Methods that are called though no code names them: what they read counts, and what they do."""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import threading
import types
import weakref
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
from twins import Row, Rows, bits, check_change

import autodiff as ad
from autodiff import nn

METHODS = Rows()
row = METHODS.add
scale = 2.0


class Mode:
    """A setting that is shown, made and set its own way."""

    def __init__(self, name: str = "a") -> None:
        self.name = name
        self.scale = scale

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return len(self.name)

    def __copy__(self) -> Mode:
        return Mode(self.name + "b")


class Bank:
    """What is put into it is scaled."""

    factor = 2.0
    kept: Any
    last: Any

    def __setitem__(self, key: str, value: Any) -> None:
        self.kept = value * self.factor

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value * self.factor)


@dataclasses.dataclass(unsafe_hash=True, order=True)
class Point:
    at: float = 2.0


def shown(show: Callable[[Any], str], thing: Any, change: Callable[[], Any]) -> Row:
    """What is shown decides."""
    return lambda x: x * len(show(thing)), change


def longer(thing: Any) -> Callable[[], Any]:
    """A change by which more is shown."""
    return lambda: vars(thing).update({next(iter(vars(thing))): "longer"})


@row
def str_of_an_object() -> Row:
    return shown(str, mode := Mode(), longer(mode))


@row
def formatted() -> Row:
    mode = Mode()
    return lambda x: x * len(f"{mode}"), longer(mode)


@row
def formatted_by_percent() -> Row:
    mode = Mode()
    return lambda x: x * len("%s" % mode), longer(mode)  # noqa: UP031


@row
def formatted_by_a_method() -> Row:
    mode = Mode()
    return lambda x: x * len("{}!".format(mode)), longer(mode)  # noqa: UP032


@row
def formatted_by_a_function_that_is_given_it() -> Row:
    mode = Mode()
    return lambda x: x * tag_length(mode), longer(mode)


def tag_length(thing: Any) -> int:
    return len(f"<{thing}>")


@row
def repr_of_a_dataclass() -> Row:
    point = Point()
    return lambda x: x * len(repr(point)), longer(point)


@row
def hash_alone() -> Row:
    mode = Mode()
    return lambda x: x * hash(mode), longer(mode)


@row
def equality_of_a_dataclass() -> Row:
    one, other = Point(), Point()
    return lambda x: x * 2 if one == other else x, lambda: setattr(one, "at", 5.0)


@row
def order_of_a_dataclass() -> Row:
    one, other = Point(), Point(3.0)
    return lambda x: x * 2 if one < other else x, lambda: setattr(one, "at", 5.0)


@row
def a_dataclass_in_a_list() -> Row:
    points, other = [Point()], Point()
    return lambda x: x * 2 if other in points else x, lambda: setattr(points[0], "at", 5.0)


@row
def a_dataclass_as_a_key() -> Row:
    point, table = Point(), {Point(): 2.0, Point(3.0): 3.0}
    return lambda x: x * table[point], lambda: setattr(point, "at", 3.0)


@row
def a_copy_of_its_own() -> Row:
    mode = Mode()
    return lambda x: x * len(copy.copy(mode).name), longer(mode)


@row
def what_sets_an_item() -> Row:
    bank = Bank()

    def fn(x: ad.Tensor) -> Any:
        bank["any"] = x
        return bank.kept

    return fn, lambda: setattr(Bank, "factor", Bank.factor + 1)


@row
def what_sets_an_attribute() -> Row:
    bank = Bank()

    def fn(x: ad.Tensor) -> Any:
        bank.last = x
        return bank.last

    return fn, lambda: setattr(Bank, "factor", Bank.factor + 1)


@row
def what_sets_up_an_object() -> Row:
    return lambda x: x * Mode().scale, lambda: globals().update(scale=globals()["scale"] + 1)


@row
def what_sets_up_an_object_by_its_base() -> Row:
    class Own(Mode):
        def __init__(self) -> None:
            super().__init__("own")

    return lambda x: x * Own().scale, lambda: globals().update(scale=globals()["scale"] + 1)


@row
def defaults_of_a_dataclass() -> Row:
    own: Any = dataclasses.make_dataclass("Own", [("at", float, 2.0)])
    return lambda x: x * own().at, lambda: setattr(own.__init__, "__defaults__", (5.0,))


@row
def factory_of_a_dataclass() -> Row:
    start, field = [2.0], dataclasses.field(default_factory=lambda: start[0])
    own: Any = dataclasses.make_dataclass("Own", [("at", float, field)])
    return lambda x: x * own().at, lambda: start.__setitem__(0, 5.0)


@row
def after_a_dataclass_is_set_up() -> Row:
    factor = [2.0]

    @dataclasses.dataclass
    class Own:
        at: Any

        def __post_init__(self) -> None:
            self.at = self.at * factor[0]

    return lambda x: Own(x).at, lambda: factor.__setitem__(0, 5.0)


@row
def an_attribute_that_hides_what_getattr_finds() -> Row:
    class Around:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(vars(self)["inner"], name)

    around = Around(types.SimpleNamespace(scale=2.0))
    return lambda x: x * around.scale, lambda: setattr(around, "scale", 5.0)


@row
def an_attribute_of_the_class_that_hides_what_getattr_finds() -> Row:
    class Around:
        def __getattr__(self, name: str) -> Any:
            return 2.0

    around = Around()
    return lambda x: x * around.scale, lambda: setattr(Around, "scale", 5.0)


class Table(Mapping[str, float]):
    """Whose other methods Python's library has."""

    def __init__(self, **items: float) -> None:
        self.of = items

    def __getitem__(self, key: str) -> float:
        return self.of[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)


@row
def methods_of_a_base_of_the_language() -> Row:
    table = Table(scale=2.0)
    return lambda x: x * table.get("scale", 1.0), lambda: table.of.update(scale=5.0)


@row
def views_of_a_base_of_the_language() -> Row:
    table = Table(scale=2.0)
    return lambda x: x * sum(v for _, v in table.items()), lambda: table.of.update(more=5.0)


@row
def what_a_base_of_the_language_finds_by_computed_names() -> Row:
    class Visitor(ast.NodeVisitor):
        scale = 2.0

        def visit_Name(self, node: ast.Name) -> float:
            return self.scale

    visitor, tree = Visitor(), ast.parse("name", mode="eval").body
    return lambda x: x * visitor.visit(tree), lambda: setattr(visitor, "scale", 5.0)


@row
def own_event() -> Row:
    event = type("Own", (threading.Event,), {})()
    return lambda x: x * 2 if event.is_set() else x, event.set


@row
def own_dict_that_its_method_is_given() -> Row:
    class Own(dict[str, float]):
        factor = 2.0

        def scaled(self, key: str) -> float:
            return self[key] * self.factor

    own = Own(scale=2.0)
    return lambda x: x * own.scaled("scale"), lambda: setattr(own, "factor", 5.0)


@row
def getattr_of_a_file() -> Row:
    file: Any = types.ModuleType("file_that_is_asked")
    exec("of = {'scale': 2.0}\ndef __getattr__(name): return of[name]", vars(file))
    return lambda x: x * file.scale, lambda: file.of.update(scale=5.0)


@row
def an_attribute_that_the_class_has_later() -> Row:
    own = type("Own", (), {})
    thing = own()
    return lambda x: x * 2 if hasattr(thing, "on") else x, lambda: setattr(own, "on", True)


@row
def an_attribute_that_a_property_has_not_yet() -> Row:
    class Own:
        @property
        def scale(self) -> float:
            return self._scale  # type: ignore[attr-defined, no-any-return]

    own = Own()

    def fn(x: ad.Tensor) -> ad.Tensor:
        try:
            return x * own.scale
        except AttributeError:
            return x

    return fn, lambda: setattr(own, "_scale", 5.0)


@row
def getattr_that_is_given_to_others() -> Row:
    settings, path = types.SimpleNamespace(of=types.SimpleNamespace(scale=2.0)), "of_scale"
    fn = lambda x: x * functools.reduce(getattr, path.split("_"), settings)  # noqa: E731
    return fn, lambda: setattr(settings.of, "scale", 5.0)


@row
def what_a_parameter_has() -> Row:
    model: Any = nn.Linear(2, 1)
    model.weight.decay = 2.0
    fn = lambda x: x + sum(getattr(p, "decay", 0.0) * p.sum() for p in model.parameters())  # noqa: E731
    return fn, lambda: setattr(model.weight, "decay", 5.0)


@row
def what_a_parameter_has_later() -> Row:
    fn, _ = what_a_parameter_has()
    model = next(cell.cell_contents for cell in fn.__closure__ or ())
    return fn, lambda: setattr(model.bias, "decay", 5.0)


@pytest.mark.parametrize("name", METHODS)
def test_what_they_read_counts(name: str) -> None:
    check_change(*METHODS[name]())


def steps(make: Callable[[], Any], compiled: bool) -> tuple[list[Any], Any]:
    """What calls give and leave, and the function."""
    fn, left = make()
    step = ad.compile(fn) if compiled else fn
    return [(bits(step(ad.ones(2).requires_grad_(i > 2))), bits(left())) for i in range(6)], step


def objects_that_add_themselves() -> Any:
    made: list[Any] = []

    class Own:
        def __init__(self, x: ad.Tensor) -> None:
            made.append(x * 2)

        def __del__(self) -> None:
            made.append(len("gone"))

    return lambda x: x + (Own(x) is None), lambda: made


def an_attribute_of_a_parameter() -> Any:
    model: Any = nn.Linear(2, 1)

    def fn(x: ad.Tensor) -> ad.Tensor:
        for p in model.parameters():
            p.last = x.sum()
        return x * 2

    return fn, lambda: [vars(p) for p in model.parameters()]


class Stored:
    """A descriptor that keeps what is set, its way."""

    def __init__(self) -> None:
        self.last: list[Any] = []

    def __get__(self, thing: Any, kind: Any = None) -> Any:
        thing.asked = getattr(thing, "asked", 0) + 1
        return vars(thing)["_last"]

    def __set__(self, thing: Any, value: Any) -> None:
        self.last.append(value)
        vars(thing)["_" + "last"] = value


def what_a_descriptor_sets() -> Any:
    own = type("Own", (), {"last": Stored()})()

    def fn(x: ad.Tensor) -> Any:
        own.last = x.sum()
        return x * 2

    return fn, lambda: vars(own)


def what_a_descriptor_keeps() -> Any:
    class Keeping(Stored):
        def __set__(self, thing: Any, value: Any) -> None:
            self.last.append(value)

    own: Any = type("Own", (), {"last": Keeping()})

    def fn(x: ad.Tensor) -> Any:
        thing.last = x.sum()
        return x * 2

    thing = own()
    return fn, lambda: vars(own)["last"].last


def what_a_descriptor_does_when_it_is_asked() -> Any:
    own = type("Own", (), {"last": Stored()})()
    own.last = 2.0
    return lambda x: x * own.last, lambda: own.asked


def an_item_by_a_weak_key() -> Any:
    key, table = Point(), weakref.WeakKeyDictionary[Any, Any]()

    def fn(x: ad.Tensor) -> None:
        table[key] = x.sum()

    return fn, lambda: [*table.values()]


def what_getattr_does() -> Any:
    class Lazy:
        def __init__(self) -> None:
            self.asked: list[str] = []

        def __getattr__(self, name: str) -> float:
            self.asked.append(name)
            return 2.0

    lazy = Lazy()
    return lambda x: x * lazy.scale, lambda: lazy.asked


def an_object_that_has_any_attribute() -> Any:
    class Dummy:
        def __getattr__(self, name: str) -> Any:
            return Dummy()

        def __call__(self, *args: Any) -> Any:
            return Dummy()

    dummy = Dummy()
    return lambda x: x * (2 if dummy.log("x").of else 3), lambda: 0


def a_count_that_is_begun_anew() -> Any:
    class Meter:
        def __init__(self) -> None:
            self.n = 0

    meter = Meter()

    def fn(x: ad.Tensor) -> ad.Tensor:
        if x.requires_grad:
            meter.__init__()  # type: ignore[misc]
        meter.n += 1
        return x.detach()

    return fn, lambda: meter.n


def an_attribute_that_a_module_sets_its_way() -> Any:
    class Own(nn.Module):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value * 2 if name == "last" else value)

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            self.last = x.detach()
            return x * 2

    own = Own()
    return own, lambda: own.last


RUN = (
    *(objects_that_add_themselves, an_attribute_of_a_parameter, a_count_that_is_begun_anew),
    *(what_getattr_does, an_object_that_has_any_attribute),
    an_attribute_that_a_module_sets_its_way,
)
EAGER = (
    *(what_a_descriptor_sets, what_a_descriptor_keeps, what_a_descriptor_does_when_it_is_asked),
    an_item_by_a_weak_key,
)


@pytest.mark.parametrize("make", EAGER)
def test_what_they_do_no_run_leaves_out(make: Callable[[], Any]) -> None:
    assert steps(make, True)[0] == steps(make, False)[0]


@pytest.mark.parametrize("make", RUN)
def test_what_they_do_each_run_does(make: Callable[[], Any]) -> None:
    found, step = steps(make, True)
    assert found == steps(make, False)[0]
    assert step.stats().runs


@dataclasses.dataclass
class State:
    """Whose own methods look at what changes."""

    calls: int = 0
    losses: list[Any] = dataclasses.field(default_factory=list)
    kinds: ClassVar[int] = 1


def test_what_none_is_asked_for_does_not_count() -> None:
    """A count goes on where classes are named that begin it, and strings are made that say why."""
    state = State()

    def given(x: ad.Tensor, state: State) -> ad.Tensor:
        if not isinstance(state, State):
            raise TypeError(f"{state} is none")
        if x.numel() != 2:
            raise ValueError(f"{state} has {x.shape}")
        return x * state.kinds

    def fn(x: ad.Tensor) -> ad.Tensor:
        state.calls += 1
        state.losses.append(y := given(x, state))
        return y

    step = ad.compile(fn, fullgraph=True)
    for _ in range(4):
        step(ad.ones(2))
    assert (step.stats().recordings, state.calls, len(state.losses)) == (1, 4, 4)


@pytest.mark.parametrize("base", [dict, namedtuple("base", ["a"])])
def test_what_is_set_on_a_container_that_is_an_argument_counts(base: Any) -> None:
    own, step = type("Own", (base,), {}), ad.compile(lambda x, given: x * given.scale)
    for scale in (2.0, 2.0, 2.0, 5.0, 5.0):
        given = own(a=1.0)
        given.scale = scale
        assert step(ad.ones(1), given).item() == scale
    assert (step.stats().recordings, step.stats().runs) == (2, 3)


def test_a_tuple_that_is_returned_with_more_than_it_holds_keeps_a_call_eager() -> None:
    own = type("Own", (namedtuple("Own", ["a"]),), {})

    def fn(x: ad.Tensor) -> Any:
        made = own(x)
        made.scale = 2.0
        return made

    step = ad.compile(fn)
    with pytest.warns(UserWarning, match="it returns a Own"):
        assert [step(ad.ones(1)).scale for _ in range(3)] == [2.0] * 3
