"""Names that programs look for in places of PyTorch's, and what they find there."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import pytest

import autodiff as ad
from autodiff import nn
from autodiff.func import functional_call


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("utils.dlpack", "from_dlpack to_dlpack"),
        ("utils.hooks", "RemovableHandle"),
        ("utils.checkpoint", "set_checkpoint_early_stop set_checkpoint_debug_enabled"),
        ("return_types", "max sort topk kthvalue linalg_qr linalg_slogdet"),
        ("nn.parameter", "UninitializedParameter UninitializedBuffer is_lazy"),
        ("nn.utils.stateless", "functional_call"),
        ("nn.modules.batchnorm", "_BatchNorm"),
        ("distributions.transforms", "StickBreakingTransform CatTransform ReshapeTransform"),
        ("distributions.utils", "broadcast_all lazy_property vec_to_tril_matrix"),
        ("autograd.forward_ad", "dual_level make_dual unpack_dual"),
    ],
)
def test_a_place_has_its_names(place: str, names: str) -> None:
    module = importlib.import_module(f"autodiff.{place}")
    for name in names.split():
        assert hasattr(module, name), name
    found = ad
    for part in place.split("."):
        found = getattr(found, part)
    assert found is module


def test_return_types_are_the_types_of_results() -> None:
    assert type(ad.ones(2, 2).max(0)) is ad.return_types.max
    assert type(ad.linalg.qr(ad.eye(2))) is ad.return_types.linalg_qr
    with pytest.raises(AttributeError, match="no attribute 'sum'"):
        ad.return_types.sum  # noqa: B018


def test_a_block_on_a_device() -> None:
    with ad.device("cpu") as d:
        assert ad.ones(1).device == d
    with pytest.raises(AssertionError, match="not compiled with CUDA"), ad.device("cuda"):
        pass


def test_what_autocast_would_round() -> None:
    assert ad.amp.is_autocast_available("cpu")
    assert not ad.amp.is_autocast_available("cuda")

    class Double(ad.autograd.Function):
        @staticmethod
        @ad.amp.custom_fwd(device_type="cuda", cast_inputs=ad.float16)
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            return x * 2

        @staticmethod
        @ad.amp.custom_bwd(device_type="cuda")
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            return g * 2

    x = ad.ones(1, requires_grad=True)
    Double.apply(x).backward()
    assert x.grad is not None
    assert x.grad.item() == 2
    for wrong in (ad.amp.custom_fwd, ad.amp.custom_bwd):
        with pytest.raises(ValueError, match="of type `str`, got: `int`"):
            wrong(abs, device_type=1)
    with pytest.raises(RuntimeError, match="Expected one of cpu"):
        ad.amp.is_autocast_available("foo")


def test_ways_to_compute_attention() -> None:
    ways = nn.attention.SDPBackend
    q = ad.arange(8.0).reshape(1, 1, 4, 2)
    with nn.attention.sdpa_kernel([ways.MATH, ways.FLASH_ATTENTION], set_priority=True):
        found = nn.functional.scaled_dot_product_attention(q, q, q)
    assert found.equal(nn.functional.scaled_dot_product_attention(q, q, q))
    with (
        pytest.raises(AssertionError, match="must be an instance of SDPBackend"),
        nn.attention.sdpa_kernel("math"),
    ):
        pass


def test_modes_of_determinism() -> None:
    try:
        for number, name in enumerate(("default", "warn", "error")):
            for given in (number, name):
                ad.set_deterministic_debug_mode(given)
                assert ad.get_deterministic_debug_mode() == number
                assert ad.are_deterministic_algorithms_enabled() == (number > 0)
    finally:
        ad.set_deterministic_debug_mode(0)


def test_a_module_compiles_itself() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    twin = copy.deepcopy(net)
    net.compile()
    x = ad.arange(8.0).reshape(4, 2).cos()
    for train in (True, True, True, False, False):
        for module in (net, twin):
            module.train(train)
            module.zero_grad()
            module(x).sum().backward()
        found = [p.grad.tolist() for p in net.parameters() if p.grad is not None]
        assert found == [p.grad.tolist() for p in twin.parameters() if p.grad is not None]
    compiled = net._own_hooks().compiled
    assert compiled.stats().runs >= 1
    log: list[str] = []
    net.register_forward_hook(lambda *_: log.append("called"))
    assert net(x).tolist() == twin(x).tolist()
    assert log == ["called"]
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(twin))):
        assert other._hooks is None or other._hooks.compiled is None
        assert other(x).tolist() == twin(x).tolist()
    assert list(net.state_dict()) == list(twin.state_dict())


def test_functional_call_where_it_was() -> None:
    layer, given = nn.Linear(2, 1), {"weight": ad.ones(1, 2)}
    with pytest.warns(FutureWarning, match="is deprecated"):
        found = nn.utils.stateless.functional_call(layer, given, ad.ones(2))
    assert found.tolist() == functional_call(layer, given, ad.ones(2)).tolist()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_of_convolutions(n: int) -> None:
    """Those of autograd, which can be differentiated again."""
    options = {"stride": 2, "padding": 1, "dilation": 1, "groups": 2}
    g = ad.manual_seed(n)
    x = ad.randn(2, 4, *[6] * n, generator=g, dtype=ad.float64, requires_grad=True)
    w = ad.randn(6, 2, *[3] * n, generator=g, dtype=ad.float64, requires_grad=True)
    y = getattr(nn.functional, f"conv{n}d")(x, w, **options)
    cotangent = ad.randn(y.shape, generator=g, dtype=ad.float64)
    expected = ad.autograd.grad(y, (x, w), cotangent)
    of_input, of_weight = (getattr(nn.grad, f"conv{n}d_{of}") for of in ("input", "weight"))
    found = of_input(x.shape, w, cotangent, **options), of_weight(x, w.shape, cotangent, **options)
    for a, b in zip(found, expected, strict=True):
        assert a.tolist() == b.tolist()
        assert a.requires_grad
    assert not of_input(x.shape, w.detach(), cotangent, **options).requires_grad


def test_probabilities_and_triangles() -> None:
    utils = ad.distributions.utils
    m = ad.arange(32.0).reshape(2, 4, 4)
    for diag in (-4, -1, 0, 2, 3):
        vector = utils.tril_matrix_to_vec(m, diag)
        assert vector.shape == (2, int(ad.ones(4, 4).tril(diag).sum()))
        if diag != -4:
            assert utils.vec_to_tril_matrix(vector, diag).equal(m.tril(diag))
    for wrong in (-5, 4):
        with pytest.raises(ValueError, match="is outside"):
            utils.tril_matrix_to_vec(m, wrong)
    with pytest.raises(ValueError, match="size of last dimension is 4"):
        utils.vec_to_tril_matrix(ad.ones(4))
    p = ad.tensor([0.0, 0.25, 1.0])
    for binary in (False, True):
        again = utils.logits_to_probs(utils.probs_to_logits(p, binary), binary)
        assert ad.allclose(again, p if binary else p / p.sum(), atol=1e-6)


def test_blocks_of_checkpoints_change_nothing() -> None:
    checkpoint = ad.utils.checkpoint
    for block in (checkpoint.set_checkpoint_early_stop, checkpoint.set_checkpoint_debug_enabled):
        x = ad.ones(2, requires_grad=True)
        with block(True):
            checkpoint.checkpoint(ad.exp, x).sum().backward()
        assert x.grad is not None
        assert x.grad.equal(x.exp())
