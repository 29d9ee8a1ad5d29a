"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from autodiff.nn.batchnorm import _BatchNorm
from autodiff.nn.module import Module
from autodiff.ops.join import stack
from autodiff.tensor import Tensor


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The module's output with other tensors in the place of its parameters and buffers.

    A dict from dotted names to tensors, or several without a name in common (ValueError). Names
    that it leaves out keep their own; a parameter that has several names is replaced under all of
    them where `tie_weights`. With `strict`, RuntimeError where names are missing or unexpected. A
    buffer that the call sets anew is set in the dict.

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> ad.func.functional_call(layer, {"weight": ad.ones(1, 2)}, ad.tensor([[1.0, 2.0]]))
    tensor([[3.]])
    """
    values = _one_dict(parameter_and_buffer_dicts)
    given = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, values, parameter_and_buffer_dicts, tie_weights, strict):
        return module(*given, **(kwargs or {}))


def _one_dict(given: Any) -> dict[str, Any]:
    if isinstance(given, dict):
        return dict(given)
    if not isinstance(given, (list, tuple)):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(given)}"
        )
    if not all(isinstance(each, dict) for each in given):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    names = [name for each in given for name in each]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"{repeated} appeared in multiple dictionaries; behavior of functional call is "
            "ambiguous"
        )
    return {name: value for each in given for name, value in each.items()}


def _places(module: Module) -> dict[str, tuple[dict[str, Any], str]]:
    """Where the module's tensors are, by dotted name; each name of one that has several."""
    found = {}
    for path, part in module.named_modules(remove_duplicate=False):
        values = part.__dict__
        for name in (*values["_parameter_names"], *values["_buffer_names"]):
            found[f"{path}.{name}" if path else name] = (values, name)
    return found


@contextmanager
def _replaced(
    module: Module, values: dict[str, Any], dicts: Any, tie_weights: bool, strict: bool
) -> Iterator[None]:
    places = _places(module)
    if tie_weights:
        values = _with_ties(places, values)
    if strict:
        _check_names(module, places, values)
    before = []
    try:
        for name, value in values.items():
            if name in places:
                attributes, key = places[name]
                if not isinstance(value, Tensor):
                    raise TypeError(f"{name} must be a Tensor, got {type(value).__name__}")
                before.append((attributes, key, attributes[key], name))
                attributes[key] = value
        yield
    finally:
        owners = [dicts] if isinstance(dicts, dict) else list(dicts)
        for attributes, key, old, name in reversed(before):
            new = attributes[key]
            for owner in owners:
                if name in owner and new is not values[name]:
                    owner[name] = new
            attributes[key] = old


def _with_ties(places: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values with those of other names of the same tensors. ValueError where names differ."""
    names: dict[int, list[str]] = {}
    for name, (attributes, key) in places.items():
        if attributes[key] is not None:
            names.setdefault(id(attributes[key]), []).append(name)
    tied = dict(values)
    for group in names.values():
        chosen = [name for name in group if name in values]
        if len({id(values[name]) for name in chosen}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(chosen)}, which are tied. "
                "Consider using tie_weights=False"
            )
        if chosen:
            tied.update(dict.fromkeys(group, values[chosen[0]]))
    return tied


def _check_names(module: Module, places: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    unexpected = [name for name in values if name not in places]
    missing = [
        name for name, (attributes, key) in places.items()
        if name not in values and attributes[key] is not None
    ]  # fmt: skip
    if not unexpected and not missing:
        return
    text = f"Error(s) in reparametrizing for {type(module).__name__}:"
    for kind, names in (("Unexpected", unexpected), ("Missing", missing)):
        if names:
            text += f"\n\t{kind} key(s): {', '.join(map(repr, names))}."
    raise RuntimeError(text)


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of models of one architecture, stacked along dimension 0.

    Leaves, for `functional_call` of one of the models inside vmap. RuntimeError where models are
    of several classes or modes.

    >>> models = [nn.Linear(3, 2) for _ in range(4)]
    >>> parameters, buffers = ad.func.stack_module_state(models)
    >>> run = ad.func.vmap(lambda p, x: ad.func.functional_call(models[0], p, x), (0, None))
    >>> run(parameters, ad.ones(5, 3)).shape
    torch.Size([4, 5, 2])
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    first = models[0]
    if any(model.training != first.training for model in models):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if any(type(model) is not type(first) for model in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(model.named_parameters()) for model in models]
    buffers = [dict(model.named_buffers()) for model in models]
    return _stacked(parameters), _stacked(buffers)


def _stacked(states: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: stack([state[name].detach() for state in states]).requires_grad_(value.requires_grad)
        for name, value in states[0].items()
    }


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Make all batch norms of a module use the batch's own moments; returns the module.

    So it can be mapped over samples in training, by `vmap`.

    >>> ad.func.replace_all_batch_norm_modules_(nn.BatchNorm1d(2)).running_mean is None
    True
    """
    for module in root.modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
