"""Data loading is PyTorch's: recorded orders, collations and errors; and what is ours alone."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from golden.record_data import (
    COLLATIONS,
    ERRORS,
    GOLDEN,
    LOADERS,
    SAMPLERS,
    SPLITS,
    counting,
    dataset_of,
    described,
    load,
    sampled,
    split,
    squares,
)
from golden.recording import failure
from hypothesis import given, settings
from hypothesis import strategies as st
from native_tensors import in_use

import autodiff as ad
from autodiff import data
from autodiff.data import DataLoader, TensorDataset

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", LOADERS)
def test_batches_are_pytorchs(name: str) -> None:
    assert load(ad, data, LOADERS[name], dataset_of(ad, data)) == RECORD["loaders"][name]


@pytest.mark.parametrize("name", RECORD["generic"])
def test_batches_of_samples_one_by_one_are_pytorchs(name: str) -> None:
    assert load(ad, data, LOADERS[name], squares(data)) == RECORD["generic"][name]


@pytest.mark.parametrize("name", RECORD["iterable"])
def test_batches_of_iterables_are_pytorchs(name: str) -> None:
    assert load(ad, data, LOADERS[name], counting(data)) == RECORD["iterable"][name]


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_are_pytorchs(name: str) -> None:
    assert sampled(ad, data, SAMPLERS[name]) == RECORD["samplers"][name]


@pytest.mark.parametrize("name", SPLITS)
def test_splits_are_pytorchs(name: str) -> None:
    assert split(ad, data, SPLITS[name]) == RECORD["splits"][name]


@pytest.mark.parametrize("name", COLLATIONS)
def test_collations_are_pytorchs(name: str) -> None:
    case = COLLATIONS[name](ad, data)
    assert described(data.default_collate(case)) == RECORD["collations"][name]
    assert described(data.default_convert(case)) == RECORD["conversions"][name]


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    kind, text = RECORD["errors"][name]
    ours, words = failure(ERRORS[name], ad, data)
    assert ours == kind
    if name != "context kind":  # which start methods there are is the system's
        assert words == text


def test_every_case_is_recorded() -> None:
    for name, cases in (
        ("loaders", LOADERS),
        ("samplers", SAMPLERS),
        ("splits", SPLITS),
        ("collations", COLLATIONS),
        ("errors", ERRORS),
    ):
        assert list(RECORD[name]) == list(cases)


def test_the_module_has_pytorchs_name_too() -> None:
    import autodiff.utils.data as other

    assert other.DataLoader is ad.utils.data.DataLoader is ad.data.DataLoader
    assert other.__all__ == data.__all__


# ---- tensors: batches by gathers ----


class Slow(TensorDataset):
    """The same samples by Python's way."""

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(index)


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 40),
    size=st.integers(1, 12),
    wanted=st.none() | st.integers(1, 90),
    again=st.booleans(),
    drop=st.booleans(),
    nested=st.booleans(),
)
def test_gathered_batches_are_those_of_samples(
    n: int, size: int, wanted: int | None, again: bool, drop: bool, nested: bool
) -> None:
    """For samplers that draw tensors and for lists, of data sets and of subsets of subsets."""
    found = []
    tensors = ad.randn(n, 3).t().contiguous().t(), ad.arange(n)
    for kind in (TensorDataset, Slow):
        dataset: Any = kind(*tensors)
        if nested:
            some = data.Subset(dataset, [*range(1, n), *range(n)])
            dataset = data.Subset(some, list(range(len(some) - 1, -1, -1)))
        rng = ad.Generator().manual_seed(7)
        sampler = data.RandomSampler(dataset, again, wanted, rng)
        batches: Any = data.BatchSampler(sampler, size, drop)
        batches = batches if kind is TensorDataset else list(batches)  # drawn as tensors, or not
        lists = [[0, -1], [n - 1]]
        seen = [b for s in (batches, lists) for b in DataLoader(dataset, batch_sampler=s)]
        seen += list(DataLoader(dataset, size, drop_last=drop))
        found.append(([[x.tolist() for x in batch] for batch in seen], rng.get_state().tolist()))
    assert found[0] == found[1]


def test_a_batch_has_memory_of_its_own_and_knows_its_history() -> None:
    x = ad.arange(6.0).requires_grad_()
    (batch,) = next(iter(DataLoader(TensorDataset(x), 6)))
    batch.sum().backward()
    assert x.grad.tolist() == [1.0] * 6
    with ad.no_grad():
        batch.fill_(9.0)
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_indices_out_of_range_are_an_error() -> None:
    for kind in (TensorDataset, Slow):
        with pytest.raises(IndexError, match="index 5 is out of bounds"):
            list(DataLoader(kind(ad.ones(3)), batch_sampler=[[0, 5]]))


def test_a_gather_that_fails_keeps_nothing_of_the_tensors_before() -> None:
    dataset = TensorDataset(ad.ones(8, 3), ad.ones(8))
    dataset.tensors = (dataset.tensors[0], ad.ones(5))
    loader = DataLoader(dataset, 4)
    kept = []
    for _ in range(4):
        batches = iter(loader)
        assert [x.shape for x in next(batches)] == [(4, 3), (4,)]
        with pytest.raises(IndexError, match="index 5 is out of bounds"):
            next(batches)
        del batches
        kept.append(in_use())
    assert kept[1:] == kept[1:2] * 3


def test_what_is_collated_otherwise_is_not_gathered() -> None:
    dataset = TensorDataset(ad.arange(4))
    loader = DataLoader(dataset, 2, collate_fn=lambda samples: samples)
    assert [[x.item() for (x,) in batch] for batch in loader] == [[0, 1], [2, 3]]
    slices = DataLoader(dataset, sampler=[slice(0, 2)], batch_size=None)
    assert [x.tolist() for (x,) in slices] == [[0, 1]]


# ---- data sets ----


def test_data_sets_of_others() -> None:
    whole = squares(data, 3) + squares(data, 2)
    assert isinstance(whole, data.ConcatDataset)
    assert [whole[i]["index"] for i in range(5)] == [0, 1, 2, 0, 1]
    assert whole[-1]["index"] == 1
    assert len(whole) == 5
    chain = counting(data, 2) + counting(data, 3)
    assert isinstance(chain, data.ChainDataset)
    assert list(chain) == [0, 1, 0, 1, 2]
    assert len(chain) == 5
    assert len(DataLoader(chain, 2)) == 3
    assert len(DataLoader(chain, 2, drop_last=True)) == 2
    assert len(DataLoader(chain, None)) == 5


def test_stacks() -> None:
    one, two = dataset_of(ad, data, 4), data.Subset(squares(data, 9), [3, 4, 5, 6])
    both = data.StackDataset(one, two)
    assert both[1][1] == {"index": 4, "square": 16.5}
    (batch,) = DataLoader(both, 4)
    assert batch[0][0].tolist() == [0, 1, 2, 3]
    assert batch[1]["square"].tolist() == [9.5, 16.5, 25.5, 36.5]
    named = data.StackDataset(a=one, b=two)
    assert set(named[0]) == {"a", "b"}
    assert [b["b"]["index"].tolist() for b in DataLoader(named, 2)] == [[3, 4], [5, 6]]

    class Short(data.Subset[Any]):
        def __getitems__(self, indices: list[int]) -> Any:
            return [0]

    with pytest.raises(ValueError, match="Expected 2, got 1"):
        data.StackDataset(Short([1, 2], [0, 1])).__getitems__([0, 1])


def test_subsets() -> None:
    part = data.Subset(dataset_of(ad, data, 9), [8, 2, 5])
    assert part[0][0].item() == 8
    assert part[[0, 2]][0].tolist() == [8, 5]
    assert len(part) == 3

    class Doubled(data.Subset[Any]):
        def __getitem__(self, index: Any) -> Any:
            return super().__getitem__(index) * 2

    with pytest.raises(NotImplementedError, match="Doubled overrides __getitem__"):
        Doubled([1], [0])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        data.random_split([1], [0.5, 0.5])


def test_a_length_that_is_told_wrong_is_warned_of() -> None:
    class Lying(data.IterableDataset[int]):
        def __iter__(self) -> Any:
            return iter(range(3))

        def __len__(self) -> int:
            return 2

    loader = DataLoader(Lying(), None)
    assert list(loader) == [0, 1, 2]
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="was reported to be 2"):
        list(loader)


def test_a_pass_cannot_be_pickled_and_pins_nothing() -> None:
    loader = DataLoader([1, 2], pin_memory=True)
    with pytest.warns(UserWarning, match="no accelerator is found"):
        one = iter(loader)
    assert len(one) == 2
    with pytest.raises(NotImplementedError, match="cannot be pickled"):
        pickle.dumps(one)


def test_numpy_is_not_needed() -> None:
    script = (
        "import sys; sys.modules['numpy'] = None\n"
        "import autodiff as ad\n"
        "d = ad.data.TensorDataset(ad.arange(4))\n"
        "print([b[0].tolist() for b in ad.data.DataLoader(d, 2, num_workers=1)])\n"
        "print(ad.data.default_collate([(1, 2.5), (3, 4.5)]))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    expected = "[[0, 1], [2, 3]]\n[tensor([1, 3]), tensor([2.5000, 4.5000], dtype=torch.float64)]\n"
    assert run.stdout == expected, run.stderr


def test_a_batch_of_a_tensor_and_something_else_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="stack"):
        data.default_collate([ad.ones(1), 1])


def test_shares_of_several_processes_are_told_by_number() -> None:
    sampler = data.DistributedSampler(range(4), 2, 0, seed=1)
    first = list(sampler)
    sampler.set_epoch(3)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first
    with pytest.raises(ValueError, match=r"should be in the interval \[0, 1\]"):
        data.DistributedSampler(range(4), 2, 2)
    with pytest.raises(ValueError, match="give num_replicas and rank"):
        data.DistributedSampler(range(4))


def test_samples_of_a_type_in_a_map_are_collated_by_its_function() -> None:
    from autodiff.utils.data._utils.collate import collate, default_collate_fn_map

    def joined(samples: Any, *, collate_fn_map: Any) -> Any:
        return "-".join(map(str, samples))

    samples = [{"a": (1, [2.5])}, {"a": (3, [4.5])}]
    assert collate(samples, collate_fn_map={object: joined}) == "-".join(map(str, samples))
    assert collate(samples, collate_fn_map={int: joined, float: joined}) == {
        "a": ["1-3", ["2.5-4.5"]]
    }
    with pytest.raises(TypeError, match="found <class 'int'>"):
        collate(samples, collate_fn_map={})
    default_collate_fn_map[complex] = joined
    try:
        assert data.default_collate([(1j, 1), (2j, 2)])[0] == "1j-2j"
    finally:
        del default_collate_fn_map[complex]
