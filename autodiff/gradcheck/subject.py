"""What is checked: a function or a module, in float64, evaluated the same way each time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from autodiff import dtypes
from autodiff.grad_mode import enable_grad
from autodiff.graph import grad
from autodiff.named import NamedTuple
from autodiff.ops.clones import clone
from autodiff.ops.create import empty
from autodiff.ops.generator import Generator, default_generator
from autodiff.ops.random import randn
from autodiff.tensor import Tensor


class Leaf(NamedTuple):
    """A tensor that gradients are taken by, and its namesake whose elements are varied.

    They are two where elements of the first share memory, as after expand.
    """

    name: str  # as "input 0" or "parameter '0.weight'"
    tensor: Tensor
    varied: Tensor


class Subject(Protocol):
    """A function of its leaves' present values."""

    leaves: list[Leaf]

    def __call__(self, varied: bool = False) -> tuple[Tensor, ...]:
        """The outputs, of the leaves' tensors or of those that are varied."""


class Whole:
    """A function or module with its inputs, floating-point numbers promoted to float64.

    A module is copied, so that the user's keeps its parameters, gradients and buffers. The default
    generator and the buffers start from the same state at each call, so that dropout draws the
    same mask, and batch statistics do not drift.
    """

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.given = args
        self.args = [_promoted(x) for x in args]
        self.varied = [_separate(x) for x in self.args]
        self.leaves = [
            Leaf(f"input {i}", x, y)
            for i, (x, y) in enumerate(zip(self.args, self.varied, strict=True))
            if isinstance(x, Tensor) and x.requires_grad
        ]
        self.func = func
        self.buffers: list[tuple[Any, str, Tensor]] = []
        if hasattr(func, "named_parameters"):  # a module, of a layer above this one
            self.take_module(func)
        if not self.leaves:
            raise ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them "
                "have requires_grad=True."
            )
        self.random = default_generator.get_state()
        self.check_closure()

    def take_module(self, module: Any) -> None:
        """Check a copy of a module, with its parameters among the leaves."""
        self.func = copied = copy.deepcopy(module).double()
        self.leaves += [
            Leaf(f"parameter '{name}'", p, p)
            for name, p in copied.named_parameters()
            if p.requires_grad
        ]
        for name, buffer in copied.named_buffers():
            path, _, own = name.rpartition(".")
            self.buffers.append((copied.get_submodule(path), own, buffer.clone()))

    def __call__(self, varied: bool = False) -> tuple[Tensor, ...]:
        default_generator.set_state(self.random)
        for owner, name, value in self.buffers:
            setattr(owner, name, value.clone())
        try:
            with enable_grad():
                result = self.func(*(self.varied if varied else self.args))
        except (RuntimeError, TypeError) as error:
            raise self.in_float64(error) from error
        finally:
            default_generator.set_state(self.random)
        ys = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        for k, y in enumerate(ys):
            if not isinstance(y, Tensor):
                raise TypeError(
                    "gradcheck expects a function from tensors to tensors, but output "
                    f"{k} is a {type(y).__name__}"
                )
        return ys

    def promoted(self) -> list[int]:
        """The positions of the inputs that were converted."""
        both = enumerate(zip(self.given, self.args, strict=True))
        return [i for i, (x, y) in both if x is not y]

    def in_float64(self, error: Exception) -> Exception:
        """An error of the function; where inputs were promoted, with what may have caused it."""
        positions = self.promoted()
        if not positions:
            return error
        which = ", ".join(map(str, positions))
        return RuntimeError(
            f"gradcheck ran the function in float64 (inputs converted: {which}), where it failed: "
            f"{error}\nConvert the tensors it uses from outside, as w.double(), or pass a module "
            "itself, which is converted whole"
        )

    def check_closure(self) -> None:
        """ValueError where outputs depend on an input that was replaced by its promoted copy."""
        outside = {i: self.given[i] for i in self.promoted() if self.given[i].requires_grad}
        roots = [y for y in self() if y.requires_grad] if outside else []
        if not roots:
            return
        given, values = list(outside.values()), [y.detach() for y in roots]  # any values would do
        for i, g in zip(outside, grad(roots, given, values, allow_unused=True), strict=True):
            if g is not None:
                raise ValueError(
                    f"the function uses input {i} from outside, not as its argument: gradcheck "
                    "varies a float64 copy of it. Use the argument, or pass a float64 tensor"
                )


class Gradients:
    """The gradients of a subject, as a function of its leaves and of its outputs' cotangents."""

    def __init__(self, first: Whole, grad_outputs: Any, non_contiguous: bool) -> None:
        self.first = first
        self.cotangents = _cotangents(first(), grad_outputs, non_contiguous)
        self.leaves = first.leaves + [
            Leaf(f"the cotangent of output {k}", g, _separate(g))
            for k, g in enumerate(self.cotangents)
            if g.requires_grad
        ]

    def __call__(self, varied: bool = False) -> tuple[Tensor, ...]:
        ys = [y for y in self.first(varied) if y.requires_grad]
        wanted = [leaf.varied if varied else leaf.tensor for leaf in self.first.leaves]
        own = iter(self.leaves[len(self.first.leaves) :])
        cotangents = [
            next(own).varied if varied and g.requires_grad else g for g in self.cotangents
        ]
        found = grad(ys, wanted, cotangents, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)


def _cotangents(ys: Sequence[Tensor], given: Any, non_contiguous: bool) -> list[Tensor]:
    if given is not None:
        each = given if isinstance(given, (tuple, list)) else (given,)
        return [_promoted(g) for g in each]
    rng = Generator().manual_seed(0)  # not the default one: a check moves nobody's random numbers
    drawn = [randn(y.shape, generator=rng, dtype=y.dtype) for y in ys if y.requires_grad]
    if non_contiguous:
        drawn = [_spread(g) for g in drawn]
    return [g.requires_grad_() for g in drawn]


def _spread(g: Tensor) -> Tensor:
    """A copy whose elements lie two apart."""
    room: Tensor = empty((*g.shape, 2), dtype=g.dtype).select(-1, 0)
    return room.copy_(g).detach()


def _promoted(x: Any) -> Any:
    """A floating-point tensor in float64, a leaf if it had to be converted; anything else as is."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dtype is dtypes.float64:
        return x
    return x.detach().to(dtypes.float64).requires_grad_(x.requires_grad)


def _shares_elements(x: Tensor) -> bool:
    """Whether two elements may be one in memory, as after expand."""
    reach = 0
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size > 1:
            if stride <= reach:
                return True
            reach += stride * (size - 1)
    return False


def _separate(x: Any) -> Any:
    """The input itself, or a copy where its elements cannot be changed one by one."""
    if not isinstance(x, Tensor) or not x.requires_grad or not _shares_elements(x):
        return x
    return clone(x.detach().reshape(-1)).reshape(x.shape).requires_grad_()
