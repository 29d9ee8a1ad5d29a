"""A recording as text, as numbers and as a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autodiff.anomaly import place
from autodiff.named import NamedTuple
from autodiff.native import NULL, ffi, lib, operand_text, writer_name

if TYPE_CHECKING:
    from autodiff.compiled.recording import Recording

ORIGINS = ("argument ", "captured ", "%", "result ")


class Stats(NamedTuple):
    """What the recordings of a function are made of, the one used last first.

    >>> double = ad.compile(lambda x: 2 * x)
    >>> y = double(ad.ones(2)), double(ad.ones(2))
    >>> double.stats().runs
    1
    """

    recordings: int
    runs: int  # of all recordings
    recorded_calls: int  # of the last recording: native calls made while recording,
    calls: int  # and those that a run makes: the others were fused, made once or dropped
    fused_calls: int  # became part of another
    arena_bytes: int
    result_bytes: int
    eager_peak_bytes: int  # what the call took while it was recorded
    seconds_to_record: float  # the call included
    eager: tuple[str, ...]  # why calls stay eager


def stats(recordings: list[Recording], eager: dict[Any, str]) -> Stats:
    """The numbers of these recordings."""
    counts, runs = ffi.new("int64_t[7]"), 0
    for recording in reversed(recordings):
        lib.ad_tape_stats(recording.tape, counts)
        runs += counts[6]
    recorded, calls, arena, results, peak, fused = counts[0:6]
    return Stats(
        *(len(recordings), runs, recorded, calls, fused),
        *(arena, results, peak),
        recordings[0].seconds if recordings else 0.0,
        tuple(eager.values()),
    )


def call_name(tape: Any, i: int) -> str:
    """What a call is called: a pointwise one by its op."""
    writer = lib.ad_tape_writer(tape, i)
    name = lib.ad_tape_name(tape, i)
    return writer_name(writer).rstrip("_") if writer else ffi.string(name).decode()


class Operand(NamedTuple):
    """Of a call: its text, the memory it is in, and whether the call writes it."""

    text: str
    origin: int
    memory: int
    written: bool


def operands(tape: Any, i: int) -> Iterator[Operand]:
    """The operands of a call that are there."""
    origin, j = ffi.new("int[3]"), 0
    while (p := lib.ad_tape_operand(tape, i, j, origin)) != NULL:
        j += 1
        if origin[0] >= 0:
            name = f"{ORIGINS[origin[0]]}{origin[1]}"
            yield Operand(f"{name} {operand_text(p)}", origin[0], origin[1], bool(origin[2]))


def listing(recording: Recording) -> str:
    """One line a call."""
    tape, lines = recording.tape, []
    for i in range(lib.ad_tape_length(tape)):
        found = list(operands(tape, i))
        to = ", ".join(x.text for x in found if x.written)
        of = ", ".join(x.text for x in found if not x.written)
        where = place(*recording.places[lib.ad_tape_source(tape, i)])
        lines.append(f"  {to} = {call_name(tape, i)}({of})  # {os.path.basename(where)}")
    return "\n".join(lines)


def plot(recording: Recording) -> Any:
    """Draw when each part of the arena is in use: a matplotlib Axes, time to the right."""
    import matplotlib.pyplot as plt

    tape = recording.tape
    spans: dict[int, tuple[int, int, str]] = {}
    for i in range(lib.ad_tape_length(tape)):
        for x in operands(tape, i):
            if x.origin >= 2:
                first, _, text = spans.get(x.memory, (i, i, x.text))
                spans[x.memory] = (first, i, text)
    _, axes = plt.subplots(figsize=(10, 0.25 * len(spans) + 1.5), layout="constrained")
    for row, (first, last, text) in enumerate(spans.values()):
        axes.barh(row, last - first + 0.8, left=first, height=0.8)
        axes.text(first, row, f" {text}", va="center", fontsize="x-small")
    names = [call_name(tape, i) for i in range(lib.ad_tape_length(tape))]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize="x-small")
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.set_xlabel("native calls, in order")
    axes.set_title("memory made by the calls, from first to last use")
    return axes
