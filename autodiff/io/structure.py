"""Nested state as tensors by name and a text that tells how they belong together.

The text is JSON: None, bools, ints, finite floats and texts are themselves, all else is a list
that begins with what it is.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.shapes import Size
from autodiff.tensor import Tensor

KEY = "autodiff"  # of the text in a file's metadata


class Structure:
    """The tensors of a nested object, and its text."""

    def __init__(self, whole: Any) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[Any, str] = {}
        self._within: set[int] = set()
        self.text = json.dumps(self._told(whole, ()))

    def _told(self, x: Any, path: tuple[Any, ...]) -> Any:
        kind: type = OrderedDict if isinstance(x, OrderedDict) else type(x)
        if x is None or kind in (bool, int, str) or (kind is float and math.isfinite(x)):
            return x
        if isinstance(x, Tensor):
            return self._told_tensor(x, path)
        if kind in _TEXTS:
            return [_NAMES[kind], _TEXTS[kind](x)]
        if kind not in _NAMES:
            raise TypeError(
                f"save: {_place(path)} is of type {kind.__module__}.{kind.__qualname__}: only "
                "tensors, dicts, lists, tuples, sets, numbers, texts, dtypes and None can be saved"
            )
        if id(x) in self._within:
            raise ValueError(f"save: {_place(path)} holds itself")
        self._within.add(id(x))
        if isinstance(x, dict):
            told = [[self._told(k, path), self._told(v, (*path, k))] for k, v in x.items()]
        else:
            told = [self._told(item, (*path, i)) for i, item in enumerate(x)]
        self._within.discard(id(x))
        rest = []
        if kind is OrderedDict and vars(x):  # a module's state_dict tells the versions of its parts
            rest = [self._told(dict(vars(x)), (*path, "attributes"))]
        return [_NAMES[kind], told, *rest]

    def _told_tensor(self, x: Tensor, path: tuple[Any, ...]) -> Any:
        # The bytes at an address with this layout are the same tensor, whichever object tells it.
        # Without elements there is no address, and nothing to share.
        where = x.data_ptr() if x.numel() else -id(x)
        same = (where, x.dtype.code, tuple(x.shape), x.stride())
        name = self._names.get(same)
        if name is None:
            name = self._names[same] = self._new_name(path)
            self.tensors[name] = x.detach().contiguous()
        flags = ("g" if x.requires_grad else "") + ("p" if _is_parameter(x) else "")
        return ["tensor", name, flags]

    def _new_name(self, path: tuple[Any, ...]) -> str:
        name = base = ".".join(map(str, path)) or "tensor"
        n = 1
        while name in self.tensors or name == "__metadata__":
            n += 1
            name = f"{base}#{n}"
        return name


def _is_parameter(x: Tensor) -> bool:
    if type(x) is Tensor:
        return False
    from autodiff.nn.parameter import Parameter

    return isinstance(x, Parameter)


def _place(path: tuple[Any, ...]) -> str:
    return "obj" + "".join(f"[{part!r}]" for part in path)


_NAMES: dict[type, str] = {
    dict: "dict",
    OrderedDict: "ordered",
    Counter: "counter",
    list: "list",
    tuple: "tuple",
    Size: "size",
    set: "set",
    frozenset: "frozenset",
    float: "float",
    complex: "complex",
    bytes: "bytes",
    dtypes.dtype: "dtype",
}
_TEXTS: dict[type, Callable[[Any], str]] = {
    float: repr,  # inf and nan
    complex: repr,
    bytes: lambda x: base64.b64encode(x).decode(),
    dtypes.dtype: lambda x: str(x.name),
}


def restored(text: str, tensors: dict[str, Tensor]) -> Any:
    """The object that a Structure told. ValueError where the text is no such."""
    try:
        return _restored(json.loads(text), tensors)
    except Exception as error:  # whatever nonsense in place of values leads to
        raise ValueError(f"the metadata of the file is damaged: {error!r}") from None


def _restored(told: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(told, list):
        if isinstance(told, dict):
            raise TypeError("a dict")
        return told
    kind, value, *rest = told
    if kind == "tensor":
        return _restored_tensor(tensors[value].detach(), rest[0])
    if kind in _SCALARS:
        return _SCALARS[kind](value)
    items = [_restored(item, tensors) for item in value] if kind in _LISTS else []
    if kind in _LISTS:
        return _LISTS[kind](items)
    pairs = [(_restored(k, tensors), _restored(v, tensors)) for k, v in value]
    made = _DICTS[kind](pairs)
    if rest and isinstance(made, OrderedDict):
        vars(made).update(_restored(rest[0], tensors))
    return made


def _restored_tensor(x: Tensor, flags: str) -> Tensor:
    if "p" in flags:
        from autodiff.nn.parameter import Parameter

        return Parameter(x, "g" in flags)
    return x.requires_grad_("g" in flags)


_SCALARS: dict[str, Callable[[str], Any]] = {
    "float": float,
    "complex": complex,
    "bytes": base64.b64decode,
    "dtype": {d.name: d for d in dtypes.ALL}.__getitem__,
}
_LISTS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "size": Size,
    "set": set,
    "frozenset": frozenset,
}
_DICTS: dict[str, Callable[[list[Any]], Any]] = {
    "dict": dict,
    "ordered": OrderedDict,
    "counter": lambda pairs: Counter(dict(pairs)),
}
