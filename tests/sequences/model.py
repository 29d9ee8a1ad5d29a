"""The naive tensor: a list of cells shared by views, and a Scalar behind every element.

Two graphs are kept. Scalars carry derivatives. A `Node` for each operation on tensors knows what
Scalars cannot: which leaves are reached, what was saved, written to since or freed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from sequences.scalars import Number, Scalar, same

FLOATS = ("float32", "float64")
RANK = {"bool": 0, "int64": 1, "float32": 2, "float64": 3}
CATEGORY = {"bool": 0, "int64": 1, "float32": 2, "float64": 2}


class RefusedError(Exception):
    """The model says that the library raises one of `kinds`."""

    def __init__(self, *kinds: type[Exception]) -> None:
        super().__init__(kinds)
        self.kinds = kinds or (RuntimeError,)


class UnmodelledError(Exception):
    """A step the model does not speak about: numbers out of range. It is left out."""


class Mode:
    """Whether operations are recorded."""

    grad = True


class Storage:
    """Cells of one dtype, and how often they were written to."""

    def __init__(self, dtype: str, cells: list[Any]) -> None:
        self.dtype = dtype
        self.cells = cells
        self.version = 0
        self.near = False  # of a gradient that has a name: float32 may have been on its way


class Node:
    """One recorded operation: the nodes behind it, and what it saved, at which versions."""

    def __init__(
        self,
        edges: Sequence[Node | None] = (),
        saves: Sequence[Storage] = (),
        leaf: Slot | None = None,
        vague: bool = False,
        dtype: str = "",
    ) -> None:
        self.edges = edges
        self.single = dtype == "float32"
        self.saves = [(storage, storage.version) for storage in saves]
        self.leaf = leaf
        self.freed = False
        self.vague = vague  # whether a write or a second run is found out is the library's choice

    def stale(self) -> bool:
        return any(storage.version != version for storage, version in self.saves)


CONSTANT = Storage("float64", [])  # what an operation saved that nobody else can write to


class Slot:
    """Where a leaf's gradients add up; the leaf's node and Scalars once it required one."""

    def __init__(self) -> None:
        self.grad: Tensor | None = None
        self.owner: Tensor | None = None
        self.muted = False  # requires_grad_(False) since
        self.node: Node | None = None
        self.scalars: list[Scalar] = []


class Family:
    """A tensor that is no view, with all views of it: one history by position in the storage."""

    def __init__(self, storage: Storage, positions: list[int]) -> None:
        self.storage = storage
        self.positions = positions
        self.node: Node | None = None
        self.scalars: dict[int, Scalar] = {}
        self.has_views = False


class Tensor:
    """Positions in a storage, in row-major order of a shape; its history, or its family's."""

    def __init__(self, family: Family, positions: list[int], shape: tuple[int, ...]) -> None:
        self.family = family
        self.positions = positions
        self.shape = shape
        self.is_view = False
        self.node: Node | None = None  # of a view
        self.scalars: list[Scalar] = []  # of a view
        self.seen: Node | None = None  # the family's node when those were made
        self.slot = Slot()

    @property
    def storage(self) -> Storage:
        return self.family.storage

    @property
    def dtype(self) -> str:
        return self.family.storage.dtype

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS

    def values(self) -> list[Any]:
        cells = self.family.storage.cells
        return [cells[p] for p in self.positions]

    def live_node(self) -> Node | None:
        """The node a gradient for this tensor goes to; that of a view follows its base's."""
        family = self.family
        if not self.is_view:
            return family.node
        if family.node is not self.seen:
            self.seen = family.node
            if family.node is not None and family.node.leaf is None:
                self.node = Node([family.node])
                self.scalars = [same(family.scalars[p]) for p in self.positions]
        return self.node

    @property
    def requires_grad(self) -> bool:
        return self.live_node() is not None

    @property
    def is_leaf(self) -> bool:
        node = self.live_node()
        return node is None or node.leaf is not None

    def history(self) -> list[Scalar]:
        """The Scalars of the elements; only where a gradient is required."""
        if self.live_node() is not None and self.is_view:
            return self.scalars
        return [self.family.scalars[p] for p in self.positions]

    def elements(self) -> list[Number]:
        """What an operation reads: values, as Scalars where they have a history."""
        values = self.values()
        if not Mode.grad or not self.requires_grad:
            return values
        found = []
        for value, scalar in zip(values, self.history(), strict=True):
            if scalar.value == value:
                found.append(scalar)
            else:  # written to behind the graph's back
                read = same(scalar)
                read.value = value
                found.append(read)
        return found

    def require_grad(self) -> None:
        """Become a leaf that requires grad; the same leaf as before, if it was one."""
        slot = self.slot
        if slot.node is None:
            slot.node = Node(leaf=slot)
            slot.owner = self
            slot.scalars = [Scalar(value) for value in self.values()]
        slot.muted = False
        self.family.node = slot.node
        self.family.scalars = dict(zip(self.positions, slot.scalars, strict=True))


def rounded(value: Any, dtype: str) -> Any:
    """A number as a dtype holds it."""
    if dtype == "bool":
        return bool(value)
    if dtype == "int64":
        return int(value)
    if dtype == "float32":
        return struct.unpack("f", struct.pack("f", value))[0]
    return float(value)


def sized(shape: Sequence[int]) -> int:
    n = 1
    for size in shape:
        n *= size
    return n


LIMIT = 100  # so that float32 rounds what cancels by less than the tolerance

LARGEST = 36  # elements


def made(
    dtype: str,
    shape: Sequence[int],
    elements: Sequence[Number],
    inputs: Sequence[Tensor] = (),
    saves: Sequence[Storage] = (),
    vague: bool = False,
) -> Tensor:
    """The result of an operation on `inputs`: new cells, and a history where one is wanted."""
    if len(elements) > LARGEST:
        raise UnmodelledError
    values = []
    for x in elements:
        value = x.value if type(x) is Scalar else x
        if not -LIMIT < value < LIMIT:
            raise UnmodelledError
        values.append(rounded(value, dtype))
    family = Family(Storage(dtype, values), list(range(len(values))))
    edges = recorded(dtype, inputs)
    if edges is not None:
        family.node = Node(edges, saves, vague=vague, dtype=dtype)
        family.scalars = {
            p: fresh(x, value) for p, (x, value) in enumerate(zip(elements, values, strict=True))
        }
    return Tensor(family, family.positions, tuple(shape))


def recorded(dtype: str, inputs: Sequence[Tensor]) -> list[Node | None] | None:
    """The edges of an operation's node; None where nothing is recorded."""
    if not Mode.grad or dtype not in FLOATS:
        return None
    edges = [x.live_node() for x in inputs]
    return edges if any(edges) else None


def fresh(x: Number, value: Any) -> Scalar:
    """The Scalar of a new element: its own, with the value that the cell holds."""
    if type(x) is not Scalar:
        return Scalar(value)
    new = same(x)
    new.value = value
    return new


# ---- writes ----


def check_writable(x: Tensor) -> None:
    node = x.family.node
    if Mode.grad and node is not None and node.leaf is not None:
        raise RefusedError(RuntimeError)


def write(
    x: Tensor,
    elements: Sequence[Number],
    inputs: Sequence[Tensor],
    saves: Sequence[Storage] = (),
    saves_result: bool = False,
    vague: bool = False,
) -> None:
    """Put elements, computed from `inputs`, into the cells of x and into its history."""
    values = []
    for new in elements:
        value = new.value if type(new) is Scalar else new
        if not -LIMIT < value < LIMIT:
            raise UnmodelledError
        values.append(rounded(value, x.dtype))
    edges = recorded(x.dtype, inputs)
    cells = x.storage.cells
    node = None if edges is None else Node(edges, saves, vague=vague, dtype=x.dtype)
    x.storage.version += 1
    for p, value in zip(x.positions, values, strict=True):
        cells[p] = value
    if node is not None:
        if saves_result:
            node.saves.append((x.storage, x.storage.version))
        scalars = [fresh(new, value) for new, value in zip(elements, values, strict=True)]
        rebase(x, node, scalars)


def rebase(x: Tensor, node: Node, scalars: list[Scalar]) -> None:
    """Make a write the history of x; of a view, also that of the base and so of its other views."""
    family = x.family
    if not x.is_view:
        family.node = node
        family.scalars = dict(zip(x.positions, scalars, strict=True))
        return
    written = dict(zip(x.positions, scalars, strict=True))
    cells = family.storage.cells
    old = {} if family.node is None else family.scalars
    family.scalars = {
        p: same(written.get(p) or old.get(p) or Scalar(cells[p])) for p in family.positions
    }
    family.node = Node([family.node, node])
