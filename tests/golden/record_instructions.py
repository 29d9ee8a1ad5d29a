"""Records how many instructions fixed pieces of work take, for `test_instructions.py`.

Not PyTorch's facts but ours: to be recorded again when a change is meant to move them, with gcc on
x86-64 where valgrind is.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from golden.recording import entries
from instructions import ISA, count

from autodiff.native import ffi, lib

GOLDEN = Path(__file__).with_name("instructions.json")


def compiler() -> str:
    """What the extension was compiled with, as `gcc 12.2.0`."""
    name: bytes = ffi.string(lib.ad_compiler())
    return name.decode()


def main() -> None:
    """Writes instructions.json, a piece of work a line."""
    if shutil.which("valgrind") is None:
        print("there is no valgrind here: instructions.json stays as it is")
        return
    with tempfile.TemporaryDirectory() as folder:
        counts = count(Path(folder))
    facts = f'"isa":"{ISA}",\n"compiler":{json.dumps(compiler())},\n"counts":{entries(counts)}'
    GOLDEN.write_text("{" + facts + "}\n")


if __name__ == "__main__":
    main()
