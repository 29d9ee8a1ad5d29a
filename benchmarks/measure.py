"""Running workloads and showing what came out."""

import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np
from contestants import PEERS, TITLES, US, Library, load, to_numpy
from timing import ratio, take_turns
from workload import Workload
from workloads import all_workloads


@dataclass(frozen=True)
class Result:
    """Median seconds of each contestant for one unit of a workload, and the peers' ratios."""

    workload: Workload
    threads: int
    seconds: dict[str, float]
    ratios: dict[str, float]

    @property
    def best(self) -> float:
        """The ratio of the best of the peers that the workload is held against."""
        held = [r for name, r in self.ratios.items() if name in self.workload.against]
        return min(held, default=math.nan)

    @property
    def met(self) -> bool:
        w = self.workload
        bars = {name: w.targets.get(name, w.target) for name in w.against}
        return not any(self.ratios[name] < bar for name, bar in bars.items() if name in self.ratios)

    @property
    def rate(self) -> float | None:
        """Flop or bytes a second."""
        work = self.workload.work
        return None if work is None else work / self.seconds[US]


def measure(workload: Workload, libraries: dict[str, Library], threads: int, rounds: int) -> Result:
    """Time a workload on everybody, after a check that all compute the same."""
    runs = {
        name: workload.makes[name](library)
        for name, library in libraries.items()
        if name in workload.makes
    }
    results = {name: to_numpy(run()) for name, run in runs.items()}
    for name, value in results.items():
        check_equal(workload, name, results[US], value)
    samples = take_turns(runs, rounds)
    return Result(
        workload,
        threads,
        {name: median(values) / workload.parts for name, values in samples.items()},
        {name: ratio(samples[US], values) for name, values in samples.items() if name != US},
    )


def check_equal(workload: Workload, name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
    close = np.allclose(ours, theirs, rtol=0, atol=workload.tolerance * scale, equal_nan=True)
    if ours.shape != theirs.shape or not close:
        raise SystemExit(f"{workload.group}: {workload.name}: autodiff and {name} differ")


def chosen(options: argparse.Namespace) -> list[Workload]:
    return [
        w
        for w in all_workloads()
        if (w.quick or not options.quick)
        and options.group in w.group
        and (not options.names or any(part in w.name for part in options.names))
    ]


def measure_all(options: argparse.Namespace) -> list[Result]:
    peers = tuple(name for name in PEERS if name in options.peers.split(","))
    libraries = load(options.threads, peers)
    results, group = [], ""
    for workload in chosen(options):
        result = measure(workload, libraries, options.threads, options.rounds)
        results.append(result)
        if workload.group != group:
            group = workload.group
            print(f"\n{group}, {options.threads} thread(s)\n{header(libraries)}")
        if not (options.losing and result.met):
            print(row(result, libraries), flush=True)
    return results


def header(libraries: Iterable[str]) -> str:
    cells = "".join(f"{TITLES[name]:>10}" for name in libraries if name != US)
    return f"{'':<44}{'time':>10}{'rate':>14}{cells}{'target':>8}"


def row(result: Result, libraries: Iterable[str]) -> str:
    w = result.workload
    cells = "".join(
        f"{result.ratios[name]:>10.3g}" if name in result.ratios else f"{'':>10}"
        for name in libraries
        if name != US
    )
    rate = "" if result.rate is None else f"{result.rate / 1e9:.4g} G{w.unit.split()[0]}/s"
    mark = "" if result.met else "  <"
    return f"{w.name:<44}{duration(result.seconds[US]):>10}{rate:>14}{cells}{w.target:>8.3g}{mark}"


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
