"""The modules and optimisers that a recording relies on, and whether they are as they were."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from autodiff.compiled.tree import same
from autodiff.hooks import HookDict
from autodiff.nn._hooks import Hooks, of_all
from autodiff.nn._registers import REGISTERS
from autodiff.nn.module import Module
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor, live_node

NONE: Mapping[Any, Any] = {}


def of_module(
    module: Module,
    apart: Container[tuple[Module, str]],
    added: Container[int],
    flags: Mapping[tuple[Module, str], bool] = NONE,
) -> list[Any]:
    """What a module's forward may depend on, values themselves and what is `apart` left out, as is
    what containers hold that the call has `added` to; `flags` are as they were.
    """
    found: list[Any] = [type(module)]
    for name, value in module.__dict__.copy().items():  # to which another thread may add
        if (apart and (module, name) in apart) or name in REGISTERS:
            continue
        if flags:
            value = flags.get((module, name), value)
        found.append(name)
        if isinstance(value, Tensor):
            found += [value, value._p, value._node is None]
        elif id(value) in added:
            found.append(value)
        elif isinstance(value, Hooks):
            found += value.all()
        elif isinstance(value, (dict, HookDict)):
            found += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set)):
            found += [len(value), *value]
        else:
            found.append(value)
    return found


def of_optimizer(optimizer: Optimizer, states: bool) -> list[Any]:
    """What an optimiser's step may depend on, live numbers left out."""
    groups = optimizer.param_groups  # a rate that is a tensor is looked at, and live no more
    found: list[Any] = [x for group in groups for x in group.values() if isinstance(x, Tensor)]
    for value in optimizer._relied_on(states):
        found.append(value)
        if isinstance(value, Tensor):
            found += [value._p, value._node is None]
    return found


class State:
    """The modules, optimisers and tensors by name that a recording relies on, as they were.

    Of optimisers that do not step, their states are left out, unless the function has `asked`.
    """

    def __init__(
        self,
        values: Sequence[Any],
        stepped: Mapping[Optimizer, bool],
        asked: bool,
        apart: Container[tuple[Module, str]],
        added: Container[int],
        flags: Mapping[tuple[Module, str], bool],
    ) -> None:
        modules: dict[Module, None] = {}
        self.optimizers = dict(stepped)
        for value in values:
            if isinstance(value, Module) and value not in modules:
                modules.update(dict.fromkeys(value.modules()))
            elif isinstance(value, Optimizer):
                self.optimizers[value] = asked or stepped.get(value, False)
        self.modules = list(modules)
        self.apart, self.added = apart, added
        self.named = [value for value in values if isinstance(value, Tensor)]
        self.were = self.now(flags)

    def now(self, flags: Mapping[tuple[Module, str], bool] = NONE) -> list[Any]:
        """All that is relied on, in order, these flags as they were."""
        found: list[Any] = of_all.all()
        for module in self.modules:
            found += of_module(module, self.apart, self.added, flags)
        for optimizer, states in self.optimizers.items():
            found += of_optimizer(optimizer, states)
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
