"""`python -m autodiff gradcheck`: what it prints, and that a planted fault fails it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from autodiff import __main__ as command
from autodiff.ops.base import OPS
from autodiff.testing import sweep
from autodiff.testing.cases import CASES


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["autodiff", "gradcheck", *arguments])
    return command.main()


def test_the_table(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert run(monkeypatch, "prod*", "--examples", "2") == 0
    title, *rows, blank, summary = capsys.readouterr().out.splitlines()
    assert title.split() == ["operation", "family", "cases", "first", "second", "ms", "verdict"]
    assert [row.split()[:3] for row in rows] == [
        ["prod", "reduction", "2"],
        ["prod_dim", "reduction", "2"],
    ]
    for row in rows:
        *_, first, second, _, verdict = row.split()
        assert 0 < float(first) < 1
        assert 0 < float(second) < 1
        assert verdict == "ok"
    assert blank == ""
    assert summary.startswith("2 operations passed, 0 failed, 0 are not differentiable; 4 cases")


def test_a_planted_fault_fails(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    rule = OPS["prod_dim"].rule
    monkeypatch.setattr(OPS["prod_dim"], "rule", lambda node, g, x: rule(node, g, x.detach()))
    assert run(monkeypatch, "prod_dim") == 1
    out = capsys.readouterr().out
    assert "FAILED\n    order 2, operands of shapes [" in out
    assert "GradcheckError: Jacobian mismatch for output 0" in out
    assert "0 operations passed, 1 failed" in out

    def broken(*_: Any) -> Any:
        raise KeyError("lost")

    monkeypatch.setattr(OPS["prod_dim"], "rule", broken)
    assert run(monkeypatch, "prod_dim") == 1
    assert "KeyError: 'lost'" in capsys.readouterr().out


def test_operations_without_derivative_and_patterns(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run(monkeypatch, "argmax") == 0
    assert "not differentiable" in capsys.readouterr().out
    assert run(monkeypatch, "no such") == 2
    assert "no operation matches 'no such'" in capsys.readouterr().err
    assert run(monkeypatch, "--list") == 0
    assert capsys.readouterr().out.split() == [case.name for case in CASES]


def test_a_seed_draws_the_same_operands() -> None:
    case = next(case for case in CASES if case.name == "addcmul")
    drawn = [
        [x.tolist() for x in case.operands(sweep.Random(seed))] for seed in ("1", "1", "2", "3")
    ]
    assert drawn[0] == drawn[1]
    assert drawn[1:] != [drawn[1]] * 3


@pytest.mark.parametrize("missing", [True, False])
def test_progress_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, missing: bool
) -> None:
    cases = sweep.chosen("softmax")
    assert list(sweep.progress(cases)) == cases
    assert capsys.readouterr().err == ""  # no terminal, no bar
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    if missing:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    else:
        pytest.importorskip("tqdm")
    assert list(sweep.progress(cases)) == cases
    assert "%" in capsys.readouterr().err


def test_it_needs_no_hypothesis() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = sys.modules['pytest'] = None\n"
        "from autodiff.testing import sweep; assert sweep.main('exp', 0, 1) == 0\n"
        "from autodiff import testing\n"
        "try: testing.tensors\n"
        "except ImportError as error: assert 'pip install hypothesis' in str(error)\n"
        "else: raise SystemExit('imported')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
