"""Records what the examples print on PyTorch, shortened, as examples.json (see recording.py)."""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from golden.recording import write

GOLDEN = Path(__file__).with_name("examples.json")
SCRIPTS = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
IMPORT = "import autodiff as torch  # or: import torch"


def printed(script: Path, lib: Any, plot: Path, *options: str) -> tuple[str, str]:
    """What a script prints on a library, and what its progress bar says."""
    text = script.read_text()
    assert text.count(IMPORT) == text.count("autodiff") == 1, "the library is named once"
    out, bar = io.StringIO(), io.StringIO()
    names = {"__name__": "__main__", "torch": lib}
    code = compile(text.replace(IMPORT, ""), str(script), "exec")
    given = mock.patch.object(sys, "argv", [str(script), "--plot", str(plot), *options])
    with given, redirect_stdout(out), redirect_stderr(bar):
        exec(code, names)
    return out.getvalue(), bar.getvalue()


def numbers(text: str) -> list[float]:
    """The numbers of the last line, which tells what was reached."""
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text.strip().rpartition("\n")[2])]


def main() -> None:
    """Writes examples.json."""
    import tempfile

    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        plot = Path(folder) / "plot.png"
        reached = {s.stem: numbers(printed(s, torch, plot, "--short")[0]) for s in SCRIPTS}
    write(GOLDEN, reached=reached)


if __name__ == "__main__":
    main()
