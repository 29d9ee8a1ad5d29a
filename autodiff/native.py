"""The one door to the native library: its handles, and its errors put into words."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from autodiff._native import ffi, lib
from autodiff.changes import changes, recorder_here
from autodiff.dtypes import ALL, SCALAR_NAMES

__all__ = ["NULL", "descriptors", "error", "ffi", "lib", "looked_at", "numbered", "refuse_any"]

NULL = ffi.NULL
ADDRESS = ffi.typeof("intptr_t")  # a name would be looked up at each cast


def _interrupted(kind: Any, error: Any, trace: Any) -> None:
    """An interrupt came in a callback, and cannot be raised through C: the recorder raises it."""
    if changes.recorder is not None:
        changes.recorder.interrupted = error


@ffi.def_extern(onerror=_interrupted)  # type: ignore[untyped-decorator]
def ad_tape_notice(reason: int) -> None:
    """Tell the recorder of a call, or of what cannot be recorded."""
    if changes.recorder is not None:
        changes.recorder.notice(reason)


def looked_at() -> None:
    """Tell that Python is about to see a value, so that what follows may depend on it."""
    if recorder := recorder_here():
        lib.ad_tape_break(lib.AD_TAPE_READ)
        recorder.refuse()


@ffi.def_extern()  # type: ignore[untyped-decorator]
def ad_release_owner(handle: Any) -> None:
    """Drop the Python object whose memory a tensor viewed."""
    _owners.pop(handle, None)


_owners: dict[Any, object] = {}  # by handle, of which those of one address are equal


def keep(owner: object) -> Any:
    """A handle that keeps `owner` alive until the native library releases it."""
    handle = ffi.new_handle(owner)
    _owners[handle] = owner
    return handle


def forget(handle: Any) -> None:
    """Undo `keep` where the native library refused the memory."""
    ad_release_owner(handle)


def numbered(name_of: Callable[[int], Any]) -> dict[str, int]:
    """The numbers that the native library gives its reductions, instructions..., by their names."""
    names: dict[str, int] = {}
    while (name := name_of(len(names))) != NULL:
        names[ffi.string(name).decode()] = len(names)
    return names


_TABLE = ffi.typeof("ad_tensor *[]")  # a name would be looked up at each call


def descriptors(items: list[Any]) -> Any:
    """A C array of descriptor pointers."""
    n = len(items)
    table = ffi.new(_TABLE, n)
    lib.ad_table(n, items, table)
    return table


class Holding:
    """The library, where it does not hold the descriptors that it makes itself (as on PyPy)."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        kind = ffi.typeof(found) if callable(found) else None
        if kind is not None and kind.result is POINTER and name != "ad_tape_operand":

            def call(*args: Any) -> Any:
                return hold(found(*args))

            self.__dict__[name] = call
            return call
        self.__dict__[name] = found
        return found

    def __dir__(self) -> list[str]:
        return dir(self._real)


POINTER = ffi.typeof("ad_tensor *")
_types = [POINTER, *map(ffi.typeof, ("ad_tensor **", "int64_t *", "int64_t[8]", "char *"))]
if lib.ad_held_start(id(_types)):
    _free = lib.ad_free

    def hold(p: Any) -> Any:
        """What owns a descriptor that a call has left in a row; NULL stays NULL."""
        return ffi.gc(p, _free)

    Held = ffi.CData
    lib = Holding(lib)
else:
    Held, hold = _types


def _sizes(p: Any) -> list[int]:
    return list(ffi.unpack(p.shape, p.ndim))


def operand_text(p: Any) -> str:
    """The dtype and shape of a descriptor."""
    return f"{SCALAR_NAMES[p.dtype]}{_sizes(p)}"


_MESSAGES: dict[int, str] = {
    lib.AD_NO_MEMORY: "{what}: not enough memory for {a} bytes",
    lib.AD_TOO_LARGE: "{what}: Storage size calculation overflowed with these sizes",
    lib.AD_BAD_DTYPE: '"{op}" not implemented for {A!r}: {what}',
    lib.AD_BROADCAST: "The size of tensor a ({a}) must match the size of tensor b ({b}) at "
    "non-singleton dimension {c}: {what} cannot be broadcast together",
    lib.AD_BAD_DIM: "{what}: dimension {a} does not fit {b} dimension(s)",
    lib.AD_BAD_INDEX: "index {a} is out of bounds for dimension {b} with size {c}: {what}",
    lib.AD_BAD_SHAPE: "{what}: shapes do not fit ({a} against {b})",
    lib.AD_NO_VIEW: "{what}: view size is not compatible with input tensor's size and stride (at "
    "least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.",
    lib.AD_ZERO_DIV: "ZeroDivisionError: {what} divides an integer by zero",
    lib.AD_BAD_CAST: "result type {A} can't be cast to the desired output type {B}: {what}",
    lib.AD_OVERLAP: "unsupported operation: some elements of the tensors share a single memory "
    "location, and one of them is written to. Please clone() the tensor first: {what}",
    lib.AD_READ_ONLY: "{what}: this tensor views memory that is read-only; clone() it first",
    lib.AD_INFERENCE: "{what}: Inplace update to inference tensor outside InferenceMode is not "
    "allowed. Make a clone() of it to get a normal tensor before the write.",
    lib.AD_EMPTY: "{what}: expected the reduced dimension to have a non-zero size, as {op} has no "
    "identity",
}
_KINDS: dict[int, type[Exception]] = {  # where it is no RuntimeError
    lib.AD_NO_MEMORY: MemoryError,
    lib.AD_BAD_DTYPE: NotImplementedError,
    lib.AD_BAD_DIM: IndexError,
    lib.AD_BAD_INDEX: IndexError,
    lib.AD_EMPTY: IndexError,
}


_refusals: dict[tuple[type[Exception], str], int] = {}  # those of recordings, by their numbers


def refusal(kind: type[Exception], text: str) -> int:
    """The number by which a native call tells what it refuses, and in which words."""
    return _refusals.setdefault((kind, text), len(_refusals))


def refuse_any(p: Any, kind: type[Exception], text: str, of: Any = None) -> None:
    """Raise where any element of a bool or int64 descriptor is not 0, now and at each run.

    Of int64, {n} in the text is the first of them, and {i} its place; the descriptor `of` is told.
    """

    def words() -> str:
        return text if of is None else f"{text} A is {operand_text(of)}"

    if lib.ad_refuse_any(p, refusal(kind, words()) if recorder_here() else -1):
        status, _, b, c = failure = take_failure()
        if status == lib.AD_REFUSED:
            raise kind(words().format(i=b, n=c))
        raise describe(failure, "refuse", p)


class _Late:
    """What a later module provides, so that imports point one way."""

    nonfinite: Callable[[str], Exception]  # words what a watched call made


late = _Late()


def _dtype_name(code: int) -> str:
    return SCALAR_NAMES[code] if 0 <= code < len(SCALAR_NAMES) else str(code)


Failure = tuple[int, int, int, int]


def take_failure() -> Failure:
    """The status of this thread's last native failure and its three numbers; clears it."""
    detail = ffi.new("int64_t[3]")
    return int(lib.ad_error(detail)), detail[0], detail[1], detail[2]


def describe(failure: Failure, op: str, *inputs: Any) -> Exception:
    """PyTorch's exception for a failure of `op` on these descriptors."""
    status, a, b, c = failure
    if status == lib.AD_NONFINITE:
        return late.nonfinite(op)
    if status == lib.AD_REFUSED:
        refused, text = [*_refusals][a]
        return refused(text.format(i=b, n=c))
    given = " and ".join(map(operand_text, inputs))
    what = f"{op}({given})" if given else op
    text = _MESSAGES.get(status, "{what}: internal error {status} ({a}, {b})")
    names = {"A": _dtype_name(a), "B": _dtype_name(b)}
    text = text.format(op=op, what=what, a=a, b=b, c=c, status=status, **names)
    return _KINDS.get(status, RuntimeError)(text)


def error(op: str, *inputs: Any) -> Exception:
    """The exception for this thread's last native failure, in `op` on these descriptors."""
    return describe(take_failure(), op, *inputs)


_op_names: dict[str, int] = {}
_WRITERS = {
    lib.AD_BY_COPY: "copy_, fill_ or an assignment",
    lib.AD_BY_INDEX_PUT: "index_put_",
    lib.AD_BY_RANDOM: "a random fill",
    lib.AD_BY_OPTIMIZER: "an optimizer's step",
    lib.AD_BY_CLIPPING: "gradient clipping",
}


def op_number(name: str) -> int:
    """A number for the name of a pointwise op, which a storage remembers its last writer by."""
    return _op_names.setdefault(name, len(_op_names))


def writer_name(writer: int) -> str:
    """What a storage's last writer is called."""
    names = list(_op_names)
    number = writer - lib.AD_BY_OP
    return f"{names[number]}_" if number >= 0 else _WRITERS.get(writer, "nobody")


def check(status: int, op: str, *inputs: Any) -> None:
    """Raise if a native call that returns a status failed."""
    if status:
        raise error(op, *inputs)


def get_num_threads() -> int:
    """How many threads large operations use.

    >>> ad.get_num_threads() >= 1
    True
    """
    return int(lib.ad_get_num_threads())


def set_num_threads(n: int) -> None:
    """Use at most n threads for large operations; results do not depend on it.

    >>> ad.set_num_threads(1)
    >>> ad.get_num_threads()
    1
    """
    if not isinstance(n, int):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1 or lib.ad_set_num_threads(n):
        raise RuntimeError(f"set_num_threads expects a positive integer, got {n}")


def available_isas() -> list[str]:
    """The instruction sets that were compiled in and that this CPU has."""
    known = ("baseline", "avx2", "avx512", "neon")
    return [name for name in known if lib.ad_isa_available(name.encode())]


def sanitized() -> str:
    """The sanitizers the native library was built with, separated by commas; mostly none."""
    compiler = ffi.string(lib.ad_compiler()).decode()
    return str(compiler.partition("-fsanitize=")[2])


def _start() -> None:
    isa = os.environ.get("AUTODIFF_ISA", "")
    if lib.ad_init(isa.encode()):
        raise ImportError(
            f"AUTODIFF_ISA={isa}: this machine has {', '.join(available_isas())}; choose one of "
            "them, or unset the variable"
        )
    for code, dtype in enumerate(ALL):
        if ffi.string(lib.ad_dtype_name(code)).decode() != dtype.name:
            raise ImportError(f"the native library's dtype {code} is not {dtype.name}")


_start()
