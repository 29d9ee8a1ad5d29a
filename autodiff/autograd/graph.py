"""`autodiff.autograd.graph`: nodes, what they save, and hooks on several gradients at once."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from autodiff.anomaly import watchers, watching
from autodiff.changes import changed
from autodiff.grad_mode import no_grad
from autodiff.hooks import RemovableHandle
from autodiff.native import error, lib, operand_text
from autodiff.node import GradientEdge as GradientEdge
from autodiff.node import Node as Node
from autodiff.node import recomputed, shown, version_sum
from autodiff.tensor import Tensor, live_node, wrap
from autodiff.walk import walking

__all__ = [
    "GradientEdge", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "increment_version",
    "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class saved_tensors_hooks:  # noqa: N801 - PyTorch's name
    """While it lasts, what operations save for backward is what `pack_hook(tensor)` returns, of
    which `unpack_hook` makes the tensor that backward uses, of the same shape and dtype.

    Both run without being recorded; a pack hook must not write to its tensor. They see the operands
    and results that are saved, not what an operation makes for its backward alone.

    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> with ad.autograd.graph.saved_tensors_hooks(lambda x: x.tolist(), ad.tensor):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(
        self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]
    ) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook
        self._within: list[Any] = []

    def __enter__(self) -> None:
        if watchers.refusal is not None:
            raise RuntimeError(watchers.refusal)
        within = watching(self._pack)
        within.__enter__()
        self._within.append(within)
        watchers.packing.append(self)
        changed()

    def __exit__(self, *exc: Any) -> None:
        watchers.packing.pop()
        self._within.pop().__exit__(*exc)
        changed()

    def _pack(self, node: Any) -> None:
        if isinstance(node, Node):  # and no checkpoint, which keeps nothing
            parts = [self.packed(p) for p in node.saved or ()]
            node.saved = None
            recomputed[node] = functools.partial(_restore, weakref.ref(node), parts)

    def packed(self, p: Any) -> Callable[[], Any]:
        """What is kept of a descriptor: a function that makes it again."""
        x, version = wrap(p), lib.ad_version(p)
        with no_grad():
            kept = self.pack_hook(x)
        if lib.ad_version(p) != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as "
                "input to pack hook can not be modified by in-place operations as this can lead "
                "to unexpected side-effects."
            )
        return functools.partial(self._unpacked, kept, x.shape, x.dtype)

    def _unpacked(self, kept: Any, shape: Any, dtype: Any) -> Any:
        with no_grad():
            x = self.unpack_hook(kept)
        if not isinstance(x, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(x).__name__}"
            )
        if x.shape != shape or x.dtype is not dtype:
            raise RuntimeError(
                f"saved tensor unpack_hook returned {operand_text(x._p)} for a tensor of {dtype!r} "
                f"of shape {list(shape)}"
            )
        return x._p


def _restore(node: weakref.ref[Node], parts: list[Callable[[], Any]]) -> None:
    """Give a node back what it saved."""
    found = node()
    assert found is not None
    found.saved = tuple(part() for part in parts)
    found.versions = version_sum(found.saved)
    del recomputed[found]


class save_on_cpu(saved_tensors_hooks):  # noqa: N801 - PyTorch's name
    """While it lasts, what is saved for backward is kept in the CPU's memory, as it always is here.

    >>> x = ad.ones(2, requires_grad=True)
    >>> with ad.autograd.graph.save_on_cpu():
    ...     y = x.exp()
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(Tensor.cpu, Tensor.cpu)


class allow_mutation_on_saved_tensors(saved_tensors_hooks):  # noqa: N801 - PyTorch's name
    """While it lasts, copies are saved for backward, so that tensors may be written to afterwards.

    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> with ad.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.clone()
    ...     z = (y * y).sum()
    ...     _ = y.zero_()
    >>> z.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self) -> None:
        super().__init__(Tensor.clone, lambda x: x)


@contextmanager
def disable_saved_tensors_hooks(error_message: Any) -> Iterator[None]:
    """While it lasts, `saved_tensors_hooks` raise RuntimeError with this message.

    >>> with ad.autograd.graph.disable_saved_tensors_hooks("not here"):
    ...     y = ad.ones(2, requires_grad=True).exp()
    """
    if not isinstance(error_message, str):
        kind = type(error_message).__name__
        raise TypeError(f"disable_saved_tensors_hooks(): the message must be str, not {kind}")
    before, watchers.refusal = watchers.refusal, error_message
    try:
        yield
    finally:
        watchers.refusal = before


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """What `autograd.grad` and `backward` take in place of the tensor, which need not be kept.

    >>> x = ad.ones(2, requires_grad=True)
    >>> y = 2 * x
    >>> edge = ad.autograd.graph.get_gradient_edge(y)
    >>> ad.autograd.grad((y * y).sum(), edge)
    (tensor([4., 4.]),)
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"get_gradient_edge(): expected a Tensor, not {type(tensor).__name__}")
    node = live_node(tensor)
    if node is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    shown[node] = tensor.shape, tensor.dtype
    return GradientEdge(node, node.output_nr)


class _Handles:
    """The handles of several hooks as one."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = handles

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[[Any], Any], *, mode: str = "all"
) -> _Handles:
    """Call `fn(gradients)` in each backward when those of all tensors that it reaches are
    known, None for the others; in mode "any", `fn(gradient)` with the first that is.

    >>> a, b = ad.ones(2, requires_grad=True), ad.ones(2, requires_grad=True)
    >>> handle = ad.autograd.graph.register_multi_grad_hook([a, b], print)
    >>> (2 * a + b).sum().backward()
    [tensor([2., 2.]), tensor([1., 1.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got '{mode}'")
    given = tuple(tensors)
    for x in given:
        if not isinstance(x, Tensor):
            kind = type(x).__name__
            raise TypeError(f"register_multi_grad_hook(): expected Tensors, but got {kind}")
    nodes = [live_node(x) for x in given]
    if None in nodes:
        raise RuntimeError(
            "register_multi_grad_hook(): expected Tensors that require gradients, but "
            f"{nodes.index(None)} is none"
        )
    arrived: weakref.WeakKeyDictionary[Any, list[Tensor | None]] = weakref.WeakKeyDictionary()

    def hook(i: int, g: Tensor) -> None:
        walk = walking.walk
        found = arrived.setdefault(walk, [None] * len(nodes))
        first = all(one is None for one in found)
        found[i] = g
        if mode == "any":
            if first:
                fn(g)
        elif all((one is not None) or not walk.reaches(n) for one, n in zip(found, nodes)):  # noqa: B905
            fn(found)

    return _Handles([x.register_hook(functools.partial(hook, i)) for i, x in enumerate(given)])


def increment_version(tensor: Any) -> None:
    """Count a write to a tensor, or to several, which something else made.

    >>> x = ad.zeros(2)
    >>> ad.autograd.graph.increment_version(x)
    >>> x._version
    1
    """
    given = (tensor,) if isinstance(tensor, (Tensor, bytes)) else tuple(tensor)
    for x in given:
        if not isinstance(x, Tensor):
            kinds = ", ".join(type(each).__name__ for each in given)
            raise TypeError(f"increment_version expects Tensors, not {kinds}")
        if x.is_inference():
            raise RuntimeError("increment_version: Inference tensors do not track version counter.")
        if lib.ad_copy(x._p, x._p):
            raise error("increment_version", x._p)
