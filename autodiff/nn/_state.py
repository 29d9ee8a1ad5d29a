"""State dicts of modules: what is saved, and how it is loaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from autodiff.grad_mode import no_grad
from autodiff.hooks import HookDict, RemovableHandle, add_hook
from autodiff.nn.parameter import Parameter
from autodiff.ops.typed import typename
from autodiff.tensor import Tensor

if TYPE_CHECKING:
    from autodiff.nn.module import Module

Hook = Callable[..., Any]


class IncompatibleKeys(
    NamedTuple(
        "_IncompatibleKeys", [("missing_keys", "list[str]"), ("unexpected_keys", "list[str]")]
    )
):
    """What load_state_dict returns: the names that did not match."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )

    __str__ = __repr__


class StateHook:
    """A hook, and how it is called: without the module that comes first, or only to be told."""

    def __init__(self, hook: Hook, with_module: bool = True, told: bool = False) -> None:
        self.hook = hook
        self.with_module = with_module
        self.told = told

    def __call__(self, module: object, *args: Any) -> Any:
        """What the hook returns."""
        result = self.hook(module, *args) if self.with_module else self.hook(*args)
        if self.told and result is not None:
            raise RuntimeError("state_dict post-hook must return None")
        return result


class StateHooks:
    """What is called as a module's state is collected and loaded, by the order of the calls."""

    def __init__(self) -> None:
        self.before_save, self.after_save = HookDict(), HookDict()
        self.before_load, self.after_load = HookDict(), HookDict()


class Stateful:
    """The part of a module that hooks into its state dict.

    Hooks are told of each module that they are registered to, also where it is a part of another.
    """

    _state_hooks: StateHooks | None = None

    def _own_state_hooks(self) -> StateHooks:
        found = self._state_hooks
        if found is None:
            found = self.__dict__["_state_hooks"] = StateHooks()
        return found

    def register_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before the module's state is collected."""
        return add_hook(self._own_state_hooks().before_save, hook)

    def register_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` once the state of the
        module and of what is below it is in `state_dict`, which it may change.
        """
        if not callable(hook):
            raise AttributeError(f"a hook is a function, not {typename(hook)}")
        return add_hook(self._own_state_hooks().after_save, StateHook(hook, told=True))

    def _register_state_dict_hook(self, hook: Hook) -> RemovableHandle:
        """The same; what it returns, if not None, takes the place of the state_dict."""
        return add_hook(self._own_state_hooks().after_save, hook)

    def register_load_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)` before the module takes its values from state_dict,
        which it may change.
        """
        return add_hook(self._own_state_hooks().before_load, hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Hook, with_module: bool = False
    ) -> RemovableHandle:
        """The same, the module left out of the arguments unless `with_module`."""
        return add_hook(self._own_state_hooks().before_load, StateHook(hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` once the module and what is below it have
        their values; it may change the lists of names.
        """
        return add_hook(self._own_state_hooks().after_load, hook)

    def get_extra_state(self) -> Any:
        """What a subclass has its state_dict hold besides tensors; `set_extra_state` takes it."""
        raise RuntimeError(f"{type(self).__name__}.get_extra_state: the class has no extra state")

    def set_extra_state(self, state: Any) -> None:
        """Take what `get_extra_state` gave, as the module is loaded."""
        raise RuntimeError(f"{type(self).__name__}.set_extra_state: the class takes no extra state")


EXTRA = "_extra_state"


def has_own(module: Module, name: str) -> bool:
    """Whether a class defines what here is only a name."""
    return getattr(type(module), name) is not getattr(Stateful, name)


def own_state(module: Module) -> dict[str, Tensor]:
    """A module's own parameters and persistent buffers that are not None."""
    names = list(module._parameter_names)
    names += [name for name, persistent in module._buffer_names.items() if persistent]
    values = module.__dict__
    return {name: values[name] for name in names if values[name] is not None}


def collect(module: Module, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """The state of a module and those below it."""
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    local = {"version": module._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = local
    hooks = module._state_hooks
    for hook in tuple(hooks.before_save.values()) if hooks else ():
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._parts():
        child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in tuple(hooks.after_save.values()) if hooks else ():
        changed = hook(module, destination, prefix, local)
        destination = destination if changed is None else changed
    return destination


def load(
    module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Load a module and those below it; RuntimeError with all that does not fit."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    metadata = getattr(state_dict, "_metadata", {})
    missing: list[str] = []
    unexpected_names: list[str] = []
    errors: list[str] = []

    def visit(module: Module, state: Mapping[str, Any], prefix: str) -> None:
        local = dict(metadata.get(prefix[:-1], {}))
        if assign:
            local["assign_to_params_buffers"] = True
        module._load_from_state_dict(state, prefix, local, True, missing, unexpected_names, errors)
        for name, child in module._parts():
            path = f"{prefix}{name}."
            visit(child, {k: v for k, v in state.items() if k.startswith(path)}, path)
        if module._state_hooks is not None:
            keys = IncompatibleKeys(missing, unexpected_names)
            for hook in tuple(module._state_hooks.after_load.values()):
                if hook(module, keys) is not None:
                    raise AssertionError(
                        "a hook of register_load_state_dict_post_hook is not expected to return "
                        "new values: if incompatible_keys need to be modified, do it in place"
                    )

    visit(module, dict(state_dict), "")
    if strict:
        errors = [*_quoted("Missing", missing), *_quoted("Unexpected", unexpected_names), *errors]
    if errors:
        name = type(module).__name__
        raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t" + "\n\t".join(errors))
    return IncompatibleKeys(missing, unexpected_names)


def _quoted(what: str, names: list[str]) -> list[str]:
    quoted = ", ".join(f'"{name}"' for name in names)
    return [f"{what} key(s) in state_dict: {quoted}. "] if names else []


def load_own(
    module: Module,
    state_dict: Mapping[str, Any],
    prefix: str,
    assign: bool,
    missing: list[str],
    errors: list[str],
) -> None:
    """Copy (or assign) the values of a module's own state."""
    for name, mine in own_state(module).items():
        key = prefix + name
        if key not in state_dict:
            missing.append(key)
            continue
        given = state_dict[key]
        if not isinstance(given, Tensor):
            errors.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
                f"object from checkpoint but received {type(given)}"
            )
            continue
        if mine.ndim == 0 and given.shape == (1,):  # as PyTorch saved numbers once
            given = given[0]
        if given.shape != mine.shape:
            errors.append(
                f"size mismatch for {key}: copying a param with shape {given.shape!r} from "
                f"checkpoint, the shape in current model is {mine.shape!r}."
            )
        elif assign:
            setattr(module, name, _assigned(mine, given))
        else:
            with no_grad():
                mine.copy_(given)


def _assigned(mine: Tensor, given: Tensor) -> Tensor:
    """The given tensor as what it replaces: a parameter keeps its requires_grad."""
    if not isinstance(mine, Parameter):
        return given
    if isinstance(given, Parameter):
        return given.requires_grad_(mine.requires_grad)
    return Parameter(given, mine.requires_grad)


def unexpected(module: Module, state_dict: Mapping[str, Any], prefix: str) -> list[str]:
    """The names under `prefix` that belong to nothing in the module."""
    mine = own_state(module)
    found = []
    for key in state_dict:
        if key.startswith(prefix):
            first, dot, _ = key[len(prefix) :].partition(".")
            if first == EXTRA and has_own(module, "set_extra_state"):
                continue
            if first not in (module._module_names if dot else mine):
                found.append(key)
    return found
