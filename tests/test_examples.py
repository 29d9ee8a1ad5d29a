"""The examples run, shortened, and reach what the same text reaches on PyTorch."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from golden.record_examples import GOLDEN, SCRIPTS, numbers, printed

import autodiff as ad

REACHED = json.loads(GOLDEN.read_text())["reached"]


@pytest.fixture(autouse=True)
def _generator_kept() -> Iterator[None]:
    state = ad.get_rng_state()
    yield
    ad.set_rng_state(state)


@pytest.mark.filterwarnings("default")  # of the libraries that the examples use
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_reaches_what_it_does_on_pytorch(script: Path, tmp_path: Path) -> None:
    for module in re.findall(r"^from (\w+)", script.read_text(), re.MULTILINE):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no {module}")
    plot = tmp_path / "plot.png"
    told, bar = printed(script, ad, plot, "--short")
    # training amplifies what is rounded otherwise, so the numbers are nearly the same
    assert numbers(told) == pytest.approx(REACHED[script.stem], rel=0.02, abs=0.005)
    assert "100%" in bar, "a progress bar"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_every_example_is_listed_and_recorded() -> None:
    listed = (SCRIPTS[0].parent / "README.md").read_text()
    assert all(f"| `{script.name}` |" in listed for script in SCRIPTS)
    assert [script.stem for script in SCRIPTS] == list(REACHED)
