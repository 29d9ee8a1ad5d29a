"""Changes x places: wherever a compiled function has a thing from, a change takes effect."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from twins import Fn, Row, Rows, check_change

import autodiff as ad
from autodiff import nn

PLACES = Rows()
place = PLACES.add


class Thing:
    """An object of the user's."""

    def __init__(self, scale: float = 2.0, **more: Any) -> None:
        self.scale = scale
        vars(self).update(more)


def set_to(owner: Any, name: str, value: Any = 5.0) -> Callable[[], Any]:
    return lambda: setattr(owner, name, value)


def put(table: Any, key: Any, value: Any = 5.0) -> Callable[[], Any]:
    return lambda: table.__setitem__(key, value)


# ---- names: cells, globals, defaults, other files ----

SCALE, PICKED = 2.0, 2.0
LAYERS: list[Any] = [2.0]
settings = types.ModuleType("settings_of_the_user")
other_file: dict[str, Any] = {"ad": ad, "__name__": "other_of_the_user", "RATE": 2.0}
exec("def scaled(x): return x * RATE\ndef twice(x): return scaled(scaled(x))", other_file)


@place
def cell() -> Row:
    scale = 2.0

    def change() -> None:
        nonlocal scale
        scale = 5.0

    return lambda x: x * scale, change


@place
def cell_of_a_function_inside() -> Row:
    scale = 2.0

    def change() -> None:
        nonlocal scale
        scale = 5.0

    def outer(x: ad.Tensor) -> ad.Tensor:
        def inner() -> ad.Tensor:
            return x * scale

        return inner()

    return outer, change


@place
def number_of_a_file() -> Row:
    globals()["SCALE"] = 2.0
    return lambda x: x * SCALE, put(globals(), "SCALE")


@place
def number_read_by_a_module_of_the_user() -> Row:
    class Net(nn.Module):
        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return x * PICKED

    globals()["PICKED"] = 2.0
    net = nn.Sequential(Net())
    return lambda x: net(x), put(globals(), "PICKED")


@place
def attribute_of_a_python_file() -> Row:
    settings.scale = 2.0  # type: ignore[attr-defined]
    return lambda x: x * settings.scale, set_to(settings, "scale")


@place
def number_imported_inside() -> Row:
    sys.modules[settings.__name__] = settings
    settings.scale = 2.0  # type: ignore[attr-defined]

    def fn(x: ad.Tensor) -> ad.Tensor:
        from settings_of_the_user import scale  # type: ignore[import-not-found]

        return x * scale  # type: ignore[no-any-return]

    return fn, set_to(settings, "scale")


@place
def number_of_another_file() -> Row:
    other_file["RATE"] = 2.0
    return other_file["twice"], put(other_file, "RATE")


@place
def number_of_another_file_by_a_name() -> Row:
    other_file["RATE"], twice = 2.0, other_file["twice"]
    return lambda x: twice(x) + 1, put(other_file, "RATE")


@place
def function_of_another_file() -> Row:
    twice, was = other_file["twice"], other_file["scaled"]
    other_file["RATE"] = 2.0

    def fn(x: ad.Tensor) -> ad.Tensor:
        return twice(x)  # type: ignore[no-any-return]

    def change() -> None:
        other_file["scaled"] = lambda x: was(x) + 1

    return fn, change


@place
def default() -> Row:
    def fn(x: ad.Tensor, scale: float = 2.0) -> ad.Tensor:
        return x * scale

    return fn, set_to(fn, "__defaults__", (5.0,))


@place
def default_by_name() -> Row:
    def fn(x: ad.Tensor, *, scale: float = 2.0) -> ad.Tensor:
        return x * scale

    return fn, lambda: fn.__kwdefaults__.update(scale=5.0)


@place
def defaults_by_name_of_a_helper() -> Row:
    def helper(x: ad.Tensor, *, scale: float = 2.0) -> ad.Tensor:
        return x * scale

    return lambda x: helper(x), set_to(helper, "__kwdefaults__", {"scale": 5.0})


@place
def list_as_default() -> Row:
    scales = [2.0]

    def fn(x: ad.Tensor, scales: list[float] = scales) -> ad.Tensor:
        return x * scales[0]

    return fn, put(scales, 0)


@place
def code() -> Row:
    def helper(x: ad.Tensor) -> ad.Tensor:
        return x * 2

    return lambda x: helper(x), set_to(helper, "__code__", (lambda x: x * 5).__code__)


@place
def partial_by_name() -> Row:
    thing = Thing()
    scaled = functools.partial(lambda y, x: x * y * thing.scale, 2.0)
    return lambda x: scaled(x), set_to(thing, "scale")


@place
def keywords_of_a_partial() -> Row:
    scaled = functools.partial(lambda x, scale: x * scale, scale=2.0)
    return lambda x: scaled(x), put(scaled.keywords, "scale")


@place
def wrapped_function() -> Row:
    thing = Thing()

    def logged(fn: Fn) -> Fn:
        @functools.wraps(fn)
        def call(x: ad.Tensor) -> Any:
            return fn(x)

        return call

    return logged(lambda x: x * thing.scale), set_to(thing, "scale")


# ---- attributes ----


class Slots:
    __slots__ = ("scale",)

    def __init__(self) -> None:
        self.scale = 2.0

    def scaled(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.scale


@dataclasses.dataclass
class Options:
    scale: float = 2.0
    inner: Any = None

    @property
    def twice(self) -> float:
        return self.scale * 2

    @classmethod
    def made(cls, x: ad.Tensor) -> ad.Tensor:
        return x * cls.scale


@dataclasses.dataclass(slots=True)
class SlotOptions:
    scale: float = 2.0


Named = collections.namedtuple("Named", "inner")


class Mode(enum.Enum):
    FAST = 2.0
    SLOW = 5.0


@place
def slot() -> Row:
    thing = Slots()
    return lambda x: x * thing.scale, set_to(thing, "scale")


@place
def slot_by_its_method() -> Row:
    thing = Slots()
    return thing.scaled, set_to(thing, "scale")


@place
def dataclass_with_slots() -> Row:
    thing = SlotOptions()
    return lambda x: x * thing.scale, set_to(thing, "scale")


@place
def dataclass_property() -> Row:
    thing = Options()
    return lambda x: x * thing.twice, set_to(thing, "scale")


@place
def attribute_of_an_attribute() -> Row:
    thing = Options(inner=Options())
    return lambda x: x * thing.inner.scale, set_to(thing.inner, "scale")


@place
def attribute_by_a_local_name() -> Row:
    thing = Options(inner=Options())

    def fn(x: ad.Tensor) -> Any:
        options = thing.inner
        return x * options.scale

    return fn, set_to(thing.inner, "scale")


@place
def attribute_by_getattr() -> Row:
    thing = Thing()
    return lambda x: x * getattr(thing, "scale", 1.0), set_to(thing, "scale")


@place
def attribute_by_a_name_that_a_function_returns() -> Row:
    thing = Thing()

    def named() -> str:
        return "scale"

    return lambda x: x * getattr(thing, named()), set_to(thing, "scale")


@place
def attribute_not_there_before() -> Row:
    thing = Thing()
    return lambda x: x * getattr(thing, "factor", 1.0), set_to(thing, "factor")


@place
def attribute_that_was_the_class_s() -> Row:
    class Classed:
        scale = 2.0

    thing = Classed()
    return lambda x: x * thing.scale, set_to(thing, "scale")


@place
def attribute_of_a_base() -> Row:
    class Base:
        scale = 2.0

    class Derived(Base):
        pass

    thing = Derived()
    return lambda x: x * thing.scale, set_to(Base, "scale")


@place
def attribute_put_before_that_of_a_base() -> Row:
    class Base:
        scale = 2.0

    class Derived(Base):
        pass

    thing = Derived()
    return lambda x: x * thing.scale, set_to(Derived, "scale")


@place
def attribute_of_a_named_tuple_s_part() -> Row:
    named = Named(Thing())
    return lambda x: x * named.inner.scale, set_to(named.inner, "scale")


@place
def attribute_of_a_namespace() -> Row:
    thing = types.SimpleNamespace(scale=2.0)
    return lambda x: x * thing.scale, set_to(thing, "scale")


@place
def member_of_an_enum() -> Row:
    thing = Thing(mode=Mode.FAST)
    return lambda x: x * thing.mode.value, set_to(thing, "mode", Mode.SLOW)


@place
def cached_property() -> Row:
    class Cached(Thing):
        @functools.cached_property
        def twice(self) -> float:
            return self.scale * 2  # type: ignore[no-any-return]

    thing = Cached()
    return lambda x: x * thing.twice, set_to(thing, "twice")


@place
def number_remembered_in_a_dict() -> Row:
    known: dict[str, float] = {}

    def fn(x: ad.Tensor) -> ad.Tensor:
        if "scale" not in known:
            known["scale"] = 2.0
        return x * known["scale"]

    return fn, put(known, "scale")


@place
def class_method() -> Row:
    class Mine(Options):
        scale = 2.0

    return lambda x: Mine.made(x), set_to(Mine, "scale")


@place
def bound_method_of_another_object() -> Row:
    thing = Thing(run=Slots().scaled)
    return lambda x: thing.run(x), set_to(thing.run.__self__, "scale")


@place
def method_replaced_in_an_object() -> Row:
    thing = Slots()
    holder = Thing(thing=thing, scaled=thing.scaled)
    return lambda x: holder.scaled(x), set_to(holder, "scaled", lambda x: x * 5)


@place
def method_replaced_in_a_class() -> Row:
    class Mine(Slots):
        __slots__ = ()

    thing = Mine()
    return lambda x: thing.scaled(x), set_to(Mine, "scaled", lambda self, x: x * 5)


@place
def method_of_a_base_by_super() -> Row:
    class Base:
        scale = 2.0

        def scaled(self, x: ad.Tensor) -> ad.Tensor:
            return x * Base.scale

    class Derived(Base):
        def scaled(self, x: ad.Tensor) -> ad.Tensor:
            return super().scaled(x) + 1

    thing = Derived()
    return lambda x: thing.scaled(x), set_to(Base, "scaled", lambda self, x: x * 5)


@place
def number_by_super() -> Row:
    class Base:
        scale = 2.0

        def scaled(self, x: ad.Tensor) -> ad.Tensor:
            return x * Base.scale

    class Derived(Base):
        def scaled(self, x: ad.Tensor) -> ad.Tensor:
            return super().scaled(x) + 1

    return Derived().scaled, set_to(Base, "scale")


# ---- containers ----


def chain(layers: Any) -> Fn:
    def fn(x: ad.Tensor) -> ad.Tensor:
        for layer in layers:
            x = layer(x) if callable(layer) else x * layer
        return x

    return fn


@place
def number_in_a_list() -> Row:
    numbers = [2.0]
    return lambda x: x * numbers[0], put(numbers, 0)


@place
def number_in_a_list_of_the_file() -> Row:
    LAYERS[:] = [2.0]
    return lambda x: x * LAYERS[0], put(LAYERS, 0)


@place
def number_in_a_list_in_a_list() -> Row:
    numbers = [[2.0], (1.0,)]
    return lambda x: x * numbers[0][0], put(numbers[0], 0)


@place
def mixed_list() -> Row:
    layers = [nn.Tanh(), 2.0, ad.ones(1)]
    return chain(layers), put(layers, 0, nn.ReLU())


@place
def mixed_list_and_a_tensor() -> Row:
    layers = [nn.Tanh(), 2.0, ad.ones(1)]
    return chain(layers), put(layers, 2, ad.zeros(1))


@place
def module_s_flag_in_a_mixed_list() -> Row:
    layers = [nn.ELU(), 2.0, "name"]
    return lambda x: layers[0](x - 3), set_to(layers[0], "alpha")


@place
def module_in_a_dict() -> Row:
    layers = {"a": nn.Tanh(), "b": 3}
    return lambda x: chain([*layers.values()][:1])(x), put(layers, "a", nn.ReLU())


@place
def key_by_a_variable() -> Row:
    numbers, key = {"a": 2.0}, "a"
    return lambda x: x * numbers[key], put(numbers, "a")


@place
def key_by_get() -> Row:
    numbers = {"a": 2.0}
    return lambda x: x * numbers.get("scale", 1.0), put(numbers, "scale")


@place
def key_in_a_dict_of_dicts() -> Row:
    numbers = {"a": {"scale": 2.0}}
    return lambda x: x * numbers["a"]["scale"], put(numbers["a"], "scale")


@place
def order_of_a_dict() -> Row:
    fns: dict[str, Fn] = {"a": lambda x: x * 2, "b": lambda x: x + 1}
    return lambda x: chain(fns.values())(x), lambda: fns.update(a=fns.pop("a"))


@place
def function_in_a_dict() -> Row:
    thing = Thing()
    fns: dict[str, Fn] = {"a": lambda x: x * thing.scale}
    return lambda x: fns["a"](x), set_to(thing, "scale")


@place
def number_in_a_set() -> Row:
    numbers = {2.0}
    return lambda x: x * sum(numbers), lambda: numbers.add(5.0)


@place
def number_in_a_deque() -> Row:
    numbers = collections.deque([2.0])
    return lambda x: x * numbers[-1], lambda: numbers.append(5.0)


@place
def object_in_a_tuple() -> Row:
    things = (Thing(), 3)
    return lambda x: x * things[0].scale, set_to(things[0], "scale")


@place
def object_in_a_list_that_is_iterated() -> Row:
    things = [Thing(), Thing()]
    return lambda x: sum(x * thing.scale for thing in things), set_to(things[1], "scale")


@place
def list_of_an_object() -> Row:
    thing = Thing(numbers=[2.0])
    return lambda x: x * thing.numbers[0], put(thing.numbers, 0)


# ---- modules ----


class Net(nn.Module):
    """A module with what users' modules have."""

    factor = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.config = Options()
        self.numbers: list[Any] = [2.0, [2.0]]
        self.table = {"scale": 2.0, "more": {"scale": 2.0}}

    @property
    def twice(self) -> float:
        return self.config.scale * 2

    def inner(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.config.scale

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return self.inner(x) * self.twice * self.numbers[0] * self.factor


def net_row(change: Callable[[Any], Callable[[], Any]], forward: Any = None) -> Row:
    kind: Any = type("Net", (Net,), {"forward": forward} if forward else {})
    net = nn.Sequential(kind())
    return lambda x: net(x), change(net[0])


NETS: dict[str, tuple[Callable[[Any], Callable[[], Any]], Any]] = {
    "object": (lambda net: set_to(net.config, "scale"), None),
    "object by a property": (
        lambda net: set_to(net.config, "scale"),
        lambda self, x: x * self.twice,
    ),
    "list": (lambda net: put(net.numbers, 0), None),
    "list in a list": (
        lambda net: put(net.numbers[1], 0),
        lambda self, x: x * self.numbers[1][0],
    ),
    "dict": (lambda net: put(net.table, "scale"), lambda self, x: x * self.table["scale"]),
    "dict in a dict": (
        lambda net: put(net.table["more"], "scale"),
        lambda self, x: x * self.table["more"]["scale"],
    ),
    "class": (lambda net: set_to(type(net), "factor"), None),
    "class that is not the last": (lambda net: set_to(net, "factor"), None),
    "forward of the class": (
        lambda net: set_to(type(net), "forward", lambda self, x: x * 5),
        None,
    ),
    "other method": (lambda net: set_to(type(net), "inner", lambda self, x: x * 5), None),
    "property": (lambda net: set_to(type(net), "twice", property(lambda self: 9.0)), None),
    "own method": (lambda net: set_to(net, "inner", lambda x: x * 5), None),
}
for name, (change, forward) in NETS.items():
    PLACES[f"module: {name}"] = functools.partial(net_row, change, forward)


@place
def forward_of_a_class_of_ours() -> Row:
    class Act(nn.Tanh):
        pass

    net = nn.Sequential(Act())
    return lambda x: net(x), set_to(Act, "forward", lambda self, x: x * 5)


@place
def values_of_a_mask_that_was_looked_at() -> Row:
    layer = nn.TransformerEncoderLayer(2, 1, 4, 0.0, batch_first=True, norm_first=True)
    net, mask = nn.TransformerEncoder(layer, 1), nn.Transformer.generate_square_subsequent_mask(2)
    pairs = ad.tensor([[1.0, 2.0], [3.0, -1.0]])
    return lambda x: net((x * pairs)[None], mask=mask), put(mask, (0, 1), 0.0)


@place
def call_of_a_class() -> Row:
    class Act(nn.Tanh):
        pass

    net = nn.Sequential(Act())
    return lambda x: net(x), set_to(Act, "__call__", lambda self, x: x * 5)


# ---- functions that are made of others, or called by others ----


@place
def gradient_of_a_function() -> Row:
    thing = Thing()
    gradient = ad.func.grad(lambda x: (x * x * thing.scale).sum())
    return lambda x: gradient(x), set_to(thing, "scale")


@place
def function_given_to_one_of_ours() -> Row:
    thing = Thing()

    def scaled(x: ad.Tensor) -> ad.Tensor:
        return x * thing.scale

    return lambda x: ad.func.vmap(scaled)(x), set_to(thing, "scale")


@place
def compiled_function() -> Row:
    thing = Thing()
    inner = ad.compile(lambda x: x * thing.scale)
    return lambda x: inner(x), set_to(thing, "scale")


@place
def forward_hook() -> Row:
    thing, net = Thing(), nn.Tanh()
    net.register_forward_hook(lambda net, args, y: y * thing.scale)
    return lambda x: net(x), set_to(thing, "scale")


@place
def own_forward_of_a_module() -> Row:
    thing, net = Thing(), nn.Tanh()
    net.forward = lambda x: x * thing.scale  # type: ignore[method-assign]
    return lambda x: net(x), set_to(thing, "scale")


@place
def object_in_a_list_that_is_given() -> Row:
    things = [Thing()]
    return functools.partial(lambda given, x: x * given[0].scale, things), set_to(
        things[0], "scale"
    )


@pytest.mark.parametrize("name", PLACES)
def test_a_change_takes_effect_on_the_next_call(name: str) -> None:
    check_change(*PLACES[name]())


loss = 0.0


def test_what_is_written_or_only_grows_does_not_matter() -> None:
    """Nor what has the name of a local variable."""
    thing = Thing(log={}, losses=[], last=None)
    losses: list[Any] = []
    kept: list[Any] = []

    def fn(x: ad.Tensor) -> ad.Tensor:
        def keep(y: ad.Tensor) -> None:
            kept.append(y)

        loss = x * thing.scale
        thing.last = loss
        thing.log["loss"] = loss
        losses.append(loss)
        grown = thing.losses
        grown.append(loss)
        keep(loss)
        return loss

    compiled = ad.compile(fn)
    for i in range(5):
        globals()["loss"] = thing.loss = i
        compiled(ad.ones(2))
    assert compiled.stats().recordings == 1
    assert compiled.stats().runs == 4
    assert len(losses) == len(kept) == len(thing.losses) == 5


def test_a_function_s_own_counting_is_never_stale() -> None:
    numbers = [0.0]

    def fn(x: ad.Tensor) -> ad.Tensor:
        numbers[0] += 1
        return x * numbers[0]

    compiled = ad.compile(fn)
    with pytest.warns(UserWarning, match="assigns to a variable that it finds outside"):
        found = [compiled(ad.ones(1)).item() for _ in range(20)]
    assert found == [*range(1, 21)]
