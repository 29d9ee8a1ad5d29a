"""Compares the bits of NEON with the recorded ones, under an emulator: `make check-neon`.

The programs of ../programs.py run here, and their native calls are recorded; the kernels are
compiled for aarch64 with a driver that replays the calls, and what it prints is hashed as
../golden/bits.json was. Needs a cross compiler and qemu's user mode; exits with 0 and says so where
they are missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE.parent)]

from recorder import Recorder  # noqa: E402

GOLDEN = HERE.parent / "golden" / "bits.json"
NEEDED = "Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user"


def main() -> int:
    options = parse_options()
    compiler, emulator = shlex.split(options.cc), shlex.split(options.emulator)
    missing = [tool for tool in (compiler[0], *emulator[:1]) if shutil.which(tool) is None]
    if missing:
        print(f"check-neon: skipped, as there is no {' and no '.join(missing)}: {NEEDED}")
        return 0
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    with timed("record"):
        shown, calls = record(folder / "script")
    (folder / "calls.h").write_text(calls)
    with timed("compile"):
        driver = compile_driver(compiler, folder)
    with timed("replay"), (folder / "script").open("rb") as script:
        run = subprocess.run([*emulator, str(driver)], stdin=script, stdout=subprocess.PIPE)
    return run.returncode or compare(shown, run.stdout)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cc", default="aarch64-linux-gnu-gcc", help="the compiler, with its flags"
    )
    parser.add_argument("--emulator", default="qemu-aarch64 -L /usr/aarch64-linux-gnu")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "neon")
    return parser.parse_args()


class timed:  # noqa: N801
    """Tells how long a step takes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        print(f"{self.name}: {time.perf_counter() - self.start:.1f} s", flush=True)


Shown = dict[str, list[tuple[str, str]]]  # of each program its tensors: title and NumPy's dtype


def record(path: Path) -> tuple[Shown, str]:
    """Runs the programs with their calls recorded to a file."""
    with path.open("wb") as script:
        recorder = Recorder(ROOT / "autodiff", script)
        from large import title
        from programs import PROGRAMS

        shown: Shown = {}
        for name, program in PROGRAMS.items():
            shown[name] = []
            for x in program():
                recorder.show(x._p)
                shown[name].append((title(x), x.dtype.name))
        recorder.end()
    return shown, recorder.dispatch()


def compile_driver(compiler: list[str], folder: Path) -> Path:
    """Compiles the sources, with the package's flags, and the driver; in parallel."""
    from autodiff._build import FLAGS, files

    sources = [*files("*.c", "variants/*.c"), str(HERE / "driver.c")]
    flags = [*compiler, *FLAGS, "-Werror", f"-I{ROOT / 'csrc'}", f"-I{folder}"]
    objects = [str(folder / f"{i}.o") for i in range(len(sources))]
    waiting = list(zip(sources, objects, strict=True))
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            source, target = waiting.pop()
            running.append(subprocess.Popen([*flags, "-c", source, "-o", target]))
        if running.pop(0).wait():
            raise SystemExit("check-neon: the compiler failed")
    driver = folder / "driver"
    subprocess.run([*compiler, "-pthread", *objects, "-o", str(driver), "-lm"], check=True)
    return driver


def compare(shown: Shown, output: bytes) -> int:
    """Hashes what the driver printed, and prints what differs."""
    import numpy as np
    from large import canonical, digest_of

    golden: dict[str, str] = json.loads(GOLDEN.read_text())
    at = 0

    def payload(dtype: str) -> bytes:
        nonlocal at
        (nbytes,) = struct.unpack_from("<q", output, at)
        raw: Any = np.frombuffer(output, np.uint8, nbytes, at + 8)
        at += 8 + nbytes
        if dtype == "bfloat16":  # hashed as the float32 whose upper half it is
            return canonical((raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32))
        return canonical(raw.view(dtype))

    found = {
        name: digest_of((title, payload(dtype)) for title, dtype in tensors)
        for name, tensors in shown.items()
    }
    differing = [name for name in sorted({*found, *golden}) if found.get(name) != golden.get(name)]
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(found) - len(differing)} of {len(found)} programs have the recorded bits")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
