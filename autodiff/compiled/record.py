"""Recording one call: what it does natively is on the tape, what it does to Python is noted."""

from __future__ import annotations

import functools
import linecache
import os
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from autodiff.anomaly import _own, place, users_frame
from autodiff.changes import changes
from autodiff.compiled.reads import catches
from autodiff.compiled.signature import is_spent
from autodiff.native import Held, error, ffi, lib
from autodiff.nn._hooks import Hooked
from autodiff.nn.module import Module
from autodiff.node import AccumulateGrad, Node
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor, live_node

REASONS = {
    lib.AD_TAPE_READ: "looks at a value",
    lib.AD_TAPE_SIZED: "makes a result whose size depends on values",
    lib.AD_TAPE_UNRECORDED: "calls an operation that cannot be recorded",
    lib.AD_TAPE_SEED: "asks for the seed of a generator, which may be another",
    lib.AD_TAPE_FOREIGN: "takes in memory from outside",
    lib.AD_TAPE_STARTED: "makes the state of an optimizer",
    lib.AD_TAPE_NO_MEMORY: "needs more memory than there is",
    lib.AD_TAPE_REFUSED: "goes on where a call is refused its values",
}
ARGUMENT, CAPTURED, MADE = 0, 1, 2  # where a tape has memory from; CAPTURED: it was there before
DESCRIPTOR = ffi.typeof("ad_tensor *")


def version(x: Tensor, _: Any = None) -> list[Any]:
    """The memory that a tensor has, and how often that was written."""
    return [x._p, lib.ad_writes(x._p)]


class CannotRecordError(RuntimeError):
    """What a compiled function does that depends on values, where `fullgraph=True`."""


def is_descriptor(value: Any) -> bool:
    """Whether a value is a tensor's descriptor."""
    return type(value) is Held or (isinstance(value, ffi.CData) and ffi.typeof(value) is DESCRIPTOR)


def part_of(x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor] | None:
    """How x is found in y, and in another of its layout; None where it lies elsewhere."""
    if x is y:
        return lambda y: y
    shape, strides, first = x.shape, x.stride(), x.storage_offset() - y.storage_offset()
    last = first + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    most = sum((n - 1) * step for n, step in zip(y.shape, y.stride(), strict=True))
    inside = x.numel() and first >= 0 and last <= most
    if not inside or x.dtype is not y.dtype or lib.ad_storage_id(x._p) != lib.ad_storage_id(y._p):
        return None
    return lambda y: y.detach().as_strided(shape, strides, y.storage_offset() + first)


def has_gradient(x: Tensor) -> bool:
    """Whether a tensor has one."""
    return x._acc is not None and x._acc.grad is not None


class UnfitError(Exception):
    """Why a call cannot be run from its recording; `retry` where the next one may be."""

    def __init__(self, why: str, retry: bool = False) -> None:
        super().__init__(why)
        self.retry = retry


def exported(tape: Any, p: Any) -> int:
    """The number by which a tensor is to be had after each run."""
    i = lib.ad_tape_export(tape, p)
    if i == -2:
        raise UnfitError("it returns what an operation makes that cannot be recorded")
    if i < 0:
        raise error("compile")
    return int(i)


class Event:
    """A gradient was read, cleared or set after so many calls."""

    __slots__ = ("at", "leaf", "value")

    def __init__(self, at: int, leaf: AccumulateGrad, value: Any) -> None:
        self.at = at
        self.leaf = leaf
        self.value = value  # READ, or what .grad became


READ = object()


class Recorder:
    """The recording of one call on this thread; lower layers tell it what they do.

    It is `changes.recorder` from before the call until all that it relies on is known: there is one
    at a time, as storages carry the mark of one recording. Who sets that must do so, and unset it,
    without any call in between, as an interrupt comes, and threads change places, where calls end.
    """

    def __init__(self, inputs: list[Tensor], fullgraph: bool, of: Any = None) -> None:
        self.inputs = inputs
        self.fullgraph = fullgraph
        self.of = of
        self.home = threading.get_ident()
        self.thread = 0  # the same, while it records
        self.tape: Any = None
        self.places: list[tuple[Any, int]] = []  # of each call: code, and the instruction in it
        self.caught = 0  # so many, up to the last after whose failure the function may go on
        self.events: list[Event] = []
        self.outside = {node for node in map(live_node, inputs) if node and node.edges}
        self.went_outside = False
        self.before: dict[AccumulateGrad, Any] = {}
        self.called: weakref.WeakSet[Module] = weakref.WeakSet()  # not those of this call alone
        self.stepped: dict[Optimizer, bool] = {}  # or cleared gradients alone
        self.kept: list[Any] = []
        self.looked: list[tuple[Tensor, list[Any]]] = []  # at these, in these versions
        self.looks: list[tuple[int, Callable[[Tensor], Any], Any]] = []  # at arguments
        self.versions = [lib.ad_writes(x._p) for x in inputs]
        self.touched: dict[tuple[weakref.ref[Any], str], Any] = {}  # and what attributes were
        self.set_at: dict[tuple[weakref.ref[Any], str], int] = {}  # the last time so many calls in
        self.after: list[Callable[[], Any]] = []  # what Python does when a run has ended
        self.broken = ""
        self.interrupted: BaseException | None = None
        self.retry = False
        self.changed = False  # by the call
        self.count = 0  # of changes that were there, or do not matter
        self.unwatch: Callable[[], None] = lambda: None  # the calls of modules
        self.disturbed = False  # by what another thread changes,
        self.strange: set[AccumulateGrad] = set()  # gradients left out: most are none of ours

    # ---- what lower layers tell ----

    def notice(self, reason: int) -> None:
        """A call was recorded, or what happened cannot be."""
        frame = users_frame(1)
        if reason in (lib.AD_TAPE_FINE, lib.AD_TAPE_REFUSES):
            self.places.append((frame.f_code, frame.f_lasti))
        if reason == lib.AD_TAPE_REFUSES and is_caught():
            self.caught = len(self.places)
        elif reason not in (lib.AD_TAPE_FINE, lib.AD_TAPE_REFUSES) and not self.broken:
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            self.broken = f"{place(frame.f_code, frame.f_lasti)}: `{line}` {REASONS[reason]}"
            self.retry = reason in (lib.AD_TAPE_STARTED, lib.AD_TAPE_REFUSED)

    def refuse(self) -> None:
        """Raise where values must not be looked at."""
        if self.fullgraph and self.broken:
            raise CannotRecordError(
                f"fullgraph=True: {self.broken}, which a recording cannot follow."
            )

    def accumulator(self, x: Tensor) -> AccumulateGrad | None:
        """What will tell of the gradient of a tensor that has none; an argument is looked at."""
        for i, y in enumerate(self.inputs):
            if y is x:
                self.looks.append((i, has_gradient, False))
                return None
        return x._accumulator()

    def gradient_read(self, leaf: AccumulateGrad) -> None:
        """`.grad` of a leaf is about to be looked at."""
        self.note(leaf, READ)

    def gradient_put(self, leaf: AccumulateGrad, g: Tensor | None) -> None:
        """`.grad` of a leaf is about to be replaced, by whatever thread."""
        here = threading.get_ident()
        if here == self.thread:
            self.note(leaf, g)
        elif here == self.home:
            changes.count += 1
        else:
            self.strange.add(leaf)
            changes.count += 1
            self.count += 1

    def walks(self, nodes: Iterable[Node]) -> None:
        """A backward pass goes through these nodes."""
        self.went_outside = self.went_outside or not self.outside.isdisjoint(nodes)

    def changed_somewhere(self) -> None:
        """A thread changed what may be relied on."""
        self.disturbed |= threading.get_ident() != self.home

    def was_disturbed(self) -> bool:
        """Whether another thread changed what is relied on: the recording may be a mixture."""
        return self.disturbed or not self.strange.isdisjoint(self.before)

    def note(self, leaf: AccumulateGrad, value: Any) -> None:
        """Remember what happens to a gradient, and what it was before."""
        if leaf not in self.before:
            self.before[leaf] = leaf.made() if value is READ else leaf.grad
        self.events.append(Event(len(self.places), leaf, value))

    def changed_of(self, thing: Any, name: str, was: Any) -> None:
        """An object changes that may be of this call alone, or an attribute that was `was`."""
        key = weakref.ref(thing), name
        self.touched.setdefault(key, was)
        self.set_at[key] = len(self.places)

    def optimizer(self, optimizer: Optimizer) -> None:
        """An optimiser clears gradients."""
        self.stepped.setdefault(optimizer, False)

    def before_step(self, optimizer: Optimizer) -> None:
        """An optimiser is about to update parameters."""
        self.stepped[optimizer] = True
        if self.after:
            self.stay_eager("it steps a scheduler before an optimizer")

    def stay_eager(self, why: str) -> None:
        """What happens is of a kind that cannot be recorded."""
        self.broken = self.broken or why

    def do_after(self, call: Callable[[], Any]) -> Any:
        """Make a call that is no part of the tape, and is made again after each run."""
        self.after.append(call)
        return self.apart(call)

    def look_at(self, x: Tensor, look: Callable[[Tensor], Any]) -> Any:
        """What a look at a tensor gives, which is relied on: of an argument, a part of one, or what
        is made of numbers alone or was there before.
        """
        for i, (y, was) in enumerate(zip(self.inputs, self.versions, strict=True)):
            if lib.ad_writes(x._p) == was and (part := part_of(x, y)) is not None:
                found = self.apart(lambda: look(x))
                self.looks.append((i, lambda y: look(part(y)), found))
                return found
        if not lib.ad_tape_constant(self.tape, x._p):
            if lib.ad_tape_knows(self.tape, x._p) not in (-1, CAPTURED):
                return look(x)
            self.looked.append((x, version(x)))
        return self.apart(lambda: look(x))

    def apart(self, call: Callable[[], Any]) -> Any:
        """Make a call that is no part of the tape."""
        tape, thread, count = lib.ad_tape_pause(), self.thread, changes.count - self.count
        self.thread = 0
        try:
            return call()
        finally:
            self.thread = thread
            lib.ad_tape_resume(tape)
            self.count = changes.count - count

    def has_spent(self, node: Node) -> bool:
        """Whether backward from what the call made can but raise, at each run the same."""
        outside = [node for node in map(live_node, self.inputs) if node is not None]
        return is_spent(node, outside, self.is_constant)

    def is_constant(self, value: Any) -> bool:
        """Whether what a node saved is a number, or a tensor that is made of numbers alone."""
        if not is_descriptor(value):
            return False
        told = value.number and lib.ad_tape_knows(self.tape, value) != ARGUMENT  # a live one is
        return bool(told or lib.ad_tape_constant(self.tape, value))

    def keep(self, thing: Any) -> None:
        """The tape points to memory of this object."""
        self.kept.append(thing)

    # ---- the call ----

    def run(self, call: Callable[[], Any], hashing: bool = False) -> Any:
        """The call's result, with its native calls on `tape`."""
        plain_call = Hooked.__call__

        def watched_call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == self.home:
                self.called.add(module)
            return plain_call(module, *args, **kwargs)

        def watched() -> Any:
            if hashing:
                lib.ad_tape_hash(self.tape)
            return call()

        ps = [x._p for x in self.inputs]
        hooked: Any = Hooked  # whose call is replaced meanwhile
        start = time.perf_counter()
        try:
            self.unwatch = lambda: setattr(hooked, "__call__", plain_call)
            hooked.__call__ = watched_call
            changes.count += 1  # what runs fast elsewhere looks twice
            _, result = self.on_tape(lib.ad_tape_record, ps, watched)
        finally:
            if hooked.__call__ is watched_call:
                hooked.__call__ = plain_call
            elif not self.broken:
                self.broken, self.retry = "it registers a hook of all modules", True
            changes.count += 1
        self.seconds = time.perf_counter() - start
        if self.interrupted is not None:
            raise self.interrupted
        return result

    def record_after(self, args: list[Any], call: Callable[[], Any]) -> tuple[Any, Any]:
        """A tape of a call that reads what the recorded one made, and its result."""
        caught = self.caught
        found = self.on_tape(functools.partial(lib.ad_tape_record_after, self.tape), args, call)
        if self.caught != caught:
            self.stay_eager("its backward goes on where a call is refused its values")
        return found

    def on_tape(
        self, begin: Callable[..., Any], args: list[Any], call: Callable[[], Any]
    ) -> tuple[Any, Any]:
        """A tape of a call, and its result; whatever ends it, nothing records afterwards."""
        given = tape = None
        self.count = changes.count
        drawn = _drawn()
        try:
            given = begin(len(args), args, lib.ad_tape_notice)
            if not given:
                raise error("compile")
            tape = ffi.gc(given, lib.ad_tape_free)
            self.tape = self.tape or tape
            self.thread = self.home
            return tape, call()
        finally:
            self.thread = 0
            self.changed |= changes.count != self.count
            if drawn != _drawn() and not self.broken:
                self.broken = "it draws from the generator of `random` or NumPy"
                others = threading.active_count() > 1  # who may have drawn
                self.retry = others or not self.fullgraph
            running = lib.ad_tape_pause()
            if given is None:
                lib.ad_tape_free(running)  # an interrupt came before it was known
            elif tape is not None:
                lib.ad_tape_stop(tape)
                if running != tape and not self.broken:
                    self.broken, self.retry = "it goes on after an interrupt", True


HERE = Recorder.on_tape.__code__  # beyond it, what is raised comes out of a run as well


def is_caught() -> bool:
    """Whether the recorded call may go on where what it calls now raises."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code is not HERE:
        if not _own[frame.f_code.co_filename] and catches(frame.f_code, frame.f_lasti):
            return True
        frame = frame.f_back
    return False


def _drawn() -> list[Any]:
    """What Python's and NumPy's generators will draw next."""
    numpys = sys.modules.get("numpy.random")
    _, key, position, *rest = numpys.get_state() if numpys else (0, b"", 0)
    return [random.getstate(), bytes(key), position, rest]


def _forget_parents() -> None:
    """In a forked child, of one thread, let go of what another thread of the parent's recorded."""
    recorder = changes.recorder
    if recorder is not None and recorder.home != threading.get_ident():
        changes.recorder = None
        recorder.unwatch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
