"""In-place writes: what may be written to, and what becomes of the graph behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autodiff.node import Node
from autodiff.tensor import Tensor, live_node

__all__ = ["check_writable", "late", "rebase"]


def check_writable(x: Tensor, op: str) -> None:
    """RuntimeError where x is a leaf that requires grad, or a view of one."""
    if x._node is None and x._base is None:
        return
    root = x if x._base is None else x._base
    if live_node(root) is not None and root.is_leaf:
        what = "leaf Variable" if root is x else "view of a leaf Variable"
        raise RuntimeError(
            f"a {what} that requires grad is being used in an in-place operation: {op}. Write "
            "inside no_grad(), or to a clone() of it."
        )


class WriteSlice(Node):
    """A base after a write through a view: the region's cotangent goes to what was written."""

    __slots__ = ("geometry",)
    geometry: tuple[Sequence[int], ...]

    def name(self) -> str:
        return "CopySlices"

    def vjp(self, g: Tensor) -> Sequence[Tensor | None]:
        return late.split_region(g, *self.geometry)


class _Late:
    """What the view family provides, so that imports point one way."""

    split_region: Callable[..., tuple[Tensor, Tensor]]
    view_node: Callable[[Tensor, Tensor], Node]


late = _Late()


def rebase(x: Tensor, node: Node) -> None:
    """Make `node` the history of x, which was just written to; and of the base of a view."""
    base = x._base
    if base is None:
        x._node = node
        return
    written = WriteSlice()
    written.saved, written.versions = (), 0
    written.edges = (base._node, node)
    written.geometry = geometry(x, base)
    base._node = written
    x._base_node = written
    x._node = late.view_node(x, base)


def geometry(x: Tensor, base: Tensor) -> tuple[Sequence[int], ...]:
    """Where a view lies in its base: base shape and strides, view shape and strides, offset."""
    offset = x.storage_offset() - base.storage_offset()
    return (base.shape, base.stride(), x.shape, x.stride(), (offset,))
