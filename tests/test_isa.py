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
SCRIPT = Path(__file__).with_name("isa_results.py")


@cache
def results(isa: str) -> dict[str, Any]:
    """What a process that uses this instruction set prints."""
    root = str(Path(ad.__file__).parents[1])
    environment = os.environ | {"AUTODIFF_ISA": isa, "PYTHONPATH": root}
    run = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_same_bits() -> None:
    for isa in FUSED[1:]:
        for name, values in results(isa).items():
            assert repr(values) == repr(results(FUSED[0])[name]), (isa, name)


@pytest.mark.skipif(not FUSED, reason="only the baseline runs on this CPU")
def test_baseline_is_close() -> None:
    expected = results(FUSED[0])
    for name, values in results("baseline").items():
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
