"""What a recording relies on besides its arguments, and whether it still holds.

Names: what a function finds in its closure, in the globals of its file and in the attributes of the
object it is a method of, for the function itself and for those of the same file that it names.
Modules and optimisers: all that is found there, or was called while recording.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

from autodiff.compiled.tree import is_plain, same
from autodiff.hooks import HookDict
from autodiff.nn._hooks import Hooks
from autodiff.nn.module import Module
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor

__all__ = ["Names", "State", "is_same"]

ABSENT = object()


class Names:
    """The values that a function's names have."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.cells: list[tuple[types.CellType, Any]] = []
        self.items: list[tuple[dict[str, Any], str, Any]] = []
        self.seen: set[int] = set()
        self.add(fn)

    def add(self, fn: Any) -> None:
        """Take in a function, method, module or object that is called."""
        if isinstance(fn, types.MethodType):
            self.add_object(fn.__self__, fn.__func__)
            fn = fn.__func__
        fn = getattr(fn, "__wrapped__", fn) if not isinstance(fn, types.FunctionType) else fn
        if not isinstance(fn, types.FunctionType) or id(fn) in self.seen:
            return
        self.seen.add(id(fn))
        for cell in fn.__closure__ or ():
            try:
                self.cells.append((cell, cell.cell_contents))
            except ValueError:  # not assigned yet
                continue
        for name in names_of(fn.__code__):
            value = fn.__globals__.get(name, ABSENT)
            if value is ABSENT or isinstance(value, types.ModuleType):
                continue
            self.items.append((fn.__globals__, name, value))
        for value in self.values():
            if isinstance(value, types.FunctionType) and value.__globals__ is fn.__globals__:
                self.add(value)

    def add_object(self, owner: Any, method: Any) -> None:
        """Take in the attributes of a method's object that the method names."""
        values = getattr(owner, "__dict__", None)
        if not isinstance(values, dict) or isinstance(owner, Module):
            return
        for name in names_of(method.__code__) if hasattr(method, "__code__") else ():
            if name in values:
                self.items.append((values, name, values[name]))

    def values(self) -> list[Any]:
        """All values."""
        return [v for _, v in self.cells] + [v for _, _, v in self.items]

    def unchanged(self) -> bool:
        """Whether every name has the very value it had."""
        if any(contents(cell) is not value for cell, value in self.cells):
            return False
        return all(found.get(name, ABSENT) is value for found, name, value in self.items)

    def hold(self) -> bool:
        """Whether every name has the value it had; an equal number or string will do."""
        for cell, value in self.cells:
            if not same(contents(cell), value):
                return False
        return all(same(found.get(name, ABSENT), value) for found, name, value in self.items)

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
    """The modules and optimisers a recording relies on, as they were."""

    def __init__(self, names: Names, called: list[Module], stepped: list[Optimizer]) -> None:
        modules: dict[Module, None] = {}
        optimizers: dict[Optimizer, None] = dict.fromkeys(stepped)
        for value in [*names.values(), *called]:
            if isinstance(value, Module):
                modules.update(dict.fromkeys(value.modules()))
            elif isinstance(value, Optimizer):
                optimizers[value] = None
        self.modules = list(modules)
        self.optimizers = list(optimizers)
        self.were = self.now()

    def now(self) -> list[Any]:
        """All that is relied on, in order."""
        found: list[Any] = []
        for module in self.modules:
            found += of_module(module)
        for optimizer in self.optimizers:
            found += of_optimizer(optimizer)
        return found

    def hold(self) -> bool:
        """Whether nothing has changed."""
        now = self.now()
        return len(now) == len(self.were) and all(map(same, now, self.were))

    def tensors(self) -> Iterator[Tensor]:
        """The parameters, buffers and states."""
        return (value for value in self.were if isinstance(value, Tensor))
