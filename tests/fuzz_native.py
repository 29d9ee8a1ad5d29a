"""Calls native entry points with arguments drawn by their types: `fuzz_native.py seed calls`.

They may refuse, and what they make must be a tensor; the sanitizers see the rest. Arrays are as
long as what is said to be their length.
"""

from __future__ import annotations

import math
import os
import random
import re
import resource
import sys
from pathlib import Path
from typing import Any

import autodiff as ad
from autodiff.native import descriptors, ffi, lib
from autodiff.tensor import Tensor

API = Path(__file__).parents[1] / "csrc"
TRUSTED = re.compile(  # they take addresses, own what they are given, or change the whole program
    r"ad_(free|wrap|capsule_|tape_|watch|op_|program_|pw|rng_free|memory_|init|last_|next|recur"
    r"|table|set_num_threads|optim_step|inference|from_dlpack|to_dlpack)"
)
ARRAY = re.compile(r"\[|^(const )?(int64_t|double) \*|\*\*|\*const \*")
SMALL = (0, 1, 1, 2, 2, 3, 4)
EXTREME = (-1, 5, 7, 8, 9, 63, 64, 255, 1000, 2**31 - 1, -(2**31))
LONG = (*EXTREME, 2**31, 2**32, 2**40, 2**62, -(2**62), 2**63 - 1, -(2**63))
REAL = (0.0, -0.0, 0.5, 1.0, -1.0, 3.7, 1e-300, 1e300, math.nan, math.inf, -math.inf)
ROOM = 64
TENSOR = ffi.typeof("ad_tensor *")
MEMORY = 2 * 2**30


def signatures() -> dict[str, list[str]]:
    """The parameters of each entry point that is tried, as the header writes them."""
    headers = [API / "autodiff.h", *sorted(API.glob("api/*.h"))]
    text = "\n".join(header.read_text() for header in headers)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = re.findall(r"^[a-z][\w \*]*?(ad_\w+)\(([^;{]*?)\);", text, flags=re.MULTILINE)
    return {
        name: [re.sub(r"\s+", " ", p.strip()) for p in parameters.split(",")]
        for name, parameters in found
        if not TRUSTED.match(name)
    }


def tensors() -> list[Tensor]:
    """Of each dtype, in shapes and layouts of each kind."""
    made = []
    for dtype in (
        *(ad.bool, ad.uint8, ad.int8, ad.int16, ad.int32, ad.int64),
        *(ad.float16, ad.bfloat16, ad.float32, ad.float64),
    ):
        for shape in ((), (3,), (17,), (2, 3), (3, 3), (2, 0, 3), (2, 2, 3, 3), [1] * 8):
            made.append(ad.arange(math.prod(shape)).to(dtype).reshape(shape))
        x = ad.arange(12).to(dtype)
        made += [
            x.view(4, 3).t(),
            x[1::2],
            x[:1].expand(2, 3),
            x.view(1, 3, 2, 2).permute(0, 2, 3, 1),
        ]
    return [*made, ad.arange(3) - 5, ad.full((2, 3), 2**62), ad.full((3,), -(2**63))]


class Caller:
    """Draws calls; those of one seed are the same."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.entries = sorted(signatures().items())
        self.tensors = tensors()
        self.generator = ffi.gc(lib.ad_rng_new(seed), lib.ad_rng_free)

    def pick(self) -> Any:
        """A tensor, more often than not of the dtype and of as many dimensions as the others."""
        alike = [x for x in self.tensors if x.dtype is self.dtype] or self.tensors
        alike = [x for x in alike if x.ndim == self.ndim] or alike
        return self.rng.choice(self.tensors if self.rng.random() < 0.1 else alike)._p

    def integer(self, extreme: tuple[int, ...]) -> int:
        return self.rng.choice(SMALL if self.rng.random() < 0.75 else extreme)

    def argument(self, parameter: str, counts: bool) -> Any:
        """A value of the type, which may count what follows; None where none is drawn."""
        rng, kind = self.rng, re.sub(r"(\w+)(\[\w*\])?$", r"\2", parameter.removeprefix("const "))
        if kind == "ad_tensor *":
            return self.pick()
        if kind == "ad_tensor **":
            return ffi.new("ad_tensor *[]", ROOM)
        if "ad_tensor *" in kind:
            return descriptors([self.pick() for _ in range(ROOM)])
        if kind.startswith("int64_t ") and kind != "int64_t ":
            return ffi.new("int64_t[]", [self.integer(LONG) for _ in range(ROOM)])
        if kind == "double *":
            return ffi.new("double[]", rng.choices(REAL, k=ROOM))
        if counts and kind in ("int ", "int64_t "):
            return rng.choice((*range(1, 13), ROOM))
        if kind == "int ":
            return self.integer(EXTREME)
        if kind in ("int64_t ", "uint64_t ", "uint32_t "):
            value = self.integer(LONG)
            return value % 2 ** int(kind[4:6]) if kind[0] == "u" else value
        if kind == "double ":
            return rng.choice(REAL)
        if kind == "bool ":
            return rng.random() < 0.5
        return self.generator if kind == "ad_rng *" else None

    def call(self) -> str | None:
        """One call; what is wrong with what came of it."""
        if self.rng.random() < 0.01:  # they have been written to
            self.tensors = tensors()
        name, parameters = self.rng.choice(self.entries)
        like = self.rng.choice(self.tensors)
        self.dtype, self.ndim = like.dtype, like.ndim
        arrays = [bool(ARRAY.search(p)) for p in parameters]
        pairs = zip(parameters, [*arrays[1:], False], strict=True)
        arguments = [self.argument(p, follows) for p, follows in pairs if p != "void"]
        if None in arguments or is_slow(arguments):
            return None
        result = getattr(lib, name)(*arguments)
        outputs = [a for a, p in zip(arguments, parameters, strict=False) if p == "ad_tensor **out"]
        made = [x for out in outputs if result == lib.AD_OK for x in out if x]
        if isinstance(result, ffi.CData) and ffi.typeof(result) is TENSOR and result:
            made.append(result)
        wrong = [x for x in made if not is_tensor(x)]
        for x in made:
            lib.ad_free(x)
        return f"{name}{arguments}" if wrong else None


def is_slow(arguments: list[Any]) -> bool:
    """Whether a call may be right to fill gigabytes."""
    sizes = [abs(a) for a in arguments if isinstance(a, int)]
    sizes += [
        abs(i) for a in arguments if isinstance(a, ffi.CData) and "int64" in str(a) for i in a
    ]
    return any(10**6 < size < 2**45 for size in sizes)


def is_tensor(x: Any) -> bool:
    shape = list(x.shape)[: x.ndim]
    return x.ndim <= len(x.shape) and min(shape, default=0) >= 0 and x.numel == math.prod(shape)


def main(seed: int, calls: int) -> int:
    """The number of calls that went wrong, which are printed."""
    if "ASAN_OPTIONS" not in os.environ:  # whose shadow memory takes terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    caller = Caller(seed)
    failures = [text for _ in range(calls) if (text := caller.call()) is not None]
    print("\n".join(failures[:20]))
    return len(failures)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))
