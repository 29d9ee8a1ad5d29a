"""Compiled beside our own eager: python benchmarks/against_eager.py [options] [part of a name ...].

Every workload of the suite, as it is and compiled, in turns in one process, on the same tensors, as
how they lie in memory tells more than what is compared. A ratio is eager's over compiled's: above 1
means that compiling helps. `time` is that of the quickest call; what misses its target takes turns
again, as a busy machine spoils some rounds and never mends one. `recording` is three eager calls
and 5 ms over the call that records; `memory` is what the eager call took at its peak over the arena
and the results of a run. The target of each is 1; a time meets it that is as good as equal, as a
single kernel is run by the same kernel. A bit that differs is a failure.
"""

import argparse
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Any

import contestants
from contestants import US, Library
from timing import take_turns
from units import duration
from workload import Workload
from workloads import all_workloads

ALLOWED = 3, 0.005  # eager calls, and seconds besides, that a recording may take
RECORDINGS = 5
TURNS = 4  # at most
# Compiled, not of tensors, or a mode:
APART = {"compiled models", "compiled steps", "loading", "two threads against one"}
SIDES = ("time", "recording", "memory")
TARGETS = 0.97, 1.0, 1.0


@dataclass(frozen=True)
class Row:
    """What compiling a workload gives."""

    workload: Workload
    seconds: float  # of a compiled call
    ratios: dict[str, float]  # of SIDES

    @property
    def met(self) -> list[bool]:
        """Of each side, whether it reaches its target."""
        return [x >= target for x, target in zip(self.ratios.values(), TARGETS, strict=True)]


def measure(workload: Workload, ad: Library, rounds: int) -> Row | str:
    """The row, or why there is none."""
    eager, twin = seeded(ad, workload.makes[US], ad), seeded(ad, workload.makes[US], ad)
    run = ad.compile(twin)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*stays eager")
        for _ in range(4):  # the first may make an optimizer's state, the second records
            if bits(seeded(ad, eager)) != bits(seeded(ad, run)):
                raise SystemExit(f"{workload.group}: {workload.name}: other bits than eager's")
    stats = run.stats()
    if not stats.runs:
        return stats.eager[0] if stats.eager else "never recorded twice alike"
    run = ad.compile(eager)  # from here on, both work on the same memory
    samples: dict[str, list[float]] = {"eager": [], "compiled": []}
    eager_seconds, seconds = 0.0, 1.0
    for _ in range(TURNS):
        if eager_seconds >= TARGETS[0] * seconds:
            break
        for name, found in take_turns({"eager": eager, "compiled": run}, rounds).items():
            samples[name] += found
        eager_seconds, seconds = (min(found) for found in samples.values())
    calls, more = ALLOWED
    allowed = calls * median(samples["eager"]) + more
    memory = stats.eager_peak_bytes / max(1, stats.arena_bytes + stats.result_bytes)
    ratios = (
        eager_seconds / seconds,
        allowed / recording_seconds(run),
        memory if stats.eager_peak_bytes else 1.0,
    )
    return Row(workload, seconds, dict(zip(SIDES, ratios, strict=True)))


def seeded(ad: Library, call: Any, *args: Any) -> Any:
    """What a call gives that may draw."""
    ad.manual_seed(0)
    return call(*args)


def recording_seconds(run: Any) -> float:
    """Seconds of a call that records."""
    found = []
    for _ in range(RECORDINGS):
        run.reset()
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return median(found)


def bits(value: Any) -> Any:
    """What tells a result from another."""
    if isinstance(value, list | tuple):
        return [bits(x) for x in value]
    return value.detach().numpy().tobytes() if hasattr(value, "detach") else value


def main() -> None:
    options = parse_options()
    contestants.restrict(1)
    ad = contestants.load(1, ())[US]
    print(f"{'':<60}{'compiled':>12}" + "".join(f"{side:>12}" for side in SIDES))
    rows, left_out = run_all(chosen(options), ad, options.rounds, options.losing)
    if rows:
        print_summary(rows, left_out)


def run_all(
    workloads: Iterable[Workload], ad: Library, rounds: int, losing: bool
) -> tuple[list[Row], dict[str, str]]:
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    for workload in workloads:
        row = measure(workload, ad, rounds)
        name = f"{workload.group}: {workload.name}"
        if isinstance(row, str):
            left_out[name] = row
            continue
        rows.append(row)
        if not (losing and all(row.met)):
            pairs = zip(row.ratios.values(), row.met, strict=True)
            cells = "".join(f"{x:>10.3g}{'  ' if met else ' <'}" for x, met in pairs)
            print(f"{name:<60}{duration(row.seconds):>12}{cells}", flush=True)
    return rows, left_out


def print_summary(rows: list[Row], left_out: dict[str, str]) -> None:
    for name, why in left_out.items():
        print(f"stays eager: {name}: {why}")
    print(f"\n{len(rows)} workloads")
    for i, side in enumerate(SIDES):
        found = [row.ratios[side] for row in rows]
        met = sum(row.met[i] for row in rows)
        print(f"{side:<12}{met} meet it; lowest {min(found):.3g}, mean {geometric_mean(found):.3g}")


def chosen(options: argparse.Namespace) -> list[Workload]:
    return [
        w
        for w in all_workloads()
        if (w.quick or not options.quick)
        and w.group not in APART
        and options.group in w.group
        and (not options.names or any(part in w.name for part in options.names))
    ]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="run only what has one of these in its name")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of turns, at most (7)")
    parser.add_argument("--group", default="", help="run only groups with this in their name")
    parser.add_argument("--quick", action="store_true", help="the short suite")
    parser.add_argument("--losing", action="store_true", help="show only rows under the target")
    return parser.parse_args()


if __name__ == "__main__":
    main()
