"""Anomaly detection: which line recorded the operation whose backward goes wrong.

To remember the line costs a tenth of a small operation. Mistakes show in the first steps of a
program, so its first operations remember theirs, and all of them do inside detect_anomaly().
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from sys import _getframe
from typing import Any

from autodiff.changes import changed, look_again, new_lock
from autodiff.dtypes import flag

FIRST = 10_000  # operations that remember their lines in any case


# Not empty while nodes with saved tensors remember their lines: what a native call tells of such a
# node, or None where Python is to make the node.
noting: list[Callable[[Any], None] | None] = []


class _Lines:
    """For how many more operations the line is remembered."""

    __slots__ = ("count", "held", "lock")

    def __init__(self) -> None:
        self.held = 0  # for how many reasons the count stands still
        self.left = FIRST
        self.lock = new_lock()

    @property
    def left(self) -> int:
        """How many."""
        return self.count

    @left.setter
    def left(self, count: int) -> None:
        self.count = count
        note = None if self.held else note_made
        if count <= 0:
            noting.clear()
        elif not noting or noting[0] is not note:
            noting[:] = [note]

    def hold(self, by: int) -> None:
        """One reason more, or less, to remember lines however many there were."""
        with self.lock:
            self.held += by
            self.left += by  # so that it is not 0, whatever is used up


class _Watchers(threading.local):
    """What is told of each node with saved tensors, of which there may be several: the last."""

    def __init__(self) -> None:
        self.stack: list[Callable[[Any], object]] = []
        self.packing: list[Any] = []  # saved_tensors_hooks, of which the last is used
        self.refusal: str | None = None  # why there may be none


class _State:
    enabled = False
    check_nan = False


class _Files(dict[str, bool]):
    """Whether a file of source is the library's own."""

    folder = os.path.dirname(__file__) + os.sep

    def __missing__(self, filename: str) -> bool:
        own = self[filename] = filename.startswith(self.folder)
        return own


watchers = _Watchers()
state = _State()
_own = _Files()


def note_line(node: Any) -> None:
    """Remember which line of the user's called the operation that records this node.

    Only the code and the place in it are kept: a frame would keep all its variables alive.
    """
    if lines.held and watchers.stack:
        watchers.stack[-1](node)
    note_made(node)


def note_made(node: Any) -> None:
    """The same of a node that a native call made, for which nobody waits."""
    if not lines.held:
        lines.count -= 1
        if lines.count <= 0:
            noting.clear()
    frame = users_frame(1)
    node.code = frame.f_code
    node.at = frame.f_lasti


lines = _Lines()


def users_frame(depth: int) -> Any:
    """The frame of the user's that called the library; `depth` frames above are skipped."""
    frame: Any = _getframe(depth + 1)
    while _own[frame.f_code.co_filename] and (back := frame.f_back) is not None:
        frame = back
    return frame


def warn(text: str) -> None:
    """A UserWarning of the user's line that called the library, whatever frames are between."""
    frame, level = users_frame(0), 1
    while _getframe(level) is not frame:
        level += 1
    warnings.warn(text, stacklevel=level + 1)


def line_of(node: Any) -> str:
    """What the message of an error says of where a node was recorded."""
    code = getattr(node, "code", None)
    if code is None:
        return " (run under autodiff.autograd.detect_anomaly() to see the line)"
    return f" (recorded at {line_in(code, node.at)})"


def place(code: Any, at: int) -> str:
    """The file and line of an instruction."""
    found = [line for start, stop, line in code.co_lines() if start <= at < stop]
    return f"{code.co_filename}:{found[0] if found else '?'}"


def line_in(code: Any, at: int) -> str:
    """The same, and the function's name."""
    return f"{place(code, at)}, in {code.co_name}"


def _set(enabled: bool, check_nan: bool) -> None:
    lines.hold(enabled - state.enabled)
    state.enabled, state.check_nan = enabled, enabled and check_nan
    changed()


@contextmanager
def watching(watcher: Callable[[Any], object]) -> Iterator[None]:
    """Call `watcher(node)` for each node with saved tensors that this thread records."""
    lines.hold(1)
    watchers.stack.append(watcher)
    look_again()
    try:
        yield
    finally:
        watchers.stack.pop()
        lines.hold(-1)
        look_again()


class set_detect_anomaly:  # noqa: N801 - PyTorch's name
    """Turns anomaly detection on or off, for all threads; as a context manager, until its end.

    When on, every operation remembers its line, and backward raises RuntimeError at the first
    gradient that is nan (unless check_nan is False), naming the operation and the line.

    >>> with ad.autograd.set_detect_anomaly(True):
    ...     ad.autograd.is_anomaly_enabled()
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.previous = state.enabled, state.check_nan
        _set(flag(mode, "set_detect_anomaly"), flag(check_nan, "set_detect_anomaly"))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _set(*self.previous)


class detect_anomaly(set_detect_anomaly):  # noqa: N801 - PyTorch's name
    """A context in which anomaly detection is on: see set_detect_anomaly.

    >>> x = ad.tensor(0.0, requires_grad=True)
    >>> with ad.autograd.detect_anomaly():
    ...     (0 * x).sqrt().backward()
    Traceback (most recent call last):
    RuntimeError: Function 'MulBackward0' (recorded at ...) returned nan values in its 1th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan

    def __enter__(self) -> None:
        super().__init__(True, self.check_nan)


def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """Turn anomaly detection on or off, until the next call.

    >>> ad.set_anomaly_enabled(True)
    >>> ad.is_anomaly_enabled()
    True
    >>> ad.set_anomaly_enabled(False)
    """
    _set(flag(enabled, "set_anomaly_enabled"), flag(check_nan, "set_anomaly_enabled"))


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on.

    >>> ad.autograd.is_anomaly_enabled()
    False
    """
    return state.enabled


def is_anomaly_check_nan_enabled() -> bool:
    """Whether backward looks for nan.

    >>> ad.autograd.is_anomaly_check_nan_enabled()
    False
    """
    return state.check_nan
