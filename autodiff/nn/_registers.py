"""A module's parameters, buffers and submodules by name, and how their gradients are cleared."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from autodiff.changes import changed_of, changes
from autodiff.tensor import Tensor, live_node

if TYPE_CHECKING:
    from autodiff.nn.module import Module


class Register(MutableMapping[str, Any], weakref.ref[Any]):
    """The parameters, buffers or submodules of a module by name, as they are among its attributes.

    What is set here is registered, whatever had the name before. It is a reference to its module,
    weak as it is among the module's attributes, where code finds it in `__dict__`.
    """

    __slots__ = ("kept",)  # the module, of those that are asked for by name
    kept: Module
    kind: str

    @property
    def names(self) -> dict[str, Any]:
        """The names that are registered."""
        found: dict[str, Any] = getattr(self(), self.kind, {})
        return found

    def new(self, name: str) -> Any:
        """What is known of a name that is set here."""

    def held(self, name: str) -> str:
        """The attribute that holds what has the name."""
        if name not in self.names:
            raise KeyError(name)
        return name

    def __getitem__(self, name: str) -> Any:
        return self().__dict__[self.held(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        module: Any = self()
        if name not in self.names:
            module._forget(name)
            self.names[name] = self.new(name)
        module.__dict__[self.held(name)] = value
        changed_of(module)

    def __delitem__(self, name: str) -> None:
        module = self()
        held = self.held(name)
        del self.names[name]
        del module.__dict__[held]
        changed_of(module)

    def refill(self, values: Mapping[str, Any]) -> None:
        """Hold these values, and no others."""
        given = dict(values)
        self.clear()
        self.update(given)

    def copy(self) -> dict[str, Any]:
        """The values by name."""
        return dict(self)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return repr(dict(self))


class Parameters(Register):
    __slots__ = ()
    kind = "_parameter_names"


class Buffers(Register):
    __slots__ = ()
    kind = "_buffer_names"

    def new(self, name: str) -> bool:
        return True


class Modules(Register):
    """The submodules: one whose name the class has is held by an attribute that none can ask for,
    as the class's own comes first in PyTorch.
    """

    __slots__ = ()
    kind = "_module_names"

    def new(self, name: str) -> str:
        return f".{name}" if any(name in vars(kind) for kind in type(self()).__mro__) else name

    def held(self, name: str) -> str:
        return self.names[name]  # type: ignore[no-any-return]


REGISTERS: dict[str, type[Register]] = {
    "_parameters": Parameters,
    "_buffers": Buffers,
    "_modules": Modules,
}


def register(name: str) -> property:
    """A module's property: a register, or what to fill it with instead."""
    kind = REGISTERS[name]

    def get(module: Module) -> Register:
        found = kind(module)
        found.kept = module
        return found

    def put(module: Module, values: Mapping[str, Any]) -> None:
        get(module).refill(values)

    return property(get, put)


def zero_grad(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Clear gradients: to None, or to zeros outside the graph."""
    for x in parameters:
        leaf = x._acc
        if leaf is None and (leaf := x._asked()) is None:
            continue
        if changes.recorder is None and (set_to_none or leaf.grad is None):
            changes.count += leaf.grad is not None
            leaf.grad = None  # as `put`
        elif set_to_none:
            leaf.put(None)
        elif (gradient := leaf.gradient()) is not None:
            if live_node(gradient) is not None:
                x.grad = gradient = gradient.detach()
            gradient.zero_()
