"""What backward and grad do in the model: which nodes run, who refuses, where gradients add up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sequences.model import Family, Node, RefusedError, Storage, Tensor, UnmodelledError, rounded
from sequences.scalars import Scalar, cotangents, value_of

TOO_LARGE = 1e7


def reached(root: Node) -> list[Node]:
    """The node and all behind it."""
    seen = {root: None}
    stack = [root]
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge not in seen:
                seen[edge] = None
                stack.append(edge)
    return list(seen)


def leading_to(targets: set[Node], nodes: Iterable[Node]) -> set[Node]:
    """Those of the nodes behind which there is a target."""
    found: set[Node] = set()
    nodes = list(nodes)
    while True:
        more = {
            node
            for node in nodes
            if node not in found and any(e in targets or e in found for e in node.edges)
        }
        if not more:
            return found
        found |= more


class Pass:
    """One backward pass from a tensor, its outcome known before the library runs it."""

    def __init__(self, y: Tensor, given: Tensor | None, inputs: Sequence[Tensor] | None) -> None:
        root = y.live_node()
        self.y = y
        self.given = given
        if root is None or (given is None and len(y.positions) != 1):
            raise RefusedError(RuntimeError)
        if given is not None and given.shape != y.shape:
            raise RefusedError(RuntimeError)
        self.nodes = reached(root)
        self.single = y.dtype == "float32" or any(node.single for node in self.nodes)
        self.targets: set[Node] | None = None
        self.runs = [node for node in self.nodes if node.leaf is None]
        if inputs is not None:
            self.targets = {node for node in (x.live_node() for x in inputs) if node is not None}
            if any(x.live_node() is None for x in inputs):
                raise RefusedError(RuntimeError)
            needed = leading_to(self.targets, self.nodes)
            self.runs = [node for node in self.runs if node in needed]

    def verdict(self) -> tuple[bool, bool]:
        """Whether the library may succeed, and whether it may refuse."""
        refuses = doubtful = False
        for node in self.runs:
            if node.saves and (node.freed or node.stale()):
                refuses |= not node.vague
                doubtful = True
        return not refuses, doubtful

    def free(self, certain: bool = True) -> None:
        """The nodes that ran let go of what they saved; where not certain, perhaps."""
        for node in self.runs:
            if node.saves and not (node.freed and not node.vague):
                node.freed = True
                node.vague |= not certain

    def flow(self, create: bool = False) -> dict[Scalar, Any]:
        """Cotangents of Scalars."""
        ones = [1.0] * len(self.y.positions)
        given = ones if self.given is None else self.given.values()
        roots = [(x, float(g)) for x, g in zip(self.y.history(), given, strict=True)]
        found = cotangents(roots, create)
        scale = 1.0
        for g in found.values():
            size = abs(value_of(g))
            if not size < TOO_LARGE:
                raise UnmodelledError
            scale = max(scale, size)
        self.near = scale * (1e-3 if self.single else 1e-10)
        return found


def gradient_of(x: Tensor, found: dict[Scalar, Any]) -> list[Any]:
    return [found.get(scalar, 0.0) for scalar in x.history()]


def gradient_tensor(x: Tensor, values: list[Any]) -> Tensor:
    """A gradient as a tensor of its own."""
    cells = [rounded(value, x.dtype) for value in values]
    family = Family(Storage(x.dtype, cells), list(range(len(cells))))
    return Tensor(family, family.positions, x.shape)


def second(first: Sequence[Any]) -> dict[Scalar, Any]:
    """Cotangents of the sum of gradients that are Scalars themselves."""
    found = cotangents([(g, 1.0) for g in first if type(g) is Scalar], False)
    if not all(abs(value_of(g)) < TOO_LARGE for g in found.values()):
        raise UnmodelledError
    return found
