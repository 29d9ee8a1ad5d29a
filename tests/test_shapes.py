"""Rearranged, joined, scattered and indexed tensors against PyTorch's recorded facts."""

from __future__ import annotations

import builtins
import math
from typing import Any

import pytest
from golden.record_shapes import lines, outcome, recorded

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


def near(a: Any, b: Any) -> bool:
    """Whether nested facts agree, numbers to twelve places; a cotangent of None is zero."""
    if isinstance(a, (list, tuple)) and isinstance(b, list):
        return len(a) == len(b) and all(map(near, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) or (a != a and b != b)
    return bool(a == b)


def same_name(ours: str, theirs: str) -> bool:
    composed = theirs.startswith(("Reflection", "Replication", "EmbeddingBag", "torch::"))
    return ours == theirs or ours == "CopySlices" or composed or (ours, theirs) in NAMES


@pytest.mark.parametrize("line", lines())
def test_as_pytorch(line: str) -> None:
    wanted, got = recorded()[line], outcome(ad, line)
    if isinstance(wanted, str) or isinstance(got, str):
        kinds = [getattr(builtins, name) for name in (got, wanted)]
        assert issubclass(*kinds), f"{got}, not {wanted}"
        return
    (value, names, views, *slopes), (value_, names_, views_, *slopes_) = got, wanted
    assert near(value, value_)
    assert len(names) == len(names_)
    assert all(map(same_name, names, names_)), (names, names_)
    if "s.scatter_reduce" not in line and "quantile" not in line:  # which end in views of copies
        each = zip(views, views_, names, names_, strict=True)
        assert all(a == b or n != m for a, b, n, m in each)
    if slopes_ and slopes[0]:
        assert near(slopes[0], slopes_[0])
        if "by_freq" not in line:  # PyTorch's second derivative forgets how often a row is used
            assert near(slopes[1] or [], slopes_[1] or []) or not value_[2]


def test_windows_that_overlap_are_not_written_to() -> None:
    x = ad.arange(4.0)
    with pytest.raises(RuntimeError, match="share a single memory location"):
        x.unfold(0, 2, 1).mul_(2)
    x.unfold(0, 2, 2).mul_(2)
    assert x.tolist() == [0, 2, 4, 6]


def test_a_view_taken_in_place_of_a_leaf_is_refused() -> None:
    x = ad.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x.t_()
    with ad.no_grad():
        x.t_()
    assert x.shape == (3, 2)


def test_out_takes_results_in_its_own_layout() -> None:
    x, index = ad.arange(6.0).reshape(2, 3), ad.tensor([2, 0])
    room = ad.zeros(2, 2).t()
    assert ad.index_select(x, 1, index, out=room) is room
    assert room.tolist() == [[2, 0], [5, 3]]
    nothing = ad.empty(0)
    assert ad.tril(x, out=nothing) is nothing
    assert nothing.tolist() == [[0, 0, 0], [3, 4, 0]]
    wide = ad.empty(0, dtype=ad.float64)
    assert ad.hstack((x, x), out=wide) is wide
    assert wide.shape == (2, 6)
    with pytest.raises(RuntimeError, match="to have dtype float32, but got int64 instead"):
        ad.take(x, index, out=ad.zeros(2, dtype=ad.int64))
    with pytest.raises(TypeError, match="Float can't be cast to the desired output type Long"):
        ad.cat((x, x), out=ad.zeros(2, dtype=ad.int64))
    with pytest.warns(UserWarning, match="resized"):
        ad.hstack((x, x), out=room)
    assert room.shape == (2, 6)
    with pytest.raises(RuntimeError, match="arguments don't support"):
        ad.take(x.requires_grad_(), index, out=ad.zeros(2))
    with pytest.raises(TypeError, match="'out' must be Tensor, not int"):
        ad.take(x, index, out=5)


def test_who_transposes_what_is_no_matrix_is_warned() -> None:
    x = ad.arange(6).reshape(1, 2, 3)
    with pytest.warns(UserWarning, match="of 3 dimensions is deprecated: take x.mT"):
        assert x.T.shape == (3, 2, 1)
    with pytest.warns(UserWarning, match="of 1 dimensions"):
        assert x[0, 0].T.tolist() == [0, 1, 2]
    for name in ("T", "mT", "H"):
        with pytest.warns(UserWarning, match=f"Tensor.{name} of a 0-d tensor"):
            assert getattr(x[0, 0, 1], name).item() == 1
    assert x[0].T.shape == (3, 2)
    assert x.mT.shape == (1, 3, 2)


def test_a_grid_needs_to_know_its_indexing() -> None:
    rows = ad.arange(2)
    with pytest.warns(UserWarning, match="indexing"):
        assert ad.meshgrid(rows, ad.arange(3))[0].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert ad.meshgrid(rows)[0].tolist() == [0, 1]
    assert ad.cartesian_prod(rows, rows).shape == (4, 2)
