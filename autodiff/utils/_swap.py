"""Two tensors, each of which becomes the other."""

from __future__ import annotations

from typing import Any, NoReturn

from autodiff.changes import changed_of
from autodiff.hooks import add_hook, hooks_of
from autodiff.node import AccumulateGrad
from autodiff.tensor import Tensor, live_node

__all__ = ["swap_tensors"]


def _poisoned(gradient: Any) -> NoReturn:
    raise RuntimeError(
        "Trying to execute AccumulateGrad node that was poisoned by swap_tensors: a leaf of this "
        "graph was swapped after forward. Swap before forward, or after backward."
    )


def _check(t: Any, name: str) -> None:
    if not isinstance(t, Tensor):
        raise TypeError(f"swap_tensors(): {name} must be Tensor, not {type(t).__name__}")
    live_node(t)


def swap_tensors(t1: Tensor, t2: Tensor) -> None:
    """Let two tensors change places: class, attributes, memory, history and gradient.

    RuntimeError where only one has room for attributes, as a plain Tensor has none. A graph that
    leads to a leaf which was swapped cannot be run back.

    >>> a, b = nn.Parameter(ad.zeros(2)), nn.Parameter(ad.ones(3))
    >>> utils.swap_tensors(a, b)
    >>> a.shape, b.shape
    (torch.Size([3]), torch.Size([2]))
    """
    _check(t1, "t1")
    _check(t2, "t2")
    if t1 is t2:
        return
    if hasattr(t1, "__dict__") != hasattr(t2, "__dict__"):
        kinds = f"{type(t1).__name__} and a {type(t2).__name__}"
        raise RuntimeError(
            f"Cannot swap t1 and t2 if they have different slots: a {kinds}, of which one has no "
            "room for attributes. Make it of the other's class first."
        )
    if type(t1) is not type(t2):
        t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    if hasattr(t1, "__dict__"):
        t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__
    for slot in ("_p", "_node", "_acc", "_base", "_base_node"):
        mine, other = getattr(t1, slot), getattr(t2, slot)
        setattr(t1, slot, other)
        setattr(t2, slot, mine)
    for t in (t1, t2):
        if (old := t._acc) is not None:
            t._acc = AccumulateGrad(t)
            t._acc.grad = old.gradient()
            if t._node is old:
                t._node = t._acc
            add_hook(hooks_of(old).tensor, _poisoned)
        changed_of(t)
