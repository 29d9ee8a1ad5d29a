"""The examples run, shortened; and would on PyTorch: they use nothing that it has not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NEEDS = {"digits_mlp": ["matplotlib", "tqdm", "sklearn"], "two_moons": ["matplotlib", "tqdm"]}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_runs(script: Path, tmp_path: Path) -> None:
    for module in NEEDS[script.stem]:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no {module}")
    plot = tmp_path / "plot.png"
    run = subprocess.run(
        [sys.executable, str(script), "--short", "--plot", str(plot)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("accuracy on ")
    assert "100%" in run.stderr, "a progress bar"
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_names_its_library_once(script: Path) -> None:
    text = script.read_text()
    assert text.count("autodiff") == text.count("import autodiff as torch  # or: import torch") == 1
    assert script.name in (EXAMPLES / "README.md").read_text()
