"""Weights that a hook computes before each call: the older form of `parametrizations`.

What is learned has the names that checkpoints of such modules hold.
"""

from __future__ import annotations

from typing import Any, TypeVar

from autodiff.changes import recorder_here
from autodiff.grad_mode import no_grad
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.nn.utils.parametrizations import _matrix, _unit, _WeightNorm
from autodiff.ops.contraction import dot, mv
from autodiff.tensor import Tensor

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


class _Hook:
    """Sets a module's weight to what is computed of its parts, before each call."""

    kind: str

    def __init__(self, name: str) -> None:
        self.name = name

    def parts(self, module: Module, *ends: str) -> list[Any]:
        """The tensors whose names are the weight's with these ends."""
        return [getattr(module, f"{self.name}_{end}") for end in ends]

    def weight(self, module: Module, training: bool) -> Tensor:
        raise NotImplementedError

    def __call__(self, module: Module, inputs: Any) -> None:
        if recorder := recorder_here():
            recorder.stay_eager(
                f"a hook sets {self.name!r} of {type(module).__name__} in Python; what "
                f"parametrizations.{self.kind} does can be recorded"
            )
        module.__dict__[self.name] = self.weight(module, module.training)  # no state: no setattr

    def check(self, module: Module) -> None:
        """RuntimeError where a weight is computed so already."""
        if _found(module, type(self), self.name) is not None:
            raise RuntimeError(
                f"Cannot register two {self.kind} hooks on the same parameter {self.name}"
            )


def _found(module: Module, kind: type[_Hook], name: str) -> int | None:
    """The number of a module's hook of a kind for a weight."""
    for key, hook in module._own_hooks().before.items():
        if isinstance(hook, kind) and hook.name == name:
            return key
    return None


def _removed(module: Module, kind: type[_Hook], name: str, ends: tuple[str, ...]) -> None:
    """Make a computed weight a parameter, of the value that its parts give."""
    key = _found(module, kind, name)
    if key is None:
        raise ValueError(f"{kind.kind} of '{name}' not found in {module}")
    hook: Any = module._own_hooks().before.pop(key)
    with no_grad():
        value = hook.weight(module, False)
    for end in ("", *ends):
        delattr(module, name + end)
    module.register_parameter(name, Parameter(value.detach()))


class _WeightNormHook(_Hook):
    kind = "weight_norm"

    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.norm = _WeightNorm(dim)

    def weight(self, module: Module, training: bool) -> Tensor:
        return self.norm.forward(*self.parts(module, "g", "v"))


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Let a weight be g v / |v|: parameters `weight_g` and `weight_v`, joined before each call.

    There is a norm for each index of `dim`, or one of all for None. PyTorch prefers
    `parametrizations.weight_norm`, which computes the weight when it is read.

    >>> [name for name, _ in nn.utils.weight_norm(nn.Linear(2, 3)).named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    if not isinstance(name, str):
        raise TypeError(f"weight_norm(): name must be str, not {type(name).__name__}")
    hook = _WeightNormHook(name, dim)
    hook.check(module)
    weight: Any = getattr(module, name)
    g, v = hook.norm.right_inverse(weight.detach())
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(g))
    module.register_parameter(name + "_v", Parameter(v))
    module.__dict__[name] = hook.weight(module, False)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again. ValueError where `weight_norm` did not change it.

    >>> layer = nn.utils.remove_weight_norm(nn.utils.weight_norm(nn.Linear(2, 3)))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight']
    """
    _removed(module, _WeightNormHook, name, ("_g", "_v"))
    return module


class _SpectralNormHook(_Hook):
    kind = "spectral_norm"

    def __init__(self, name: str, count: int, eps: float, dim: int) -> None:
        super().__init__(name)
        self.count, self.eps, self.dim = count, eps, dim

    def weight(self, module: Module, training: bool) -> Tensor:
        weight, u, v = self.parts(module, "orig", "u", "v")
        matrix = _matrix(weight, self.dim)
        if training:
            with no_grad():
                for _ in range(self.count):
                    v.copy_(_unit(mv(matrix.t(), u), self.eps))
                    u.copy_(_unit(mv(matrix, v), self.eps))
        sigma = dot(u.clone(), mv(matrix, v.clone()))
        made: Tensor = weight / sigma
        return made


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Let a weight be `weight_orig` by its largest singular value, computed before each call.

    Each call in training refines that value, with the buffers `weight_u` and `weight_v`. See
    `parametrizations.spectral_norm`, which computes the weight when it is read.

    >>> list(nn.utils.spectral_norm(nn.Linear(2, 3)).state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if n_power_iterations <= 0:
        raise ValueError(
            "Expected n_power_iterations to be positive, but got "
            f"n_power_iterations={n_power_iterations}"
        )
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    hook = _SpectralNormHook(name, n_power_iterations, eps, dim)
    hook.check(module)
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    with no_grad():
        matrix = _matrix(weight, dim)
        u, v = (_unit(matrix.new_empty((n,)).normal_(0, 1), eps) for n in matrix.shape)
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    module.__dict__[name] = weight.detach()
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again. ValueError where `spectral_norm` did not change it.

    >>> layer = nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(2, 3)))
    >>> list(layer.state_dict())
    ['bias', 'weight']
    """
    _removed(module, _SpectralNormHook, name, ("_u", "_v", "_orig"))
    return module
