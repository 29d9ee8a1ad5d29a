"""All cores against one thread: what is large, and what is too small to be spread."""

from dataclasses import replace
from typing import Any

from contestants import ALONE, US, Library
from workload import Make, Run, Text, Workload, calls, normal


def alone(make: Make) -> Make:
    """The same work on one thread, whatever the others use."""

    def prepare(library: Library) -> Run:
        run, threads = make(library), library.get_num_threads()

        def on_one() -> Any:
            library.set_num_threads(1)
            try:
                return run()
            finally:
                library.set_num_threads(threads)

        return on_one

    return prepare


def against_one(name: str, text: Text, *shapes: tuple[int, ...], target: float) -> Workload:
    """A row for all cores alone, held against one thread of ours."""
    workload = calls(
        name,
        "two threads against one",
        lambda: [normal(*shape, seed=i) for i, shape in enumerate(shapes)],
        torch=text,
        target=target,
        against=(ALONE,),
        threads=(0,),
    )
    ours = workload.makes[US]
    return replace(workload, makes={**workload.makes, ALONE: alone(ours)})


def gelu(lib: Any, x: Any) -> Any:
    return lib.nn.functional.gelu(x)


# About 20 microseconds of work on one thread, or less, stays there; targets leave room for noise.
WORKLOADS = [
    against_one("matmul 1024", lambda lib, a, b: a @ b, (1024, 1024), (1024, 1024), target=1.8),
    against_one("gelu 1e7", gelu, (10**7,), target=1.8),
    against_one("softmax 4096x4096", lambda lib, x: x.softmax(1), (4096, 4096), target=1.6),
    against_one("gelu 1e5", gelu, (10**5,), target=1.5),
    against_one("gelu 1e4", gelu, (10**4,), target=0.95),
    against_one("add 1e5", lambda lib, a, b: a + b, (10**5,), (10**5,), target=0.95),
    against_one("sum 1e5", lambda lib, a: a.sum(), (10**5,), target=0.95),
    against_one("matmul 64", lambda lib, a, b: a @ b, (64, 64), (64, 64), target=0.95),
]
