"""What a call reaches by names is gone through once, however much it is, and up to a bound."""

from __future__ import annotations

import types
import warnings
from typing import Any

import pytest

import autodiff as ad
from autodiff.compiled import noted
from autodiff.compiled.guards import Names


def graph(n: int) -> Any:
    """A function that reaches n objects of n classes, which hold one another, and their methods."""
    lines = ["def asks(x, name): return getattr(x, name, 0)"]
    for i in range(n):
        lines += [
            f"class C{i}:",
            f"    a{i} = {i}",
            "    def __init__(self): self.all = []",
            f"    def m{i}(self, x): self.b{i} = asks(self, 'g{i}'); return x * self.a{i}",
            f"    def __eq__(self, other): return getattr(self, 'e{i}', 0) == other.m{i}(0)",
            f"c{i} = C{i}()",
        ]
    lines += [f"c{i}.next = c{(i + 1) % n}; c{i}.all.append(c{i // 2})" for i in range(n)]
    lines += ["def step(x):", "    return x * asks(c0, 'a0') + c1.next.m2(x) + len(c0.all)"]
    home = types.ModuleType("much")
    exec(compile("\n".join(lines), "much.py", "exec"), vars(home))
    return home


def reached(n: int) -> tuple[int, int]:
    """How much is looked at, and noted, of so many objects."""
    home, counts = graph(n), []
    again = Names.again

    def counted(self: Names, *things: Any) -> bool:
        counts.append(1)
        return again(self, *things)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Names, "again", counted)
        names = Names(home.step, (ad.ones(2),))
    return len(counts), len([*names.rows()])


def test_what_is_looked_at_and_noted_grows_as_what_is_reached() -> None:
    (few, rows), (many, more) = reached(40), reached(160)
    assert many > 2 * few  # so much more is reached
    assert many < 5 * few
    assert more < 5 * rows


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noted, "MOST", 50)


def test_a_call_that_reaches_too_much_stays_eager_and_says_so(bound: None) -> None:
    step = graph(40).step
    compiled = ad.compile(step)
    with pytest.warns(UserWarning, match="step stays eager: it reaches too much by names"):
        assert compiled(ad.ones(2)).tolist() == step(ad.ones(2)).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once for all calls
        for n in (2, 3, 4):
            assert compiled(ad.ones(n)).tolist() == step(ad.ones(n)).tolist()
    assert not compiled.stats().recordings
    other = ad.compile(lambda x: x + 1)  # others are recorded
    other(ad.ones(2)), other(ad.ones(2))
    assert other.stats().runs == 1


def test_what_leads_to_thousands_in_a_row_is_gone_through() -> None:
    home = graph(1)
    last = home.c0
    for _ in range(1500):
        last.next = home.C0()
        last.next.all.append(last)
        last = last.next
    vars(home)["c1"] = types.SimpleNamespace(next=types.SimpleNamespace(m2=lambda x: x))
    compiled = ad.compile(home.step, fullgraph=True)
    for _ in range(3):
        assert compiled(ad.ones(2)).tolist() == home.step(ad.ones(2)).tolist()
    assert compiled.stats().runs


def test_where_it_must_be_recorded_that_raises(bound: None) -> None:
    compiled = ad.compile(graph(40).step, fullgraph=True)
    with pytest.raises(RuntimeError, match="cannot be recorded: it reaches too much by names"):
        compiled(ad.ones(2))
