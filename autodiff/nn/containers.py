"""Modules made of a row of modules."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar, overload

from autodiff.dtypes import dtype
from autodiff.nn._state import typename
from autodiff.nn.activation import Tanh
from autodiff.nn.linear import Linear
from autodiff.nn.module import Module

__all__ = ["MLP", "Sequential"]

Self = TypeVar("Self", bound="Sequential")


class Sequential(Module):
    """Modules called one after the other, each on what the last returned.

    They are given in order, or as an OrderedDict of names.
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
        for name in self._module_names:
            input = modules[name](input)
        return input

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[Any]:
        return iter([self.__dict__[name] for name in self._module_names])

    def _name_at(self, index: int) -> str:
        names = list(self._module_names)
        i = operator.index(index)
        if not -len(names) <= i < len(names):
            raise IndexError(f"index {i} is out of range")
        return names[i]

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self: Self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        """The module at a position; of a slice, a Sequential of those modules."""
        if isinstance(index, slice):
            names = list(self._module_names)[index]
            return Sequential(OrderedDict((name, self.__dict__[name]) for name in names))
        return self.__dict__[self._name_at(index)]

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

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: Self, sequential: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in list(sequential):
            self.append(module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Add a module before a position. IndexError out of range."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, index: int) -> Any:
        """Remove the module at a position and return it."""
        module = self[index]
        del self[index]
        return module

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, but "
                f"{type(other)} is given."
            )
        return Sequential(*self, *other)

    def __iadd__(self: Self, other: Sequential) -> Self:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, but "
                f"{type(other)} is given."
            )
        return self.extend(other)

    def __mul__(self, other: int) -> Sequential:
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")
        return Sequential(*list(self) * other)

    __rmul__ = __mul__

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]


class MLP(Sequential):
    """A multilayer perceptron: linear layers of the given sizes with an activation between them.

    `MLP([1, 13, 1])` is Sequential(Linear(1, 13), Tanh(), Linear(13, 1)): the last layer is linear.
    `activation` makes a module for each place.
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
