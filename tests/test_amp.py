"""Autocast: PyTorch's recorded dtypes and values, its state, and what it must leave alone."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from golden import record_amp as recorded
from threaded import side_by_side

import autodiff as ad
from autodiff import nn
from autodiff.amp import policies
from autodiff.ops.guard import unwrapped
from autodiff.utils.checkpoint import checkpoint

F = nn.functional
RECORD = json.loads(recorded.GOLDEN.read_text())
EPS = {"bfloat16": 2.0**-7, "float16": 2.0**-10}
STEPS = 4  # roundings of the largest number, or of a half: steps that PyTorch rounds between
# What PyTorch refuses on many CPUs, and here is as in bfloat16.
MORE = {"LSTM", "LSTM batch first", "LSTM without bias", "LSTM from a state"}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert policies.state() == policies.PLAIN
    assert not policies.policies.users
    assert ad.mm(ad.eye(2), ad.eye(2)).dtype is ad.float32


def check(case: tuple[str, str, str], want: list[Any], got: list[Any]) -> None:
    if not want and case[0] in MORE:
        assert {name for name, _ in got} <= {case[2], "float32"}
        return
    assert len(got) >= len(want)
    assert bool(got) == bool(want)
    for mine, theirs in zip(got, want, strict=False):
        assert (mine is None) == (theirs is None)
        if mine is None:
            continue
        assert mine[0] == theirs[0]
        top = max([0.5, *map(abs, theirs[1])])
        assert mine[1] == pytest.approx(theirs[1], rel=0, abs=STEPS * EPS[case[2]] * top)


@pytest.mark.parametrize("case", recorded.cases(recorded.FUNCTIONS), ids=" ".join)
def test_functions_give_what_pytorchs_do(case: tuple[str, str, str]) -> None:
    check(case, RECORD["functions"][" ".join(case)], recorded.computed(ad, *case))


@pytest.mark.parametrize("case", recorded.cases(recorded.MODELS), ids=" ".join)
@pytest.mark.filterwarnings("ignore")
def test_models_give_what_pytorchs_do(case: tuple[str, str, str]) -> None:
    check(case, RECORD["models"][" ".join(case)], recorded.trained(ad, *case))


def product(x: ad.Tensor) -> ad.dtype:
    return (x @ x).dtype


def test_blocks_nest() -> None:
    x = ad.ones(2, 2)
    with ad.autocast("cpu"):
        assert product(x) is ad.bfloat16
        with ad.autocast("cpu", ad.float16):
            assert product(x) is ad.float16
            with ad.autocast("cpu", enabled=False):
                assert product(x) is ad.float32
                with ad.autocast("cpu"):  # in what was asked for around it
                    assert product(x) is ad.float16
            assert product(x) is ad.float16
        assert product(x) is ad.bfloat16
        with pytest.raises(ZeroDivisionError), ad.autocast("cpu", ad.float16):
            _ = 1 / 0
        assert product(x) is ad.bfloat16


def test_one_block_is_entered_twice() -> None:
    block = ad.autocast("cpu")

    @block
    def powers(x: ad.Tensor, n: int) -> list[ad.dtype]:
        return [product(x), *(powers(x, n - 1) if n else []), product(x)]

    assert set(powers(ad.ones(2, 2), 3)) == {ad.bfloat16}
    with pytest.raises(TypeError, match="requires a callable, but got Tensor"):
        block(ad.ones(1))


def test_the_state_is_told_and_set() -> None:
    x = ad.ones(2, 2)
    assert not ad.is_autocast_enabled("cpu")
    ad.set_autocast_dtype("cpu", ad.float16)
    assert not ad.is_autocast_enabled("cpu")
    ad.set_autocast_enabled("cpu", True)
    assert ad.is_autocast_enabled("cpu")
    assert not ad.is_autocast_enabled("cuda")
    assert not ad.is_autocast_enabled()
    assert product(x) is ad.float16
    ad.set_autocast_dtype("cpu", ad.bfloat16)
    assert product(x) is ad.bfloat16
    ad.set_autocast_enabled("cpu", False)
    assert product(x) is ad.float32
    assert ad.get_autocast_dtype("cpu") is ad.bfloat16
    assert ad.get_autocast_dtype("cuda") is ad.float16
    with ad.autocast("cpu", ad.float16, cache_enabled=False):
        assert ad.get_autocast_dtype("cpu") is ad.float16
        assert not ad.is_autocast_cache_enabled()
    assert ad.is_autocast_cache_enabled()


@pytest.mark.parametrize("d", [ad.float32, ad.float64, ad.int64])
def test_other_dtypes_turn_it_off(d: ad.dtype) -> None:
    with pytest.warns(UserWarning, match="target dtype is not supported"):
        block = ad.autocast("cpu", d)
    with block:
        assert product(ad.ones(2, 2)) is ad.float32
    with pytest.warns(UserWarning, match="CUDA is not available"), ad.autocast("cuda"):
        assert product(ad.ones(2, 2)) is ad.float32


def test_threads_have_states_of_their_own() -> None:
    begun, done = threading.Event(), threading.Event()
    seen: list[ad.dtype] = []

    def other() -> None:
        begun.wait()
        seen.append(product(ad.ones(2, 2)))
        with ad.autocast("cpu", ad.float16):
            seen.append(product(ad.ones(2, 2)))
        seen.append(product(ad.ones(2, 2)))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with ad.autocast("cpu"):
        begun.set()
        done.wait()
        seen.append(product(ad.ones(2, 2)))
    thread.join()
    assert seen == [ad.float32, ad.float16, ad.float32, ad.bfloat16]


def program(draw: random.Random, depth: int = 0) -> None:
    """Blocks in blocks, left by errors, too, with what must leave the state as it is between."""
    x = ad.ones(2, 2, requires_grad=True)
    for _ in range(draw.randint(1, 4)):
        d = policies.state().dtype or ad.float32
        assert product(x) is d
        kind = draw.randint(0, 6)
        if kind == 0:
            (x @ x).float().sum().backward()
        elif kind == 1:
            assert product(ad.vmap(lambda a: a @ a)(ad.ones(3, 2, 2)).to(d)) is d
        elif kind == 2:
            checkpoint(lambda x: x @ x, x).float().sum().backward()
        elif depth < 4:
            given = draw.choice([None, ad.bfloat16, ad.float16])
            with (
                contextlib.suppress(KeyError),
                ad.autocast("cpu", given, draw.random() < 0.7, draw.choice([None, True, False])),
            ):
                program(draw, depth + 1)
                if draw.random() < 0.1:
                    raise KeyError


def test_threads_run_programs_of_blocks() -> None:
    def run(seed: int) -> None:
        for i in range(20):
            program(random.Random(100 * seed + i))
            assert policies.state() == policies.PLAIN

    side_by_side(*[partial(run, seed) for seed in range(4)])


# ---- leaves are rounded once ----


def casts(y: ad.Tensor) -> int:
    """How many nodes behind y round a leaf."""
    found, todo = set(), [y.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in found:
            found.add(node)
            todo += [edge for edge, _ in node.next_functions]
    return sum(node.name() == "ToCopyBackward0" for node in found)


@pytest.mark.parametrize("caches", [True, False])
def test_a_leaf_is_rounded_once(caches: bool) -> None:
    w = ad.randn(3, 3, requires_grad=True)
    x = ad.randn(3, 3)
    with ad.autocast("cpu", cache_enabled=caches):
        y = (w @ x + x @ w).sum()
    assert casts(y) == (1 if caches else 2)
    y.backward()
    rounded = w.detach().bfloat16().requires_grad_()
    z = x.bfloat16()
    (rounded @ z + z @ rounded).sum().backward()
    assert w.grad is not None
    assert rounded.grad is not None
    assert w.grad.dtype is ad.float32
    assert (w.grad - rounded.grad.float()).abs().max().item() < 0.1


def test_what_was_made_without_a_graph_is_not_taken() -> None:
    w, x = ad.ones(2, 2, requires_grad=True), ad.ones(2, 2)
    with ad.autocast("cpu"):
        with ad.no_grad():
            assert not (w @ x).requires_grad
        (w @ x).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [[2, 2], [2, 2]]


def test_what_was_written_to_is_rounded_again() -> None:
    w, x = ad.ones(2, 2, requires_grad=True), ad.eye(2)
    with ad.autocast("cpu"):
        assert (w @ x).sum() == 4
        with ad.no_grad():
            w.fill_(3)
        assert (w @ x).sum() == 12
        assert casts((w @ x + x @ w).sum()) == 1


def test_two_passes_go_through_one_cast() -> None:
    w, x = ad.ones(2, 2, requires_grad=True), ad.ones(2, 2)
    with ad.autocast("cpu"):
        y, z = (w @ x).sum(), (x @ w).sum()
    y.backward()
    z.backward()
    assert w.grad is not None
    assert w.grad.tolist() == [[4, 4], [4, 4]]


# ---- passes, functions of users, and checkpoints ----


def test_a_pass_computes_in_what_was_recorded() -> None:
    a = ad.randn(3, 3, dtype=ad.float32)
    x = (a @ a.t() + ad.eye(3)).requires_grad_()
    outside = ad.autograd.grad(ad.linalg.inv(x).sum(), x)[0]
    y = ad.linalg.inv(x).sum()
    with ad.autocast("cpu"):
        inside = ad.autograd.grad(y, x)[0]
        assert product(ad.ones(2, 2)) is ad.bfloat16
    assert inside.tolist() == outside.tolist()


class Product(ad.autograd.Function):
    """Tells in which dtype products are made."""

    seen: list[ad.dtype] = []  # noqa: RUF012

    @staticmethod
    def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
        Product.seen.append(product(ad.ones(2, 2)))
        Product.seen.append(x.dtype)
        return x * 1

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:  # type: ignore[override]
        Product.seen.append(product(ad.ones(2, 2)))
        return g


def seen(cast_inputs: ad.dtype | None, decorate: bool, inside: bool) -> list[ad.dtype]:
    class Decorated(ad.autograd.Function):
        forward = staticmethod(Product.forward)
        backward = staticmethod(Product.backward)

    if decorate:
        make = ad.amp.custom_fwd(device_type="cpu", cast_inputs=cast_inputs)
        Decorated.forward = staticmethod(make(Product.forward))  # type: ignore[assignment]
        back = ad.amp.custom_bwd(Product.backward, device_type="cpu")
        Decorated.backward = staticmethod(back)  # type: ignore[assignment]
    Product.seen = []
    with ad.autocast("cpu"):
        y = Decorated.apply(ad.ones(2, requires_grad=True)).sum()
        if inside:
            y.backward()
    if not inside:
        y.backward()
    return Product.seen


def test_functions_of_users_find_the_state() -> None:
    low, wide = ad.bfloat16, ad.float32
    assert seen(None, True, False) == [low, wide, low]
    assert seen(ad.float16, True, False) == [wide, ad.float16, wide]
    assert seen(None, False, False) == [low, wide, wide]
    assert seen(None, False, True) == [low, wide, low]


def test_a_checkpoint_is_computed_again_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    x = ad.randn(5, 3)

    def twice(x: ad.Tensor) -> Any:
        with ad.autocast("cpu"):
            y = model(x)
        with ad.autocast("cpu"):
            return model(y)

    def gradients(call: Callable[[], ad.Tensor]) -> list[Any]:
        model.zero_grad()
        with ad.autocast("cpu"):
            y = call().float().sum()
        y.backward()
        return [p.grad.tolist() for p in model.parameters() if p.grad is not None]

    for part in (model, twice):
        assert gradients(lambda part=part: checkpoint(part, x)) == gradients(  # type: ignore[misc]
            lambda part=part: part(x)  # type: ignore[misc]
        )


def test_samples_of_a_vmap_are_in_it() -> None:
    x, w = ad.randn(4, 3, 2), ad.randn(2, 5)
    with ad.autocast("cpu"):
        y = ad.vmap(lambda a: a @ w)(x)
        assert y.dtype is ad.bfloat16
        assert y.tolist() == (x @ w).tolist()
    inner = ad.vmap(lambda a: ad.autocast("cpu")(ad.mm)(a, w))(x)
    assert inner.tolist() == y.tolist()
    assert ad.vmap(lambda a: a @ w)(x).dtype is ad.float32


# ---- what costs nothing ----


def listed() -> list[Any]:
    with ad.autocast("cpu"):
        return [*policies.policies.wraps]


def test_functions_are_themselves_outside() -> None:
    functions = listed()
    before = [f.__code__ for f in functions]
    with ad.autocast("cpu"):
        assert not any(f.__code__ is code for f, code in zip(functions, before, strict=True))
        ad.vmap(ad.sin)(ad.ones(2))
    assert all(f.__code__ is code for f, code in zip(functions, before, strict=True))
    assert unwrapped(ad.mm) in functions


# ---- compiled ----


def trained(compiled: bool, around: Callable[[int], Any]) -> tuple[list[Any], Any]:
    ad.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2))
    optimizer = ad.optim.SGD(model.parameters(), lr=0.1)

    def step(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        optimizer.zero_grad()
        with ad.autocast("cpu"):
            part = model(x)
        loss: ad.Tensor = F.mse_loss(part.float() + model(2 * x), y)
        loss.backward()
        optimizer.step()
        return loss

    call = ad.compile(step) if compiled else step
    losses = []
    for i in range(12):
        x, y = ad.randn(5, 4), ad.randn(5, 2)
        with around(i):
            losses.append(call(x, y).item())
    return [losses, [p.tolist() for p in model.parameters()]], call


AROUND: dict[str, Callable[[int], Any]] = {
    "off": lambda i: ad.no_grad() if False else ad.autocast("cpu", enabled=False),
    "on": lambda i: ad.autocast("cpu"),
    "in turns": lambda i: ad.autocast("cpu", [ad.float16, ad.bfloat16][i % 2], enabled=i % 3 > 0),
}


@pytest.mark.parametrize("around", AROUND.values(), ids=[*AROUND])
def test_compiled_steps_are_plain_steps(around: Callable[[int], Any]) -> None:
    plain, _ = trained(False, around)
    got, call = trained(True, around)
    assert got == plain
    assert call.stats().recordings >= 1
    assert not call.eager


def test_a_block_around_compiled_steps() -> None:
    def whole(compiled: bool) -> list[Any]:
        with ad.autocast("cpu"):
            return trained(compiled, lambda i: ad.autocast("cpu"))[0]

    assert whole(True) == whole(False)


def test_a_recording_rounds_leaves_itself() -> None:
    w, x = ad.ones(2, 2, requires_grad=True), ad.ones(2, 2)
    call = ad.compile(lambda x: x @ w)
    with ad.autocast("cpu"):
        assert (x @ w).tolist() == [[2, 2], [2, 2]]  # which rounds it first
        for _ in range(3):
            assert call(x).tolist() == [[2, 2], [2, 2]]
        with ad.no_grad():
            w.fill_(3)
        assert call(x).tolist() == [[6, 6], [6, 6]]
    assert not call.eager


def test_compiled_calls_see_a_block_after_a_pass_that_had_one() -> None:
    call, leaf = ad.compile(lambda x: x @ x), ad.ones(2, 2, requires_grad=True)
    for _ in range(3):
        assert call(ad.ones(2, 2)).dtype is ad.float32
    with ad.autocast("cpu"):
        ad.autograd.grad(checkpoint(lambda x: (x @ x).float().exp().sum(), leaf), leaf)
        assert call(ad.ones(2, 2)).dtype is ad.bfloat16


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ad.autocast("cpu"), ad.autocast("cuda", enabled=False):
            assert product(ad.ones(2, 2)) is ad.bfloat16


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, ad.bfloat16),
        ({"norm_first": True}, ad.bfloat16),
        ({"activation": "gelu"}, ad.bfloat16),
        ({"batch_first": False}, ad.float32),
        ({"nhead": 1}, ad.float32),
        ({"bias": False}, ad.float32),
        ({"activation": nn.functional.silu}, ad.float32),
    ],
)
def test_an_encoder_layer_gives_what_pytorchs_one_kernel_gives(change: Any, wanted: Any) -> None:
    given = {"nhead": 2, "dim_feedforward": 16, "batch_first": True, **change}
    layer = nn.TransformerEncoderLayer(8, **given).eval()
    x = ad.randn(2, 5, 8)
    with ad.autocast("cpu", dtype=ad.bfloat16):
        assert layer(x).dtype is ad.float32  # as its parameters want gradients
        assert layer.requires_grad_(False)(x).dtype is wanted
        assert layer(x.detach().requires_grad_()).dtype is ad.float32
        assert layer(x[0]).dtype is ad.float32
        with ad.no_grad():
            found = layer.requires_grad_()(x)
            assert found.dtype is wanted
            assert layer.train()(x).dtype is ad.float32
    ad.testing.assert_close(found.float(), layer.eval()(x), rtol=0.1, atol=0.1)
