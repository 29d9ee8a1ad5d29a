"""An interpreter of pickles: of the instructions that build containers, and of no others."""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autodiff import dtypes
from autodiff.named import NamedTuple

if TYPE_CHECKING:
    from autodiff.io.checkpoint import Checkpoint


class Global(NamedTuple):
    """A name that the pickle refers to. It is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


MARK = object()
MOST = 10_000  # parts of a key, of which parts of parts count anew


def key_of(x: Any) -> Any:
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


class Machine:
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
                raise self.file.error(
                    f"its pickle has the instruction {name}, which no tensors or containers need"
                )
        raise ValueError("its pickle has no end")

    def _used(self, x: Any) -> Any:
        """A value that is kept, as the user sees it: of names, only dtypes are values."""
        if x is MARK:
            raise ValueError("a mark for a value")
        if not isinstance(x, Global):
            return x
        for d in dtypes.ALL:
            if x == Global("torch", d.name):
                return d
        raise self.file.refused(x)

    def _used_key(self, x: Any) -> Any:
        return key_of(self._used(x))

    def _marked(self) -> list[Any]:
        """The values down to the last mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def _mark(self, _: Any) -> None:
        self.stack.append(MARK)

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
        self.stack.append(Global(*argument.split(" ", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("no name")
        self.stack.append(Global(module, name))

    def _binpersid(self, _: Any) -> None:
        self.stack.append(self.file.storage(self.stack.pop()))

    def _reduce(self, _: Any) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self.file.called(function, args))

    _newobj = _reduce

    def _build(self, _: Any) -> None:
        state, x = self.stack.pop(), self.stack[-1]
        if type(x) is not OrderedDict or not isinstance(state, dict):
            raise self.file.error(f"it sets the attributes of a {type(x).__name__}")
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
