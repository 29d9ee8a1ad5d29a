"""float16 and bfloat16: elements of 16 bits, computed in float32; PyTorch's recorded facts."""

from __future__ import annotations

import copy
import io
import json
import math
import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from golden import record_half as recorded

import autodiff as ad
from autodiff import nn
from autodiff.native import ffi, lib

RECORD = json.loads(recorded.GOLDEN.read_text())
HALVES = [ad.float16, ad.bfloat16]
each_half = pytest.mark.parametrize("d", HALVES, ids=lambda d: d.name)
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
# PyTorch rounds between steps, where one rounding at the end is nearer: in roundings of the largest
# number. All else is PyTorch's to the bit, and its gradients to one.
STEPS = {
    "sinc": 3,
    **dict.fromkeys(("frac", "mish", "logsigmoid", "selu", "elu", "softplus"), 1),
    **dict.fromkeys(("std", "softmax", "layer_norm", "cross_entropy", "mse", "cumsum"), 2),
    **dict.fromkeys(("atan2", "hypot", "lerp", "matmul", "linear", "conv1d", "scatter_add"), 2),
}


def test_bits_are_read_as_struct_reads_them() -> None:
    every = np.arange(65536, dtype=np.uint16)
    raw = every.tobytes()
    x = ad.from_numpy(every.view(np.float16))
    for got, want in zip(x.tolist(), struct.unpack("<65536e", raw), strict=True):
        assert got == want or (got != got and want != want)
    wide = (every.astype(np.uint32) << 16).view(np.float32)
    b = ad.from_numpy(wide).to(ad.bfloat16)
    assert np.array_equal(b.float().numpy(), wide, equal_nan=True)
    for z in (x, b):
        again = z.float().to(z.dtype)
        same = again.view(ad.uint8).numpy() == z.view(ad.uint8).numpy()
        assert same.reshape(-1, 2).all(1)[~z.isnan().numpy()].all()


def rounded(value: float, digits: int, least: int, top: int) -> float:
    """The nearest float of so many digits, of two the even one."""
    if not math.isfinite(value) or value == 0:
        return value
    unit = 2.0 ** max(math.frexp(value)[1] - digits, least)
    near = round(value / unit) * unit
    return near if abs(near) < 2.0**top else math.copysign(math.inf, value)


@pytest.mark.parametrize(
    ("d", "digits", "least", "top"),
    [(ad.float16, 11, -24, 16), (ad.bfloat16, 8, -133, 128)],
    ids=["float16", "bfloat16"],
)
def test_floats_are_rounded_to_the_nearest(d: ad.dtype, digits: int, least: int, top: int) -> None:
    draw = np.random.default_rng(5)
    values = draw.integers(0, 2**32, 6000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    spread = (draw.standard_normal(6000) * 10.0 ** draw.uniform(-9, 6, 6000)).astype(np.float32)
    grid = ad.tensor(spread[:1000].tolist()).to(d).float().numpy()
    step = 13 if d is ad.float16 else 16  # halfway to the next, and beside that
    middles = [grid.view(np.uint32) + np.uint32((1 << step - 1) + k) for k in (-1, 0, 1)]
    numbers = np.concatenate([values, spread, *[m.view(np.float32) for m in middles]])
    got = ad.from_numpy(numbers.copy()).to(d).double().tolist()
    for value, near in zip(numbers.tolist(), got, strict=True):
        want = rounded(value, digits, least, top)
        assert near == want or (near != near and want != want), value
        assert near == 0 or math.copysign(1, near) == math.copysign(1, value) or near != near


@each_half
def test_a_nan_stays_one(d: ad.dtype) -> None:
    quiet_and_not = np.array([0x7FC00000, 0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert ad.from_numpy(quiet_and_not).to(d).isnan().all()


@each_half
def test_texts_and_numbers_are_pytorchs(d: ad.dtype) -> None:
    name = d.name
    assert [repr(ad.tensor(v, dtype=d)) for v in recorded.PRINTED] == RECORD["texts"][name]
    assert [ad.tensor(v, dtype=d).item() for v in recorded.NUMBERS] == RECORD["numbers"][name]
    assert ad.tensor(recorded.INTEGERS).to(d).tolist() == RECORD["integers"][name]
    assert repr(ad.finfo(d)) == RECORD["limits"][name]


@pytest.mark.parametrize("name", {**recorded.UNARY, **recorded.BINARY})
@each_half
def test_values_and_gradients_are_pytorchs(name: str, d: ad.dtype) -> None:
    given = (recorded.X,) if name in recorded.UNARY else (recorded.X, recorded.Y)
    function = {**recorded.UNARY, **recorded.BINARY}[name]
    got = recorded.derived(ad, function, d.name, *given)
    want = RECORD["values"][f"{name}, {d.name}"]
    for i, ((kind, values), (wanted, expected)) in enumerate(zip(got, want, strict=True)):
        assert kind == wanted
        largest = max((abs(v) for v in expected if math.isfinite(v)), default=0.0)
        steps = max(STEPS.get(name, 0), 1 if i else 0)
        bound = 1.01 * steps * EPS[d.name] * largest  # what is recorded is rounded too
        assert values == pytest.approx(expected, rel=0, abs=bound, nan_ok=True)


@pytest.mark.parametrize("name", recorded.RANDOM)
@each_half
def test_random_numbers_are_pytorchs(name: str, d: ad.dtype) -> None:
    assert recorded.random(ad, name, d.name) == RECORD["random"][f"{name}, {d.name}"]


@pytest.mark.parametrize("name", recorded.VIEWED)
@pytest.mark.parametrize("d", recorded.VIEWS)
def test_views_of_other_dtypes_are_pytorchs(name: str, d: str) -> None:
    got = recorded.viewed(ad, recorded.VIEWED[name](ad), d)
    assert got == RECORD["views"][f"{name}, {d}"]


def test_a_view_of_another_dtype_is_the_same_memory() -> None:
    x = ad.zeros(2)
    before = x._version
    x.view(ad.int32)[0] = 0x3F800000
    assert x.tolist() == [1.0, 0.0]
    assert x._version > before
    assert x.view(ad.bfloat16).tolist() == [0.0, 1.0, 0.0, 0.0]
    with pytest.raises(RuntimeError, match="neither 0 nor 1"):
        ad.ones(2, dtype=ad.uint8).view(ad.bool)
    odd = ad.from_numpy(np.zeros(9, np.uint8)[1:])
    with pytest.raises(RuntimeError, match="not aligned"):
        odd.view(ad.float64)


@each_half
def test_memory_is_shared_and_stored(d: ad.dtype) -> None:
    x = ad.tensor([[0.1, -2.5], [65504.0, math.inf]], dtype=d)
    assert (x.itemsize, d.itemsize, x.nbytes, x.element_size()) == (2, 2, 8, 2)
    again = ad.from_dlpack(x)
    again[0, 0] = 7
    assert (x[0, 0].item(), again.dtype) == (7, d)
    assert pickle.loads(pickle.dumps(x)).equal(x)
    assert copy.deepcopy(x).dtype is d
    file = io.BytesIO()
    ad.save({"x": x, "t": x.t()}, file)
    loaded = ad.load(io.BytesIO(file.getvalue()))
    assert loaded["x"].dtype is d
    assert loaded["x"].equal(x)
    assert loaded["t"].equal(x.t())
    if d is ad.bfloat16:
        with pytest.raises(TypeError, match="Got unsupported ScalarType BFloat16"):
            x.numpy()
    else:
        a = x.t().numpy()
        a[1, 1] = 3
        assert (a.dtype, x[1, 1].item()) == (np.float16, 3)
        assert ad.tensor(np.float16(0.5)).dtype is d
        assert ad.tensor(a).equal(x.t())


@each_half
def test_layouts_of_elements_of_two_bytes(d: ad.dtype) -> None:
    """Transposes, tiles of them, fills, and copies that broadcast."""
    x = ad.arange(40.0 * 37).remainder(251).reshape(40, 37)
    h = x.to(d)
    for f in (
        lambda x: x.t().contiguous(),
        lambda x: x[::2, 1::3].clone(),
        lambda x: x[:1].expand(5, 37).contiguous(),
        lambda x: x.t().flatten().flip(0),
        lambda x: x[ad.arange(39, -1, -3)],
        lambda x: x[ad.arange(5), ad.arange(5)],
        lambda x: x.sort(1, descending=True)[1],
        lambda x: x.amax(0),
        lambda x: x.argmax(1),
        lambda x: x.t().argmin(1),
    ):
        assert f(h).float().equal(f(x).float())


def trained(model: nn.Module, x: ad.Tensor, step: Callable[..., Any]) -> list[float]:
    losses = []
    for _ in range(12):
        losses.append(float(step(x).item()))
    assert all(p.dtype is x.dtype for p in model.parameters())
    return losses


OPTIMIZERS = {
    "SGD": {"lr": 0.05, "momentum": 0.9},
    "AdamW": {"lr": 0.02, "eps": 1e-4},
    "RMSprop": {"lr": 0.01, "eps": 1e-4},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@each_half
def test_modules_train_and_a_compiled_step_has_the_same_bits(name: str, d: ad.dtype) -> None:
    ad.manual_seed(2)
    first = nn.Sequential(
        nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Tanh()
    )
    first = (first.half() if d is ad.float16 else first.bfloat16()).train()
    second = copy.deepcopy(first)
    x = ad.randn(10, 6, dtype=d)
    losses = []
    for model, compiled in ((first, False), (second, True)):
        optimizer = getattr(ad.optim, name)(model.parameters(), **OPTIMIZERS[name])

        def step(x: ad.Tensor, model: Any = model, optimizer: Any = optimizer) -> ad.Tensor:
            loss = (model(x) - 0.25).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return loss.detach()

        losses.append(trained(model, x, ad.compile(step) if compiled else step))
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.8 * losses[0][0]
    for p, q in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert p.equal(q)


@each_half
def test_layers_are_near_those_of_float32(d: ad.dtype) -> None:
    ad.manual_seed(4)
    layers: list[tuple[nn.Module, ad.Tensor]] = [
        (nn.LSTM(3, 4, num_layers=2, bidirectional=True), ad.randn(5, 2, 3)),
        (nn.GRUCell(3, 4), ad.randn(2, 3)),
        (nn.Conv2d(2, 4, 3, padding=1, groups=2), ad.randn(2, 2, 5, 5)),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), ad.randn(3, 2, 8)),
        (nn.BatchNorm2d(3).eval(), ad.randn(2, 3, 4, 4)),
        (nn.GroupNorm(2, 4), ad.randn(2, 4, 3)),
    ]
    for layer, x in layers:
        half = copy.deepcopy(layer).to(d)
        found = []
        for module, given in ((half, x.to(d)), (layer, x.to(d).float())):
            given.requires_grad_()
            y = module(given)
            y = y[0] if isinstance(y, tuple) else y
            y.float().square().sum().backward()
            found.append([y.detach(), given.grad, *[p.grad for p in module.parameters()]])
        for a, b in zip(*found, strict=True):
            assert a is not None
            assert b is not None
            assert a.dtype is d
            largest = b.abs().max().item()
            assert (a.float() - b).abs().max().item() <= 8 * EPS[d.name] * max(largest, 1)


@each_half
@pytest.mark.parametrize("name", ["batch", "moments", "instance", "layer", "bias", "group", "rms"])
def test_norms_of_16_bits_may_have_parameters_of_float32(name: str, d: ad.dtype) -> None:
    f, x = nn.functional, ad.randn(3, 4, 5).to(d)
    w, b = (ad.rand(4, requires_grad=True) for _ in "wb")
    norms: dict[str, Any] = {
        "batch": lambda x: f.batch_norm(x, ad.zeros(4), ad.ones(4), w, b, True),
        "moments": lambda x: f.batch_norm(x, b.detach(), w.detach()),
        "instance": lambda x: f.instance_norm(x, weight=w, bias=b),
        "layer": lambda x: f.layer_norm(x.mT, (4,), w, b),
        "bias": lambda x: f.layer_norm(x.mT, (4,), bias=b),
        "group": lambda x: f.group_norm(x, 2, w, b),
        "rms": lambda x: f.rms_norm(x.mT, (4,), w),
    }
    narrow, wide = x.clone().requires_grad_(), x.float().requires_grad_()
    y, want = norms[name](narrow), norms[name](wide)
    assert y.dtype is d
    assert y.equal(want.to(d))
    g = ad.randn(y.shape).to(d)
    learned = [] if name == "moments" else [b] if name == "bias" else [w]
    for got, slope in zip(
        ad.autograd.grad(y, [narrow, *learned], g),
        ad.autograd.grad(want, [wide, *learned], g.float()),
        strict=True,
    ):
        assert got.equal(slope.to(got.dtype))
    compiled = ad.compile(norms[name])
    assert compiled(narrow).equal(y)
    assert compiled(narrow).equal(y)


def test_mixed_dtypes_are_refused_as_of_others() -> None:
    x, w = ad.ones(2, 3, dtype=ad.float16), ad.ones(2, 3)
    for call in (
        lambda: x @ w.t(),
        lambda: nn.functional.linear(x, w),
        lambda: ad.addmm(w, x, w.t()),
        lambda: nn.functional.scaled_dot_product_attention(x, w, w),
        lambda: nn.functional.layer_norm(w, (3,), x[0]),
        lambda: nn.functional.layer_norm(x, (3,), x[0].bfloat16()),
        lambda: nn.functional.group_norm(x, 3, w[0], x[0]),
    ):
        with pytest.raises(RuntimeError, match=r"dtype|expected scalar type"):
            call()
    with pytest.raises(NotImplementedError, match="Half"):
        ad.linalg.inv(ad.eye(2, dtype=ad.float16))


def test_a_view_checks_its_dtype_natively() -> None:
    assert lib.ad_view_dtype(ad.ones(2)._p, 99) == ffi.NULL


def test_nonfinite_numbers_are_found() -> None:
    x = ad.full((2000,), 60000.0, dtype=ad.float16)
    with ad.detect_nonfinite(), pytest.raises(ad.NonFiniteError, match="mul"):
        x * 2


@pytest.mark.parametrize("size", [3e-5, 1.0, 300.0, 8000.0])
def test_angles_hold_where_squares_do_not(size: float) -> None:
    x, y = ad.tensor([[1.0, 2.0, 3.0]]) * size, ad.tensor([[3.0, -1.0, 4.0]]) * size
    expected = nn.functional.cosine_similarity(x, y).item()
    for dtype in (ad.float16, ad.bfloat16):
        a, b = (v.to(dtype).requires_grad_() for v in (x, y))
        found = nn.functional.cosine_similarity(a, b)
        assert found.dtype is dtype
        assert found.item() == pytest.approx(expected, rel=1e-2)
        found.backward()
        assert a.grad is not None
        along = (a.grad.float() @ x[0]).item()  # a length is no part of an angle
        assert along == pytest.approx(0.0, abs=1e-2)


@each_half
def test_an_instruction_is_that_of_float32_rounded(d: ad.dtype) -> None:
    every = ad.from_numpy(np.arange(65536, dtype=np.uint16).view(np.int16)).view(d)
    other = every[ad.randperm(65536, generator=ad.Generator().manual_seed(0))]
    functions: dict[str, Callable[[ad.Tensor, ad.Tensor], ad.Tensor]] = {
        **{f: lambda x, _, f=f: getattr(ad, f)(x) for f in ("neg", "abs", "sqrt")},
        **{f: getattr(ad, f) for f in ("add", "sub", "mul", "div", "minimum", "maximum")},
        **{f"{f} 3.5": lambda x, _, f=f: getattr(ad, f)(x, 3.5) for f in ("add", "mul", "div")},
        "3.5 sub": lambda x, _: 3.5 - x,
        "square": lambda x, _: x * x,
    }
    for name, f in functions.items():
        for at in (slice(None), slice(1, 1030), slice(31_000, 31_007), slice(5, 5000, 3)):
            x, y = every[at], other[at]
            wanted, got = f(x.float(), y.float()).to(d), f(x, y)
            assert got.dtype == d
            same = (got.view(ad.int16) == wanted.view(ad.int16)) | (got.isnan() & wanted.isnan())
            assert same.all(), name
    inside = every.clone().mul_(every[7]).neg_()
    assert inside.view(ad.int16).equal((every * every[7]).neg().view(ad.int16))


@each_half
def test_conversions_go_by_way_of_float32(d: ad.dtype) -> None:
    every = ad.from_numpy(np.arange(65536, dtype=np.uint16).view(np.int16)).view(d)
    for to in (ad.float64, ad.int64, ad.int32, ad.int16, ad.uint8, ad.bool):
        for at in (slice(None), slice(1, 600), slice(0, 9000, 3)):
            got, wanted = every[at].to(to), every[at].float().to(to)
            assert ((got == wanted) | ((got != got) & (wanted != wanted))).all()
    drawn = ad.randn(5000, dtype=ad.float64) * 1e3
    for x in (drawn, drawn.to(ad.int64), drawn.to(ad.int16)):
        for at in (slice(None), slice(1, 600), slice(0, None, 3)):
            assert x[at].to(d).equal(x[at].float().to(d))
