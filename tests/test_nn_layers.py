"""Layers, losses and initial values are PyTorch's: every recorded case, run again."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from golden.record_nn import GOLDEN, NUMBERS, values
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
import autodiff.nn
from autodiff import nn
from autodiff.nn import functional

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())


def close(got: Any, expected: Any, tolerance: float) -> bool:
    """Nested numbers alike, to a tolerance relative to numbers above one."""
    if isinstance(expected, list):
        return (
            isinstance(got, list)
            and len(got) == len(expected)
            and all(close(a, b, tolerance) for a, b in zip(got, expected, strict=True))
        )
    if expected is None or math.isnan(expected):
        return got is None if expected is None else math.isnan(got)
    return abs(got - expected) <= tolerance * max(1.0, abs(expected))


@pytest.mark.parametrize("name", RECORD["numbers"])
def test_same_numbers_as_pytorch(name: str) -> None:
    got, expected = NUMBERS[name](ad), RECORD["numbers"][name]
    exact = name.startswith(("linear-", "init-uniform", "init-xavier_uniform", "init-kaiming_uni"))
    tolerance = 0.0 if exact else 3e-6 if "float32" in name else 1e-12
    assert close(got, expected, tolerance), (got, expected)


def test_every_case_is_recorded() -> None:
    assert list(RECORD["numbers"]) == list(NUMBERS)


@pytest.mark.parametrize(
    ("function", "module"),
    [
        (functional.relu, nn.ReLU),
        (functional.leaky_relu, nn.LeakyReLU),
        (functional.hardtanh, nn.Hardtanh),
        (functional.elu, nn.ELU),
        (functional.silu, nn.SiLU),
    ],
)
def test_inplace_writes_over_the_input_with_the_same_gradient(function: Any, module: Any) -> None:
    gradients = []
    for inplace in (False, True):
        leaf = ad.tensor([-2.0, -0.5, 0.5, 2.0], requires_grad=True)
        x = leaf * 1
        y = module(inplace=inplace)(x)
        assert (y is x) == inplace
        assert y.tolist() == function(leaf).tolist()
        y.sum().backward()
        gradients.append(leaf.grad.tolist())
    assert gradients[0] == gradients[1]
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        function(leaf, inplace=True)


def test_each_activation_is_one_node() -> None:
    x = ad.randn(3, requires_grad=True)
    for name in [
        "tanh",
        "sigmoid",
        "relu",
        "leaky_relu",
        "hardtanh",
        "softplus",
        "elu",
        "gelu",
        "silu",
    ]:
        y = getattr(functional, name)(x)
        title = "".join(part.capitalize() for part in name.split("_"))
        assert y.grad_fn.name() == f"{title}Backward0"
        assert [node for node, _ in y.grad_fn.next_functions if node is not None] == [x._node]


def test_grad_fn_names_are_pytorchs() -> None:
    x = ad.randn(2, 3, requires_grad=True)
    assert functional.softmax(x, 1).grad_fn.name() == "SoftmaxBackward0"
    assert functional.log_softmax(x, 1).grad_fn.name() == "LogSoftmaxBackward0"
    assert functional.cross_entropy(x, ad.tensor([0, 1])).grad_fn.name() == "NllLossBackward0"
    for reduction in ("mean", "sum", "none"):
        loss = functional.mse_loss(x, ad.zeros(2, 3), reduction=reduction)
        assert loss.grad_fn.name() == "MseLossBackward0"


def test_activations_can_be_part_of_a_pointwise_function() -> None:
    fused = ad.pointwise(lambda x: functional.relu(x) + functional.softplus(x) * functional.tanh(x))
    x = ad.linspace(-2, 2, 5)
    apart = functional.relu(x) + functional.softplus(x) * functional.tanh(x)
    assert close(fused(x).tolist(), apart.tolist(), 1e-6)


def test_losses_warn_of_a_broadcast_and_undo_it_in_the_gradient() -> None:
    for loss in (nn.MSELoss(), nn.L1Loss()):
        x = ad.ones(2, 1, requires_grad=True)
        with pytest.warns(UserWarning, match=r"target size \(torch.Size\(\[3\]\)\)"):
            loss(x, ad.zeros(3)).backward()
        assert x.grad.shape == (2, 1)


def test_losses_of_different_dtypes_promote() -> None:
    x = ad.ones(2, requires_grad=True)
    y = functional.mse_loss(x, ad.zeros(2, dtype=ad.float64))
    assert y.dtype is ad.float64
    y.backward()
    assert x.grad.dtype is ad.float32
    assert functional.mse_loss(ad.ones(2), ad.zeros(2, dtype=ad.int64)).dtype is ad.float32


def test_softmax_dims_dtypes_and_shapes() -> None:
    assert functional.softmax(ad.tensor(3.0), 0).item() == 1.0
    assert functional.softmax(ad.zeros(2, 0), 1).shape == (2, 0)
    assert functional.softmax(ad.tensor([1, 1]), 0, dtype=ad.float64).tolist() == [0.5, 0.5]
    for shape, dim in (((3,), 0), ((2, 3), 1), ((2, 3, 4), 0)):
        x = ad.randn(shape)
        with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
            assert functional.softmax(x).tolist() == functional.softmax(x, dim).tolist()
    with pytest.raises(IndexError, match="Dimension out of range"):
        functional.log_softmax(ad.zeros(2), 1)
    with pytest.raises(NotImplementedError, match="'Long'"):
        functional.softmax(ad.tensor([1]), 0)


def test_cross_entropy_of_nothing_and_of_the_impossible() -> None:
    nothing = ad.tensor([-100, -100])
    x = ad.randn(2, 3, requires_grad=True)
    loss = functional.cross_entropy(x, nothing)
    assert math.isnan(loss.item())
    loss.backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2
    assert functional.cross_entropy(x, nothing, reduction="sum").item() == 0.0
    assert math.isnan(functional.cross_entropy(ad.zeros(0, 3), nothing[:0]).item())
    logs = ad.tensor([[-math.inf, 0.0]])
    assert functional.nll_loss(logs, ad.tensor([0]), ignore_index=0, reduction="sum").item() == 0.0
    assert functional.nll_loss(logs, ad.tensor([0])).item() == math.inf
    with pytest.raises(NotImplementedError, match="'Long'"):
        functional.nll_loss(ad.zeros(1, 2, dtype=ad.int64), ad.tensor([0]))
    with pytest.raises(IndexError, match="Target 0 is out of bounds"):
        functional.cross_entropy(ad.zeros(2, 0), ad.tensor([0, 0]))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_is_differentiable_through_its_cotangent(reduction: str) -> None:
    x = ad.randn(3, 4, dtype=ad.float64, requires_grad=True)
    target, weight = ad.tensor([1, 3, 1]), ad.rand(4, dtype=ad.float64)
    loss = functional.nll_loss(x, target, weight, reduction=reduction)
    (slope,) = ad.autograd.grad(loss.sum(), x, retain_graph=True)
    (first,) = ad.autograd.grad((loss * loss).sum(), x, create_graph=True)
    (second,) = ad.autograd.grad(first.sum(), x)
    # The loss is linear, with slope s: the second derivative of its square is 2 s s^T.
    across = slope.sum(1, keepdim=True) if reduction == "none" else slope.sum()
    assert close(second.tolist(), (2 * slope * across).tolist(), 1e-12)


def test_the_class_of_a_single_row_may_be_a_list_of_one() -> None:
    x = ad.randn(3, requires_grad=True)
    for reduction in ("mean", "none"):
        loss = functional.cross_entropy(x, ad.tensor([1]), reduction=reduction)
        assert loss.shape == ()
        assert loss.item() == functional.cross_entropy(x, ad.tensor(1)).item()
        loss.backward()


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32))
def test_cross_entropy_of_indices_is_that_of_one_hot_probabilities(
    n: int, c: int, seed: int
) -> None:
    ad.manual_seed(seed)
    x = ad.randn(n, c, dtype=ad.float64, requires_grad=True)
    target, weight = ad.randint(0, c, (n,)), ad.rand(c, dtype=ad.float64)
    for reduction in ("sum", "none"):
        options = {"reduction": reduction, "label_smoothing": 0.25}
        by_index = functional.cross_entropy(x, target, weight, **options)
        by_row = functional.cross_entropy(x, ad.eye(c, dtype=ad.float64)[target], weight, **options)
        gradients = [ad.autograd.grad(loss.sum(), x)[0] for loss in (by_index, by_row)]
        # Smoothed over classes alike either way, but index targets weigh the true class's share.
        assert by_index.shape == by_row.shape
        assert close(by_index.tolist(), by_row.tolist(), 1e-12)
        assert close(gradients[0].tolist(), gradients[1].tolist(), 1e-12)


@settings(deadline=None)
@given(
    st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=7),
    st.floats(-1e4, 1e4, width=32),
)
def test_softmax_is_a_distribution_that_a_shift_leaves_alone(row: list[float], by: float) -> None:
    x = ad.tensor(row, dtype=ad.float64)
    y = functional.softmax(x, 0)
    assert close(y.sum().item(), 1.0, 1e-14)
    assert close(functional.softmax(x + by, 0).tolist(), y.tolist(), 1e-10)
    assert close(functional.log_softmax(x, 0).exp().tolist(), y.tolist(), 1e-14)


# ---- layers ----


def test_neuron_is_a_row_of_a_linear_layer_through_an_activation() -> None:
    ad.manual_seed(2)
    unit = nn.Neuron(3)
    ad.manual_seed(2)
    layer = nn.Linear(3, 1)
    x = ad.randn(4, 3)
    assert unit(x).tolist() == layer(x).tanh().tolist()
    assert unit(x[0]).shape == (1,)
    unit.load_state_dict({"linear.weight": ad.ones(1, 3), "linear.bias": ad.ones(1)})
    assert nn.Neuron(3, None)(x).shape == (4, 1)
    for activation in (functional.relu, nn.ReLU, nn.ReLU()):
        other = nn.Neuron(3, activation)
        other.load_state_dict(unit.state_dict())
        assert other(ad.tensor([-1.0, -1.0, -5.0])).item() == 0.0
        assert other(ad.ones(3)).item() == 4.0


def test_mlp_is_linear_layers_with_activations_between() -> None:
    model = nn.MLP([2, 5, 4, 1], nn.ReLU, bias=False, dtype=ad.float64)
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert [values(p)[0] is not None and p.dtype for p in model.parameters()] == [ad.float64] * 3
    assert isinstance(model[:2], nn.Sequential)
    with pytest.raises(ValueError, match="sizes of its input and output"):
        nn.MLP([3])
    with pytest.raises(TypeError, match="must make a Module"):
        nn.MLP([1, 2, 1], lambda: 3)  # type: ignore[arg-type, return-value]


def test_linear_takes_any_leading_dimensions() -> None:
    layer = nn.Linear(3, 2)
    for shape in ((3,), (4, 3), (2, 4, 3), (0, 3)):
        assert layer(ad.ones(shape)).shape == (*shape[:-1], 2)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        layer(ad.ones(4))
    with pytest.raises(RuntimeError, match="same dtype"):
        layer(ad.ones(3, dtype=ad.float64))
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
        assert nn.Linear(0, 2)(ad.ones(4, 0)).shape == (4, 2)


def test_inits_write_outside_the_graph() -> None:
    x = ad.zeros(3, 3, requires_grad=True)
    assert nn.init.normal_(x) is x
    assert x.requires_grad
    assert x.is_leaf
    with pytest.warns(UserWarning, match="more than 2 std"):
        nn.init.trunc_normal_(x, mean=9.0)
    assert all(-2 <= v <= 2 for row in x.tolist() for v in row)
    with pytest.warns(UserWarning, match="2 std"), pytest.raises(ValueError, match="closer bounds"):
        nn.init.trunc_normal_(x, a=5.0, b=1e9)
    generator = ad.Generator().manual_seed(4)
    nn.init.uniform_(x, generator=generator)
    ad.manual_seed(4)
    assert x.tolist() == ad.rand(3, 3).tolist()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.BatchNorm1d(2), (0, 2)),
        (nn.BatchNorm1d(2), (0, 2, 9)),
        (nn.BatchNorm1d(3), (0, 2)),  # whose channels PyTorch does not count, as there are none
        (nn.BatchNorm2d(3).eval(), (0, 2, 4, 4)),
        (nn.GroupNorm(1, 2), (0, 2, 3)),
        (nn.LayerNorm(2), (0, 2)),
        (nn.RMSNorm(2), (0, 2)),
        (nn.Linear(2, 3), (0, 2)),
        (nn.Conv1d(2, 3, 1), (0, 2, 4)),
        (nn.ConvTranspose1d(2, 3, 1), (0, 2, 4)),
        (nn.PReLU(2), (0, 2)),
        (nn.LSTM(2, 3, 2, proj_size=2, bidirectional=True), (4, 0, 2)),
        (nn.GRU(2, 3, bias=False), (4, 0, 2)),
        (nn.TransformerEncoderLayer(2, 1, 3, 0.0), (0, 2, 2)),
    ],
    ids=str,
)
def test_an_empty_batch_gives_parameters_a_gradient_of_zeros(
    module: nn.Module, shape: tuple[int, ...]
) -> None:
    for dtype in (ad.float32, ad.bfloat16):
        y = module.to(dtype)(ad.zeros(shape, dtype=dtype))
        (y[0] if isinstance(y, tuple) else y).sum().backward()
        for p in module.parameters():
            assert p.grad is not None
            assert p.grad.dtype is dtype
            assert not p.grad.any()
        module.zero_grad()


@pytest.mark.parametrize(
    ("kind", "shape"), [("1d", (2, 3, 0)), ("2d", (2, 3, 0, 4)), ("3d", (3, 2, 0, 4))]
)
def test_the_mean_of_an_empty_image_is_nan_and_no_other_pool_has_any(
    kind: str, shape: tuple[int, ...]
) -> None:
    y = getattr(nn, f"AdaptiveAvgPool{kind}")(1)(ad.ones(shape))
    assert y.shape == shape[: -int(kind[0])] + (1,) * int(kind[0])
    assert y.isnan().all()
    for refused in (f"AdaptiveAvgPool{kind}", f"AdaptiveMaxPool{kind}"):
        with pytest.raises(RuntimeError, match="non-zero size"):
            getattr(nn, refused)(1 if "Max" in refused else 2)(ad.ones(shape))


def test_averages_of_images_without_channels_have_none() -> None:
    assert nn.AdaptiveAvgPool1d(2)(ad.ones(2, 0, 3)).shape == (2, 0, 2)
    assert nn.AdaptiveAvgPool2d(2)(ad.ones(2, 0, 3, 3)).shape == (2, 0, 2, 2)
    for kind in ("Avg", "Max"):
        with pytest.raises(RuntimeError, match="dimension 1 being empty"):
            getattr(nn, f"Adaptive{kind}Pool3d")(2)(ad.ones(2, 0, 3, 3, 3))


def test_parameters_without_a_shape_are_not_counted() -> None:
    lazy = nn.LazyLinear(3)
    with pytest.raises(ValueError, match="uninitialized parameter in 'numel'"):
        sum(p.numel() for p in lazy.parameters())
    lazy(ad.ones(1, 2))
    assert sum(p.numel() for p in lazy.parameters()) == 9


def test_pools_by_an_infinite_norm_are_those_of_the_greatest_and_least() -> None:
    x = ad.tensor([[3.0, -4.0, 1.0, -2.0]], requires_grad=True)
    for norm, expected, slopes in (
        (math.inf, [4, 2], [0, -1, 0, -1]),
        (-math.inf, [3, 1], [1, 0, 1, 0]),
    ):
        y = functional.lp_pool1d(x, norm, 2)
        assert y.tolist() == [expected]
        assert ad.autograd.grad(y.sum(), x)[0].tolist() == [slopes]


def test_interpolate_tells_sizes_that_do_not_fit_before_the_mode() -> None:
    with pytest.raises(ValueError, match="same number of spatial dimensions"):
        functional.interpolate(ad.zeros(4, 6, 5), size=(3, 9), mode="bilinear")
    with pytest.raises(NotImplementedError, match="bilinear mode needs 4D"):
        functional.interpolate(ad.zeros(4, 6, 5), size=3, mode="bilinear")


@pytest.mark.parametrize(("channels", "window"), [(4, 0), (0, 3)])
def test_a_convolution_of_nothing_has_a_bias_of_zeros(channels: int, window: int) -> None:
    rubbish = ad.full((6,), 7.0)
    del rubbish  # whose memory the bias may be given
    ad.manual_seed(1)
    with pytest.warns(UserWarning, match="zero-element"):
        layer = nn.Conv1d(channels, 6, window)
    assert layer.bias.tolist() == [0.0] * 6
    after = ad.rand(())
    ad.manual_seed(1)
    ad.rand(6)  # which are drawn all the same
    assert after.equal(ad.rand(()))


@pytest.mark.parametrize("shape", [(2, 4, 0), (0, 4, 3)])
def test_an_instance_norm_of_nothing_has_gradients_of_zeros(shape: tuple[int, ...]) -> None:
    layer = nn.InstanceNorm1d(4, affine=True)
    y = layer(ad.ones(shape, requires_grad=True))
    y.sum().backward()
    assert y.shape == shape
    assert [p.grad.tolist() for p in layer.parameters()] == [[0.0] * 4] * 2
