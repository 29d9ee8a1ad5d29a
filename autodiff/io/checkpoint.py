"""PyTorch's .pt files: zip archives of storages and of a pickle, which is read but not run.

An interpreter of our own knows the instructions that build containers. What a pickle would call is
looked up in a table of what makes tensors and containers; anything else is an error that names it.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import sys
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.io.memory import filled
from autodiff.named import NamedTuple
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


class _Global(NamedTuple):
    """A name that the pickle refers to. It is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


_MARK = object()


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
            raise self._error(f"it is damaged: {error}") from None
        if sum(member.compress_size for member in self.archive.infolist()) > len(raw):
            raise self._error("it is damaged: its members overlap")
        pickles = [member for member in members if member.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise self._error("it is a zip archive, but torch.save made none such")
        self.folder = pickles[0].removesuffix("data.pkl")
        if f"{self.folder}constants.pkl" in members:
            raise self._error("it is TorchScript, a program: save the model's state_dict() instead")
        order = f"{self.folder}byteorder"
        self.order = self._member(order).decode() if order in members else "little"
        self.storages: dict[str, Tensor] = {}

    def _error(self, text: str) -> pickle.UnpicklingError:
        return pickle.UnpicklingError(f"{self.name}: {text}")

    def _member(self, member: str) -> bytes:
        try:
            info = self.archive.getinfo(member)
            if info.compress_type != zipfile.ZIP_STORED:  # a few bytes could become any number
                raise self._error(f"{member} is compressed, which torch.save never does")
            return self.archive.read(info)
        except DAMAGE as error:
            raise self._error(f"it is damaged: {error}") from None

    def load(self) -> Any:
        """The object in the file."""
        try:
            return _Machine(self).run(self._member(f"{self.folder}data.pkl"))
        except pickle.UnpicklingError:
            raise
        except Exception as error:  # whatever nonsense in place of values leads to
            raise self._error(f"it is damaged: {error}") from None

    # ---- tensors ----

    def storage(self, given: Any) -> Tensor:
        """The memory that a persistent id of the pickle means, as a vector."""
        what, kind, key, _, count = given
        if what != "storage" or not isinstance(kind, _Global) or not isinstance(key, str):
            raise ValueError(f"no storage: {given!r}")
        d = _STORAGES.get(kind.name) if kind.module == "torch" else None
        if d is None:
            raise self._error(
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
        if not isinstance(function, _Global) or not isinstance(args, tuple):
            raise ValueError("it calls what is no function")
        make = _MAKERS.get(function)
        if make is None:
            raise self.refused(function)
        return make(*args)

    def refused(self, what: _Global) -> pickle.UnpicklingError:
        """The error for a name that the pickle has no business with."""
        return self._error(
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


MOST = 10_000  # parts of a key, of which parts of parts count anew


def _key(x: Any) -> Any:
    """A key, or a member of a set. ValueError for a tuple of too many parts.

    What a pickle tells once may be in a tuple many times over, and to hash that takes for ever.
    """
    parts, deep = [x], 0
    while parts := [part for part in parts if isinstance(part, tuple)]:
        deep += 1
        if deep > 100 or sum(map(len, parts)) > MOST:
            raise ValueError("a key of too many parts")
        parts = [part for whole in parts for part in whole]
    return x


def _ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return OrderedDict((_key(key), value) for key, value in pairs)


_MAKERS: dict[_Global, Callable[..., Any]] = {
    _Global("_codecs", "encode"): _bytes,
    _Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    _Global("torch._utils", "_rebuild_tensor"): _tensor,
    _Global("torch._utils", "_rebuild_parameter"): _parameter,
    _Global("torch", "Size"): Size,
    _Global("collections", "OrderedDict"): _ordered,
    _Global("collections", "Counter"): lambda items=(): Counter(_ordered(items)),
    **{
        _Global(module, kind.__name__): make
        for module in ("builtins", "__builtin__")
        for kind, make in (
            (set, lambda items=(): set(map(_key, items))),
            (frozenset, lambda items=(): frozenset(map(_key, items))),
            (complex, complex),
        )
    },
}


class _Machine:
    """The pickle's stack machine, for the instructions that containers are made with."""

    def __init__(self, file: Checkpoint) -> None:
        self.file = file
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, code: bytes) -> Any:
        """What the pickle holds."""
        for instruction, argument, _ in pickletools.genops(code):
            name = instruction.name
            if name == "STOP":
                return self._used(self.stack.pop())
            if name in _PUSH:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name]())
            elif (act := getattr(self, f"_{name.lower()}", None)) is not None:
                act(argument)
            elif name not in ("PROTO", "FRAME"):
                raise self.file._error(
                    f"its pickle has the instruction {name}, which no tensors or containers need"
                )
        raise ValueError("its pickle has no end")

    def _used(self, x: Any) -> Any:
        """A value that is kept, as the user sees it: of names, only dtypes are values."""
        if x is _MARK:
            raise ValueError("a mark for a value")
        if not isinstance(x, _Global):
            return x
        for d in dtypes.ALL:
            if x == _Global("torch", d.name):
                return d
        raise self.file.refused(x)

    def _used_key(self, x: Any) -> Any:
        return _key(self._used(x))

    def _marked(self) -> list[Any]:
        """The values down to the last mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def _mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    # ---- the memo ----

    def _binput(self, slot: int) -> None:
        self.memo[slot] = self.stack[-1]

    _long_binput = _put = _binput

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _binget(self, slot: int) -> None:
        self.stack.append(self.memo[slot])

    _long_binget = _get = _binget

    # ---- names and calls ----

    def _global(self, argument: str) -> None:
        self.stack.append(_Global(*argument.split(" ", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("no name")
        self.stack.append(_Global(module, name))

    def _binpersid(self, _: Any) -> None:
        self.stack.append(self.file.storage(self.stack.pop()))

    def _reduce(self, _: Any) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self.file.called(function, args))

    _newobj = _reduce

    def _build(self, _: Any) -> None:
        state, x = self.stack.pop(), self.stack[-1]
        if type(x) is not OrderedDict or not isinstance(state, dict):
            raise self.file._error(f"it sets the attributes of a {type(x).__name__}")
        if "_metadata" in state:  # of a module's state_dict; nothing else has attributes
            vars(x)["_metadata"] = state["_metadata"]

    # ---- containers ----

    def _tuple(self, _: Any) -> None:
        self._push_tuple(self._marked())

    def _push_tuple(self, items: list[Any]) -> None:
        if items[:1] != ["storage"]:  # what a persistent id tells has names
            items = [self._used(x) for x in items]
        self.stack.append(tuple(items))

    def _tuple1(self, _: Any, count: int = 1) -> None:
        if len(self.stack) < count:
            raise ValueError("too few values")
        items = self.stack[-count:]
        del self.stack[-count:]
        self._push_tuple(items)

    def _tuple2(self, _: Any) -> None:
        self._tuple1(_, 2)

    def _tuple3(self, _: Any) -> None:
        self._tuple1(_, 3)

    def _list(self, _: Any) -> None:
        self.stack.append([self._used(x) for x in self._marked()])

    def _append(self, _: Any) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: Any) -> None:
        self._extend(self._marked())

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("no list")
        self.stack[-1].extend(map(self._used, items))

    def _dict(self, _: Any) -> None:
        items = self._marked()
        self.stack.append({})
        self._set(items)

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _setitems(self, _: Any) -> None:
        self._set(self._marked())

    def _set(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict) or len(items) % 2:
            raise ValueError("no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][self._used_key(key)] = self._used(value)

    def _additems(self, _: Any) -> None:
        items = self._marked()
        if type(self.stack[-1]) is not set:
            raise ValueError("no set")
        self.stack[-1].update(map(self._used_key, items))

    def _frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(map(self._used_key, self._marked())))


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_PUSH = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"),
    *("BINBYTES8", "BINSTRING", "SHORT_BINSTRING", "STRING"),
}
