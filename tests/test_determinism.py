"""The same inputs give the same bits: for any number of threads, batch and layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from large import VOLUMES, Large, Operands, digest, in_dtype, regions, results, sizes_drawn
from training import RUNS

import autodiff as ad
from autodiff.testing.cases import CASES, FAMILIES, Case

THREADS = (1, 2, 3, 7)
SHAPED = {case.name for family in ("pointwise", "loss") for case in FAMILIES[family]}


@pytest.fixture(autouse=True)
def _threads_kept() -> Iterator[None]:
    threads = ad.get_num_threads()
    yield
    ad.set_num_threads(threads)


def spread_operands(case: Case, d: ad.dtype, scattered: bool) -> Operands:
    """Operands so large that the case's work, forward or backward, is offered to other threads."""
    sizes = sizes_drawn(case)
    ad.set_num_threads(2)
    for volume in VOLUMES:
        xs = in_dtype(case.operands(Large(case.name, volume, sizes, scattered)), d)
        if regions(lambda xs=xs: [consumed(case, y) for y in results(case, xs)]):
            return xs
        if not sizes and case.name not in SHAPED:
            return xs  # its sizes are fixed
    raise AssertionError(f"{case} is never spread over threads, at shapes {[x.shape for x in xs]}")


def consumed(case: Case, y: ad.Tensor) -> ad.Tensor:
    """A result; a view's work is only done by who reads it."""
    return y.clone() if case in FAMILIES["view"] else y


def same_for_any_number(run: Callable[[], object]) -> None:
    found = {}
    for n in THREADS:
        ad.set_num_threads(n)
        found[n] = run()
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize(
    ("d", "scattered"), [(ad.float32, False), (ad.float64, True)], ids=["plain", "scattered"]
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_bits_however_work_is_spread(case: Case, d: ad.dtype, scattered: bool) -> None:
    xs = spread_operands(case, d, scattered)
    same_for_any_number(lambda: digest(results(case, xs)))


@pytest.mark.parametrize("name", RUNS)
def test_same_training_for_any_number_of_threads(name: str) -> None:
    ad.set_num_threads(2)
    assert regions(lambda: list(RUNS[name]())) > 100
    same_for_any_number(lambda: digest(RUNS[name]()))


def row_major(x: ad.Tensor) -> ad.Tensor:
    return ad.from_numpy(x.numpy().copy(order="C"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_bits_in_any_layout_at_many_blocks(case: Case) -> None:
    """As the law of layouts, at sizes of many blocks and of several tasks."""
    drawer = Large(case.name, VOLUMES[0], sizes_drawn(case), scattered=True)
    xs = in_dtype(case.operands(drawer), ad.float32)
    assert digest(results(case, xs)) == digest(results(case, [row_major(x) for x in xs]))
