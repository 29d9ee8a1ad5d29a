"""Descriptors as objects of Python: who holds one, for how long, and what is no descriptor."""

import gc
import weakref
from typing import Any

import pytest
from native_tensors import in_use, no_collector

import autodiff as ad
from autodiff.native import NULL, Held, descriptors, ffi, hold, lib
from autodiff.tensor import blank, tensor_of

FIELDS = ("ndim", "dtype", "contiguous", "number", "numel", "unlike", "aside", "version0")
FIELDS += ("version1", "address")


def new(*shape: int) -> Any:
    return lib.ad_full_f64(ad.float32.code, len(shape), shape, 1.5)


def test_memory_goes_with_the_last_that_has_the_descriptor() -> None:
    with no_collector():
        before = in_use()
        p = new(2, 3)
        q = lib.ad_alias(p)  # of the same memory
        kept = [p]
        del p
        assert in_use()[1] == before[1] + 2
        assert kept[0].f32[5] == q.f32[5] == 1.5
        kept.clear()
        assert q.f32[5] == 1.5
        del q
        assert in_use() == before


def test_what_is_freed_early_is_no_descriptor_any_more() -> None:
    before = in_use()
    p = new(2, 3)
    lib.ad_free(p)
    assert in_use() == before
    for name in (*FIELDS, "shape", "strides", "data", "f32"):
        with pytest.raises(ReferenceError, match="was freed"):
            getattr(p, name)
    for call in (lib.ad_free, lib.ad_alias, lambda p: lib.ad_cat(1, [p], 0, -1)):
        with pytest.raises(TypeError):
            call(p)
    del p
    assert in_use() == before


def test_fields_are_those_of_the_native_descriptor() -> None:
    p = new(2, 3)
    native = descriptors([p])[0]
    for name in FIELDS:
        assert getattr(p, name) == getattr(native, name), name
    assert list(p.shape) == list(native.shape)
    assert list(p.strides) == list(native.strides)
    assert p.data == native.data
    with pytest.raises(IndexError):
        p.shape[8]
    with pytest.raises(AttributeError):
        p.ndim = 3


@pytest.mark.parametrize("n", [0, 1, 12, 13, 500])  # in the room a call has for lists, and beyond
def test_rows_of_descriptors(n: int) -> None:
    given = [new(2) for _ in range(n)]
    assert [p.address for p in descriptors(given)] == [p.address for p in given]
    for many in (given, tuple(given)):
        if many:
            joined = lib.ad_cat(n, many, 0, -1)
            assert joined.shape[0] == 2 * n
    mixed = [NULL, *given, *descriptors(given)]
    assert [bool(p) for p in descriptors(mixed)] == [False] + [True] * 2 * n
    for wrong in (None, 1, ad.ones(2), ffi.new("int64_t *")):
        with pytest.raises(TypeError):
            lib.ad_cat(n + 1, [*given, wrong], 0, -1)


def test_other_pointers_take_no_descriptor() -> None:
    p = new(2)
    for call in (lib.ad_op_free, lib.ad_tape_free, lib.ad_rng_free, ffi.string):
        with pytest.raises(TypeError):
            call(p)
    for wrong in (p, None, 0, ffi.new("int64_t *")):
        with pytest.raises(TypeError):
            hold(wrong)
    assert hold(NULL) == NULL
    assert type(p) is Held


def test_what_a_call_leaves_in_a_row_is_held_once() -> None:
    with no_collector():
        before = in_use()
        found = ad.ones(3, 4).max(1)
        del found
        assert in_use() == before


def test_an_error_on_its_way_survives_an_owner_that_is_let_go() -> None:
    """The owner of foreign memory is let go in a call of Python, while the error unwinds."""

    def fail() -> None:
        memory = bytearray(64)
        x = ad.frombuffer(memory, dtype=ad.float32)
        memory = None  # type: ignore[assignment]
        raise KeyError(x.numel())

    for _ in range(3):
        with pytest.raises(KeyError, match="16"):
            fail()
    gc.collect()


def test_a_failed_allocation_of_what_holds_frees_the_descriptor() -> None:
    _testcapi = pytest.importorskip("_testcapi")
    before = in_use()
    for at in range(6):
        _testcapi.set_nomemory(at, at + 1)
        try:
            new(2)
        except MemoryError:
            pass
        finally:
            _testcapi.remove_mem_hooks()
    assert in_use() == before


def test_slots_take_part_in_what_the_collector_sees() -> None:
    """A cycle through a slot goes, and weak references to what was in it are told."""
    told: list[Any] = []
    gc.collect()
    before = in_use()
    x = ad.ones(3)
    y = x.view(3, 1)
    x._base = y  # whose base is x
    references = [weakref.ref(x, told.append), weakref.ref(y, told.append)]
    del x, y
    assert in_use() != before
    gc.collect()
    assert told == [*references] or told == references[::-1]
    assert in_use() == before


def test_a_slot_that_is_not_set_is_missing() -> None:
    x = blank()
    for name in ("_p", "_node", "_acc", "_base", "_base_node"):
        with pytest.raises(AttributeError):
            getattr(x, name)
    with pytest.raises(AttributeError):
        x.other = 1  # type: ignore[attr-defined]
    y = tensor_of(new(2))
    assert type(y) is ad.Tensor
    assert y._node is y._acc is y._base is y._base_node is None
    assert y.tolist() == [1.5, 1.5]


def test_subclasses_have_slots_and_attributes_beside() -> None:
    class Named(ad.Tensor):
        pass

    x = ad.ones(2).as_subclass(Named)
    x.name = "x"  # type: ignore[attr-defined]
    reference = weakref.ref(x)
    assert (x + 1).tolist() == [2, 2]
    assert x.name == "x"  # type: ignore[attr-defined]
    del x
    assert reference() is None


def test_a_long_chain_of_bases_is_freed_without_recursion() -> None:
    x = ad.ones(1)
    for _ in range(100_000):
        y = tensor_of(x._p)
        y._base = x
        x = y
    del x, y
    gc.collect()


@pytest.mark.parametrize("n", [1, 12, 13, 40])  # those a call has room for, and more
def test_lists_of_integers(n: int) -> None:
    numbers = [-(2**63), 2**63 - 1, -1, 0, True][:n] + list(range(5, n))
    for given in (numbers, tuple(numbers)):
        p = lib.ad_values_i64(ad.int64.code, 1, [n], n, given)
        assert tensor_of(p).tolist() == numbers
    for wrong, kind in (
        *((x, TypeError) for x in (1.0, "1", None)),
        *((x, OverflowError) for x in (2**63, -(2**63) - 1)),
    ):
        with pytest.raises(kind):
            lib.ad_values_i64(ad.int64.code, 1, [n], n, [*numbers[1:], wrong])
