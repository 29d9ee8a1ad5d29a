"""Pruning: parameters of modules of which a mask keeps a part, before each call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from autodiff.functions import kthvalue, norm, ones_like, rand, rand_like, topk, zeros_like
from autodiff.grad_mode import no_grad
from autodiff.nn.module import Module
from autodiff.nn.utils.convert_parameters import parameters_to_vector
from autodiff.tensor import Tensor

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured",
    "PruningContainer", "RandomStructured", "RandomUnstructured", "custom_from_mask",
    "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


def _methods(module: Module, name: str | None = None) -> dict[int, BasePruningMethod]:
    """What prunes a tensor of a module, or any, by the id of its hook."""
    hooks = module._forward_pre_hooks.items()
    methods = {key: hook for key, hook in hooks if isinstance(hook, BasePruningMethod)}
    return {k: hook for k, hook in methods.items() if name in (None, hook._tensor_name)}


class BasePruningMethod(ABC):
    """The base of methods: a subclass sets PRUNING_TYPE ("unstructured", "structured" or "global")
    and defines `compute_mask(t, default_mask)`.

    `apply` makes `name_orig` the parameter and `name_mask` a buffer, whose product takes the
    parameter's place before each call of the module.

    >>> class Positive(nn.utils.prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...     def compute_mask(self, t, default_mask):
    ...         return default_mask * (t > 0)
    >>> layer = nn.Linear(2, 2)
    >>> _ = Positive.apply(layer, "weight")
    >>> bool((layer.weight >= 0).all())
    True
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask of a tensor, given the one so far."""

    def apply_mask(self, module: Module) -> Any:
        """The product of a module's parameter and its mask."""
        orig = getattr(module, self._tensor_name + "_orig")
        return getattr(module, self._tensor_name + "_mask").to(orig.dtype) * orig

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Any = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune a parameter, or prune it further; `importance_scores` stand for its values."""
        before = _methods(module, name)
        method = cls(*args, **kwargs)
        method._tensor_name = name
        for old in before.values():
            container = old if isinstance(old, PruningContainer) else PruningContainer(old)
            container.add_pruning_method(method)
            method = container
        orig: Any = getattr(module, name)
        scores = _scores(orig, importance_scores, f"parameter {name} of {module}")
        mask = getattr(module, name + "_mask").clone() if before else ones_like(orig)
        mask = method.compute_mask(scores.detach(), mask.detach())
        for key in before:
            del module._forward_pre_hooks[key]
        if not before:
            delattr(module, name)
            module.register_parameter(name + "_orig", orig)
        module.register_buffer(name + "_mask", mask)
        method(module, ())
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Any, default_mask: Any = None, importance_scores: Any = None) -> Any:
        """A tensor times its mask."""
        mask = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(_scores(t, importance_scores, "tensor t"), mask)

    def remove(self, module: Module) -> None:
        """Make the product the parameter."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        orig: Any = module._parameters[name + "_orig"]
        orig.data = weight.data
        for gone in (name, name + "_orig", name + "_mask"):
            delattr(module, gone)
        module.register_parameter(name, orig)


def _scores(of: Any, given: Any, what: str) -> Any:
    if given is not None and given.shape != of.shape:
        raise AssertionError(
            f"importance_scores should have the same shape as {what}, got {given.shape} vs "
            f"{of.shape}"
        )
    return of if given is None else given


class PruningContainer(BasePruningMethod):
    """Methods of one tensor, each applied to what those before it left.

    >>> layer = nn.Linear(2, 2)
    >>> _ = nn.utils.prune.l1_unstructured(layer, "weight", 1)
    >>> type(nn.utils.prune.L1Unstructured.apply(layer, "weight", 1)).__name__
    'PruningContainer'
    """

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Add a method of the same tensor."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found "
                f"'{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: int) -> BasePruningMethod:
        return self._pruning_methods[idx]

    @no_grad()
    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        method, mask = self._pruning_methods[-1], default_mask.to(t.dtype).clone()
        if method.PRUNING_TYPE == "unstructured":
            left: Any = default_mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = _dim(t, getattr(method, "dim", None))
            kept = (mask != 0).transpose(0, dim).flatten(1).any(1)
            left = tuple(kept if d == dim else slice(None) for d in range(t.dim()))
        elif method.PRUNING_TYPE == "global":
            left = ...
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask[left] = method.compute_mask(t[left], default_mask[left]).to(mask.dtype)
        return mask


def _dim(t: Any, dim: Any) -> int:
    if dim is None:
        raise AttributeError(
            'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
        )
    if not -t.dim() <= dim < t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")
    return int(dim % t.dim())


class Identity(BasePruningMethod):
    """Keeps everything.

    >>> nn.utils.prune.Identity().prune(ad.ones(2))
    tensor([1., 1.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        return default_mask


class _ByAmount(BasePruningMethod):
    """Prunes a number of elements or of channels, or a fraction of them."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        if not isinstance(amount, (int, float)):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        if amount < 0 or (isinstance(amount, float) and not amount <= 1):
            raise ValueError(
                f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
                "integer"
            )
        self.amount = amount

    def _count(self, size: int) -> int:
        """How many of `size` to prune."""
        count = self.amount if isinstance(self.amount, int) else round(self.amount * size)
        if count > size:
            raise ValueError(
                f"amount={count} should be smaller than the number of parameters to prune={size}"
            )
        return count

    def _order(self, t: Any) -> Any:
        """The elements by what grows with how soon they are pruned."""
        raise NotImplementedError

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        mask = default_mask.clone()
        count = self._count(t.numel())
        if count:
            mask.view(-1)[topk(self._order(t).reshape(-1), count).indices] = 0
        return mask


class RandomUnstructured(_ByAmount):
    """Prunes elements at random: a number `amount`, or a fraction of all where it is a float.

    >>> nn.utils.prune.RandomUnstructured(0.25).prune(ad.ones(4)).sum()
    tensor(3.)
    """

    def _order(self, t: Any) -> Any:
        return rand_like(t)


class L1Unstructured(_ByAmount):
    """Prunes the elements that are nearest to 0.

    >>> nn.utils.prune.L1Unstructured(1).prune(ad.tensor([2.0, -1.0]))
    tensor([2., -0.])
    """

    def _order(self, t: Any) -> Any:
        return -t.abs()


class _Channels(_ByAmount):
    """Prunes slices along a dimension."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def _kept(self, t: Any, dim: int, count: int) -> Any:
        """Which slices are left when `count` are pruned: indices, or bools."""
        raise NotImplementedError

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        if t.dim() <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. Found tensor "
                f"of shape {t.shape} with {t.dim()} dims"
            )
        dim = _dim(t, self.dim)
        count = self._count(t.shape[dim])
        if not count:
            return default_mask
        mask = zeros_like(t)
        mask.transpose(0, dim)[self._kept(t, dim, count)] = 1
        return mask * default_mask.to(mask.dtype)


class RandomStructured(_Channels):
    """Prunes slices at random.

    >>> nn.utils.prune.RandomStructured(1, dim=0).prune(ad.ones(3, 2)).sum()
    tensor(4.)
    """

    def _kept(self, t: Any, dim: int, count: int) -> Any:
        prob = rand(t.shape[dim])
        return prob > kthvalue(prob, count).values


class LnStructured(_Channels):
    """Prunes the slices whose norm of order n is the least.

    >>> nn.utils.prune.LnStructured(1, n=2, dim=0).prune(ad.tensor([[3.0, 4.0], [1.0, 5.0]]))
    tensor([[0., 0.],
            [1., 5.]])
    """

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def _kept(self, t: Any, dim: int, count: int) -> Any:
        others = [d for d in range(t.dim()) if d != dim]
        return topk(norm(t, self.n, others), t.shape[dim] - count).indices


class CustomFromMask(BasePruningMethod):
    """Prunes where a mask is 0.

    >>> nn.utils.prune.CustomFromMask(ad.tensor([1, 0])).prune(ad.ones(2))
    tensor([1., 0.])
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"default_mask shape {default_mask.shape} must match self.mask shape "
                f"{self.mask.shape}"
            )
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Have a parameter computed as if it were pruned, and keep all of it.

    >>> sorted(nn.utils.prune.identity(nn.Linear(1, 1), "bias").state_dict())
    ['bias_mask', 'bias_orig', 'weight']
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune `amount` elements of a parameter at random; a float is a fraction of them.

    >>> nn.utils.prune.random_unstructured(nn.Linear(4, 1), "weight", 0.5).weight_mask.sum()
    tensor(2.)
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Module, name: str, amount: float, importance_scores: Any = None
) -> Module:
    """Prune the elements of a parameter, or of the scores given for it, that are nearest to 0.

    >>> layer = nn.Linear(3, 1, bias=False)
    >>> _ = nn.init.constant_(layer.weight, 1.0)
    >>> nn.utils.prune.l1_unstructured(layer, "weight", 1, ad.tensor([[2.0, 1.0, 3.0]])).weight
    tensor([[1., 0., 1.]], grad_fn=<MulBackward0>)
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune `amount` slices of a parameter along a dimension at random.

    >>> nn.utils.prune.random_structured(nn.Linear(2, 4), "weight", 3, 0).weight_mask.sum()
    tensor(2.)
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Any = None
) -> Module:
    """Prune the slices of a parameter along a dimension whose norm of order n is the least.

    >>> nn.utils.prune.ln_structured(nn.Linear(2, 4), "weight", 0.5, 2, 0).weight_mask.sum()
    tensor(4.)
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Any) -> Module:
    """Prune a parameter where a mask is 0.

    >>> nn.utils.prune.custom_from_mask(nn.Linear(1, 1), "bias", ad.zeros(1)).bias
    tensor([0.], grad_fn=<MulBackward0>)
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: Any,
    importance_scores: Any = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters, (module, name) each, as if they were one.

    >>> layer = nn.Linear(3, 1)
    >>> prune = nn.utils.prune
    >>> both = [(layer, "weight"), (layer, "bias")]
    >>> prune.global_unstructured(both, prune.L1Unstructured, amount=2)
    >>> layer.weight_mask.sum() + layer.bias_mask.sum()
    tensor(2.)
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    named = [(module, name, getattr(module, name)) for module, name in parameters]
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    method._tensor_name = "temp"
    values: list[Tensor] = [scores.get((module, name), x) for module, name, x in named]
    masks = [getattr(module, name + "_mask", ones_like(x)) for module, name, x in named]
    with no_grad():
        whole = PruningContainer(method).compute_mask(
            parameters_to_vector(values), parameters_to_vector(masks)
        )
    parts = whole.split([x.numel() for _, _, x in named])
    for (module, name, x), mask in zip(named, parts, strict=True):
        custom_from_mask(module, name, mask.view(x.shape))


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter a plain one, with zeros where it was pruned.

    >>> prune = nn.utils.prune
    >>> layer = prune.identity(nn.Linear(1, 1), "weight")
    >>> list(prune.remove(layer, "weight").state_dict())
    ['bias', 'weight']
    """
    for key, method in _methods(module, name).items():
        method.remove(module)
        del module._forward_pre_hooks[key]
        return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Module) -> bool:
    """Whether a module, or one below it, has a pruned parameter.

    >>> nn.utils.prune.is_pruned(nn.Linear(1, 1))
    False
    """
    return any(_methods(each) for each in module.modules())
