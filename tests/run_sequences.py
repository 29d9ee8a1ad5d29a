"""Many random sequences: `python tests/run_sequences.py 100000 [--seed S] [--steps K] [--jobs J]`.

Sequences are run in batches on all cores, each batch from a seed of its own, so that a failure can
be run again. Ends with status 1 and Hypothesis' smallest example where one fails. `--against torch`
runs the same programs on PyTorch, where it is installed: what the model says of it is what counts.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from sequences import state

BATCH = 250
ROOT = Path(__file__).parents[1]  # so that the package need not be installed


class Batch(NamedTuple):
    """So many sequences of one machine, from one seed."""

    machine: str
    seed: int
    sequences: int
    steps: int
    library: str


def run(batch: Batch) -> tuple[Batch, int, str]:
    """A batch: how many steps were run, and what failed."""
    warnings.simplefilter("ignore")  # PyTorch's, about .grad of tensors that are no leaves
    sys.path.insert(0, str(ROOT))
    library = importlib.import_module(batch.library)
    state.warm_up(library)
    machine = seed(batch.seed)(state.machines(library)[batch.machine])
    options = settings(
        max_examples=batch.sequences,
        stateful_step_count=batch.steps,
        deadline=None,
        database=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=options)
    except Exception as failure:
        return batch, 0, "".join(traceback.format_exception(failure, limit=-2))
    return batch, state.STEPS.pop(machine), ""


def batches(total: int, first: int, steps: int, library: str) -> list[Batch]:
    """The whole run, its machines taken in turn."""
    found = []
    names = list(state.MIXES)
    for k, done in enumerate(range(0, total, BATCH)):
        size = min(BATCH, total - done)
        found.append(Batch(names[k % len(names)], first + k, size, steps, library))
    return found


def main() -> int:
    """Run and show how far it is; 1 after a failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequences", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--against", default="autodiff", metavar="LIBRARY")
    args = parser.parse_args()
    sequences = steps = 0
    begin = time.monotonic()
    todo = batches(args.sequences, args.seed, args.steps, args.against)
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for batch, taken, failure in pool.imap_unordered(run, todo):
            if failure:
                print(f"\n{failure}\nin {batch}", flush=True)
                return 1
            sequences += batch.sequences
            steps += taken
            seconds = time.monotonic() - begin
            print(f"\r{sequences} sequences, {steps} steps, {seconds:.0f} s", end="", flush=True)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
