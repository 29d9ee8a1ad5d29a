"""Modules made of a row of modules, or of modules by name."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence
from collections.abc import ItemsView as Items
from collections.abc import ValuesView as Values
from itertools import chain, groupby, pairwise
from typing import Any, TypeVar, overload

from autodiff.dtypes import dtype
from autodiff.nn.activation import Tanh
from autodiff.nn.linear import Linear
from autodiff.nn.module import Module, indented
from autodiff.ops.typed import typename

__all__ = ["MLP", "ModuleDict", "ModuleList", "Sequential"]

Self = TypeVar("Self", bound="_Row")
Chain = TypeVar("Chain", bound="Sequential")
ListSelf = TypeVar("ListSelf", bound="ModuleList")


class _Row(Module):
    """Modules in a row, edited as a list; their names are their positions unless given."""

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[Any]:
        return iter([self.__dict__[held] for held in self._module_names.values()])

    def _name_at(self, index: int) -> str:
        names = list(self._module_names)
        i = operator.index(index)
        if not -len(names) <= i < len(names):
            raise IndexError(f"index {i} is out of range")
        return names[i]

    def _part(self, names: Sequence[str]) -> Any:
        """A module of the same class with these of the modules."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self: Self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        """The module at a position; of a slice, the same container of those modules."""
        if isinstance(index, slice):
            return self._part(list(self._module_names)[index])
        return self._modules[self._name_at(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = (
            list(self._module_names)[index] if isinstance(index, slice) else [self._name_at(index)]
        )
        for name in names:
            delattr(self, name)
        self._renumber(list(self))

    def _renumber(self, modules: Sequence[Module]) -> None:
        """Hold exactly these modules, under their positions."""
        for name in list(self._module_names):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def _insert(self, index: int, module: Module) -> None:
        if not -len(self) <= operator.index(index) <= len(self):
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def pop(self, key: int | slice) -> Any:
        """Remove the module at a position, or those of a slice, and return it or them."""
        module = self[key]
        del self[key]
        return module

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]


class Sequential(_Row):
    """Modules called one after the other, each on what the last returned.

    They are given in order, or as an OrderedDict of names.

    >>> nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))(ad.ones(5, 2)).shape
    torch.Size([5, 1])
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input: Any) -> Any:
        """The modules' composition on `input`."""
        modules = self.__dict__
        for held in self._module_names.values():
            input = modules[held](input)
        return input

    def _part(self, names: Sequence[str]) -> Any:
        return type(self)(OrderedDict((name, self._modules[name]) for name in names))

    def extend(self: Chain, sequential: Iterable[Module]) -> Chain:
        """Add modules at the end."""
        for module in list(sequential):
            self.append(module)
        return self

    def insert(self: Chain, index: int, module: Module) -> Chain:
        """Add a module before a position. IndexError out of range."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        self._insert(index, module)
        return self

    def __add__(self, other: Sequential) -> Sequential:
        _check_sequential(other)
        return Sequential(*self, *other)

    def __iadd__(self: Chain, other: Sequential) -> Chain:
        _check_sequential(other)
        return self.extend(other)

    def __mul__(self, other: int) -> Sequential:
        self._check_factor(other)
        return Sequential(*list(self) * other)

    __rmul__ = __mul__

    def __imul__(self: Chain, other: int) -> Chain:
        self._check_factor(other)
        return self.extend(list(self) * (other - 1))

    def _check_factor(self, other: int) -> None:
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")


def _check_sequential(other: object) -> None:
    if not isinstance(other, Sequential):
        raise ValueError(
            f"add operator supports only objects of Sequential class, but {type(other)} is given."
        )


class ModuleList(_Row):
    """A list of modules, which it registers; calling them is left to the module that owns it.

    >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _part(self, names: Sequence[str]) -> Any:
        return type(self)([self._modules[name] for name in names])

    def extend(self: ListSelf, modules: Iterable[Module]) -> ListSelf:
        """Add modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleList.extend should be called with an iterable, but got "
                f"{type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Add a module before a position. IndexError out of range."""
        self._insert(index, module)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(chain(self, other))

    def __iadd__(self: ListSelf, modules: Iterable[Module]) -> ListSelf:
        return self.extend(modules)

    def __repr__(self) -> str:
        """The modules by position; neighbours that read the same are counted, and shown once."""
        lines, start = [], 0
        for text, alike in groupby(map(repr, self)):
            count = len(list(alike))
            at = f"{start}" if count == 1 else f"{start}-{start + count - 1}"
            times = "" if count == 1 else f"{count} x "
            lines.append(indented(f"({at}): {times}{text}"))
            start += count
        body = "\n  ".join(["", *lines]) + "\n" if lines else ""
        return f"{self._get_name()}({body})"


class ModuleDict(Module):
    """Modules by name, which it registers; calling them is left to the module that owns it.

    >>> layers = nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.ReLU()})
    >>> layers["b"](layers["a"](ad.ones(2))).shape, list(layers)
    (torch.Size([3]), ['a', 'b'])
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._module_names:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._module_names)

    def __contains__(self, key: object) -> bool:
        return key in self._module_names

    def clear(self) -> None:
        """Remove every module."""
        for key in list(self):
            del self[key]

    def pop(self, key: str) -> Any:
        """Remove the module of a name and return it. KeyError if there is none."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._module_names.keys()

    def items(self) -> Items[str, Any]:
        """The names, each with its module."""
        return Items(self)

    def values(self) -> Values[Any]:
        """The modules."""
        return Values(self)

    def update(self, modules: Any) -> None:
        """Add the modules of a mapping, or of pairs of a name and a module, replacing by name."""
        for key, module in pairs(self._get_name(), modules):
            self[key] = module


def pairs(owner: str, given: Any, called: str | None = None) -> list[tuple[str, Any]]:
    """The items of a mapping or of an iterable of pairs, as a container's update takes them."""
    if not isinstance(given, Iterable):
        raise TypeError(
            f"{called or owner}.update should be called with an iterable of key/value pairs, but "
            f"got {type(given).__name__}"
        )
    if isinstance(given, Mapping) or hasattr(given, "items"):
        return list(given.items())
    found = list(given)
    for i, pair in enumerate(found):
        if not isinstance(pair, Iterable):
            raise TypeError(
                f"{owner} update sequence element #{i} should be Iterable; is{type(pair).__name__}"
            )
        if len(pair) != 2:  # type: ignore[arg-type]
            raise ValueError(
                f"{owner} update sequence element #{i} has length {len(pair)}; 2 is required"  # type: ignore[arg-type]
            )
    return found


class MLP(Sequential):
    """A multilayer perceptron: linear layers of the given sizes with an activation between them.

    `MLP([1, 13, 1])` is Sequential(Linear(1, 13), Tanh(), Linear(13, 1)): the last layer is linear.
    `activation` makes a module for each place.

    >>> nn.MLP([1, 13, 1])(ad.zeros(5, 1)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Callable[[], Module] = Tanh,
        bias: bool = True,
        dtype: dtype | None = None,
    ) -> None:
        sizes = list(sizes)
        if len(sizes) < 2:
            raise ValueError(f"MLP needs the sizes of its input and output, got {sizes}")
        layers: list[Module] = []
        for n_in, n_out in pairwise(sizes):
            if layers:
                layers.append(activation())
            layers.append(Linear(n_in, n_out, bias=bias, dtype=dtype))
        for layer in layers:
            if not isinstance(layer, Module):
                raise TypeError(f"MLP: activation() must make a Module, not {typename(layer)}")
        super().__init__(*layers)

    def _part(self, names: Sequence[str]) -> Any:
        return Sequential(OrderedDict((name, self._modules[name]) for name in names))
