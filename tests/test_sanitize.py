"""A sanitized build sees what it is for: each mistake, made on purpose, ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import autodiff as ad
from autodiff.native import sanitized

WANTED = os.environ.get("AUTODIFF_SANITIZE", "")
# Four floats of `x`, given to a native entry that trusts its caller.
PRELUDE = """
import autodiff as ad
from autodiff.native import ffi, lib
x, y = ad.ones(4), ad.ones(64)
neg = next(i for i in range(999) if ffi.string(lib.ad_instr_name(i)) == b"neg")
def run(entry, n, x, skip=0):
    entry(neg, 0, n, y._p.data, x._p.data + skip, ffi.NULL, ffi.NULL)
"""
MISTAKES = {
    "a vector kernel past the end": (
        "address",
        "run(lib.ad_pw_kernel, 5, x)",
        "AddressSanitizer",
    ),
    "a scalar loop past the end": (
        "address",
        "run(lib.ad_pw_reference, 5, x)",
        "heap-buffer-overflow",
    ),
    "a scalar loop past the end of a view": (
        "address",
        "run(lib.ad_pw_reference, 2, x[3:])",
        "heap-buffer-overflow",
    ),
    "memory given back": (
        "address",
        "from autodiff.native import descriptors\n"
        "copy = ffi.new('ad_tensor *', descriptors([x._p])[0][0]); del x; lib.ad_version(copy)",
        "heap-use-after-free",
    ),
    "a misaligned float": (
        "undefined",
        "run(lib.ad_pw_reference, 2, x, skip=1)",
        "misaligned address",
    ),
    "two threads that write to one place": (
        "thread",
        "import threading\n"
        "y = ad.ones(1 << 20); both = threading.Barrier(2)\n"
        "def work():\n"
        "    both.wait()\n"
        "    for _ in range(20): run(lib.ad_pw_reference, 1 << 20, y)\n"
        "other = threading.Thread(target=work); other.start(); work(); other.join()",
        "data race",
    ),
}


def test_this_is_the_build_that_was_asked_for() -> None:
    assert sanitized() == WANTED


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_is_reported(name: str) -> None:
    sanitizer, code, report = MISTAKES[name]
    if sanitizer not in sanitized().split(","):
        pytest.skip(f"not built with -fsanitize={sanitizer}")
    env = os.environ | {"PYTHONPATH": str(Path(ad.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        env=env,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert report in run.stderr, run.stderr
