"""How errors of sizes and dtypes are worded: as PyTorch words them, by recorded facts."""

from __future__ import annotations

import json

import pytest
from golden.record_texts import GOLDEN, LINES, words

import autodiff as ad

TEXTS = json.loads(GOLDEN.read_text())["texts"]


@pytest.mark.parametrize("line", LINES)
def test_as_pytorch(line: str) -> None:
    kind, text = words(ad, line)
    assert [kind, text[: len(TEXTS[line][1])]] == TEXTS[line]
