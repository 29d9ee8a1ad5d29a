"""The demo prints what PyTorch printed for the same seed, checks its gradients, and draws."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from autodiff import demo

GOLDEN = json.loads((Path(__file__).parent / "golden" / "demo.json").read_text())["seeds"]
LOSS = r"\d+\.\d{4}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", GOLDEN)
def test_demo_prints_what_pytorch_prints(seed: str) -> None:
    lines: list[str] = []
    demo.train_all([demo.LINE, demo.NETWORK], int(seed), lines.append)
    wanted, spread = GOLDEN[seed]["lines"], GOLDEN[seed]["spread"]
    if spread == 0:
        assert lines == wanted
    # rounding alone moves the losses of other seeds by the recorded spread
    assert without_losses(lines) == without_losses(wanted)
    assert losses(lines) == pytest.approx(losses(wanted), rel=0, abs=2 * spread + 1e-6)


def losses(lines: list[str]) -> list[float]:
    return [float(number) for number in re.findall(LOSS, "\n".join(lines))]


def without_losses(lines: list[str]) -> list[str]:
    return [re.sub(LOSS, "", line) for line in lines]


def test_reports_follow_the_epochs() -> None:
    lines: list[str] = []
    task = replace(demo.LINE, epochs=2500)
    demo.train_all([task], 0, lines.append)
    assert lines[0] == task.title
    assert [line.partition(",")[0] for line in lines[1:]] == [
        "Epoch 1",
        "Epoch 1000",
        "Epoch 2000",
    ]


def run_demo(*options: str) -> str:
    short = ["--line-epochs", "3", "--network-epochs", "3"]
    result = subprocess.run(
        [sys.executable, "-m", "autodiff", "demo", "--seed", "17", *short, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_demo_checks_gradients_without_a_plot(tmp_path: Path) -> None:
    output = tmp_path / "fit.png"
    printed = run_demo("--no-plot", "--output", str(output))
    assert "Epoch 1, Training loss" in printed
    assert "gradients agree with finite differences" in printed
    assert not output.exists()


def test_demo_without_matplotlib_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not demo.plot(demo.make_network(), str(tmp_path / "fit.png"))


def test_demo_draws_the_fit(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    output = tmp_path / "fit.png"
    assert f"The fit is drawn in {output}." in run_demo("--output", str(output))
    assert output.read_bytes().startswith(b"\x89PNG")


def test_info_tells_the_build() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "autodiff", "info"], capture_output=True, text=True, check=True
    )
    rows = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert rows.keys() == {"autodiff", "python", "compiler", "instructions", "threads", "memory"}
    instructions = rows["instructions"]
    assert instructions.partition(" ")[0] in instructions.partition("available: ")[2]


@pytest.mark.parametrize("options", [["demo", "--line-epochs", "0"], ["demo", "--seed", "x"], []])
def test_bad_options_are_refused(options: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "autodiff", *options], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "usage:" in result.stderr
    assert "Traceback" not in result.stderr
