"""Module: the base of everything that holds parameters."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from autodiff.changes import changed, changed_of
from autodiff.nn import _registers, _state
from autodiff.nn._conversion import Convertible
from autodiff.nn._hooks import (
    Hooked,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
    registered,
)
from autodiff.nn.parameter import Buffer, Parameter, is_lazy
from autodiff.ops.typed import typename
from autodiff.tensor import Tensor

__all__ = [
    "Module", "register_module_backward_hook", "register_module_buffer_registration_hook",
    "register_module_forward_hook", "register_module_forward_pre_hook",
    "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook", "register_module_parameter_registration_hook",
]  # fmt: skip

Self = TypeVar("Self", bound="Module")
_PLAIN = frozenset({bool, int, float, str, tuple, type(None)})  # in no register


class Module(Hooked, _state.Stateful, Convertible):
    """A part of a model: parameters, buffers, submodules, and a `forward` that uses them.

    Assigning a Parameter or a Module to an attribute registers it. The values are ordinary
    attributes, read at an ordinary attribute's cost; the registers hold names alone.

    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter(ad.tensor(2.0))
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> scale = Scale()
    >>> scale(ad.ones(2)).detach(), [name for name, _ in scale.named_parameters()]
    (tensor([2., 2.]), ['factor'])
    """

    training: bool
    _version = 1  # of the layout of its state_dict

    def __init__(self) -> None:
        values = self.__dict__
        values["_parameters"] = _registers.Parameters(self)
        values["_buffers"] = _registers.Buffers(self)
        values["_modules"] = _registers.Modules(self)
        values["training"] = True
        values["_hooks"] = None
        values["_parameter_names"] = {}
        values["_buffer_names"] = {}
        values["_module_names"] = {}

    # ---- registers ----

    _parameters = _registers.register("_parameters")
    _buffers = _registers.register("_buffers")
    _modules = _registers.register("_modules")

    def _check_name(self, kind: str, name: str, names: Mapping[str, Any], show: str = "") -> None:
        if "_module_names" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if hasattr(self, name) and name not in names:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."{show}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None holds a place that `parameters` leaves out."""
        self._check_name("parameter", name, self.__dict__.get("_parameter_names", {}))
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param is not None:
            param = registered("parameter", self, name, param)
        self._parameter_names[name] = None
        self.__dict__[name] = param
        changed_of(self)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not learned; `persistent` ones are in the state_dict."""
        self._check_name("buffer", name, self.__dict__.get("_buffer_names", {}))
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        tensor = registered("buffer", self, name, tensor)
        self._buffer_names[name] = persistent
        self.__dict__[name] = tensor
        changed_of(self)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name, which may be a number as in Sequential."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{typename(module)} is not a Module subclass")
        names = self.__dict__.get("_module_names", {})
        self._check_name("module", name, names, f", got: {name}")
        module = registered("module", self, name, module)
        held = self._module_names.setdefault(name, name)  # a new one is no name of the class's
        self.__dict__[held] = module
        changed_of(self)

    def register_module(self, name: str, module: Module | None) -> None:
        """Alias of add_module."""
        self.add_module(name, module)

    def _forget(self, name: str) -> None:
        """Drop an attribute from wherever it is."""
        values = self.__dict__
        values.pop(name, None)
        values.pop(values["_module_names"].pop(name, None), None)
        for register in ("_parameter_names", "_buffer_names"):
            values[register].pop(name, None)
        changed_of(self)

    def __setattr__(self, name: str, value: Any) -> None:
        values = self.__dict__
        modules = values.get("_module_names", ())
        if value.__class__ in _PLAIN and name not in values and name not in modules:
            # as most of what an __init__ sets
            object.__setattr__(self, name, value)
            changed_of(self, name)
        elif isinstance(value, Parameter):
            self._take_name(name, "_parameter_names", "parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if name in values.get("_parameter_names", ()):
                self._check_value(name, value)
            self._take_name(name, "_module_names", "module")
            value = registered("module", self, name, value)
            self._modules[name] = value  # hasattr would ask a __getattr__ that looks in a part
        else:
            if value is not None and "_module_names" in values:
                self._check_value(name, value)
            if isinstance(value, Buffer):
                self.register_buffer(name, value.plain(), value.persistent)
                return
            if name in modules:
                self._modules[name] = registered("module", self, name, value)
                return
            if name in values.get("_buffer_names", ()):
                value = registered("buffer", self, name, value)
            was = values.get(name)
            object.__setattr__(self, name, value)
            if was is not value or value is None:  # which it may not have had
                changed_of(self, name, was)

    def _take_name(self, name: str, register: str, kind: str) -> None:
        """Drop an attribute that is not in this register, as a registered one takes its name."""
        values = self.__dict__
        if register not in values:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if name not in values[register]:
            self._forget(name)

    def _check_value(self, name: str, value: object) -> None:
        """TypeError where the name is registered for another kind of value."""
        expected = None
        if name in self._parameter_names:
            expected = f"as parameter '{name}' (torch.nn.Parameter or None"
        elif name in self._module_names:
            expected = f"as child module '{name}' (torch.nn.Module or None"
        elif name in self._buffer_names and not isinstance(value, Tensor):
            expected = f"as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None"
        if expected is not None:
            raise TypeError(f"cannot assign '{typename(value)}' {expected} expected)")

    def __delattr__(self, name: str) -> None:
        if name not in self._module_names:
            try:
                object.__delattr__(self, name)
            except AttributeError:  # which says but the name before Python 3.11
                kind = type(self).__name__
                raise AttributeError(f"'{kind}' object has no attribute '{name}'") from None
        self._forget(name)

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if not name[0].isdigit()]

    # ---- whole-module changes ----

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode here and below: dropout and batch statistics depend on it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Set evaluation mode: the same as train(False)."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Set whether the parameters are learned."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the parameters' gradients: to None, or to zeros."""
        _registers.zero_grad(self.parameters(), set_to_none)

    def apply(self: Self, fn: Callable[[Module], object]) -> Self:
        """Call `fn` on every module below and on this one, deepest first."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ---- state ----

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """Parameters and persistent buffers by dotted name; detached unless `keep_vars`."""
        if len(args) > 3:
            raise TypeError(f"state_dict() takes at most 3 positional arguments, not {len(args)}")
        if args:
            advice = "Positional args are being deprecated, use kwargs instead."
            warnings.warn(advice, FutureWarning, stacklevel=2)
            given: tuple[Any, ...] = (destination, prefix, keep_vars)
            destination, prefix, keep_vars = (*args, *given[len(args) :])
        return _state.collect(self, destination, prefix, keep_vars)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Add this module's own parameters and persistent buffers."""
        for name, value in _state.own_state(self).items():
            destination[prefix + name] = value if keep_vars or is_lazy(value) else value.detach()
        if _state.has_own(self, "get_extra_state"):
            destination[prefix + _state.EXTRA] = self.get_extra_state()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _state.IncompatibleKeys:
        """Copy values in by dotted name (`assign`: take the tensors themselves).

        If `strict`, RuntimeError where names are missing or unexpected; else they are returned.
        """
        return _state.load(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load this module's own parameters and buffers; add to the lists what does not fit."""
        assign = bool(local_metadata.get("assign_to_params_buffers", False))
        if self._state_hooks is not None:
            lists = missing_keys, unexpected_keys, error_msgs
            for hook in tuple(self._state_hooks.before_load.values()):
                hook(self, state_dict, prefix, local_metadata, strict, *lists)
        _state.load_own(self, state_dict, prefix, assign, missing_keys, error_msgs)
        if _state.has_own(self, "set_extra_state"):
            if prefix + _state.EXTRA in state_dict:
                self.set_extra_state(state_dict[prefix + _state.EXTRA])
            elif strict:
                missing_keys.append(prefix + _state.EXTRA)
        if strict:
            unexpected_keys += _state.unexpected(self, state_dict, prefix)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Have the module's calls recorded and replayed: `autodiff.compile`, with its arguments.

        >>> layer = nn.Linear(2, 1)
        >>> layer.compile()
        >>> layer(ad.ones(3, 2)).shape
        torch.Size([3, 1])
        """
        make = importlib.import_module("autodiff.compiled").compile
        self._own_hooks().compiled = make(self._call_impl, *args, **kwargs)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take the attributes of a copy or of a pickle; a shallow copy has registers of its own."""
        self.__dict__.update(state)
        for register in ("_parameter_names", "_buffer_names", "_module_names"):
            self.__dict__[register] = dict(self.__dict__.get(register, {}))
        self.__dict__.update((name, kind(self)) for name, kind in _registers.REGISTERS.items())
        changed()

    # ---- text ----

    def extra_repr(self) -> str:
        """What the module's line in repr says between the parentheses."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): {indented(repr(self.__dict__[held]))}"
            for name, held in self._module_names.items()
        ]
        head = self._get_name() + "("
        if len(lines) == 1 and not children:
            return head + lines[0] + ")"
        if lines or children:
            return head + "\n  " + "\n  ".join(lines + children) + "\n)"
        return head + ")"


def indented(text: str) -> str:
    """A text whose lines after the first are moved right, as a child's are in repr."""
    return text.replace("\n", "\n  ")
