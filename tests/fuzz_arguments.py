"""Calls functions and methods with arguments drawn at random: `fuzz_arguments.py seed calls`.

Fails where anything but a reasonable Python exception comes out.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import traceback
from typing import Any

import autodiff as ad
from autodiff.functions import FUNCTIONS
from autodiff.methods import METHODS
from autodiff.tensor import Tensor

REASONABLE = (
    TypeError,
    ValueError,
    RuntimeError,  # and NotImplementedError
    IndexError,
    MemoryError,
    OverflowError,
    BufferError,
)
KEYWORDS = [
    "dim",
    "keepdim",
    "dtype",
    "out",
    "requires_grad",
    "alpha",
    "rounding_mode",
    "value",
    "size",
    "generator",
    "copy",
    "as_tuple",
    "min",
    "max",
    "accumulate",
    "retain_graph",
    "gradient",
]
MEMORY = 4 * 2**30


def tensors() -> list[Tensor]:
    x = ad.ones(3, requires_grad=True)
    return [
        x,
        x * 2,
        ad.ones(2, 3),
        ad.ones(2, 3).t(),
        ad.ones(1).expand(4),
        ad.ones(2, 2, dtype=ad.float64),
        ad.ones([1] * 8),
        ad.zeros(0),
        ad.zeros(2, 0, 3),
        ad.tensor(2.0),
        ad.tensor(1),
        ad.arange(3),
        ad.arange(6).reshape(2, 3),
        ad.tensor([True, False, True]),
        ad.tensor([1, 2], dtype=ad.uint8),
        ad.as_tensor(b"abc"),
    ]


def others() -> list[Any]:
    numbers = [0, 1, -1, 2, 3, 8, 9, 64, -5, True, False, 1.5, 1 + 2j]
    extremes = [
        2**31,
        2**63,
        -(2**63) - 1,
        2**70,
        10**400,
        1e308,
        *map(float, ("nan", "inf", "-inf")),
    ]
    sequences: list[Any] = [
        [],
        (),
        [[]],
        [1, 2],
        (2, 3),
        (1, -1),
        (-1, -1),
        (2**40, 2**40),
        [[1], [2]],
    ]
    lists = [[ad.ones(2), ad.ones(2)], (ad.ones(1), ad.ones(2)), [ad.ones(2), None], ["a"], (0.5,)]
    foreign = [None, "", "a", "floor", b"x", {"a": 1}, {1}, object(), ..., iter([1]), len, float]
    more = [slice(0, 1), range(3), ad.float32, ad.int64, ad.bool, ad.Size([2, 3])]
    return [*numbers, *extremes, *sequences, *lists, *foreign, *more]


def is_slow(name: str, args: list[Any]) -> bool:
    """Whether a call is right to take long: it fills gigabytes."""
    sizes = [abs(a) for a in args if isinstance(a, (int, float))]
    return any(10**6 < size < 2**45 for size in sizes)


def call(rng: random.Random) -> str | None:
    """One call; what was wrong with how it ended, if anything."""
    method = rng.random() < 0.5
    name = rng.choice(sorted(METHODS if method else FUNCTIONS))
    values = [*tensors(), *others()]
    args = [rng.choice(values) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4]))]
    if method or (args and rng.random() < 0.5):
        args[:1] = [rng.choice(tensors())]
    keywords = {key: rng.choice(values) for key in KEYWORDS if rng.random() < 0.06}
    if is_slow(name, [*args, *keywords.values()]):
        return None
    try:
        repr((METHODS if method else FUNCTIONS)[name](*args, **keywords))
    except REASONABLE as failure:
        return f"{name}: {failure}" if "internal error" in str(failure) else None
    except BaseException:
        return f"{name}{tuple(map(type, args))} {keywords}\n{traceback.format_exc()}"
    return None


def main(seed: int, calls: int) -> int:
    """The number of calls that ended badly, which are printed."""
    if "ASAN_OPTIONS" not in os.environ:  # whose shadow memory takes terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    rng = random.Random(seed)
    failures = [text for _ in range(calls) if (text := call(rng)) is not None]
    print("\n".join(failures[:20]))
    return len(failures)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))
