"""Fair timing: the contestants take turns, so that what slows one slows the others."""

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

ROUND_SECONDS = 0.02  # of a contestant
WORKLOAD_SECONDS = 5.0  # after which the rounds of long work become fewer
FEWEST_ROUNDS = 3

Run = Callable[[], Any]


def take_turns(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Seconds of one run of each contestant, in each of at most `rounds` rounds."""
    loops: dict[str, int] = {}
    turn = 0.0
    for name, run in runs.items():
        loops[name], spent = loops_of(run)
        turn += loops[name] * spent
    rounds = min(rounds, max(FEWEST_ROUNDS, int(WORKLOAD_SECONDS / turn)))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    gc.collect()
    gc.disable()
    try:
        for index in range(rounds):
            first = index % len(names)  # each is the first to run as often as any other
            for name in names[first:] + names[:first]:
                seconds[name].append(seconds_of(runs[name], loops[name]))
    finally:
        gc.enable()
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' ratios: above 1 means that we are faster."""
    return median(other / mine for mine, other in zip(ours, theirs, strict=True))


def loops_of(run: Run) -> tuple[int, float]:
    """How many runs fill a round, and the seconds of one; warms up on the way.

    What seems long is timed again, lest one interruption make the loops too few.
    """
    loops = 1
    while (spent := shorter_of_two(run, loops)) * loops < ROUND_SECONDS / 4:
        loops *= 2
    return max(1, round(ROUND_SECONDS / spent)), spent


def shorter_of_two(run: Run, loops: int) -> float:
    """Seconds of one run; the second time only where the first would end the search."""
    spent = seconds_of(run, loops)
    return spent if spent * loops < ROUND_SECONDS / 4 else min(spent, seconds_of(run, loops))


def seconds_of(run: Run, loops: int) -> float:
    """Seconds of one run, over `loops` of them."""
    start = time.perf_counter()
    for _ in range(loops):
        run()
    return (time.perf_counter() - start) / loops
