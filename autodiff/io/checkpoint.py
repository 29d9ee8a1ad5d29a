"""PyTorch's .pt files: zip archives of storages and of a pickle, which is read but not run.

What a pickle would call is looked up in a table of what makes tensors and containers; anything else
is an error that names it.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.io.machine import Global, Machine, key_of
from autodiff.io.memory import filled
from autodiff.native import lib
from autodiff.nn.parameter import Parameter
from autodiff.shapes import Size
from autodiff.tensor import Tensor, own

_STORAGES = {
    "HalfStorage": dtypes.float16,
    "BFloat16Storage": dtypes.bfloat16,
    "FloatStorage": dtypes.float32,
    "DoubleStorage": dtypes.float64,
    "LongStorage": dtypes.int64,
    "IntStorage": dtypes.int32,
    "ShortStorage": dtypes.int16,
    "CharStorage": dtypes.int8,
    "ByteStorage": dtypes.uint8,
    "BoolStorage": dtypes.bool,
}


# What zipfile raises for archives that are not whole.
DAMAGE = (KeyError, ValueError, OverflowError, EOFError, OSError, RuntimeError, zipfile.BadZipFile)


class Checkpoint:
    """A file in memory; `name` is what errors call it."""

    def __init__(self, raw: bytes, name: Any) -> None:
        self.name = name
        try:
            self.archive = zipfile.ZipFile(io.BytesIO(raw))
            members = self.archive.namelist()
        except DAMAGE as error:
            raise self.error(f"it is damaged: {error}") from None
        if sum(member.compress_size for member in self.archive.infolist()) > len(raw):
            raise self.error("it is damaged: its members overlap")
        pickles = [member for member in members if member.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise self.error("it is a zip archive, but torch.save made none such")
        self.folder = pickles[0].removesuffix("data.pkl")
        if f"{self.folder}constants.pkl" in members:
            raise self.error("it is TorchScript, a program: save the model's state_dict() instead")
        order = f"{self.folder}byteorder"
        self.order = self._member(order).decode() if order in members else "little"
        self.storages: dict[str, Tensor] = {}

    def error(self, text: str) -> pickle.UnpicklingError:
        """What is raised for the file."""
        return pickle.UnpicklingError(f"{self.name}: {text}")

    def _member(self, member: str) -> bytes:
        try:
            info = self.archive.getinfo(member)
            if info.compress_type != zipfile.ZIP_STORED:  # a few bytes could become any number
                raise self.error(f"{member} is compressed, which torch.save never does")
            return self.archive.read(info)
        except DAMAGE as error:
            raise self.error(f"it is damaged: {error}") from None

    def load(self) -> Any:
        """The object in the file."""
        try:
            return Machine(self).run(self._member(f"{self.folder}data.pkl"))
        except pickle.UnpicklingError:
            raise
        except Exception as error:  # whatever nonsense in place of values leads to
            raise self.error(f"it is damaged: {error}") from None

    # ---- tensors ----

    def storage(self, given: Any) -> Tensor:
        """The memory that a persistent id of the pickle means, as a vector."""
        what, kind, key, _, count = given
        if what != "storage" or not isinstance(kind, Global) or not isinstance(key, str):
            raise ValueError(f"no storage: {given!r}")
        d = _STORAGES.get(kind.name) if kind.module == "torch" else None
        if d is None:
            raise self.error(
                f"it has a {kind}; supported are {', '.join(_STORAGES)}: convert the tensors, for "
                "example by model.float()"
            )
        if key not in self.storages:
            raw = bytearray(self._member(f"{self.folder}data/{key}"))
            if self.order != sys.byteorder:
                _swap(raw, d.itemsize)
            self.storages[key] = filled(d, [count], raw)
        found = self.storages[key]
        if found.dtype is not d or found.numel() != count:
            raise ValueError(f"two accounts of storage {key}")
        return found

    def called(self, function: Any, args: Any) -> Any:
        """What a call in the pickle makes."""
        if not isinstance(function, Global) or not isinstance(args, tuple):
            raise ValueError("it calls what is no function")
        make = _MAKERS.get(function)
        if make is None:
            raise self.refused(function)
        return make(*args)

    def refused(self, what: Global) -> pickle.UnpicklingError:
        """The error for a name that the pickle has no business with."""
        return self.error(
            f"it wants {what}, which is no tensor and no container. Nothing in a file is ever run: "
            "save the state_dict() of what it holds"
        )


def _swap(raw: bytearray, size: int) -> None:
    whole = bytes(raw)
    for i in range(size):
        raw[i::size] = whole[size - 1 - i :: size]


def _tensor(
    storage: Tensor,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    requires_grad: bool = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    if not isinstance(storage, Tensor) or len(shape) != len(strides):
        raise ValueError("no tensor")
    p = lib.ad_as_strided(storage._p, len(shape), list(shape), list(strides), offset)
    return own(p, "load", storage._p).requires_grad_(bool(requires_grad))


def _parameter(data: Tensor, requires_grad: bool = True, hooks: Any = None) -> Parameter:
    if not isinstance(data, Tensor):
        raise ValueError("no parameter")
    return Parameter(data, bool(requires_grad))


def _bytes(text: str, encoding: str) -> bytes:
    """How a pickle of protocol 2 tells bytes."""
    if encoding != "latin1":
        raise ValueError(f"bytes as {encoding}")
    return text.encode("latin1")


def _ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return OrderedDict((key_of(key), value) for key, value in pairs)


_MAKERS: dict[Global, Callable[..., Any]] = {
    Global("_codecs", "encode"): _bytes,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    Global("torch", "Size"): Size,
    Global("collections", "OrderedDict"): _ordered,
    Global("collections", "Counter"): lambda items=(): Counter(_ordered(items)),
    **{
        Global(module, kind.__name__): make
        for module in ("builtins", "__builtin__")
        for kind, make in (
            (set, lambda items=(): set(map(key_of, items))),
            (frozenset, lambda items=(): frozenset(map(key_of, items))),
            (complex, complex),
        )
    },
}
