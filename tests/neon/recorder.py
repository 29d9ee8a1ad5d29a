"""Records the calls that cross the native boundary, as a script that driver.c replays.

A Recorder made before autodiff is imported puts a library in place of the real one that writes down
each call: the number of its function, its arguments, what it returned, and what it left in arrays.
Pointers are numbered as they appear; all else the driver compares with what it finds. A script is
made of little-endian 64-bit words and of bytes; `dispatch` writes the C that reads it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

EXTENSION = "autodiff._native"
END, FILL, SHOW = -1, -2, -3  # in place of the number of a function
# What tells of a process, not of numbers.
SILENT = ("ad_error", "ad_init", "ad_isa", "ad_compiler", "ad_memory_", "ad_storage_id")
SILENT += ("ad_spread_regions", "ad_get_num_threads", "ad_set_num_threads", "ad_release_owner")
SILENT += ("ad_tape_", "ad_watch", "ad_dlpack_", "ad_capsule_", "ad_table", "ad_held_", "ad_slots_")
SILENT += (
    "ad_quick",
    "ad_stored",
    "ad_direct",
    "ad_nodes_start",
    "ad_replay",
    "ad_called_start",
    "ad_counts_start",
    "ad_lists_start",
)


def extension(package: Path) -> types.ModuleType:
    """The extension, loaded from the package's folder without importing the package."""
    (path,) = package.glob("_native.*so")
    loader = importlib.machinery.ExtensionFileLoader(EXTENSION, str(path))
    spec = importlib.util.spec_from_loader(EXTENSION, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Recorder:
    """Stands for the library, and for those parts of cffi that change memory."""

    def __init__(self, package: Path, script: BinaryIO) -> None:
        real = extension(package)
        self.ffi: Any = real.ffi
        self.lib: Any = real.lib
        self.script: BinaryIO | None = script
        self.ids: dict[int, int] = {0: 0}  # the number of what lies at an address now
        self.count = 0
        self.rooms: dict[int, int] = {}  # the number of the tensor whose memory begins there
        self.functions = {
            name: self.ffi.typeof(getattr(self.lib, name))
            for name in dir(self.lib)
            if self.told(name)
        }
        shim: Any = types.ModuleType(EXTENSION)
        shim.lib = Instead(self.lib, {name: self.wrap(name) for name in self.functions})
        shim.lib.ad_wrap = self.copy_foreign
        shim.lib.ad_capsule_take = self.copy_capsule
        shim.lib.ad_held_start = lambda types: 1  # what frees itself would do so unseen
        shim.lib.ad_quick = lambda op, plain, told: 1  # as would what calls natively
        shim.lib.ad_stored = lambda told: 1
        shim.lib.ad_lists_start = lambda told: 1
        shim.lib.ad_replay = lambda tape, n, told: 1
        self.real = {call: name for name, call in vars(shim.lib).items() if name in dir(self.lib)}
        shim.ffi = Instead(self.ffi, {"memmove": self.fill, "typeof": self.typeof})
        sys.modules[EXTENSION] = shim

    def told(self, name: str) -> bool:
        """Whether calls of this are recorded: no constants, callbacks, or functions of text."""
        value = getattr(self.lib, name)
        if isinstance(value, int) or name.startswith(SILENT) or name == "ad_wrap":
            return False
        kind = self.ffi.typeof(value)
        return kind.kind == "function" and not any(
            k.kind == "pointer" and k.item.cname == "char" for k in (*kind.args, kind.result)
        )

    def wrap(self, name: str) -> Callable[..., Any]:
        real, kind = getattr(self.lib, name), self.functions[name]
        number = list(self.functions).index(name)

        def call(*given: Any) -> Any:
            args = [self.held(k, a) for k, a in zip(kind.args, given, strict=True)]
            if self.script is None:
                return real(*args)
            text = [word(number)]
            text += [self.argument(k, a) for k, a in zip(kind.args, args, strict=True)]
            before = [self.items(k, a) for k, a in zip(kind.args, args, strict=True)]
            result = real(*args)
            text.append(self.result(kind.result, result))
            for k, a, old in zip(kind.args, args, before, strict=True):
                text.append(self.outcome(k, a, old))
            if name in ("ad_empty", "ad_full_i64") and result:
                self.rooms[self.address(result.data)] = self.count
            self.script.write(b"".join(text))  # at once: a destructor may have written meanwhile
            return result

        return call

    def typeof(self, value: Any) -> Any:
        """For typeof, of the functions that stand for others, too."""
        name = None if isinstance(value, (str, self.ffi.CData)) else self.real.get(value)
        return self.ffi.typeof(value if name is None else getattr(self.lib, name))

    def held(self, kind: Any, value: Any) -> Any:
        """An argument in a place of its own: lists become arrays."""
        if isinstance(value, (list, tuple, bytes)):
            return self.ffi.new(f"{kind.item.cname}[]", value)
        return value

    def address(self, p: Any) -> int:
        return int(self.ffi.cast("intptr_t", p))

    def known(self, p: Any) -> bytes:
        return word(self.ids[self.address(p)])

    def made(self, p: Any) -> bytes:
        """The number of what a call has made."""
        if p == self.ffi.NULL:
            return word(0)
        self.count += 1
        self.ids[self.address(p)] = self.count
        return word(self.count)

    def items(self, kind: Any, value: Any) -> list[Any]:
        """The pointers in an array of them, or behind a pointer to one; none in anything else."""
        if not is_table(kind) or value == self.ffi.NULL:
            return []
        if self.ffi.typeof(value).kind == "array":
            return list(value)
        assert "owning" in repr(value), f"{value!r}: of unknown size"
        return [value[0]]

    def memory(self, value: Any) -> bytes:
        """What an array holds, its size before it."""
        if value == self.ffi.NULL:
            return word(0)
        kind = self.ffi.typeof(value).kind
        assert kind == "array" or "owning" in repr(value), f"{value!r}: of unknown size"
        raw = bytes(self.ffi.buffer(value))
        return word(len(raw)) + raw

    def argument(self, kind: Any, value: Any) -> bytes:
        if is_table(kind):
            items = self.items(kind, value)
            return word(len(items)) + b"".join(map(self.known, items))
        if is_object(kind):
            return self.known(value)
        if kind.kind == "pointer":
            return self.memory(value)
        return number(kind, value)

    def result(self, kind: Any, value: Any) -> bytes:
        if kind.kind == "pointer":
            return self.made(value)
        return b"" if kind.cname == "void" else number(kind, value)

    def outcome(self, kind: Any, value: Any, before: list[Any]) -> bytes:
        if is_table(kind):
            pairs = zip(self.items(kind, value), before, strict=True)
            return b"".join(self.known(p) if p == old else self.made(p) for p, old in pairs)
        if kind.kind == "pointer" and not is_object(kind):
            return self.memory(value)
        return b""

    def fill(self, to: Any, source: Any, nbytes: int) -> None:
        """For memmove: the bytes that a tensor's memory is given."""
        self.ffi.memmove(to, source, nbytes)
        if self.script is not None:
            raw = bytes(self.ffi.buffer(self.ffi.cast("char *", to), nbytes))
            tensor = self.rooms[self.address(to)]
            self.script.write(word(FILL) + word(tensor) + word(nbytes) + raw)

    def copy_foreign(
        self, dtype: int, ndim: int, shape: Any, strides: Any, at: Any, *rest: Any
    ) -> Any:
        """For ad_wrap: a copy, as the driver has not the memory of others."""
        p = sys.modules[EXTENSION].lib.ad_empty(dtype, ndim, shape)
        contiguous = strides == self.ffi.NULL or list(strides) == self.ffi.unpack(p.strides, ndim)
        assert contiguous, "contiguous memory alone"
        self.fill(p.data, at, p.numel * self.lib.ad_dtype_size(dtype))
        *_, owner, release = rest
        release(owner)
        return p

    def copy_capsule(self, capsule: int) -> Any:
        """For ad_capsule_take: a copy, too."""
        taken = self.lib.ad_capsule_take(capsule)
        if not taken:
            return taken
        assert taken.contiguous, "contiguous memory alone"
        p = sys.modules[EXTENSION].lib.ad_empty(taken.dtype, taken.ndim, taken.shape)
        self.fill(p.data, taken.data, p.numel * self.lib.ad_dtype_size(p.dtype))
        self.lib.ad_free(taken)
        return p

    def show(self, p: Any) -> None:
        """Has the driver print a tensor's elements."""
        assert self.script is not None
        self.script.write(word(SHOW) + self.known(p))

    def end(self) -> None:
        assert self.script is not None
        self.script.write(word(END))
        self.script = None

    def dispatch(self) -> str:
        """The cases of a switch over functions: C that reads a call's words, and makes the call."""
        return "\n".join(
            case(i, name, kind) for i, (name, kind) in enumerate(self.functions.items())
        )


class Instead:
    """An object with some of its attributes replaced."""

    def __init__(self, real: Any, others: dict[str, Any]) -> None:
        self.__dict__.update(others, _real=real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def word(value: int) -> bytes:
    return struct.pack("<Q", value % (1 << 64))


def number(kind: Any, value: Any) -> bytes:
    return struct.pack("<d", value) if kind.cname == "double" else word(int(value))


def is_table(kind: Any) -> bool:
    """Whether an argument is an array of pointers."""
    return bool(kind.kind == "pointer" and kind.item.kind == "pointer")


def is_object(kind: Any) -> bool:
    return bool(kind.kind == "pointer" and kind.item.kind == "struct")


def case(i: int, name: str, kind: Any) -> str:
    """In C, one call, which reads in the order in which `Recorder.wrap` writes."""
    reads, passed, checks = [], [], []
    for k, argument in enumerate(kind.args):
        a = f"a{k}"
        if is_table(argument):
            reads.append(f"table {a} = read_table();")
            passed.append(f"(void *){a}.p")
            checks.append(f"check_table(&{a});")
        elif is_object(argument):
            reads.append(f"void *{a} = read_object();")
            passed.append(a)
        elif argument.kind == "pointer":
            reads.append(f"memory {a} = read_memory();")
            passed.append(f"{a}.p")
            checks.append(f"check_memory(&{a});")
        else:
            real = argument.cname == "double"
            reads.append(f"double {a} = read_real();" if real else f"int64_t {a} = read_word();")
            passed.append(a)
    call = f"{name}({', '.join(passed)})"
    if kind.result.kind == "pointer":
        call = f"keep({call})"
    elif kind.result.cname != "void":
        call = f"check_{'real' if kind.result.cname == 'double' else 'word'}({call})"
    return f'case {i}: {{ name = "{name}"; {" ".join([*reads, call + ";", *checks])} break; }}'
