"""What scripts write besides mathematics: older names and their places, devices, 16 bits."""

from __future__ import annotations

import copy
import importlib
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import amp, functions, nn, optim
from autodiff.methods import METHODS
from autodiff.ops.keywords import signature

CALLS = {f"ad.{name}": getattr(ad, name) for name in functions.__all__}
CALLS |= {f"Tensor.{name}": method for name, method in METHODS.items()}


def result(call: Any, **keywords: Any) -> Any:
    """What a call of two matrices, or of one, gives; None where it takes other arguments."""
    x, y = ad.tensor([[3.0, 1.0, 2.0]] * 3), ad.eye(3)
    for operands in ((x,), (x, 1), ([x, y],), (x, y), (x, 0.5)):
        try:
            return call(*operands, **keywords)
        except (TypeError, RuntimeError, ValueError, AttributeError, IndexError):
            continue
    return None


@pytest.mark.parametrize(("numpys", "ours"), [("axis", "dim"), ("keepdims", "keepdim")])
def test_numpys_names_of_arguments_are_known(numpys: str, ours: str) -> None:
    tried = 0
    for name, call in CALLS.items():
        if ours in signature(call).parameters and name[-1] != "_":
            more = {} if ours == "dim" else {"dim": 0}
            known = result(call, **{ours: 0 if ours == "dim" else True}, **more)
            found = result(call, **{numpys: 0 if ours == "dim" else True}, **more)
            assert repr(found) == repr(known), name
            tried += known is not None
    assert tried > (40 if ours == "dim" else 15)
    with pytest.raises(TypeError):
        ad.sum(ad.ones(2, 2), dim=0, axis=0)
    with pytest.raises(TypeError, match="axes"):
        ad.sum(ad.ones(2, 2), axes=0)


def test_tensor_makes_tensors() -> None:
    assert ad.Tensor([1, 2]).tolist() == ad.FloatTensor([1, 2]).tolist() == [1.0, 2.0]
    assert ad.Tensor(2, 3).shape == ad.Tensor(ad.Size([2, 3])).shape == (2, 3)
    assert ad.Tensor().shape == (0,)
    assert type(ad.Tensor(2)) is ad.Tensor
    assert isinstance(nn.Parameter(ad.Tensor(2)), nn.Parameter)
    x = ad.ones(2)
    assert ad.Tensor(x).data_ptr() == x.data_ptr()
    assert ad.Tensor(ad.arange(2)).dtype is ad.int64  # as PyTorch does
    with pytest.raises(TypeError, match="str"):
        ad.Tensor("a")
    assert ad.ones(2).type(ad.LongTensor).dtype is ad.int64
    assert ad.ones(2, dtype=ad.float64).type(ad.Tensor).dtype is ad.float32


def test_data_that_is_set_to_itself_changes_nothing() -> None:
    """As in `p.data += y`, which writes to the elements first."""
    base = ad.zeros(4)
    w = base[:2]
    w.data += 1
    assert base.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert w._base is base
    assert base._version == 0
    w.data = base.data[:1]  # fewer elements
    assert w.shape == (1,)
    assert w._base is None
    p = nn.Parameter(ad.ones(2))

    @ad.compile
    def step() -> ad.Tensor:
        loss = p.square().sum()
        p.grad = None
        loss.backward()
        p.data += -0.25 * p.grad
        return loss

    assert [step().item() for _ in range(3)] == [2.0, 0.5, 0.125]
    assert (step.stats().runs, step.stats().eager) == (2, ())


def test_older_types_are_types() -> None:
    x = ad.arange(2)
    kinds = [
        getattr(ad, name) for name in dir(ad) if isinstance(getattr(ad, name), type(ad.LongTensor))
    ]
    assert len(kinds) == 10
    assert [kind for kind in kinds if isinstance(x, kind)] == [ad.LongTensor]
    assert isinstance(nn.Parameter(ad.ones(1)), ad.FloatTensor)
    assert isinstance(None, (ad.LongTensor, type(None)))
    assert not isinstance([1], ad.LongTensor)
    assert {kind.dtype for kind in kinds} == {kind([1, 0]).dtype for kind in kinds}
    assert pickle.loads(pickle.dumps(ad.LongTensor)) is ad.LongTensor
    assert ad.LongTensor([1], device="cpu").tolist() == [1]
    with pytest.raises(AssertionError, match="CUDA"):
        ad.LongTensor([1], device="cuda")
    with pytest.raises(TypeError, match="too big"):
        ad.LongTensor(2**70)


class Named(ad.Tensor):
    name: str

    def __new__(cls, data: Any, name: str) -> Named:
        return super().__new__(cls, data)  # type: ignore[no-any-return]

    def __init__(self, data: Any, name: str) -> None:
        self.name = name


class Plain(ad.Tensor):
    pass


def test_a_storage_is_written_to_by_index() -> None:
    x = ad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    squares = x * x
    storage = x.t().storage()
    storage[1] = 5.0
    storage[-2:] = 0.0
    assert x.tolist() == [[1.0, 5.0], [0.0, 0.0]]
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        storage[4] = 0.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        squares.sum().backward()


def test_a_generator_tells_its_device() -> None:
    assert repr(ad.Generator().device) == "device(type='cpu')"


def test_subclasses_are_made_as_tensors_are() -> None:
    x = Named([1.0, 2.0], "x")
    assert (type(x), x.name, x.tolist()) == (Named, "x", [1.0, 2.0])
    assert (type(Plain([1.0])), Plain(2, 3).shape) == (Plain, (2, 3))
    assert (x * 2).tolist() == [2.0, 4.0]
    y = Plain([[1.0, 2.0], [3.0, 4.0]]).requires_grad_()
    assert repr(y) == "Plain([[1., 2.],\n       [3., 4.]], requires_grad=True)"
    assert repr(nn.Buffer(ad.ones(1))) == "tensor([1.])"


def test_a_tensor_as_an_array_keeps_its_history_unless_told_otherwise() -> None:
    x = ad.ones(2, requires_grad=True)
    assert ad.asarray(x) is x
    for options in ({}, {"copy": True}, {"dtype": ad.float64}, {"copy": True, "dtype": ad.float64}):
        y = ad.asarray(2 * x, **options)  # type: ignore[arg-type]
        (gradient,) = ad.autograd.grad(y.sum(), x)
        assert gradient.tolist() == [2.0, 2.0]
        assert not ad.asarray(x, requires_grad=False, **options).requires_grad  # type: ignore[arg-type]
    assert ad.asarray(x, copy=True).data_ptr() != x.data_ptr()
    assert ad.asarray(x, requires_grad=False).data_ptr() == x.data_ptr()
    assert x.requires_grad
    with pytest.raises(RuntimeError, match="floating"):
        ad.asarray(x, dtype=ad.int64)


class Doubled(ad.autograd.Function):
    """Twice its input, in place, by NumPy."""

    @staticmethod
    def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
        array = x.numpy()
        array *= 2
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
        return 2 * g


def test_what_numpy_writes_to_is_marked_dirty() -> None:
    x = ad.full((2,), 3.0, requires_grad=True)
    y = Doubled.apply(x.clone())
    assert ad.autograd.grad(y.sum(), x)[0].tolist() == [2.0, 2.0]
    y = x.clone()
    squares = y * y
    Doubled.apply(y)
    assert y._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        squares.sum().backward()


def test_arrays_of_what_needs_grad_while_nothing_is_recorded() -> None:
    x = ad.ones(2, requires_grad=True)
    for unrecorded in (ad.no_grad, ad.inference_mode):
        with unrecorded():
            assert x.numpy().tolist() == np.asarray(x).tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="requires grad"):
        x.numpy()


PLACES = """
nn.modules.module:Module nn.modules.conv:Conv2d nn.modules.batchnorm:BatchNorm1d nn.modules:Linear
nn.modules.loss:MSELoss nn.modules.container:Sequential nn.modules.linear:Linear
nn.parallel:DataParallel utils.data.dataset:Dataset
utils.data.dataloader:DataLoader utils.data.sampler:Sampler
distributions.categorical:Categorical distributions.normal:Normal optim.adamw:AdamW
distributions.multivariate_normal:MultivariateNormal
distributions.transformed_distribution:TransformedDistribution
distributions.gamma:Gamma distributions.kl:kl_divergence optim.lr_scheduler:_LRScheduler
utils.data._utils.collate:default_collate nn.modules.conv:_ConvNd types:Device types:Number
utils._pytree:tree_flatten jit:script distributed:is_initialized
"""


def test_names_are_found_where_pytorch_keeps_them() -> None:
    for place in PLACES.split():
        where, name = place.split(":")
        found = getattr(importlib.import_module(f"autodiff.{where}"), name)
        home = importlib.import_module(f"autodiff.{where.split('.')[0]}")
        if hasattr(home, name):
            assert found is getattr(home, name)
        package, _, last = f"autodiff.{where}".rpartition(".")
        assert hasattr(importlib.import_module(package), last), where  # without an import, too
    from autodiff.nn.modules.batchnorm import _BatchNorm
    from autodiff.nn.modules.utils import _pair

    assert isinstance(nn.BatchNorm2d(1), _BatchNorm)
    assert _pair(3) == (3, 3)
    assert _pair((1, 2)) == (1, 2)
    assert isinstance(ad.ones(1), ad.autograd.Variable)
    assert ad.autograd.Variable(ad.ones(1), requires_grad=True).requires_grad


def test_linear_tells_the_matrices_that_do_not_fit() -> None:
    with pytest.raises(RuntimeError, match=r"cannot be multiplied \(6x4 and 5x7\)"):
        nn.Linear(5, 7)(ad.ones(2, 3, 4))


def test_there_is_no_gpu() -> None:
    import autodiff.backends.cudnn as cudnn

    cudnn.benchmark = True
    ad.backends.cuda.matmul.allow_tf32 = True
    assert not (ad.backends.mps.is_available())
    assert not (ad.accelerator.is_available())
    assert nn.DataParallel(nn.Linear(2, 1)).state_dict().keys() == {"module.weight", "module.bias"}
    layer, x = nn.Linear(1, 1), ad.ones(1)
    for call in (
        x.cuda,
        layer.cuda,
        lambda: x.to("cuda"),
        lambda: layer.to(ad.device("cuda")),
        lambda: ad.ones(1, device="cuda:0"),
        lambda: ad.Tensor(1, device="cuda"),
        ad.cuda.synchronize,
    ):
        with pytest.raises(AssertionError, match="not compiled with CUDA"):
            call()
    with pytest.raises(RuntimeError, match="only 'cpu'"):
        nn.Linear(1, 1, device="meta")


def test_memory_formats() -> None:
    x = ad.rand(2, 3, 4, 5).requires_grad_()
    y = x.contiguous(memory_format=ad.channels_last)
    assert y.equal(x)
    assert y.stride() == (60, 1, 15, 3)
    assert y.is_contiguous(memory_format=ad.channels_last)
    assert not y.is_contiguous()
    assert not x.is_contiguous(memory_format=ad.channels_last)
    assert y.contiguous(memory_format=ad.channels_last) is y
    made = (
        x.to(memory_format=ad.channels_last),
        x.to(ad.float64, memory_format=ad.channels_last),
        x.clone(memory_format=ad.channels_last),
        ad.zeros_like(x, memory_format=ad.channels_last),
    )
    assert {z.stride() for z in made} == {y.stride()}
    assert ad.ones_like(y, memory_format=ad.contiguous_format).is_contiguous()
    assert ad.ones_like(y, memory_format=ad.preserve_format).stride() == y.stride()
    (y * y).sum().backward()
    assert x.grad is not None
    assert x.grad.allclose(2 * x)
    for call in (x.contiguous, x.is_contiguous, lambda form: x.clone(memory_format=form)):
        with pytest.raises(TypeError, match=r"must be torch\.memory_format, not int"):
            call(3)
    with pytest.raises(RuntimeError, match="rank 4"):
        ad.ones(2).contiguous(memory_format=ad.channels_last)


def test_a_scaler_leaves_steps_as_they_were() -> None:
    def trained(scaler: Any) -> list[float]:
        ad.manual_seed(0)
        layer = nn.Linear(3, 1)
        optimizer = optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = layer(ad.rand(4, 3)).square().mean()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(layer.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
        return layer.weight.tolist()[0]  # type: ignore[no-any-return]

    scaler = amp.GradScaler("cpu", growth_interval=2)  # by powers of two, so exactly
    assert trained(scaler) == trained(amp.GradScaler("cpu", enabled=False))
    assert scaler.state_dict()["scale"] == 2.0**17
    assert scaler.state_dict()["_growth_tracker"] == 1
    w = ad.ones(1, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)
    w.grad = ad.tensor([ad.inf])
    assert scaler.step(optimizer) is None
    assert w.item() == 1
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**16
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not amp.GradScaler().is_enabled()


class AnyGradient(ad.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, times: Any) -> Any:
        ctx.save_for_backward(times)
        return x * times.sum()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:  # type: ignore[override]
        (times,) = ctx.saved_tensors
        return g * times.sum(), ad.ones(7, 7, dtype=ad.float64)


def test_a_gradient_that_nobody_wants_may_have_any_shape() -> None:
    x = ad.ones(2, requires_grad=True)
    AnyGradient.apply(x, ad.ones(3)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="index 1"):
        AnyGradient.apply(x, ad.ones(3, requires_grad=True)).sum().backward()


@given(
    st.sampled_from([ad.float32, ad.float64]),
    st.integers(1, 3),
    st.sampled_from([1, 7, 1023, 1024, 1025, 2500]),
    st.floats(-100, 100),
)
@settings(max_examples=20, deadline=None)
@example(ad.float32, 1, 1, 1.0)
def test_running_moments_are_those_of_the_batch(d: Any, n: int, size: int, at: float) -> None:
    x = np.random.default_rng(size).normal(at, 1, (n + 1, 2, size))
    layer = nn.BatchNorm1d(2, momentum=1.0, dtype=d)
    y = layer(ad.tensor(x, dtype=d)).detach().numpy()
    given = ad.tensor(x, dtype=d).double().numpy()
    within = 1e-5 if d is ad.float32 else 1e-13
    mean, deviation = given.mean((0, 2)), given.std((0, 2))
    assert np.allclose(layer.running_mean.numpy(), mean, rtol=within)
    assert np.allclose(layer.running_var.numpy(), given.var((0, 2), ddof=1), rtol=within * 10)
    expected = (given - mean[:, None]) / np.sqrt(deviation[:, None] ** 2 + 1e-5)
    assert np.allclose(y, expected, atol=within * 100)


class Twice(optim.Optimizer):
    """One that wraps another and leaves its base's __init__ out, as many do."""

    def __init__(self, base: Any) -> None:
        self.base, self.param_groups, self.state = base, base.param_groups, base.state

    def step(self, closure: Any = None) -> Any:
        self.base.step(closure)
        return self.base.step(closure)


def test_optimizers_that_wrap_others() -> None:
    w = ad.ones(1, requires_grad=True)
    w.grad = ad.ones(1)
    Twice(optim.SGD([w], lr=0.25)).step()
    assert w.item() == 0.5
    state = optim.SGD([w], lr=0.1, momentum=0.9).state
    assert repr(state).startswith("defaultdict(<class 'dict'>, {")


def test_a_float_of_a_tensor_in_the_graph_is_warned_of_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("autodiff.values._warned", [])
    w = ad.ones(1, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ad.no_grad():
            float(w)
        assert (int(w), w.item(), float(w.detach())) == (1, 1.0, 1.0)
    with pytest.warns(UserWarning, match="requires_grad=True to a scalar"):
        float(w)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        float(w)


def test_a_scaler_refuses_what_it_cannot_tell() -> None:
    w, h = ad.ones(1, requires_grad=True), ad.ones(1, dtype=ad.float16, requires_grad=True)
    scaler, optimizer = ad.amp.GradScaler("cpu", init_scale=0.5), ad.optim.SGD([w], lr=1.0)
    for early in (lambda: scaler.unscale_(optimizer), scaler.update):
        with pytest.raises(AssertionError, match=r"call scale\(\) first"):
            early()
    scaler.scale(h.sum()).backward()
    with pytest.raises(ValueError, match="FP16"):
        scaler.unscale_(ad.optim.SGD([h]))
    with pytest.raises(AssertionError, match="for this optimizer"):
        scaler.step(optimizer)
    with pytest.raises(AssertionError, match="prior to update"):
        scaler.update()
    scaler = ad.amp.GradScaler("cpu", init_scale=0.5)
    scaler.scale(h)
    w.grad = ad.tensor([3e38])  # is finite; twice that is not
    scaler.step(optimizer)
    assert w.item() == float("-inf")
    for name, value in (("growth_factor", 3.0), ("backoff_factor", 0.25), ("growth_interval", 5)):
        getattr(scaler, f"set_{name}")(value)
        assert getattr(scaler, f"get_{name}")() == value == scaler.state_dict()[name]
    with pytest.warns(UserWarning, match="Disabling"):
        assert not ad.cuda.amp.GradScaler(1024.0).is_enabled()


@pytest.mark.parametrize("name", ["add", "sub", "addcmul", "addcdiv"])
@pytest.mark.parametrize("where", ["add_", "add", "torch.add"])
def test_a_factor_before_the_tensors(name: str, where: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("autodiff.ops.older._told", set())
    by = "value" if name.startswith("addc") else "alpha"
    ys = [ad.tensor([3.0, 4.0]), ad.tensor([2.0, 8.0])][: 2 if by == "value" else 1]
    end = "_" if where.endswith("_") else ""
    call = getattr(ad if where.startswith("torch") else ad.Tensor, name + end)
    expected = call(ad.ones(2), *ys, **{by: 0.5})
    for factor in (0.5, ad.tensor(0.5)):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert call(ad.ones(2), factor, *ys).tolist() == expected.tolist()
        texts = [str(x.message) for x in told]
        if factor == 0.5 and type(factor) is float:
            given = "Tensor tensor1, Tensor tensor2" if ys[1:] else "Tensor other"
            old = (
                f"This overload of {name}{end} is deprecated:\n\t{name}{end}(Number {by}, {given})"
            )
            assert texts[0].startswith(old)
            assert texts[0].endswith(f"\t{name}{end}({given}, *, Number {by} = 1)")
        else:
            assert not texts
    x = ad.ones(2)
    with pytest.raises(TypeError, match=rf"{name}{end}\(\) .* not Tensor"):
        call(x, x, *ys)
    assert x.tolist() == [1.0, 1.0]


def test_a_grad_mode_holds_within_the_steps_of_a_generator():
    seen = []

    @ad.no_grad()
    def counted(n):
        try:
            for k in range(n):
                try:
                    seen.append((yield k))
                except ValueError:
                    seen.append("caught")
                seen.append(ad.is_grad_enabled())
            return n
        finally:
            seen.append(ad.is_grad_enabled())

    def delegating():
        seen.append((yield from counted(1)))

    steps = counted(3)
    assert next(steps) == 0
    assert ad.is_grad_enabled()
    assert (steps.send("sent"), steps.throw(ValueError())) == (1, 2)
    assert list(steps) == []
    assert seen == ["sent", False, "caught", False, None, False, False]
    seen.clear()
    steps = counted(2)
    next(steps)
    steps.close()
    assert seen == [False]
    seen.clear()
    assert list(delegating()) == [0]
    assert seen == [None, False, False, 1]
    assert ad.is_grad_enabled()


def test_requires_grad_is_assigned_to_leaves_alone():
    x = ad.ones(2, requires_grad=True)
    y = 2 * x
    for value in (True, False):
        with pytest.raises(RuntimeError, match="flags of leaf variables"):
            y.requires_grad = value
    assert y.requires_grad_() is y
    y = y.detach()
    y.requires_grad = True
    assert y.requires_grad


@pytest.mark.parametrize("name", ["strided", "contiguous_format", "channels_last", "float32"])
def test_what_is_compared_by_identity_is_itself_when_copied(name: str) -> None:
    x = getattr(ad, name)
    assert copy.copy(x) is x
    assert copy.deepcopy(x) is x
    assert all(pickle.loads(pickle.dumps(x, n)) is x for n in range(pickle.HIGHEST_PROTOCOL + 1))
