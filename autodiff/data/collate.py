"""How the samples of a batch become one."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.functions import as_tensor, stack, tensor
from autodiff.tensor import Tensor

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """The samples of a batch as one, their tensors stacked along a new first dimension.

    NumPy arrays, floats (as float64), ints and bools become tensors, str and bytes stay a list;
    the values of dicts, and the items of tuples and lists, are collated each for themselves.
    TypeError for anything else.

    >>> data.default_collate([{"x": 1.5, "y": "a"}, {"x": 2.0, "y": "b"}])
    {'x': tensor([1.5000, 2.0000], dtype=torch.float64), 'y': ['a', 'b']}
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch: Sequence[Any], *, collate_fn_map: Functions | None = None) -> Any:
    """The samples of a batch as one: what is of a type in the map by its function.

    The function is called as `function(samples, collate_fn_map=collate_fn_map)`; containers are
    taken apart as in `default_collate`, whose map is `default_collate_fn_map`.
    """
    first = batch[0]
    functions = collate_fn_map or {}
    kinds = (x for key, x in functions.items() if isinstance(first, key))
    if (function := functions.get(type(first)) or next(kinds, None)) is not None:
        return function(batch, collate_fn_map=functions)
    if is_numpy(first) and functions is default_collate_fn_map:
        return _collate_numpy(batch)

    def collated(samples: Sequence[Any]) -> Any:
        return collate(samples, collate_fn_map=functions)

    if isinstance(first, Mapping):
        return _rebuilt(first, {key: collated([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(collated, zip(*batch, strict=False)))
    if isinstance(first, Sequence) and not isinstance(first, (str, bytes)):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return _rebuilt(first, [collated(items) for items in zip(*batch, strict=True)])
    raise _refused(type(first))


Functions = Mapping[Any, Callable[..., Any]]
default_collate_fn_map: dict[Any, Callable[..., Any]] = {
    Tensor: lambda batch, **_: stack(list(batch), 0),
    float: lambda batch, **_: tensor(batch, dtype=dtypes.float64),
    int: lambda batch, **_: tensor(batch),
    (str, bytes): lambda batch, **_: batch,
}


def default_convert(data: Any) -> Any:
    """A sample with tensors for its NumPy arrays and scalars, and else as it is.

    >>> import numpy as np
    >>> data.default_convert({"x": np.arange(2), "y": "a"})
    {'x': tensor([0, 1]), 'y': 'a'}
    """
    if isinstance(data, (Tensor, str, bytes)):
        return data
    if is_numpy(data):
        return data if _letter(data) in "SaUO" else as_tensor(_array(data))
    if isinstance(data, Mapping):
        return _rebuilt(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence):
        return _rebuilt(data, [default_convert(item) for item in data])
    return data


def _rebuilt(like: Any, items: Any) -> Any:
    """Collated items in a container of the type of a sample; a tuple becomes a list."""
    if isinstance(like, tuple):
        return items
    kind: Callable[[Any], Any] = type(like)
    try:
        if isinstance(like, (MutableMapping, MutableSequence)):
            whole: Any = copy.copy(like)
            for key, item in items.items() if isinstance(items, dict) else enumerate(items):
                whole[key] = item
            return whole
        return kind(items)
    except TypeError:
        return items  # a type that is made or changed in another way


def is_numpy(x: Any) -> bool:
    """Whether x is an array or a scalar of NumPy, which nobody has where it is not imported."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, (numpy.ndarray, numpy.generic))


def _array(x: Any) -> Any:
    return sys.modules["numpy"].asarray(x)


def _letter(x: Any) -> str:
    return str(x.dtype.char if x.dtype.char in "SaUO" else "-")


def _collate_numpy(batch: Sequence[Any]) -> Any:
    first = batch[0]
    if first.ndim == 0 and not hasattr(first, "__setitem__"):  # scalars
        if isinstance(first, (str, bytes)):
            return batch
        return as_tensor(_array(batch))
    if _letter(first) in "SaUO":
        raise _refused(first.dtype)
    return stack([as_tensor(item) for item in batch], 0)


def _refused(kind: Any) -> TypeError:
    return TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {kind}"
    )
