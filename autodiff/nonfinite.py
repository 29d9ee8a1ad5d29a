"""detect_nonfinite: stop at the first nan or infinity that is made, and say where.

The native library looks at what each call of the thread wrote, while it is watched: forward,
backward, writes in place and optimisers' steps alike, recorded or not. A call fails that was given
finite operands and wrote something else. Nothing is looked at otherwise.
"""

from __future__ import annotations

import sys
import weakref
from contextlib import ContextDecorator
from types import FrameType
from typing import Any

from autodiff import walk
from autodiff.anomaly import _own, line_in, watching
from autodiff.native import ffi, late, lib
from autodiff.nn._where import modules_on, path_of, title
from autodiff.node import Node

__all__ = ["NonFiniteError", "detect_nonfinite"]


class NonFiniteError(RuntimeError):
    """A nan or an infinity was made of finite numbers.

    `operation` made it, `value` is what it is, `index` where in the result, of `shape`, it is;
    `operands` are the operands there, where they can be told; `module` is the path of the module
    that was running and `line` the line of the program, or None; `backward` tells whether it is a
    gradient, and then module and line are those of the forward operation.
    """

    def __init__(
        self, operation: str, backward: bool, module: str | None, line: str | None
    ) -> None:
        found = lib.ad_watch_found()
        self.operation = operation
        self.backward = backward
        self.module = module
        self.line = line
        self.value = float(found.value)
        self.index = tuple(ffi.unpack(found.index, found.ndim))
        self.shape = tuple(ffi.unpack(found.shape, found.ndim))
        inputs = range(min(found.n_in, 10))
        self.operands = [found.operands[i] for i in inputs if found.known[i]]
        self.written = found.written if found.n_written > 1 else None
        super().__init__(self._text())

    def _text(self) -> str:
        what = "gradient" if self.backward else "result"
        which = "" if self.written is None else f" {self.written}"
        text = f"{self.operation} made {self.value} of finite numbers, at index {list(self.index)} "
        text += f"of its {what}{which}, of shape {list(self.shape)}"
        if self.operands:
            text += f", where its operands are {', '.join(f'{x:g}' for x in self.operands)}"
        if self.module is not None:
            text += f"; in {self.module}"
        if self.line is not None:
            text += f"; {'recorded ' if self.backward else ''}at {self.line}"
        return text


# ---- where ----

# The path of the module that was running when a node was recorded, while there is a watch.
_paths: weakref.WeakKeyDictionary[Node, str] = weakref.WeakKeyDictionary()


def _module_of(frame: FrameType | None) -> str | None:
    modules, outside = modules_on(frame)
    return f"{path_of(modules, outside)} ({title(modules[-1])})" if modules else None


def _note_module(node: Node) -> None:
    path = _module_of(sys._getframe(2))
    if path is not None:
        _paths[node] = path


def _line_of_user(frame: FrameType | None) -> str | None:
    while frame is not None and _own[frame.f_code.co_filename]:
        frame = frame.f_back
    return None if frame is None else line_in(frame.f_code, frame.f_lasti)


_WALKS = {walk.Walk.run.__code__}


def _node_that_runs(frame: FrameType | None) -> Node | None:
    """The node of the backward pass that a frame is part of."""
    while frame is not None:
        if frame.f_code in _WALKS:
            return frame.f_locals.get("node")
        if not _own[frame.f_code.co_filename]:
            return None  # a hook, or a Function: forward of its own
        frame = frame.f_back
    return None


def _error(op: str) -> Exception:
    """What a watched call made, in words; called where the error is raised."""
    frame = sys._getframe(1)
    node = _node_that_runs(frame)
    if node is None:
        return NonFiniteError(op, False, _module_of(frame), _line_of_user(frame))
    code: Any = getattr(node, "code", None)
    line = None if code is None else line_in(code, node.at)  # type: ignore[attr-defined]
    return NonFiniteError(node.call.name(), True, _paths.get(node), line)


late.nonfinite = _error


class detect_nonfinite(ContextDecorator):  # noqa: N801 - as detect_anomaly
    """A context (or decorator) that stops at the first nan or infinity made on this thread.

    NonFiniteError, a RuntimeError, then names the operation, the module and the line, and where in
    the result it is. It is raised by an operation whose operands were finite: what a program starts
    with (a mask of -inf) is no error. Each result is read once more, which costs about what a copy
    does.

    >>> with ad.detect_nonfinite():
    ...     ad.tensor([1.0, 0.0]).log()
    Traceback (most recent call last):
    autodiff.nonfinite.NonFiniteError: log made -inf of finite numbers, at index [1] ...
    """

    def _recreate_cm(self) -> detect_nonfinite:
        return type(self)()  # a call may hold another

    def __enter__(self) -> None:
        self.watcher = watching(_note_module)
        self.before = lib.ad_watch(1)
        if self.before < 0:
            raise RuntimeError("detect_nonfinite: this thread is recording its calls")
        self.watcher.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.watcher.__exit__(None, None, None)
        lib.ad_watch(self.before)
