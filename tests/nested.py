"""Nested values beside those recorded from PyTorch."""

from typing import Any

import pytest


def alike(got: Any, expected: Any, rel: float = 1e-5) -> bool:
    """Whether they are equal, numbers to rounding."""
    if isinstance(expected, dict):
        return got.keys() == expected.keys() and all(alike(got[k], expected[k], rel) for k in got)
    if isinstance(expected, list):
        return len(got) == len(expected) and all(
            alike(g, e, rel) for g, e in zip(got, expected, strict=True)
        )
    if isinstance(expected, float):
        return got == pytest.approx(expected, rel=rel)  # type: ignore[no-any-return]
    return bool(got == expected)
