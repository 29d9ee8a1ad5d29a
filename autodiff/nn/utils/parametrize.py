"""Parametrizations: a parameter of a module computed from others whenever it is read."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from autodiff.changes import look_again
from autodiff.grad_mode import no_grad
from autodiff.nn.containers import ModuleDict, ModuleList
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.tensor import Tensor

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization",
    "remove_parametrizations", "type_before_parametrizations",
]  # fmt: skip


class _Cached(threading.local):
    """What a thread's blocks of `cached` have computed; a block inside another has the same."""

    tensors: dict[tuple[int, str], Tensor] | None = None


here = _Cached()


@contextmanager
def cached() -> Iterator[None]:
    """Inside, what is parametrized is computed once.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> with nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    before = here.tensors
    here.tensors = {} if before is None else before
    look_again()
    try:
        yield
    finally:
        here.tensors = before
        look_again()


def _inverse(modules: Sequence[Module], value: Any, needed: bool = False) -> Any:
    """What the first of the modules is given, so that the last returns value.

    One without a right_inverse leaves it, unless that is `needed`: RuntimeError.
    """
    for module in reversed(modules):
        try:
            if hasattr(module, "right_inverse"):
                value = module.right_inverse(value)
                continue
        except NotImplementedError:
            if needed:
                raise
        if needed:
            name = type(module).__name__
            raise RuntimeError(f"parametrization {name} does not implement right_inverse.")
    return value


class ParametrizationList(ModuleList):
    """What a tensor is computed from, `original` or `original0`, `original1` ..., and by what.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> [name for name, _ in layer.parametrizations.weight.named_parameters()]
    ['original0', 'original1']
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        with no_grad():
            new = _inverse(list(self), original)
        self.is_tensor = isinstance(new, Tensor)
        if not self.is_tensor and not isinstance(new, (list, tuple)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if new is not original:
                original.data = new.data
            self._hold("original", original)
        else:
            for i, x in enumerate(new):
                made = Parameter(x, original.requires_grad) if _is_learned(original) else x
                self._hold(f"original{i}", made)
        if not unsafe:
            self._check(original)

    def _hold(self, name: str, x: Tensor) -> None:
        if isinstance(x, Parameter):
            self.register_parameter(name, x)
        else:
            self.register_buffer(name, x)

    def _check(self, original: Tensor) -> None:
        made = self()
        if not isinstance(made, Tensor):
            raise ValueError(f"A parametrization must return a tensor. Got {type(made).__name__}.")
        if made.dtype is not original.dtype or made.shape != original.shape:
            raise ValueError(
                "Registering a parametrization may not change the dtype or the shape of the "
                f"tensor, unless `unsafe` flag is enabled: it was {original.dtype!r} "
                f"{list(original.shape)}, and is {made.dtype!r} {list(made.shape)}."
            )

    def originals(self) -> list[Tensor]:
        """The tensors that the parametrized one is computed from."""
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the parametrized tensor has this value."""
        with no_grad():
            new = _inverse(list(self), value, needed=True)
            given = [new] if self.is_tensor else list(new)
            for mine, x in zip(self.originals(), given, strict=True):
                mine.data = x.data

    def forward(self) -> Tensor:
        first, *rest = list(self)
        x = first(*self.originals())
        for module in rest:
            x = module(x)
        return x  # type: ignore[no-any-return]


def _is_learned(x: Tensor) -> bool:
    return isinstance(x, Parameter)


def _read(module: Any, name: str) -> Tensor:
    parametrization = module.parametrizations[name]
    known = here.tensors
    if known is None:
        return parametrization()  # type: ignore[no-any-return]
    key = (id(module), name)
    if key not in known:
        known[key] = parametrization()
    return known[key]


def _property(name: str) -> property:
    return property(
        lambda self: _read(self, name),
        lambda self, value: self.parametrizations[name].right_inverse(value),
    )


def _class_of(plain: type[Module], names: Sequence[str]) -> Any:
    """A class of one module's own: its parametrized tensors are properties."""
    members: dict[str, Any] = {name: _property(name) for name in names}
    members |= {"_plain_class": plain, "__deepcopy__": _copied, "__getstate__": _refused}
    return type(f"Parametrized{plain.__name__}", (plain,), members)


def _copied(self: Any, memo: dict[int, Any]) -> Any:
    """A copy, with a class of its own."""
    found = memo.get(id(self))
    if found is None:
        names = list(self.__dict__["parametrizations"]._module_names)
        kind = _class_of(self._plain_class, names)
        found = memo[id(self)] = kind.__new__(kind)
        found.__setstate__(copy.deepcopy(self.__dict__, memo))
    return found


def _refused(self: Any) -> None:
    """RuntimeError: the class is made at run time, so a pickle could not name it."""
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict()."
    )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a module is parametrized; any of them, where none is named.

    >>> nn.utils.parametrize.is_parametrized(nn.Linear(2, 3))
    False
    """
    found = module.__dict__.get("parametrizations")
    if not isinstance(found, ModuleDict) or not hasattr(type(module), "_plain_class"):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let a parameter or buffer be `parametrization(original)`, after those it has already.

    A `right_inverse` of the first parametrization gives the originals of the value there is.
    ValueError where there is no such tensor, or where dtype or shape change, unless `unsafe`.

    >>> layer = nn.Linear(2, 1)
    >>> _ = nn.utils.parametrize.register_parametrization(layer, "weight", nn.Softplus())
    >>> bool((layer.weight > 0).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        lists: Any = module.__dict__["parametrizations"]
        existing = lists[tensor_name]
        if not unsafe:
            before = getattr(module, tensor_name)
            after = parametrization(before)
            if after.dtype is not before.dtype or after.shape != before.shape:
                raise ValueError(
                    "Registering a parametrization may not change the dtype or the shape of the "
                    "tensor, unless the `unsafe` flag is enabled."
                )
        existing.append(parametrization)
        existing.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original: Any = getattr(module, tensor_name)
        held = ParametrizationList([parametrization], original, unsafe)
        delattr(module, tensor_name)
        if not hasattr(type(module), "_plain_class"):
            module.__class__ = _class_of(type(module), ())
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _property(tensor_name))
        module.__dict__["parametrizations"][tensor_name] = held
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a parametrized tensor a plain one: as it is computed now, or its original.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> nn.utils.parametrize.remove_parametrizations(layer, "weight")
    Linear(in_features=2, out_features=3, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    lists: Any = module.__dict__["parametrizations"]
    held = lists[tensor_name]
    originals = held.originals()
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name)
    elif held.is_tensor:
        value = originals[0]
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    if held.is_tensor and isinstance(originals[0], Parameter):
        originals[0].data = value.data
        value = originals[0]
    elif isinstance(originals[0], Parameter):
        value = Parameter(value, any(x.requires_grad for x in originals))
    delattr(type(module), tensor_name)
    del lists[tensor_name]
    if isinstance(value, Parameter):
        module.register_parameter(tensor_name, value)
    else:
        module.register_buffer(tensor_name, value)
    if not len(lists):
        delattr(module, "parametrizations")
        kind: Any = type(module)
        module.__class__ = kind._plain_class
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class of a module, as it was where tensors of it are parametrized.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> nn.utils.parametrize.type_before_parametrizations(layer) is nn.Linear
    True
    """
    kind = type(module)
    return getattr(kind, "_plain_class", kind)
