"""Hypothesis state machines over the steps; each kind has steps of its own in the mix."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sequences import rules
from sequences.machine import Session
from sequences.model import UnmodelledError
from sequences.rules import Choices, Step

BYTES = st.binary(min_size=12, max_size=12)
STARTS = (
    ("float64", (2, 3), [1.0, -0.5, 2.0, 0.25, -1.5, 0.75], True),
    ("float64", (3,), [0.5, 1.5, -1.0], True),
    ("float64", (2, 3), [0.5, 1.0, -1.0, 2.0, 0.0, -2.0], False),
    ("int64", (2,), [1, 0], False),
    ("bool", (2,), [True, False], False),
    ("float64", (), [1.5], True),
)


class Sequences(RuleBasedStateMachine):
    """Runs steps on the library under test, `library`, and on the model."""

    library: Any

    def __init__(self) -> None:
        super().__init__()
        self.before = memory_in_use(self.library)
        self.session = Session(self.library)
        self.whole = True  # whether no step has failed

    @initialize(data=st.binary(min_size=2, max_size=2))
    def start(self, data: bytes) -> None:
        c = Choices(data)
        first = c.below(len(STARTS))
        for k in range(3):
            rules.build(self.session, *STARTS[(first + k) % len(STARTS)])

    def take(self, step: Step, data: bytes) -> None:
        count(type(self))
        self.whole = False
        with contextlib.suppress(UnmodelledError):
            step(self.session, Choices(data))
        self.whole = True

    def teardown(self) -> None:
        session = self.session
        if not self.whole:
            return
        rules.finish(session)
        session.names.clear()
        session.live.clear()
        after = memory_in_use(self.library)
        if after > self.before:  # exceptions hold frames, frames exceptions
            gc.collect()
            after = memory_in_use(self.library)
        if after > self.before:
            session.fail(f"{after - self.before} bytes are in use after all tensors are gone")


def count(kind: type) -> None:
    STEPS[kind] = STEPS.get(kind, 0) + 1


STEPS: dict[type, int] = {}


def memory_in_use(library: Any) -> int:
    """The bytes the library's pool has lent out, but for the numbers that it keeps as operands; 0
    for a library without one.
    """
    native = getattr(library, "native", None)
    if native is None:
        return 0
    for table in library.ops.numbers.numbers.values():
        table.clear()
    stats = native.ffi.new("int64_t[4]")
    native.lib.ad_memory_stats(stats)
    return int(stats[0])


def machine(name: str, steps: dict[str, Step], library: Any) -> type[Sequences]:
    """A state machine with a rule for each step."""
    body: dict[str, Any] = {"library": library}
    for label, step in steps.items():
        body[label] = rule(data=BYTES)(_method(label, step))
    return type(name, (Sequences,), body)


def _method(label: str, step: Step) -> Callable[..., None]:
    def method(self: Sequences, data: bytes) -> None:
        self.take(step, data)

    method.__name__ = label
    return method


def steps_of(names: str) -> dict[str, Step]:
    found: dict[str, Step] = {}
    for name in names.split():
        step = getattr(rules, name.rstrip("23"))
        found[name] = step
    return found


MIXES = {
    "Writes": "view view2 update update2 overwrite assign pointwise backward grad delete",
    "Gradients": "pointwise pointwise2 view view2 reduction product backward backward2 grad "
    "second second2 require forget_grad take_grad update",
    "Indexing": "index index2 gather assign assign2 join compare choose view backward grad update",
    "Everything": "create view pointwise compare choose copied reduction product join index "
    "gather update overwrite assign require backward grad second forget_grad take_grad delete",
}


def machines(library: Any) -> dict[str, type[Sequences]]:
    return {name: machine(name, steps_of(names), library) for name, names in MIXES.items()}


def warm_up(library: Any) -> None:
    """Numbers are kept by the library once they were used: use them all."""
    for d in ("float64", "float32", "int64", "bool"):
        x = library.ones((1,), dtype=getattr(library, d))
        for number in (*rules.NUMBERS, *range(65), *map(float, range(65))):
            library.mul(x, number)
