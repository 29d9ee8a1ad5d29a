"""State dicts of modules: what is saved, and how it is loaded; and what else modules share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from autodiff.changes import changes
from autodiff.dtypes import SCALAR_NAMES
from autodiff.grad_mode import no_grad
from autodiff.nn.parameter import Parameter
from autodiff.tensor import Tensor, live_node

if TYPE_CHECKING:
    from autodiff.nn.module import Module


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


def typename(value: object) -> str:
    """PyTorch's name of a value's type in errors."""
    if isinstance(value, Tensor):
        return f"torch.{SCALAR_NAMES[value._p.dtype]}Tensor"
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


class StateDict(OrderedDict[str, Any]):
    """Tensors by dotted name, and the version of each module's layout."""

    _metadata: OrderedDict[str, dict[str, Any]]


def zero_grad(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Clear gradients: to None, or to zeros outside the graph."""
    for x in parameters:
        leaf = x._acc
        if leaf is None or (leaf.grad is None and changes.recorder is None):
            continue
        if set_to_none:
            leaf.put(None)
        elif (gradient := leaf.gradient()) is not None:
            if live_node(gradient) is not None:
                x.grad = gradient = gradient.detach()
            gradient.zero_()


def own_state(module: Module) -> dict[str, Tensor]:
    """A module's own parameters and persistent buffers that are not None."""
    names = list(module._parameter_names)
    names += [name for name, persistent in module._buffer_names.items() if persistent]
    values = module.__dict__
    return {name: values[name] for name in names if values[name] is not None}


def collect(module: Module, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """The state of a module and those below it."""
    if destination is None:
        destination = StateDict()
        destination._metadata = OrderedDict()
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = {"version": module._version}
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name in module._module_names:
        child = module.__dict__[name]
        if child is not None:
            child.state_dict(
                destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
            )
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
        local = {**metadata.get(prefix[:-1], {}), "assign_to_params_buffers": assign}
        module._load_from_state_dict(state, prefix, local, True, missing, unexpected_names, errors)
        for name in module._module_names:
            child = module.__dict__[name]
            if child is not None:
                path = f"{prefix}{name}."
                visit(child, {k: v for k, v in state.items() if k.startswith(path)}, path)

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
        elif given.shape != mine.shape:
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
            if first not in (module._module_names if dot else mine):
                found.append(key)
    return found
