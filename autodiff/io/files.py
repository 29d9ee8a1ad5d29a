"""save and load: the safetensors format, and the files PyTorch saves weights in."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import secrets
from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.io.checkpoint import Checkpoint
from autodiff.io.memory import filled
from autodiff.io.structure import KEY, Structure, restored
from autodiff.tensor import Tensor

_DTYPES = {
    "BOOL": dtypes.bool,
    "U8": dtypes.uint8,
    "I8": dtypes.int8,
    "I16": dtypes.int16,
    "I32": dtypes.int32,
    "I64": dtypes.int64,
    "F16": dtypes.float16,
    "BF16": dtypes.bfloat16,
    "F32": dtypes.float32,
    "F64": dtypes.float64,
}


def save(obj: Any, f: Any, pickle_module: Any = None, pickle_protocol: int = 2) -> None:
    """Write tensors, and dicts, lists, tuples, numbers, strings and None that hold them, to a file.

    `f` is a path or a binary file. The format is safetensors (pip install 'autodiff[io]'): a dict
    of tensors can be read by whatever reads that; what else there is, is told in its metadata. A
    path holds the old file or the whole new one, however the writing ends. Tensors that are the
    same memory are written once and share it again when loaded. TypeError for anything else, such
    as a module: save its state_dict(). `pickle_module` and `pickle_protocol` are ignored.

    >>> ad.save({"weight": ad.ones(2), "epoch": 3}, file := io.BytesIO())
    >>> ad.load(io.BytesIO(file.getvalue()))
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    library = _library()
    whole = Structure(obj)
    specs = {
        name: library.TensorSpec(
            dtype=x.dtype.name, shape=list(x.shape), data_ptr=x.data_ptr(), data_len=x.nbytes
        )
        for name, x in whole.tensors.items()
    }
    metadata = {KEY: whole.text}
    if hasattr(f, "write"):
        f.write(library.serialize(specs, metadata))
    else:
        _check_path("save", f)
        _replace(f, lambda path: library.serialize_file(specs, path, metadata))


def _check_path(name: str, f: Any) -> None:
    """AttributeError for a number, which `open` would take for a file that is open already."""
    if not isinstance(f, (str, bytes, os.PathLike)):
        raise AttributeError(f"{name}: f is a path or a binary file, not {type(f).__name__}")


def _library() -> Any:
    try:
        import safetensors
    except ImportError as missing:
        raise ImportError(
            "this needs the safetensors library: pip install 'autodiff[io]'"
        ) from missing
    return safetensors


def _replace(target: Any, write: Callable[[str], None]) -> None:
    """Have a file written beside the target, forced to the disk, and only then take its place."""
    path = os.path.realpath(os.fspath(target))
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f".{name}.{secrets.token_hex(8)}")
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        write(beside)
        with open(beside, "rb+") as file:
            with contextlib.suppress(OSError):  # there is no old file, or it is another's
                os.chmod(beside, os.stat(path).st_mode & 0o7777)
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the name itself is to last, too
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = True,
    mmap: Any = None,
) -> Any:
    """Read what `save`, or PyTorch's, wrote to a path or a binary file.

    Nothing in a file is ever executed. Of PyTorch's files (.pt, .pth; those of version 1.6 on)
    tensors and the containers that hold them are read, strides and shared memory included;
    pickle.UnpicklingError names what else there is. A safetensors file of others is a dict of its
    tensors. `map_location` may name the CPU only, or be a function or a dict, which are not asked;
    `mmap`, `pickle_module` and `weights_only` are ignored.

    >>> ad.save([ad.ones(2), "text"], file := io.BytesIO())
    >>> ad.load(io.BytesIO(file.getvalue()))
    [tensor([1., 1.]), 'text']
    """
    if isinstance(map_location, str) and map_location.partition(":")[0] != "cpu":
        raise RuntimeError(f"map_location={map_location!r} is not supported; only 'cpu' is")
    if hasattr(f, "read"):
        return _read(f.read(), getattr(f, "name", "the file"))
    _check_path("load", f)
    with open(f, "rb") as file:
        return _read(file.read(), os.fspath(f))


def _read(raw: Any, name: Any) -> Any:
    if not isinstance(raw, bytes):
        raise TypeError(
            f"load: the file gives {type(raw).__name__}, not bytes: open it in binary mode"
        )
    if not raw:
        raise EOFError(f"{name}: the file is empty")
    header = raw[8:9] == b"{"  # of a safetensors file, after its length; no other has it there
    if raw[:4] == b"PK\x03\x04" and not header:
        return Checkpoint(raw, name).load()
    if raw[:1] == b"\x80" and not header:
        raise pickle.UnpicklingError(
            f"{name}: this is a pickle, or a file of a PyTorch before 1.6: such files run code. "
            "Save it again with a newer PyTorch's torch.save"
        )
    library = _library()
    try:
        found = library.deserialize(raw)
    except library.SafetensorError as error:
        raise ValueError(
            f"{name}: neither a safetensors file nor one of PyTorch's: {error}"
        ) from None
    tensors = {key: _tensor(key, about, name) for key, about in found}
    size = int.from_bytes(raw[:8], "little")
    metadata = json.loads(raw[8 : 8 + size]).get("__metadata__", {})
    return restored(metadata[KEY], tensors) if KEY in metadata else tensors


def _tensor(key: str, about: dict[str, Any], name: Any) -> Tensor:
    d = _DTYPES.get(about["dtype"])
    if d is None:
        raise TypeError(
            f"{name}: tensor {key!r} is of dtype {about['dtype']}; supported are "
            f"{', '.join(_DTYPES)}"
        )
    return filled(d, list(about["shape"]), about["data"])
