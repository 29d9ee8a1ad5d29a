"""Running workloads and printing what came out."""

import argparse
import datetime
import gc
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from statistics import median
from typing import Any

import footprint
import numpy as np
from contestants import PEERS, TITLES, US, Library, load, to_numpy
from limits import LIMIT, Limits
from machine import describe
from results import Failure, Findings, Result
from timing import Run, ratio, take_turns
from units import duration, with_unit
from workload import Workload
from workloads import all_workloads


def measure_all(options: argparse.Namespace, threads: int) -> Findings:
    """Time what the options choose, and print it row by row."""
    start = time.perf_counter()
    wanted = chosen(options)
    libraries = load(threads, tuple(p for p in PEERS if p in options.peers.split(",")))
    peers = [name for name in libraries if name != US and any(name in w.makes for w in wanted)]
    found = Findings(threads, peers)
    found.date = datetime.date.today().isoformat()
    found.machine = describe(libraries)
    limits = Limits(threads) if any(w.work for w in wanted) else None
    whole = not options.names and not options.group
    if limits is not None and whole:
        found.limits = limits.all(libraries[US])
        print_limits(found)
    group = ""
    for workload, say in shown(wanted):
        result, failures = measure(workload, libraries, limits, options.rounds)
        found.failures += failures
        if result is None:
            continue
        found.results.append(result)
        if workload.group != group:
            group = workload.group
            say(f"\n{group}, {threads} thread(s)\n{header(found.peers)}")
        if not (options.losing and result.met):
            say(row(result, found.peers))
    if whole and threads == 1 and not options.quick:
        found.facts = footprint.facts(libraries)
        print_facts(found)
    found.minutes = (time.perf_counter() - start) / 60
    print(f"\n{len(found.results)} rows in {found.minutes:.1f} minutes")
    return found


def chosen(options: argparse.Namespace) -> list[Workload]:
    return [
        w
        for w in all_workloads()
        if (w.quick or not options.quick)
        and (1 if options.threads == 1 else 0) in w.threads
        and options.group in w.group
        and (not options.names or any(part in w.name for part in options.names))
    ]


def shown(workloads: list[Workload]) -> Iterator[tuple[Workload, Callable[[str], Any]]]:
    """The workloads, each with what prints a line; under a bar of progress where tqdm is."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield from ((w, lambda text: print(text, flush=True)) for w in workloads)
        return
    bar = tqdm(workloads, file=sys.stderr, disable=None, leave=False)
    for workload in bar:
        bar.set_postfix_str(workload.name)
        yield workload, lambda text: tqdm.write(text, file=sys.stdout)


def measure(
    workload: Workload, libraries: dict[str, Library], limits: Limits | None, rounds: int
) -> tuple[Result | None, list[Failure]]:
    """Time a workload on everybody who computes the same, and tell who does not."""
    gc.collect()  # the arrays of the workload before
    runs, failures = prepare(workload, libraries)
    if US not in runs:
        return None, failures
    scale = dict.fromkeys(runs, 1 / workload.parts)
    yardstick = limits and workload.work and limits.contestant(workload.unit, workload.work)
    if yardstick:
        runs[LIMIT], work = yardstick
        scale[LIMIT] = workload.work / work  # what we do in that time, of what it does
    samples = {
        name: [seconds * scale[name] for seconds in values]
        for name, values in take_turns(runs, rounds).items()
    }
    result = Result(
        workload,
        {name: median(values) for name, values in samples.items()},
        {name: ratio(samples[US], values) for name, values in samples.items() if name != US},
    )
    return result, failures


def prepare(
    workload: Workload, libraries: dict[str, Library]
) -> tuple[dict[str, Run], list[Failure]]:
    """Everybody's run, after a check that all compute the same as we do."""
    runs: dict[str, Run] = {}
    failures: list[Failure] = []
    ours = None
    for name in (name for name in libraries if name in workload.makes):
        try:
            run = workload.makes[name](libraries[name])
            value = to_numpy(run())
            problem = "" if ours is None else difference(workload, ours, value)
        except Exception as error:
            value, problem = None, f"{type(error).__name__}: {error}"
        if problem:
            failures.append(Failure(workload.group, workload.name, name, problem))
            print(failures[-1], file=sys.stderr)
        else:
            runs[name] = run
        if name == US:
            if problem:
                break
            ours = value
    return runs, failures


def difference(workload: Workload, ours: np.ndarray, theirs: np.ndarray) -> str:
    """What differs between two results, "" where they agree."""
    if ours.shape != theirs.shape:
        return f"the result has shape {theirs.shape}, ours {ours.shape}"
    scale = max(1.0, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
    if np.allclose(ours, theirs, rtol=0, atol=workload.tolerance * scale, equal_nan=True):
        return ""
    mine, other = (np.asarray(x, dtype="float64") for x in (ours, theirs))
    apart = ~((mine == other) | (np.isnan(mine) & np.isnan(other)))
    furthest = np.abs(mine[apart] - other[apart]).max()
    return f"the result differs from ours by up to {furthest:.3g}"


def profiled(options: argparse.Namespace) -> Run:
    """Our run of the first workload that the options choose."""
    first = next(iter(chosen(options)), None)
    if first is None:
        raise SystemExit("no workload of that name")
    print(f"{first.group}: {first.name}")
    return first.makes[US](load(1, ())[US])


def header(peers: Iterable[str]) -> str:
    cells = "".join(f"{TITLES[name]:>10}" for name in peers)
    return f"{'':<44}{'time':>10}{'rate':>15}{'share':>7}{cells}{'target':>8}"


def row(result: Result, peers: Iterable[str]) -> str:
    w = result.workload
    cells = "".join(
        f"{result.ratios[name]:>10.3g}" if name in result.ratios else f"{'':>10}" for name in peers
    )
    rate = "" if result.rate is None else with_unit(result.rate, w.unit.split()[0] + "/s")
    share = "" if result.share is None else f"{result.share:.0%}"
    mark = "" if result.met else "  <"
    time_of = duration(result.seconds[US])
    return f"{w.name:<44}{time_of:>10}{rate:>15}{share:>7}{cells}{w.target:>8.3g}{mark}"


def print_limits(found: Findings) -> None:
    print(f"\nlimits of this machine, {found.threads} thread(s)")
    for limit in found.limits:
        print(f"{limit.name:<44}{with_unit(limit.value, limit.unit):>15}")


def print_facts(found: Findings) -> None:
    print(f"\n{'measured once':<44}{'autodiff':>12}{'peer':>12}{'ratio':>8}{'target':>8}")
    for fact in found.facts:
        values = "".join(f"{with_unit(x, fact.unit):>12}" for x in (fact.ours, fact.theirs))
        mark = "" if fact.met else "  <"
        print(f"{fact.name:<44}{values}{fact.ratio:>8.3g}{fact.target:>8.3g}{mark}")
