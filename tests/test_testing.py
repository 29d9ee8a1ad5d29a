"""autodiff.testing as users see it, and the page of the documentation about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from golden.record_tensor import lines_of, outcome, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import testing

PAGE = Path(__file__).parents[1] / "docs" / "testing.md"


def test_the_page_runs_and_says_what_is_printed() -> None:
    text = PAGE.read_text()
    names: dict[str, Any] = {"__name__": "page"}
    ad.manual_seed(0)
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(block, f"<{PAGE.name}>", "exec"), names)  # a page is no source to read again
    laws = [name for name in names if name.startswith("test_")]
    assert len(laws) == 4
    for name in laws:
        names[name]()
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.S)
    for line, want in zip(names["message"].split("\n"), shown.splitlines(), strict=True):
        words, number = re.fullmatch(r"(.*?)([\d.]*)", line).groups()  # type: ignore[union-attr]
        assert want.startswith(words)
        if number:
            assert float(want.removeprefix(words)) == pytest.approx(float(number), rel=1e-6)
    for name in set(testing.__all__) - {"Array", "Layout", "pointwise", "drawn"}:
        assert f"`{name}(" in text


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_operands_by_name_or_function(data: Any) -> None:
    for function in ("log", ad.log):
        (x,) = data.draw(testing.operands(function))
        assert all(v > 0 for v in x.reshape(-1).tolist())
    assert len(data.draw(testing.operands("lerp"))) == 3


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_indices_are_of_elements(data: Any) -> None:
    shape = data.draw(testing.shapes(min_size=1))
    x = ad.zeros(shape)
    assert x[data.draw(testing.indices(shape))].shape == ()


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="operands: 'matmul' is no pointwise function"):
        testing.operands(ad.matmul)
    for domain in ([], [(1.0, 0.0)]):
        with pytest.raises(ValueError, match="domain: expected intervals"):
            testing.numbers(domain)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        testing.nothing  # noqa: B018


@pytest.mark.parametrize("line", lines_of("close"))
def test_closeness_is_told_as_pytorch_tells_it(line: str) -> None:
    assert outcome(ad, line) == recorded()[line]
