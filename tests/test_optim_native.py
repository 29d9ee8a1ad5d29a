"""What all optimisers share: layouts, dtypes, counts, errors that change nothing, and hooks."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from golden.record_optim import OPTIONS
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import optim
from autodiff.native import ffi, lib
from autodiff.optim._native import KINDS

KINDS_OF = {**OPTIONS, "SGD": [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.9, "nesterov": True}]}
CASES = [(kind, i) for kind, options in KINDS_OF.items() for i in range(len(options))]
cases = pytest.mark.parametrize(("kind", "i"), CASES)


def make(kind: str, i: int, params: list[Any]) -> Any:
    return getattr(optim, kind)(params, **KINDS_OF[kind][i])


def values(shape: tuple[int, ...], seed: int, d: ad.dtype = ad.float32) -> ad.Tensor:
    return ad.randn(*shape, generator=ad.Generator().manual_seed(seed), dtype=d)


def laid_out(x: ad.Tensor, layout: str) -> ad.Tensor:
    """The same values in memory of another order."""
    if layout == "transposed":
        return x.t().contiguous().t()
    if layout == "gaps":
        return ad.stack([x, x], -1)[..., 0]
    return x.clone()


LAYOUTS = ("contiguous", "transposed", "gaps")


@cases
@settings(deadline=None, max_examples=6)
@given(layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 2), rows=st.integers(0, 40))
def test_results_do_not_depend_on_layouts(
    kind: str, i: int, layouts: tuple[str, str], rows: int
) -> None:
    found = []
    for own, of_gradient in (("contiguous", "contiguous"), layouts):
        x = laid_out(values((rows, 3), 1), own).requires_grad_()
        optimizer = make(kind, i, [x])
        for step in range(3):
            x.grad = laid_out(values((rows, 3), 2 + step), of_gradient)
            optimizer.step()
        state = {key: value.tolist() for key, value in optimizer.state[x].items()}
        found.append((x.tolist(), state))
    assert found[0] == found[1]


@cases
def test_large_parameters_do_not_depend_on_threads(kind: str, i: int) -> None:
    threads, found = ad.get_num_threads(), []
    try:
        for n in (1, 3):
            ad.set_num_threads(n)
            x = values((50_001,), 1).requires_grad_()
            optimizer = make(kind, i, [x])
            for step in range(2):
                x.grad = values((50_001,), 2 + step)
                optimizer.step()
            found.append(x.detach())
    finally:
        ad.set_num_threads(threads)
    assert ad.equal(*found)


@cases
def test_parameters_of_a_group_go_each_its_own_way(kind: str, i: int) -> None:
    """Other dtypes, other counts of steps, none at all: as in groups of their own."""
    together = [values((5,), n, d).requires_grad_() for n, d in enumerate((ad.float32, ad.float64))]
    together.append(values((0, 2), 1).requires_grad_())
    apart = [x.detach().clone().requires_grad_() for x in together]
    optimizers = [make(kind, i, together), *[make(kind, i, [x]) for x in apart]]
    for step in range(4):
        for n, pair in enumerate(zip(together, apart, strict=True)):
            for x in pair:
                x.grad = values(tuple(x.shape), step, x.dtype) if (step + n) % 3 else None
        for optimizer in optimizers:
            optimizer.step()
    for x, y in zip(together, apart, strict=True):
        assert ad.equal(x, y)
    counts = [optimizers[0].state[x].get("step") for x in together]
    assert kind == "SGD" or [c.item() for c in counts] == [2.0, 3.0, 3.0]


@cases
@pytest.mark.parametrize("way", ["load", "deepcopy", "pickle"])
def test_training_goes_on_from_saved_state(kind: str, i: int, way: str) -> None:
    def train(x: Any, optimizer: Any) -> list[float]:
        for step in range(3):
            x.grad = values((7,), step)
            optimizer.step()
        return x.tolist()

    x = values((7,), 9).requires_grad_()
    optimizer = make(kind, i, [x])
    train(x, optimizer)
    if way == "load":
        y = x.detach().clone().requires_grad_()
        other = getattr(optim, kind)([y])
        other.load_state_dict(optimizer.state_dict())
    elif way == "deepcopy":
        y, other = copy.deepcopy((x, optimizer))
    else:
        y, other = pickle.loads(pickle.dumps((x, optimizer)))
    assert train(y, other) == train(x, optimizer)


def spoil_shape(state: dict[str, Any], key: str) -> None:
    state[key] = ad.zeros(9)


def spoil_dtype(state: dict[str, Any], key: str) -> None:
    state[key] = state[key].to(ad.int32)


def spoil_overlap(state: dict[str, Any], key: str) -> None:
    state[key] = ad.zeros(1).expand(state[key].shape) if state[key].ndim else state[key].expand(2)


def share_state(state: dict[str, Any], key: str) -> None:
    first = next(name for name in state if state[name].ndim)
    state[key] = state[first] if key != first else state[first].double()


@cases
@pytest.mark.parametrize("spoil", [spoil_shape, spoil_dtype, spoil_overlap, share_state])
def test_a_step_that_fails_changes_nothing(kind: str, i: int, spoil: Any) -> None:
    xs = [values((4,), n).requires_grad_() for n in range(2)]
    optimizer = make(kind, i, xs)
    for x in xs:
        x.grad = values((4,), 5)
    optimizer.step()
    kept = dict(optimizer.state[xs[1]])
    for key in kept:
        spoil(optimizer.state[xs[1]], key)
        before = [x.tolist() for x in xs], pickle.dumps(optimizer.state_dict()["state"])
        with pytest.raises(RuntimeError, match=rf"{kind}\.step"):
            optimizer.step()
        assert before == ([x.tolist() for x in xs], pickle.dumps(optimizer.state_dict()["state"]))
        optimizer.state[xs[1]].update(kept)
    optimizer.step()


def test_tensors_that_cannot_be_stepped() -> None:
    numpy = pytest.importorskip("numpy")
    fixed = numpy.ones(2, dtype=numpy.float32)
    fixed.flags.writeable = False
    readonly = ad.from_numpy(fixed)
    readonly.grad = ad.ones(2)
    with pytest.raises(RuntimeError, match="read-only"):
        optim.Adam([readonly]).step()
    repeated = ad.ones(1).expand(3)
    repeated.grad = ad.ones(3)
    with pytest.raises(RuntimeError, match="single memory location"):
        optim.Adam([repeated]).step()
    memory = ad.arange(5.0)
    shifted = memory[:4].requires_grad_()
    shifted.grad = memory[1:]
    with pytest.raises(RuntimeError, match="single memory location"):
        optim.SGD([shifted]).step()
    assert memory.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    itself = ad.ones(2, requires_grad=True)
    itself.grad = itself.detach()
    optim.SGD([itself], lr=0.25).step()
    assert itself.tolist() == [0.75, 0.75]


def test_native_calls_refuse_what_only_a_bug_passes() -> None:
    hyper = ffi.new("double[8]")
    assert lib.ad_optim_step(len(KINDS), 0, ffi.NULL, hyper) == lib.AD_BAD_ARG
    assert lib.ad_optim_step(-1, 0, ffi.NULL, hyper) == lib.AD_BAD_ARG
    x, g = ad.ones(2)._p, ad.ones(2)._p
    for row in ([ffi.NULL] * 5, [x, ffi.NULL, g, g, g], [x, g, ffi.NULL, ffi.NULL, ffi.NULL]):
        assert lib.ad_optim_step(KINDS["adam"], 1, row, hyper) == lib.AD_BAD_ARG
    assert lib.ad_optim_columns(len(KINDS)) == lib.ad_optim_hypers(-1) == 0
    assert lib.ad_optim_name(-1) == ffi.NULL


def test_a_step_writes_the_parameter_and_its_state() -> None:
    x = values((3,), 1).requires_grad_()
    x.grad = ad.ones(3)
    optimizer = optim.Adam([x])
    optimizer.step()
    written = [x, *optimizer.state[x].values()]
    before = [t._version for t in written]
    optimizer.step()
    assert [t._version for t in written] == [v + 1 for v in before]
    assert x.grad._version == 0


def test_options_stay_at_one_place_in_memory() -> None:
    x = values((3,), 1).requires_grad_()
    x.grad = ad.ones(3)
    optimizer = optim.Adam([x], lr=0.5)
    optimizer.step()
    place = optimizer._hypers()[0]
    optimizer.param_groups[0]["lr"] = 0.25
    optimizer.param_groups[0]["betas"] = (0.5, 0.75)
    optimizer.step()
    assert optimizer._hypers()[0] is place
    assert list(place) == [0.25, 0, 0, 0.5, 0.75, 1e-8, 0]
    optimizer.add_param_group({"params": values((2,), 1), "lr": 2.0})
    optimizer.step()
    assert optimizer._hypers()[0] is place


def test_counts_are_float32_unless_the_default_is_float64() -> None:
    def count(**options: Any) -> ad.dtype:
        x = ad.ones(1, dtype=ad.float64, requires_grad=True)
        x.grad = ad.ones(1, dtype=ad.float64)
        optimizer = optim.Adam([x], **options)
        optimizer.step()
        return optimizer.state[x]["step"].dtype

    assert count() is ad.float32
    ad.set_default_dtype(ad.float64)
    try:
        assert count() is ad.float64
        assert count(fused=True) is ad.float32
    finally:
        ad.set_default_dtype(ad.float32)


def test_loaded_counts() -> None:
    """A count keeps its dtype, and may be a number, as old versions of PyTorch have it."""
    x = ad.ones(2, dtype=ad.float64, requires_grad=True)
    x.grad = ad.ones(2, dtype=ad.float64)
    source = optim.NAdam([x])
    source.step()
    saved = source.state_dict()
    target = optim.NAdam([x])
    target.load_state_dict(saved)
    assert target.state[x]["step"].dtype is ad.float32
    assert target.state[x]["mu_product"].dtype is ad.float64
    saved["state"][0].update(step=1, mu_product=0.5)
    del saved["param_groups"][0]["decoupled_weight_decay"], saved["param_groups"][0]["maximize"]
    target.load_state_dict(saved)
    assert target.state[x]["step"].item() == 1.0
    assert target.param_groups[0]["maximize"] is False
    target.step()
    assert target.state[x]["step"].item() == 2.0
    fused = optim.Adam([x], fused=True)
    fused.step()
    saved = fused.state_dict()
    saved["state"][0]["step"] = ad.tensor(3.0, dtype=ad.float64)
    fused.load_state_dict(saved)
    assert fused.state[x]["step"].dtype is ad.float32


def test_adamw_loads_the_state_of_adam_as_its_own() -> None:
    x = ad.ones(1, requires_grad=True)
    target = optim.AdamW([x])
    target.load_state_dict(optim.Adam([x]).state_dict())
    assert target.param_groups[0]["decoupled_weight_decay"] is True
    assert target.param_groups[0]["weight_decay"] == 0


def test_tensor_options_count() -> None:
    found = []
    for lr, betas in ((0.5, (0.5, 0.75)), (ad.tensor(0.5), (ad.tensor(0.5), ad.tensor([0.75])))):
        x = ad.ones(2, requires_grad=True)
        x.grad = ad.tensor([1.0, -2.0])
        optimizer = optim.Adam([x], lr=lr, betas=betas)
        optimizer.step()
        optimizer.step()
        found.append(x.tolist())
    assert found[0] == found[1]


def test_infinite_gradients_make_nan_and_not_a_crash() -> None:
    x = ad.ones(3, requires_grad=True)
    x.grad = ad.tensor([float("inf"), float("nan"), 1.0])
    optimizer = optim.Adam([x], lr=0.5)
    optimizer.step()
    got = x.tolist()
    assert got[0] != got[0]
    assert got[1] != got[1]
    assert got[2] == pytest.approx(0.5)


# ---- hooks ----


def stepping() -> Any:
    x = ad.ones(1, requires_grad=True)
    x.grad = ad.ones(1)
    return optim.SGD([x], lr=0.5)


def test_hooks_run_around_a_step() -> None:
    optimizer, seen = stepping(), []
    before = optimizer.register_step_pre_hook(lambda *given: seen.append(("before", given)))
    optimizer.register_step_post_hook(lambda *given: seen.append(("after", given)))
    optimizer.step()
    given = (optimizer, (optimizer,), {})  # PyTorch passes the optimizer twice
    assert seen == [("before", given), ("after", given)]
    before.remove()
    with optimizer.register_step_post_hook(lambda *given: seen.append(("last", given))):
        optimizer.step(None)
    optimizer.step()
    assert [name for name, _ in seen[2:]] == ["after", "last", "after"]
    assert seen[2][1] == (optimizer, (optimizer, None), {})


def test_a_hook_may_change_the_arguments() -> None:
    optimizer = stepping()
    optimizer.register_step_pre_hook(lambda own, args, kwargs: ((own,), {"closure": lambda: 7}))
    assert optimizer.step() == 7
    optimizer.register_step_pre_hook(lambda own, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="but got 3"):
        optimizer.step()


def test_hooks_around_states() -> None:
    optimizer, seen = stepping(), []
    optimizer.register_state_dict_pre_hook(lambda own: seen.append("saving"))
    optimizer.register_state_dict_pre_hook(lambda own: seen.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda own, state: {**state, "mine": 3})
    optimizer.register_state_dict_post_hook(lambda own, state: seen.append(state["mine"]))
    saved = optimizer.state_dict()
    assert saved["mine"] == 3
    assert seen == ["first", "saving", 3]
    other = stepping()

    def without(own: Any, state: dict[str, Any]) -> None:
        seen.append(state.pop("mine"))

    handle = other.register_load_state_dict_pre_hook(without)
    other.register_load_state_dict_post_hook(lambda own: seen.append(own))
    other.load_state_dict(saved)
    assert saved["mine"] == 3
    assert seen[3:] == [3, other]
    handle.remove()
    other.register_load_state_dict_pre_hook(lambda own, state: saved)
    other.load_state_dict({})
    assert len(seen) == 6


def test_hooks_are_not_copied() -> None:
    optimizer = stepping()
    optimizer.register_step_pre_hook(lambda *given: pytest.fail("called"))
    copy.deepcopy(optimizer).step()
    pickle.loads(pickle.dumps(stepping())).register_step_post_hook(print)


def test_an_optimizer_of_ones_own_has_hooks() -> None:
    class Mine(optim.Optimizer):
        def step(self, closure: Any = None) -> Any:
            return "stepped"

    optimizer, seen = Mine([ad.ones(1, requires_grad=True)], {}), []
    optimizer.register_step_post_hook(lambda *given: seen.append(given))
    assert optimizer.step() == "stepped"
    assert len(seen) == 1
