"""Every instruction set gives the same bits; the baseline, which has no FMA, nearly."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import autodiff as ad
from autodiff.native import lib

SETS = [
    name for name in ("baseline", "avx2", "avx512", "neon") if lib.ad_isa_available(name.encode())
]
FUSED = [name for name in SETS if name != "baseline"]
HERE = Path(__file__).parent
RECORD = "`cd tests && python -m golden bits` records them anew, if the change is meant"


@cache
def results(script: str, isa: str) -> dict[str, Any]:
    """What a script prints in a process that uses this instruction set."""
    root = str(Path(ad.__file__).parents[1])
    environment = os.environ | {"AUTODIFF_ISA": isa, "PYTHONPATH": root}
    run = subprocess.run(
        [sys.executable, str(HERE / script)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("isa", ["avx2", "avx512", "neon"])
def test_every_program_has_the_recorded_bits(isa: str) -> None:
    """Every operation, grids of sizes, and training: `make check-neon` holds NEON to the same."""
    if isa not in FUSED:
        pytest.skip(f"this CPU has no {isa}")
    expected = json.loads((HERE / "golden" / "bits.json").read_text())
    found = results("programs.py", isa)
    assert sorted(found) == sorted(expected), f"not all programs are recorded: {RECORD}"
    differing = [name for name in found if found[name] != expected[name]]
    assert not differing, f"other bits than recorded: {RECORD}"


@pytest.mark.skipif(not FUSED, reason="only the baseline runs on this CPU")
def test_baseline_is_close() -> None:
    expected = results("isa_results.py", FUSED[0])
    for name, values in results("isa_results.py", "baseline").items():
        tolerance = 2e-5 if "float32" in name else 1e-13
        for got, want in zip(values, expected[name], strict=True):
            for a, b in zip(got, want, strict=True):
                near = math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
                assert near or (a != a and b != b), (name, a, b)


def test_an_unknown_set_is_refused() -> None:
    code = "import autodiff"
    environment = {**os.environ, "AUTODIFF_ISA": "sse9"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "ImportError: AUTODIFF_ISA=sse9" in run.stderr
