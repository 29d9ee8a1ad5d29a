"""Several tensors brought to one shape, or joined by a named direction."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.ops.base import called, titled
from autodiff.ops.join import cat, joined, stacked
from autodiff.ops.views import _expand, _unsqueeze, _view, reshape
from autodiff.shapes import Size, broadcast
from autodiff.tensor import TENSOR_TYPES, Tensor


def check_tensors(name: str, given: Sequence[Any]) -> None:
    """TypeError where one is no tensor."""
    if TENSOR_TYPES.issuperset(map(type, given)):
        return
    for i, x in enumerate(given):
        if not isinstance(x, Tensor):
            kind = type(x).__name__
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got {kind}"
            )


def _given(tensors: tuple[Any, ...], name: str) -> list[Tensor]:
    """The tensors of f(a, b) or f([a, b]). TypeError where one is none."""
    one = len(tensors) == 1 and isinstance(tensors[0], (tuple, list))
    found = list(tensors[0]) if one else list(tensors)
    check_tensors(name, found)
    return found


def _row(x: Tensor) -> Tensor:
    return x if x._p.ndim else reshape(x, 1)


def _matrix(x: Tensor) -> Tensor:
    return x if x._p.ndim > 1 else _unsqueeze(_row(x), 0)


def _cube(x: Tensor) -> Tensor:
    return x if x._p.ndim > 2 else _unsqueeze(_matrix(x), 2)


def _at_least(name: str, one: Callable[[Tensor], Tensor], tensors: tuple[Any, ...]) -> Any:
    alone = len(tensors) == 1 and not isinstance(tensors[0], (tuple, list))
    found = tuple(map(one, _given(tensors, name)))
    return found[0] if alone else found


def atleast_1d(*tensors: Any) -> Any:
    """The tensor (or the tensors, as a tuple) with one dimension at least. Views.

    >>> ad.atleast_1d(ad.tensor(3))
    tensor([3])
    """
    return _at_least("atleast_1d", _row, tensors)


def atleast_2d(*tensors: Any) -> Any:
    """The tensor (or the tensors, as a tuple) as matrices: vectors as rows. Views.

    >>> ad.atleast_2d(ad.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return _at_least("atleast_2d", _matrix, tensors)


def atleast_3d(*tensors: Any) -> Any:
    """The tensor (or the tensors, as a tuple) with three dimensions: vectors as (1, n, 1). Views.

    >>> ad.atleast_3d(ad.ones(4)).shape
    torch.Size([1, 4, 1])
    """
    return _at_least("atleast_3d", _cube, tensors)


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that shapes broadcast to. RuntimeError where they do not.

    >>> ad.broadcast_shapes((2, 1), (3,))
    torch.Size([2, 3])
    """
    for s in shapes:
        if not isinstance(s, (int, tuple, list, str)):
            raise RuntimeError(
                "Input shapes should be of type ints, a tuple of ints, or a list of ints, got "
                f"{type(s).__name__}"
            )
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    for size in itertools.chain.from_iterable(given):
        if size < 0:
            raise ValueError(f"Trying to create tensor with negative dimension ({size}): ({size})")
    found = broadcast(given)
    if found is None:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape: "
            + ", ".join(str(list(s)) for s in given)
        )
    return Size(found)  # which refuses other numbers


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to one shape, as views. RuntimeError where they do not broadcast.

    >>> [x.shape for x in ad.broadcast_tensors(ad.ones(2, 1), ad.ones(3))]
    [torch.Size([2, 3]), torch.Size([2, 3])]
    """
    given = _given(tensors, "broadcast_tensors")
    shapes = [x.shape for x in given]
    shape = broadcast(shapes) or broadcast_shapes(*shapes)  # which words what is wrong
    return tuple([_expand.call(x, shape) for x in given])


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid with the vectors as its axes: for each, a tensor of all. Views.

    `indexing` is "ij", where the vectors belong to the dimensions in order, or "xy", where the
    first two are swapped. Without it "ij" is meant, with a warning: NumPy's default is the other.

    >>> [x.tolist() for x in ad.meshgrid(ad.arange(2), ad.arange(2), indexing="ij")]
    [[[0, 0], [1, 1]], [[0, 1], [0, 1]]]
    """
    given = _given(tensors, "meshgrid")
    if indexing is None and len(given) > 1:
        warnings.warn('meshgrid: pass indexing="ij", which is meant, or "xy"', stacklevel=3)
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            'meshgrid: indexing must be one of "xy" or "ij", but received: ' + str(indexing)
        )
    for x in given:
        if x._p.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got a tensor of "
                f"shape {list(x.shape)}"
            )
        if x._p.dtype != given[0]._p.dtype:
            raise RuntimeError(
                "torch.meshgrid expects all tensors to have the same dtype, got "
                f"{given[0].dtype!r} and {x.dtype!r}"
            )
    swapped = indexing == "xy" and len(given) > 1
    if swapped:
        given[:2] = given[1::-1]
    shape = [x._p.numel for x in given]
    n = len(given)
    grids = [
        _expand.call(_view.call(x, [1] * d + [shape[d]] + [1] * (n - d - 1)), shape)
        for d, x in enumerate(given)
    ]
    if swapped:
        grids[:2] = grids[1::-1]
    return tuple(grids)


@called("StackBackward0")
def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of the elements of vectors, a row each. RuntimeError of other tensors.

    >>> ad.cartesian_prod(ad.tensor([1, 2]), ad.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    given = _given(tensors, "cartesian_prod")
    for x in given:
        if x.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.shape)}")
    if len(given) == 1:
        return given[0]
    return column_stack([reshape(grid, -1) for grid in meshgrid(given, indexing="ij")])


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined by columns (vectors by elements).

    >>> ad.hstack([ad.ones(1), ad.zeros(2)]).tolist()
    [1.0, 0.0, 0.0]
    """
    n = _first_dims(tensors)
    if n and (y := joined(tensors, int(n > 1))) is not None:
        return y
    given = _each("hstack", _row, tensors)
    return cat(given, 0 if given[0]._p.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined by rows; vectors are rows.

    >>> ad.vstack([ad.ones(2), ad.zeros(2)]).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    y = _side_by_side(tensors, 0, 1)
    return cat(_each("vstack", _matrix, tensors), 0) if y is None else y


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along the third dimension.

    >>> ad.dstack([ad.tensor([1, 2]), ad.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    y = _side_by_side(tensors, 2, 2)
    return cat(_each("dstack", _cube, tensors), 2) if y is None else y


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined by columns; vectors are columns.

    >>> ad.column_stack([ad.ones(2), ad.zeros(2)]).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    y = _side_by_side(tensors, 1, 1)
    return cat(_each("column_stack", _column, tensors), 1) if y is None else y


def _column(x: Tensor) -> Tensor:
    return x if x._p.ndim > 1 else reshape(x, x._p.numel, 1)


_CALLED: dict[Callable[[Tensor], Tensor], str]
_CALLED = {_row: "atleast_1d", _matrix: "atleast_2d", _cube: "atleast_3d", _column: "column_stack"}


def _each(name: str, one: Callable[[Tensor], Tensor], tensors: Any) -> Any:
    """The tensors, made what is joined."""
    if isinstance(tensors, Tensor):
        raise TypeError(f"{name}(): argument 'tensors' must be tuple of Tensors, not Tensor")
    given = [one(x) for x in _given((tensors,), _CALLED[one])]
    if not given:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return given


def _first_dims(tensors: Any) -> int:
    """How many dimensions the first of several tensors has; 0 where they are no such."""
    several = type(tensors) in (list, tuple) and tensors and type(tensors[0]) is Tensor
    return tensors[0]._p.ndim if several else 0


def _side_by_side(tensors: Any, dim: int, few: int) -> Tensor | None:
    """Tensors that need no views to be joined, also where they have as few dimensions that this one
    is new; None of others.
    """
    n = _first_dims(tensors)
    if n > few:
        return joined(tensors, dim)
    y = stacked(tensors, dim) if n == few else None
    return None if y is None else titled(y, "CatBackward0")
