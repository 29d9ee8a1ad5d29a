"""`autodiff.autograd.forward_ad`: tensors with a tangent, and the tangents of what is made of them.

A vjp is linear in its cotangent, so its derivative with respect to that is the jvp: a tangent is
found by two backward passes, from the graph that was recorded. So what is made of a dual tensor
requires grad, and what is computed where grad mode is off has no tangent.
"""

from __future__ import annotations

from typing import Any

from autodiff import graph
from autodiff.grad_mode import enable_grad
from autodiff.named import NamedTuple
from autodiff.node import mode
from autodiff.ops.create import zeros_like
from autodiff.ops.views import alias
from autodiff.tensor import Tensor, live_node
from autodiff.walk import leading_to, reaches

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
    "unpack_dual",
]  # fmt: skip


class UnpackedDualTensor(NamedTuple):
    """A tensor without its tangent, and the tangent: None where there is none.

    >>> ad.autograd.forward_ad.unpack_dual(ad.ones(1)).tangent is None
    True
    """

    primal: Tensor
    tangent: Tensor | None


class _Level:
    """The dual tensors made since the level was entered."""

    def __init__(self) -> None:
        self.primals: list[Tensor] = []
        self.tangents: list[Tensor] = []


_levels: list[_Level] = []


def enter_dual_level() -> int:
    """Begin a level, in which tensors can be made dual: its number. There is one at a time.

    >>> level = ad.autograd.forward_ad.enter_dual_level()
    >>> ad.autograd.forward_ad.exit_dual_level(level=level)
    """
    if _levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _levels.append(_Level())
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level: nothing has a tangent any more.

    >>> level = ad.autograd.forward_ad.enter_dual_level()
    >>> ad.autograd.forward_ad.exit_dual_level()
    """
    if not _levels or level not in (None, 0):
        raise RuntimeError(
            f"exit_dual_level(): level {level} is not that which was entered last"
            if _levels
            else "exit_dual_level(): no level was entered"
        )
    _levels.pop()


class dual_level:  # noqa: N801 - PyTorch's name
    """A block in which tensors have tangents.

    >>> fw = ad.autograd.forward_ad
    >>> with fw.dual_level():
    ...     x = fw.make_dual(ad.tensor(3.0), ad.tensor(1.0))
    ...     fw.unpack_dual(x * x).tangent
    tensor(6.)
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *failure: object) -> None:
        exit_dual_level()


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Tensor:
    """The tensor with a tangent of its shape, over the same memory.

    RuntimeError outside a level, where the tensor has a tangent already, and where grad mode is
    off; ValueError of what is not floating point.

    >>> fw = ad.autograd.forward_ad
    >>> with fw.dual_level():
    ...     x = fw.make_dual(ad.ones(2), ad.tensor([1.0, 0.0]))
    ...     fw.unpack_dual(x.exp()).tangent
    tensor([2.7183, 0.0000])
    """
    if not _levels or level not in (None, 0):
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for name, x in (("primal", tensor), ("tangent", tangent)):
        if not isinstance(x, Tensor):
            raise TypeError(f"make_dual(): the {name} must be a Tensor, not {type(x).__name__}")
        if not x.is_floating_point():
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {x.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {list(tensor.shape)} while the "
            f"given forward gradient is of size {list(tangent.shape)}."
        )
    if not mode.grad:
        raise RuntimeError(
            "make_dual(): tangents are found from the graph that grad mode records, and it is off: "
            "leave no_grad() out"
        )
    here = _levels[-1]
    if _reached(tensor, here):
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
            "same level 0 is not supported."
        )
    dual: Tensor = alias(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
    here.primals.append(dual)
    here.tangents.append(tangent.to(tensor.dtype))
    return dual


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """The tensor without its tangent, and the tangent; both can be differentiated, where that which
    they were made of can be.

    >>> fw = ad.autograd.forward_ad
    >>> with fw.dual_level():
    ...     x = fw.make_dual(ad.ones(2), ad.tensor([1.0, 3.0]))
    ...     fw.unpack_dual(x.sum())
    UnpackedDualTensor(primal=tensor(2.), tangent=tensor(4.))
    """
    if not isinstance(tensor, Tensor):
        kind = type(tensor).__name__
        raise TypeError(f"unpack_dual(): argument 'tensor' must be Tensor, not {kind}")
    if not _levels:
        return UnpackedDualTensor(tensor, None)
    if level not in (None, 0):
        raise RuntimeError(f"unpack_dual(): level {level} was not entered")
    here = _levels[-1]
    if not _reached(tensor, here):
        return UnpackedDualTensor(tensor, None)
    own = {live_node(x) for x in here.primals}
    outside = mode.grad and reaches([tensor, *here.tangents], own)
    with enable_grad():
        cotangent = zeros_like(tensor.detach()).requires_grad_()
        pulled = graph.grad((tensor,), here.primals, (cotangent,), True, True, allow_unused=True)
    pairs = [
        (p, t)
        for p, t in zip(pulled, here.tangents, strict=True)
        if p is not None and live_node(p) is not None
    ]
    tangent: Any = None
    if pairs:
        ps, ts = zip(*pairs, strict=True)
        (tangent,) = graph.grad(ps, (cotangent,), ts, True, outside, allow_unused=True)
    primal = tensor if outside else tensor.detach()
    return UnpackedDualTensor(primal, zeros_like(primal.detach()) if tangent is None else tangent)


def _reached(tensor: Tensor, level: _Level) -> bool:
    """Whether a tensor was made of a dual one."""
    node, own = live_node(tensor), {live_node(x) for x in level.primals}
    return node is not None and (node in own or bool(leading_to(own, [node])))
