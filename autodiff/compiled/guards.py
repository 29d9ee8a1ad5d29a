"""What a recording relies on besides its arguments, and whether it still holds.

Names: what a function finds in its closure, in the globals of its file and in the attributes of the
object it is a method of, for the function itself and for those of the same file that it names; and
what it asks these for: `config.scale`, `config["scale"]`, `self.loss(x)`.
Modules and optimisers: all that is found there, or was called while recording.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from autodiff.compiled.tree import is_plain, same
from autodiff.hooks import HookDict
from autodiff.nn._hooks import Hooks
from autodiff.nn.module import Module
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor, live_node

__all__ = ["Names", "State", "is_same"]

ABSENT = object()
EMPTY: Mapping[str, Any] = types.MappingProxyType({})
UNSEEN = ("BINARY_SUBSCR", "CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL")  # between names


class Names:
    """The values that a function's names have."""

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = EMPTY
    ) -> None:
        self.cells: list[tuple[types.CellType, Any]] = []
        self.items: list[tuple[Mapping[str, Any], str, Any]] = []
        self.lists: list[tuple[list[Any], tuple[Any, ...]]] = []
        self.seen: set[tuple[int, ...]] = set()
        self.add(fn, args, kwargs)

    def add(self, fn: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = EMPTY) -> None:
        """Take in a function, method, module or object that is called, and its arguments."""
        while isinstance(fn, functools.partial):
            fn, args, kwargs = fn.func, (*fn.args, *args), {**fn.keywords, **kwargs}
        if isinstance(fn, Module):
            fn = fn.forward
        if not isinstance(fn, (types.FunctionType, types.MethodType)):
            fn = called(fn) or fn
        owner = None
        if isinstance(fn, types.MethodType):
            owner, fn = fn.__self__, fn.__func__
        if not isinstance(fn, types.FunctionType) or (id(fn), id(owner)) in self.seen:
            return
        self.seen.add((id(fn), id(owner)))
        if is_looked_into(owner):
            self.add_object(owner, fn)
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            value = contents(cell)
            if value is not ABSENT:
                self.cells.append((cell, value))
                self.look_into(name, value, fn)
        for name in names_of(fn.__code__):
            value = fn.__globals__.get(name, ABSENT)
            if value is ABSENT or isinstance(value, types.ModuleType):
                continue
            self.items.append((fn.__globals__, name, value))
            self.look_into(name, value, fn)
        values = args if owner is None else (owner, *args)
        for name, value in [*zip(fn.__code__.co_varnames, values, strict=False), *kwargs.items()]:
            if not isinstance(value, (dict, list, tuple)):  # whose parts are arguments
                self.look_into(name, value, fn)

    def add_object(self, owner: Any, method: types.FunctionType) -> None:
        """Take in the attributes of a method's object that the method names."""
        values = vars(owner)
        for name in names_of(method.__code__):
            if name in values:
                self.items.append((values, name, values[name]))
                self.look_into(name, values[name], method)

    def look_into(self, name: str, value: Any, fn: types.FunctionType) -> None:
        """Take in what the function reaches by a value that it calls by this name."""
        self.add_of_file(value if isinstance(value, types.FunctionType) else called(value), fn)
        place = (id(value), id(fn.__code__), hash(name))
        if place in self.seen:
            return
        self.seen.add(place)
        if isinstance(value, list) and value and all(map(is_state, value)):
            self.lists.append((value, tuple(value)))
        found: Iterable[Mapping[str, Any]] = ()
        if isinstance(value, dict):
            found = (value,)
        elif is_looked_into(value):
            found = [getattr(value, "__dict__", {}), *map(vars, type(value).__mro__)]
        elif isinstance(value, type) and not is_ours(value):
            found = [*map(vars, value.__mro__)]
        for key in reached(fn.__code__).get(name, ()):
            table = next((table for table in found if key in table), None)
            if table is None:
                continue
            part = table[key]
            self.items.append((table, key, part))
            part = part.fget if isinstance(part, property) else part
            if isinstance(part, staticmethod):
                self.add_of_file(part.__func__, fn)
            elif isinstance(part, types.FunctionType) and not isinstance(value, (dict, type)):
                self.add_of_file(types.MethodType(part, value), fn)
            else:
                self.look_into(key, part, fn)

    def add_of_file(self, called: Any, fn: types.FunctionType) -> None:
        """Take in a function or method that is of the same file."""
        if getattr(called, "__globals__", None) is fn.__globals__:
            self.add(called)

    def values(self) -> list[Any]:
        """All values."""
        return [v for _, v in self.cells] + [v for _, _, v in self.items]

    def unchanged(self) -> bool:
        """Whether every name has the very value it had."""
        if any(contents(cell) is not value for cell, value in self.cells):
            return False
        if any(found.get(name, ABSENT) is not value for found, name, value in self.items):
            return False
        return self.lists_hold()

    def lists_hold(self) -> bool:
        """Whether the lists have what they had."""
        return all([*map(id, now)] == [*map(id, held)] for now, held in self.lists)

    def hold(self) -> bool:
        """Whether every name has the value it had; an equal number or string will do."""
        for cell, value in self.cells:
            if not same(contents(cell), value):
                return False
        if not all(same(found.get(name, ABSENT), value) for found, name, value in self.items):
            return False
        return self.lists_hold()

    def test(self, scope: dict[str, Any]) -> str:
        """A Python expression that is as `hold`."""
        terms = []
        for i, (cell, value) in enumerate(self.cells):
            scope[f"cell{i}"] = cell
            terms.append(is_same(f"cell{i}.cell_contents", f"held{i}", value, scope))
        tables: dict[int, str] = {}
        for i, (found, name, value) in enumerate(self.items):
            table = tables.setdefault(id(found), f"names{len(tables)}")
            scope[table] = found
            terms.append(is_same(f"{table}.get({name!r})", f"value{i}", value, scope))
        for i, (now, held) in enumerate(self.lists):
            scope[f"list{i}"], scope[f"ids{i}"] = now, [*map(id, held)]
            terms.append(f"[*map(id, list{i})] == ids{i}")
        return " and ".join(terms)


def is_same(now: str, name: str, value: Any, scope: dict[str, Any]) -> str:
    """A Python expression that holds where `now` is the same as a value, called by this name."""
    scope[name], scope["same"] = value, same
    return f"({now} is {name} or same({now}, {name}))" if is_plain(value) else f"{now} is {name}"


def names_of(code: types.CodeType) -> Iterator[str]:
    """The names that code, and code inside it, looks up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_of(constant)


@functools.lru_cache(256)
def reached(code: types.CodeType) -> dict[str, list[str]]:
    """The attributes and keys that code, and code inside it, asks a name's value for."""
    found: dict[str, list[str]] = {}
    before = None
    for step in dis.get_instructions(code):
        now, name = step.argval, step.opname
        if isinstance(now, types.CodeType):
            for holder, parts in reached(now).items():
                found.setdefault(holder, []).extend(parts)
        if name in UNSEEN or step.argrepr == "[]":  # as of Python 3.14
            continue
        now = now[-1] if isinstance(now, tuple) and now else now  # two loads in one
        read = isinstance(now, str) and name.startswith("LOAD_")
        if read and before is not None and name in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_CONST"):
            found.setdefault(before, []).append(now)
        before = now if read else None
    return {holder: [*dict.fromkeys(parts)] for holder, parts in found.items()}


def called(value: Any) -> Any:
    """The Python function or method that is run where an object is called, if any."""
    if not is_looked_into(value):
        return getattr(value, "__wrapped__", None) if type(value).__name__ == "Compiled" else None
    for kind in type(value).__mro__:
        method = vars(kind).get("__call__")
        if isinstance(method, types.FunctionType):
            return types.MethodType(method, value)
    return getattr(value, "__wrapped__", None)


def is_ours(kind: type) -> bool:
    """Whether a class is one of this library's or of the language's own."""
    return kind.__module__.split(".")[0] in ("autodiff", "builtins")


def is_looked_into(value: Any) -> bool:
    """Whether the attributes of an object are names as well: those of modules count anyway."""
    kinds = (type, types.ModuleType, types.FunctionType, Module, Optimizer, Tensor)
    return hasattr(value, "__dict__") and not isinstance(value, kinds) and not is_ours(type(value))


def is_state(value: Any) -> bool:
    """Whether a value is a module, an optimiser, or a tensor that is learned."""
    if isinstance(value, Tensor):
        return value.requires_grad and value.is_leaf
    return isinstance(value, (Module, Optimizer))


def contents(cell: types.CellType) -> Any:
    """What a cell holds, if it holds anything."""
    try:
        return cell.cell_contents
    except ValueError:
        return ABSENT


# ---- modules and optimisers ----


def of_module(module: Module) -> list[Any]:
    """What a module's forward may depend on, values themselves left out."""
    found: list[Any] = [type(module).forward]
    for name, value in module.__dict__.items():
        found.append(name)
        if isinstance(value, Tensor):
            found += [value, value._p, value._node is None]
        elif isinstance(value, Hooks):
            for hooks in vars(value).values():
                found += hooks.values()
        elif isinstance(value, (dict, HookDict)):
            found += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set)):
            found += [len(value), *value]
        else:
            found.append(value)
    return found


def of_optimizer(optimizer: Optimizer) -> list[Any]:
    """What an optimiser's step may depend on, live numbers left out."""
    found = []
    for value in optimizer._relied_on():
        found.append(value)
        if isinstance(value, Tensor):
            found += [value._p, value._node is None]
    return found


class State:
    """The modules, optimisers and tensors by name that a recording relies on, as they were."""

    def __init__(self, names: Names, called: list[Module], stepped: list[Optimizer]) -> None:
        modules: dict[Module, None] = {}
        optimizers: dict[Optimizer, None] = dict.fromkeys(stepped)
        for value in [*names.values(), *called]:
            if isinstance(value, Module):
                modules.update(dict.fromkeys(value.modules()))
            elif isinstance(value, Optimizer):
                optimizers[value] = None
        self.modules = list(modules)
        held = [value for _, values in names.lists for value in values]
        self.named = [x for x in [*names.values(), *held] if isinstance(x, Tensor)]
        self.optimizers = list(optimizers)
        self.were = self.now()

    def now(self) -> list[Any]:
        """All that is relied on, in order."""
        found: list[Any] = []
        for module in self.modules:
            found += of_module(module)
        for optimizer in self.optimizers:
            found += of_optimizer(optimizer)
        for x in self.named:
            found += [x, x._p, live_node(x)]
        return found

    def hold(self) -> bool:
        """Whether nothing has changed."""
        now = self.now()
        return len(now) == len(self.were) and all(map(same, now, self.were))

    def tensors(self) -> Iterator[Tensor]:
        """The parameters, buffers and states."""
        return (value for value in self.were if isinstance(value, Tensor))
