"""Compare autodiff with PyTorch: python benchmarks/run.py [--rounds N] [name part ...].

Both run the same text on one thread in one process; a ratio above 1 means autodiff is faster.
"""

import argparse
import math

import torch
from footprint import compare_imports, installed_bytes
from timing import Comparison, compare
from workloads import WORKLOADS, Workload

import autodiff

TOLERANCE = 1e-4
ROW = "{:<56}{:>12}{:>12}{:>9}"


def main() -> None:
    options = parse_options()
    for library in (autodiff, torch):
        library.set_num_threads(1)
    print(ROW.format("", "autodiff", "PyTorch", "ratio"))
    for workload in WORKLOADS:
        if matches(workload.name, options.names):
            show(workload.name, measure(workload, options.rounds), workload.parts)
    if matches("import", options.names):
        show("import, over bare Python", compare_imports("autodiff", "torch", options.rounds // 2))
    if matches("installed size", options.names):
        sizes = [installed_bytes(name) / 1e6 for name in ("autodiff", "torch")]
        cells = [f"{size:.3g} MB" for size in sizes]
        print(ROW.format("installed size", *cells, f"{sizes[1] / sizes[0]:.3g}"))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="run only what has one of these in its name")
    parser.add_argument("--rounds", type=int, default=20, help="alternating rounds (20)")
    return parser.parse_args()


def matches(name: str, parts: list[str]) -> bool:
    return not parts or any(part in name for part in parts)


def measure(workload: Workload, rounds: int) -> Comparison:
    """Time a workload on both, after a check that both compute the same."""
    ours, theirs = workload.make(autodiff), workload.make(torch)
    values = [float(run().item()) for run in (ours, theirs)]
    if not math.isclose(*values, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        raise SystemExit(f"{workload.name}: autodiff gives {values[0]}, PyTorch {values[1]}")
    return compare(ours, theirs, rounds)


def show(name: str, result: Comparison, parts: int = 1) -> None:
    cells = [duration(seconds / parts) for seconds in (result.ours, result.theirs)]
    print(ROW.format(name, *cells, f"{result.ratio:.3g}"), flush=True)


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


if __name__ == "__main__":
    main()
