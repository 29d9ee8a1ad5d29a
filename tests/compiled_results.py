"""Prints the bits of training, eager and compiled on one and two threads, as JSON.

The training meets every layer and loss, at a size that is spread over threads.
Run once for each instruction set.
"""

from __future__ import annotations

import json
from typing import Any

from large import digest, regions
from training import Step, train

import autodiff as ad

STEPS = 4


def of_steps(d: ad.dtype, compiled: bool) -> tuple[str, int, int]:
    """The bits; how many steps were replays, and how often a step offers work to other threads."""
    made: list[Any] = []

    def wrap(step: Step) -> Step:
        made.append(ad.compile(step) if compiled else step)
        return made[0]  # type: ignore[no-any-return]

    found = digest(train(d, 128, STEPS, wrap))
    return found, made[0].stats().runs if compiled else 0, regions(made[0])


def main() -> None:
    results = {}
    for d in (ad.float32, ad.float64):
        for threads in (1, 2):
            ad.set_num_threads(threads)
            for compiled in (False, True):
                name = f"{d.name}, {threads} thread(s), {'compiled' if compiled else 'eager'}"
                results[name] = of_steps(d, compiled)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
