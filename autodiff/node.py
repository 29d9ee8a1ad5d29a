"""The nodes of the graph: what an operation leaves behind for backward."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autodiff.native import lib

if TYPE_CHECKING:
    from autodiff.tensor import Tensor

__all__ = ["AccumulateGrad", "Node", "mode"]


class _Mode(threading.local):
    """Whether operations are recorded, a thread at a time."""

    grad = True


mode = _Mode()


class Node:
    """One recorded operation: where its cotangents go, and how to compute them.

    `edges` holds a node or None for each tensor input. `saved` holds descriptors that `vjp` needs,
    and `versions` the sum of their versions when they were saved. A node never owns its own output
    (a saved output is the descriptor alone), so the graph has no reference cycles.
    """

    __slots__ = ("__weakref__", "edges", "saved", "versions")
    edges: Sequence[Node | None]
    saved: tuple[Any, ...] | None
    versions: int

    def name(self) -> str:
        """PyTorch's name of the node, such as AddBackward0."""
        return type(self).__name__

    def vjp(self, g: Tensor) -> Sequence[Tensor | None]:
        """The cotangents of the inputs, one for each edge, from that of the output."""
        raise NotImplementedError

    def unpack(self) -> tuple[Any, ...]:
        """The saved descriptors; RuntimeError where they are freed or were written to."""
        saved = self.saved
        if saved is None:
            raise RuntimeError(
                f"{self.name()}: Trying to backward through the graph a second time (or directly "
                "access saved tensors after they have already been freed). Saved intermediate "
                "values of the graph are freed when you call .backward() or autograd.grad(). "
                "Specify retain_graph=True if you need to backward through the graph a second "
                "time or if you need to access saved tensors after calling backward."
            )
        if saved and version_sum(saved) != self.versions:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                f"inplace operation: a tensor saved by {self.name()} was written to "
                f"{version_sum(saved) - self.versions} time(s) since. Compute its gradient before "
                "the write, or write to a clone()."
            )
        return saved

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes the inputs came from, with the index of their output."""
        return tuple((edge, 0) for edge in self.edges)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {hex(id(self))}>"


class AccumulateGrad(Node):
    """The end of the graph at a leaf: holds its `.grad`."""

    __slots__ = ("grad",)
    grad: Tensor | None

    def __init__(self) -> None:
        self.edges = ()
        self.saved = ()
        self.versions = 0
        self.grad = None


def version_sum(ps: Sequence[Any]) -> int:
    """The versions of descriptors, added up: they only grow, so equal sums mean no writes."""
    if len(ps) == 1:
        return _version(ps[0])
    if len(ps) == 2:
        return _version2(ps[0], ps[1])
    return sum(map(_version, ps))


_version: Callable[[Any], int] = lib.ad_version
_version2: Callable[[Any, Any], int] = lib.ad_version2
