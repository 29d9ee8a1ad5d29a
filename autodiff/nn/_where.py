"""Where in a model something went wrong: the module's path and what it is, for messages."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

from autodiff.tensor import Tensor

_FOLDER = os.path.dirname(os.path.dirname(__file__)) + os.sep
_SIZES = (
    ("in_features", "out_features"),
    ("in1_features", "out_features"),
    ("in_channels", "out_channels"),
    ("num_embeddings", "embedding_dim"),
    ("input_size", "hidden_size"),
)
_SIZE = ("num_features", "num_channels", "normalized_shape", "embed_dim", "d_model")


def title(module: Any) -> str:
    """The kind of a module with its sizes, as Linear 64->10."""
    values, name = vars(module), type(module).__name__
    for first, last in _SIZES:
        if first in values and last in values:
            return f"{name} {values[first]}->{values[last]}"
    found = next((values[size] for size in _SIZE if size in values), None)
    return name if found is None else f"{name} {found}"


def path_of(modules: Sequence[Any], frame: FrameType | None) -> str:
    """The dotted path to the last of modules that call each other, from what the first is called.

    That is a variable of the frame that called it, or of those around; else its class.
    """
    path = _called(modules[0], frame) or type(modules[0]).__name__
    for outer, inner in itertools.pairwise(modules):
        names = (name for name, part in outer.named_modules() if part is inner and name)
        path += f".{next(names, type(inner).__name__)}"
    return path


def _called(module: Any, frame: FrameType | None) -> str | None:
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_FOLDER):
            for name, value in (*frame.f_locals.items(), *frame.f_globals.items()):
                if value is module and name != "self":
                    return name
                if name == "self" and hasattr(value, "__dict__"):
                    parts = (part for part, held in vars(value).items() if held is module)
                    part = next(parts, None)
                    if part is not None:
                        return f"self.{part.removeprefix('.')}"
        frame = frame.f_back
    return None


def modules_on(frame: FrameType | None) -> tuple[list[Any], FrameType | None]:
    """The modules whose calls are running, the innermost last, and the frame that began them."""
    found: list[Any] = []
    outside = frame
    while frame is not None:
        if frame.f_code.co_name in ("__call__", "_hooked_call") and _is_call(frame):
            found.append(frame.f_locals["self"])
            outside = frame.f_back
        frame = frame.f_back
    return found[::-1], outside


def _is_call(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") == "autodiff.nn._hooks"


# ---- errors that were raised in a module ----


class _Note:
    """What is known of an error so far, while it passes from module to module."""

    def __init__(self, text: str, module: Any, details: str) -> None:
        self.text = text
        self.details = details
        self.modules = [module]


def explain(module: Any, error: Exception, args: Sequence[Any]) -> None:
    """Add to an error of the library's which module it was raised in, its shapes and a remedy.

    The error is the same object, with another text. Errors of user code are left alone.
    """
    note = getattr(error, "_note", None)
    if note is None:
        plain = type(error) in (RuntimeError, ValueError, IndexError, TypeError)
        if not plain or len(error.args) != 1 or not _raised_here(error.__traceback__):
            return
        text = str(error.args[0])
        note = _Note(text, module, _details(module, text, args))
        error._note = note  # type: ignore[attr-defined]
    elif note.modules[0] is not module:
        note.modules.insert(0, module)
    path = path_of(note.modules, sys._getframe(2))
    error.args = (f"{note.text}\n  in {path} ({title(note.modules[-1])}){note.details}",)


def _raised_here(traceback: TracebackType | None) -> bool:
    """Whether the frame that raised is the library's, and not one that calls user code."""
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename.startswith(_FOLDER)


def _details(module: Any, text: str, args: Sequence[Any]) -> str:
    given = [x for x in args if isinstance(x, Tensor)]
    shapes = [f"input {list(x.shape)}" for x in given]
    own = vars(module)
    names = [n for n in own.get("_parameter_names", ()) if isinstance(own[n], Tensor)]
    for name in names:
        with contextlib.suppress(RuntimeError):  # a lazy one has no shape yet
            shapes.append(f"{name} {list(own[name].shape)}")
    found = f": {', '.join(shapes)}" if shapes else ""
    hint = _hint(module, text, given)
    return f"{found}. {hint}" if hint else found


def _hint(module: Any, text: str, given: list[Tensor]) -> str:
    """The likely remedy."""
    if not given:
        return ""
    x, own = given[0], vars(module)
    if "same dtype" in text or "but found" in text or "expected scalar type" in text:
        held = next((p.dtype for p in module.parameters(recurse=False)), None)
        if held is not None and held is not x.dtype:
            other = f", or the module, module.to({x.dtype!r})" if x.is_floating_point() else ""
            return (
                f"The input is {x.dtype!r}, the module {held!r}: convert the input, "
                f"x.to({held!r}){other}."
            )
    if "in_features" in own and x.ndim and x.shape[-1] != own["in_features"]:
        return _last_size(x, own["in_features"], f"{type(module).__name__}({x.shape[-1]}, ...)")
    if "in_channels" in own:
        return _channels(x, own["in_channels"], len(own.get("kernel_size", (0,))))
    if "normalized_shape" in own:
        return f"The last sizes of the input must be {list(own['normalized_shape'])}."
    if "num_embeddings" in own and x.numel() and not x.is_floating_point():
        low, high, count = int(x.min()), int(x.max()), own["num_embeddings"]
        if low < 0 or high >= count:
            return f"Indices must be from 0 to {count - 1}; these are from {low} to {high}."
    if "must match the size" in text:
        return (
            "Sizes must be equal or 1, counted from the last dimension: unsqueeze() inserts a 1, "
            "transpose() and reshape() put sizes where they belong."
        )
    return ""


def _last_size(x: Tensor, wanted: int, other: str) -> str:
    for start in range(1, x.ndim - 1):
        if x.shape[start:].numel() == wanted:
            return f"Flatten the input first: x.flatten({start}) has {wanted} at the end."
    for d, size in enumerate(x.shape[:-1]):
        if size == wanted:
            return f"Dimension {d} has the size {wanted}: x.transpose({d}, -1) puts it at the end."
    return f"The last size must be {wanted}: give it such inputs, or make it {other}."


def _channels(x: Tensor, wanted: int, spatial: int) -> str:
    if x.ndim == spatial + 2 and x.shape[1] != wanted and x.shape[-1] == wanted:
        return "Channels come after the batch: move the last dimension to 1, x.movedim(-1, 1)."
    if x.ndim == spatial + 1 and x.shape[0] != wanted:
        return "There is no dimension of channels: x.unsqueeze(1) makes one of size 1."
    if x.ndim in (spatial + 1, spatial + 2) and x.shape[-spatial - 1] != wanted:
        return f"The input must have {wanted} channels, not {x.shape[-spatial - 1]}."
    return f"Expected {spatial + 2} dimensions, (batch, {wanted}, ...), or {spatial + 1}."
