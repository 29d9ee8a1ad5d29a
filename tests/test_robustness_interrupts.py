"""An interrupt at each place of the package's Python where one can come, as a step is recorded."""

from __future__ import annotations

import dis
import functools
import os
import sys
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from training import regression

import autodiff as ad
from autodiff import nn, optim
from autodiff.changes import changes
from autodiff.native import NULL, lib
from autodiff.nn._hooks import Hooked
from autodiff.walk import walking

FOLDER = os.path.dirname(ad.__file__)
# What ends here is what must be put back whatever happens; the long variant is all of the package.
FILES = {"compiled/record.py", "compiled/function.py", "compiled/check.py", "node.py", "walk.py"}
Place = tuple[str, int, str, int]

pytestmark = pytest.mark.skipif(
    sys.implementation.name != "cpython" or sys.version_info < (3, 11),
    reason="where CPython looks for signals, and its table of what is caught",
)
parse: Callable[[types.CodeType], Any] = getattr(dis, "_parse_exception_table", list)


@functools.lru_cache(None)
def ends_of_calls(code: types.CodeType) -> set[int]:
    """The instructions after which Python looks for signals."""
    return {
        i.offset
        for i in dis.get_instructions(code)
        if i.opname.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))
    }


@functools.lru_cache(None)
def alike(code: types.CodeType, *offsets: int) -> bool:
    """Whether what is raised at these instructions is caught in one place."""
    table = parse(code)
    return len({next((e.target for e in table if e.start <= i < e.end), -1) for i in offsets}) == 1


class Interrupts:
    """Counts the places where an interrupt can come, and has one come at one of them.

    It comes at the instruction after a call: for Python, at the call's end. That is the same where
    no `try` or `with` ends between the two, as it does after `return f()`.
    """

    def __init__(self, at: Place | None = None, files: set[str] = FILES) -> None:
        self.at, self.files = at, files
        self.places: Counter[Place] = Counter()
        self.last: dict[int, int] = {}

    def __call__(self, frame: Any, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if name.removeprefix(FOLDER + os.sep).replace(os.sep, "/") not in self.files:
            return None
        frame.f_trace = self.look  # CPython 3.13 looks for it as it is asked for opcodes
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.look

    def look(self, frame: Any, event: str, arg: Any) -> Any:
        code = frame.f_code
        if event == "return":
            self.last.pop(id(frame), None)
        elif event == "opcode":
            before, self.last[id(frame)] = self.last.get(id(frame)), frame.f_lasti
            if before in ends_of_calls(code) and alike(code, before, frame.f_lasti):
                place = code.co_filename, code.co_firstlineno, code.co_name, before
                self.places[place] += 1
                if place == self.at and self.places[place] == 1:
                    raise KeyboardInterrupt
        return self.look

    def run(self, call: Callable[[], Any]) -> bool:
        """Whether the call was interrupted."""
        before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # else CPython 3.12 tells of none the first time
        sys.settrace(self)
        try:
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False


class Training:
    """A model and a step of it, plain and compiled."""

    def __init__(self, check: bool = False) -> None:
        rng = ad.Generator().manual_seed(1)
        self.data = ad.randn(6, 2, generator=rng), ad.randn(6, 1, generator=rng)
        self.net = net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        for p in self.net.parameters():
            p.requires_grad_(False).copy_(ad.randn(p.shape, generator=rng)).requires_grad_()
        self.optimizer = optimizer = optim.Adam(net.parameters(), lr=0.01)

        self.plain = regression(net, optimizer)
        self.step = ad.compile(self.plain, check=check)

    def twin(self) -> Training:
        """Another in the same state."""
        other = Training()
        other.net.load_state_dict(self.net.state_dict())
        other.optimizer.load_state_dict(self.optimizer.state_dict())
        return other


def nothing_is_under_way() -> bool:
    recording = lib.ad_tape_pause()
    lib.ad_tape_resume(recording)
    idle = changes.recorder is None and recording == NULL and walking.walk is None
    return idle and ad.is_grad_enabled() and not ad.is_inference_mode_enabled()


@pytest.mark.parametrize("kind", ["eager", "the second call, recorded", "checked"])
def test_an_interrupt_leaves_nothing_half_done(kind: str) -> None:
    plain_call = Hooked.__call__

    def made() -> tuple[Training, Callable[[], Any]]:
        training = Training(check=kind == "checked")
        for _ in range({"eager": 1, "checked": 2}.get(kind, 1)):
            training.step(*training.data)
        step = training.plain if kind == "eager" else training.step
        return training, lambda: step(*training.data)

    counted = Interrupts()
    assert not counted.run(made()[1])
    assert len(counted.places) > 20
    for place in counted.places:
        training, call = made()
        assert Interrupts(place).run(call), place
        assert nothing_is_under_way(), place
        assert Hooked.__call__ is plain_call, place
        twin = training.twin()
        for _ in range(3):
            expected = twin.plain(*twin.data).item()
            assert training.step(*training.data).item() == expected, place
        assert training.step.stats().recordings == 1, place


@pytest.mark.parametrize("kind", ["vmap", "autocast"])
def test_an_interrupt_leaves_functions_as_they_were(kind: str) -> None:
    """While functions are given other code, or their own again."""

    def call() -> list[float]:
        if kind == "vmap":
            return ad.vmap(lambda row: ad.exp(row).sum())(x).tolist()  # type: ignore[no-any-return]
        with ad.autocast("cpu"):
            return (x @ x).tolist()  # type: ignore[no-any-return]

    x = ad.ones(2, 2)
    expected, files = call(), {"replaced.py"}
    counted = Interrupts(files=files)
    assert not counted.run(call)
    assert counted.places
    for place in counted.places:
        assert Interrupts(place, files).run(call), place
        assert call() == expected, place
        assert ad.get_autocast_dtype("cpu") is ad.bfloat16, place
        assert not ad.is_autocast_enabled("cpu"), place
        assert (x @ x).dtype is ad.float32, place


def test_an_interrupt_as_inference_mode_begins() -> None:
    """The block is not entered, so nobody would leave it."""

    class Stop:
        def __init__(self, after: str) -> None:
            self.after = after

        def __call__(self, frame: Any, event: str, arg: Any) -> Any:
            if event == "c_return" and arg.__name__ == self.after:
                sys.setprofile(None)
                raise KeyboardInterrupt

    for after in ("add", "ad_set_inference"):
        try:
            sys.setprofile(Stop(after))
            with ad.inference_mode():
                pass
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        assert nothing_is_under_way()
        assert not ad.ones(1).is_inference()
