"""Optimizer: parameter groups, their options and their state."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from autodiff.changes import (
    WatchedDict,
    WatchedGroup,
    WatchedList,
    WatchedStates,
    changed,
    recorder_here,
)
from autodiff.dtypes import float32
from autodiff.hooks import HookDict, RemovableHandle, add_hook
from autodiff.nn._registers import zero_grad
from autodiff.ops.cast import to_dtype
from autodiff.ops.typed import typename
from autodiff.optim._hooks import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    step_hooks,
    with_hooks,
)
from autodiff.tensor import Tensor

__all__ = [
    "Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook",
    "required",
]  # fmt: skip

Self = TypeVar("Self", bound="Optimizer")
Group = dict[str, Any]

required: Any = object()  # the default of an option that has none

# Options that states saved by older versions of PyTorch lack, and what they stand for.
_ABSENT = {
    "amsgrad": False,
    "capturable": False,
    "centered": False,
    "decoupled_weight_decay": False,
    "differentiable": False,
    "foreach": None,
    "fused": None,
    "maximize": False,
    "momentum": 0,
    "nesterov": False,
}


class Optimizer:
    """Base of optimisers. A subclass defines `step`.

    `params` are tensors, (name, tensor) pairs, or dicts with "params" and options of their own;
    `defaults` are the options of groups that do not set them. ValueError for no parameters, and for
    options that are out of range.

    With `differentiable`, where an optimizer takes it, the graph goes on through a step, of
    parameters that are no leaves.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.SGD([w], lr=0.1)
    >>> (2 * w).sum().backward()
    >>> optimizer.step()
    >>> optimizer.zero_grad()
    >>> w.detach(), w.grad
    (tensor([0.8000]), None)
    """

    _live: tuple[str, ...] = ()  # options that a recorded step reads anew
    _opt_called: bool | None = None  # whether it stepped since a scheduler took hold of it
    # None yet, also of those of users' own that wrap another and leave __init__ out.
    _optimizer_step_pre_hooks = HookDict()
    _optimizer_step_post_hooks = HookDict()
    _state_hooks: dict[str, HookDict]  # by when they are called

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    @staticmethod
    def _options(given: dict[str, Any], names: str = "") -> dict[str, Any]:
        """Those of a constructor's `locals()`, in the order of `names` where PyTorch has another
        than that of its signature.
        """
        others = ("self", "params", "__class__")
        order = names.split() or [name for name in given if name not in others]
        return {name: given[name] for name in order}

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {typename(params)}"
            )
        self.defaults = defaults
        self._clear_hooks()
        self.state: defaultdict[Tensor, dict[str, Any]] = WatchedStates()
        self.param_groups: list[Group] = WatchedList()
        given = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name != "_opt_called" or value is False:
            changed()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        changed()

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with options of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        names, tensors = _split_names(list(params))
        for x in tensors:
            _check_parameter(x, bool(self.defaults.get("differentiable")))
        group = {**param_group, "params": WatchedList(tensors)}
        if names:
            group["param_names"] = names
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            group.setdefault(name, default)
        if len(set(tensors)) != len(tensors):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error",
                stacklevel=3,
            )
        known = {x for other in self.param_groups for x in other["params"]}
        if not known.isdisjoint(tensors):
            raise ValueError("some parameters appear in more than one parameter group")
        self._check_names(names)
        self.param_groups.append(WatchedGroup(group))

    def _check_names(self, names: list[str]) -> None:
        if self.param_groups and bool(names) != ("param_names" in self.param_groups[0]):
            given, others = ("with", "without") if names else ("without", "with")
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{given} names to the optimizer whose groups are {others} them"
            )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters: to None, or to zeros."""
        if recorder := recorder_here():
            recorder.optimizer(self)
        for group in self.param_groups:
            zero_grad(group["params"], set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters by their gradients; with a closure, after calling it."""
        raise NotImplementedError

    def _patch_step_function(self) -> None:
        """Nothing, as the class of a step has it call hooks: wrappers ask for it, in place of
        `__init__`.
        """

    # ---- what a recorded step relies on ----

    def _relied_on(self, states: bool) -> list[Any]:
        """What decides which calls a step makes on what memory: of one that only clears gradients,
        not `states`.
        """
        found = self._called()
        for group in self.param_groups:
            for key, value in group.items():
                found.append(key)
                if key not in self._live:
                    found += value if isinstance(value, (list, tuple)) else [value]
        return found + self._states() if states else found

    def _called(self) -> list[Any]:
        """Hooks of a step, and methods that were replaced."""
        hooks = [hook for hooks in step_hooks(self) for hook in hooks]
        return [*hooks, *filter(callable, [*vars(self).values()])]

    def _states(self) -> list[Any]:
        return [x for state in self.state.values() for x in _values(state)]

    def _refresh(self) -> None:
        """Hand the options of now to a recorded step."""
        if self._opt_called is False:
            self._opt_called = True

    # ---- hooks ----

    def _clear_hooks(self) -> None:
        self._optimizer_step_pre_hooks = HookDict()
        self._optimizer_step_post_hooks = HookDict()
        self._state_hooks = {when: HookDict() for when in ("saving", "saved", "loading", "loaded")}

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call hook(optimizer, args, kwargs) before each step; it may return other (args, kwargs).

        As in PyTorch, the first of args is the optimizer.
        """
        return add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call hook(optimizer, args, kwargs) after each step."""
        return add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(optimizer) before each state_dict()."""
        return add_hook(self._state_hooks["saving"], hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(optimizer, state_dict) after each state_dict(); it may return another."""
        return add_hook(self._state_hooks["saved"], hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(optimizer, state_dict) before one is loaded; it may return another."""
        return add_hook(self._state_hooks["loading"], hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(optimizer) after a state_dict was loaded."""
        return add_hook(self._state_hooks["loaded"], hook, prepend)

    def _hooked(self, when: str, state: Any = None) -> Any:
        """A state_dict as hooks leave it; those that see none are given none."""
        for hook in self._state_hooks[when].values():
            given = (self,) if state is None else (self, state)
            changed = hook(*given)
            if changed is not None and state is not None:
                state = changed
        return state

    # ---- state ----

    def state_dict(self) -> dict[str, Any]:
        """The state and options, with parameters numbered in order: PyTorch's layout."""
        if recorder := recorder_here():
            recorder.stay_eager("it asks for the state of an optimizer")
        self._hooked("saving")
        order = itertools.count()
        numbers: dict[Tensor, int] = {}
        groups = []
        for group in self.param_groups:
            for x in group["params"]:
                if x not in numbers:
                    numbers[x] = next(order)
            options = {key: value for key, value in group.items() if key != "params"}
            groups.append({**options, "params": [numbers[x] for x in group["params"]]})
        state = {
            (numbers[key] if isinstance(key, Tensor) else key): _as_dict(value, dict)
            for key, value in self.state.items()
        }
        whole: dict[str, Any] = self._hooked("saved", {"state": state, "param_groups": groups})
        return whole

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what state_dict gave; the groups must have as many parameters."""
        state_dict = self._hooked("loading", dict(state_dict))
        mine, saved = self.param_groups, copy.deepcopy(state_dict["param_groups"])
        if len(mine) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(mine, saved, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        owners = {
            number: (x, given)
            for group, given in zip(mine, saved, strict=True)
            for number, x in zip(given["params"], group["params"], strict=True)
        }
        state: defaultdict[Any, dict[str, Any]] = WatchedStates()
        for key, value in state_dict["state"].items():
            owner, group = owners.get(key, (None, {}))
            state[key if owner is None else owner] = _taken_over(value, owner, group)
        for group, given in zip(mine, saved, strict=True):
            given["params"] = group["params"]
            if "param_names" in group:
                given.setdefault("param_names", group["param_names"])
        groups = WatchedList(map(WatchedGroup, saved))
        self.__setstate__({"state": state, "param_groups": groups})
        self._hooked("loaded")

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if not isinstance(self.state, WatchedStates):  # else it is shared, by a shallow copy
            states = self.state.items()
            self.state = WatchedStates((x, _as_dict(own, WatchedDict)) for x, own in states)
        if not isinstance(self.param_groups, WatchedList):
            self.param_groups = WatchedList(map(WatchedGroup, self.param_groups))
        if "_optimizer_step_pre_hooks" not in self.__dict__:
            self._clear_hooks()
        for group in self.param_groups:
            for name, meaning in _ABSENT.items():
                if name in self.defaults:
                    group.setdefault(name, meaning)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] if i else []
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _split_names(params: list[Any]) -> tuple[list[str], list[Any]]:
    """Names and tensors of (name, tensor) pairs; tensors alone have no names."""
    pairs = [isinstance(item, tuple) for item in params]
    if any(pairs) and not all(pairs):
        raise ValueError(
            "all optimizer params should be with/without names. Some param names are missing"
        )
    if not any(pairs):
        return [], params
    return [name for name, _ in params], [x for _, x in params]


def _as_dict(state: Any, kind: type[dict[str, Any]]) -> Any:
    """The state of a parameter; what users keep for all of them by a name may be any object."""
    return kind(state) if isinstance(state, Mapping) else state


def _values(state: Any) -> Iterable[Any]:
    return state.values() if isinstance(state, Mapping) else [state]


def _check_parameter(x: object, differentiable: bool) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"optimizer can only optimize Tensors, but one of the params is {typename(x)}"
        )
    if not (differentiable or x.is_leaf or x.retains_grad):
        raise ValueError("can't optimize a non-leaf Tensor")


def _taken_over(value: Any, owner: Tensor | None, group: Group, key: Any = None) -> Any:
    """A copy of saved state; floating-point tensors but `step` get their parameter's dtype."""
    if isinstance(value, Tensor):
        x = value.detach().clone()
        if owner is None:
            return x
        if key == "step":
            narrow = group.get("capturable") or group.get("fused")
            return to_dtype(x, float32) if narrow else x
        floats = owner.is_floating_point() and x.is_floating_point()
        return to_dtype(x, owner.dtype) if floats else x
    if isinstance(value, dict):
        return {name: _taken_over(item, owner, group, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_taken_over(item, owner, group) for item in value)
    return copy.deepcopy(value)
