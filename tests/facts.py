"""Whether what a line comes to on autodiff is what it came to on PyTorch (see golden/lines.py)."""

from __future__ import annotations

import builtins
import math
from typing import Any

from golden.lines import Facts

import autodiff as ad

# What made a result is called differently where a composition of ours is another than PyTorch's.
NAMES = [
    ("PermuteBackward0", "AliasBackward0"),
    ("AliasBackward0", "CloneBackward0"),  # (which is the tensor itself)
    ("UnsafeViewBackward0", "ViewBackward0"),
    ("IndexBackward0", "ViewBackward0"),
    ("UnsqueezeBackward0", "ViewBackward0"),
    ("ExpandBackward0", "CloneBackward0"),
    ("CatBackward0", "StackBackward0"),
    ("IndexBackward0", "StackBackward0"),
    ("CloneBackward0", "SortBackward0"),
    ("SignBackward0", "SgnBackward0"),
    ("DivBackward0", "MulBackward1"),
    ("CloneBackward0", "DiagonalBackward0_copy"),
    ("CloneBackward0", "ScatterBackward0"),
    ("ScatterBackward0", "ScatterBackward1"),
    ("IndexFillBackward0", "IndexFillBackward1"),
    ("CopyBackwards", "FillBackward0"),
    ("CopyBackwards", "FillBackward1"),
    ("LogBackward0", "LogitBackward0"),
    ("WhereBackward0", "NanToNumBackward0"),
    *(("CloneBackward0", f"{name}Backward0") for name in ("Cumprod", "Logcumsumexp", "Cummin")),
    *(("CloneBackward0", f"{name}Backward0") for name in ("Kthvalue", "Cumsum")),
    ("CumsumBackward0", "CumprodBackward0"),
    *(("CopyBackwards", f"{name}Backward0") for name in ("Cumprod", "Cumsum")),
    ("CloneBackward0", "MedianBackward1"),
    *((name, "SqueezeBackward4") for name in ("SelectBackward0", "ViewBackward0")),
    *((name, "SqueezeBackward4") for name in ("PermuteBackward0", "UnsqueezeBackward0")),
]


def near(a: Any, b: Any, tolerance: float = 1e-12) -> bool:
    """Whether nested facts agree, numbers to so many places."""
    if isinstance(a, (list, tuple)) and isinstance(b, list):
        return len(a) == len(b) and all(near(p, q, tolerance) for p, q in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) or (a != a and b != b)
    return bool(a == b)


def is_nothing(slopes: Any) -> bool:
    """Whether all are zero, which None is, too."""
    return slopes is None or all(g is None or not any(g[2]) for g in slopes)


def same_name(ours: str, theirs: str) -> bool:
    composed = theirs.startswith(("Reflection", "Replication", "EmbeddingBag", "torch::"))
    return ours == theirs or ours == "CopySlices" or composed or (ours, theirs) in NAMES


def check_failure(wanted: Any, got: Any) -> None:
    """Fails where a failure is of another kind than PyTorch's, or one of them is none."""
    assert isinstance(wanted, str) == isinstance(got, str), f"{got}, not {wanted}"
    theirs = getattr(builtins, wanted, RuntimeError)  # as _LinAlgError is
    assert issubclass(getattr(builtins, got, ad.linalg.LinAlgError), theirs), f"{got}, not {wanted}"


def check_value(facts: Facts, line: str) -> tuple[list[Any], list[Any]]:
    """Fails where a line's value, or failure, is another; what else PyTorch tells, and what is."""
    wanted, got = facts.recorded[line], facts.outcome(ad, line)
    if isinstance(wanted, str) or isinstance(got, str):
        check_failure(wanted, got)
        return [], []
    assert near(got[0], wanted[0])
    return wanted[1:], got[1:]


def check_nodes(wanted: Any, got: Any, line: str) -> None:
    """Fails where nodes are called differently, or what is a view is none."""
    (names, views), (names_, views_) = got, wanted
    assert len(names) == len(names_)
    assert all(map(same_name, names, names_)), (names, names_)
    if "s.scatter_reduce" not in line and "quantile" not in line:  # which end in views of copies
        each = zip(views, views_, names, names_, strict=True)
        assert all(a == b or n != m for a, b, n, m in each)


def check_slopes(wanted: list[Any], got: list[Any], tolerance: float = 1e-12) -> None:
    """Fails where the first or second derivatives that PyTorch has are others."""
    if not wanted:
        return
    assert got, "not differentiated"
    assert near(got[0], wanted[0], tolerance)
    assert (is_nothing(got[1]) and is_nothing(wanted[1])) or near(got[1], wanted[1], tolerance)
