"""Where the time of one of our workloads goes: in Python by cProfile, in C by callgrind."""

import argparse
import cProfile
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 2.0
SHOWN = 20
INSIDE = "AUTODIFF_BENCH_REPEAT"  # set for the process that runs under callgrind


def profile(options: argparse.Namespace) -> None:
    """Profile ours of the first workload that the options choose."""
    from measure import profiled

    run = profiled(options)
    run()
    if repeat := os.environ.get(INSIDE):
        for _ in range(int(repeat)):
            run()
        return
    start, runs = time.perf_counter(), 0
    profiler = cProfile.Profile()
    while time.perf_counter() - start < SECONDS:
        profiler.runcall(run)
        runs += 1
    print(f"{runs} runs, {(time.perf_counter() - start) / runs * 1e6:.3g} µs each when profiled")
    pstats.Stats(profiler).sort_stats("tottime").print_stats(SHOWN)
    if options.callgrind:
        callgrind(max(1, runs // 100))


def callgrind(repeat: int) -> None:
    """Run this command again under callgrind, and list the functions with the most instructions."""
    if shutil.which("valgrind") is None:
        raise SystemExit("there is no valgrind here")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        command = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
        command += ["--toggle-collect=_cffi_f_*", sys.executable, *sys.argv]
        subprocess.run(command, env=os.environ | {INSIDE: str(repeat)}, check=True)
        print(f"instructions inside native calls, set-up and {repeat} runs", flush=True)
        annotate = ["callgrind_annotate", "--threshold=99", "--auto=no", str(out)]
        told = subprocess.run(annotate, capture_output=True, text=True, check=True).stdout
        lines = told[told.index("PROGRAM TOTALS") :].splitlines()
        print("\n".join(lines[: SHOWN + 5]))
