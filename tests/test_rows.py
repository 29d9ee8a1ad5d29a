"""Row programs: a row has the same bits alone and in a batch, along any dimension and layout."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import autodiff as ad
from autodiff.nn import functional

PROGRAMS: dict[str, Callable[[ad.Tensor, int], ad.Tensor]] = {
    "softmax": lambda x, dim: ad.softmax(x, dim),
    "log_softmax": lambda x, dim: ad.log_softmax(x, dim),
    "logsumexp": lambda x, dim: ad.logsumexp(x, dim, keepdim=True),
    "var": lambda x, dim: x.var(dim, keepdim=True),
    "std": lambda x, dim: x.std(dim, keepdim=True),
}
LENGTHS = (2, 7, 10, 16, 33, 1000, 1024, 1025, 3000)


def with_gradient(program: str, x: ad.Tensor, dim: int) -> list[list[float]]:
    """The result and the gradient of x, rows along dim brought to the last."""
    leaf = x.detach().requires_grad_()
    y = PROGRAMS[program](leaf, dim)
    weights = ad.arange(y.shape[dim]).to(x.dtype) + 1.0
    scale = weights if dim in (-1, x.ndim - 1) else weights.reshape(-1, 1)
    (slope,) = ad.autograd.grad((y * scale).sum(), leaf)
    return [z.detach().transpose(dim, -1).reshape(-1).tolist() for z in (y, slope)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_row_has_its_bits_in_any_batch_and_layout(program: str, dtype: str) -> None:
    ad.manual_seed(3)
    for n in LENGTHS:
        rows = ad.randn(70, n, dtype=getattr(ad, dtype)) * 3 + 1
        together = with_gradient(program, rows, -1)
        assert with_gradient(program, rows.t().contiguous(), 0) == together
        assert with_gradient(program, rows.t().contiguous().t(), -1) == together
        alone = [with_gradient(program, rows[i : i + 1], -1) for i in range(5)]
        for k in range(2):
            joined = [v for found in alone for v in found[k]]
            assert together[k][: len(joined)] == joined, (program, n)


@pytest.mark.parametrize("program", ["var", "std", "softmax", "logsumexp"])
def test_threads_share_long_rows_without_a_change(program: str) -> None:
    x = ad.randn(2, 150_000) + 3
    found = []
    for threads in (1, 2, 3):
        before = ad.get_num_threads()
        ad.set_num_threads(threads)
        found.append(with_gradient(program, x, -1))
        ad.set_num_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("scale", [1, 8, 40, 300])  # to quotients that are no normal numbers
@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_softmax_has_the_bits_of_its_parts(dtype: ad.dtype, scale: int) -> None:
    for n in LENGTHS:
        x = ad.randn(9, n, dtype=dtype) * scale
        powers = (x - x.amax(1, keepdim=True)).exp()
        total = powers.sum(1, keepdim=True)
        assert ad.softmax(x, 1).tolist() == (powers / total).tolist()


def test_layer_norm_centres_scales_and_refuses() -> None:
    x = ad.randn(5, 3000) * 4 + 1e4
    y = functional.layer_norm(x, (3000,))
    assert y.mean(1).abs().max().item() < 1e-6
    assert (y.var(1, correction=0) - 1).abs().max().item() < 1e-5
    layer = ad.nn.LayerNorm([2, 3], bias=False)
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer) == "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True, bias=False)"
    with pytest.raises(RuntimeError, match=r"Given normalized_shape=\[3\], expected input"):
        functional.layer_norm(ad.ones(2, 4), (3,))


def normalized(rows: ad.Tensor, slope: ad.Tensor) -> list[ad.Tensor]:
    """Layer norm and its three gradients."""
    n = rows.shape[-1]
    scale = ad.arange(n).to(rows.dtype)
    leaves = [x.detach().requires_grad_() for x in (rows, scale, scale * 0.3)]
    y = functional.layer_norm(leaves[0], (n,), *leaves[1:])
    return [y.detach(), *ad.autograd.grad(y, leaves, slope)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer_norm_has_its_bits_in_any_batch_layout_and_number_of_threads(dtype: str) -> None:
    ad.manual_seed(4)
    before = ad.get_num_threads()
    for n in (*LENGTHS, 70_000):
        rows, slope = (ad.randn(70 if n < 9_000 else 3, n, dtype=getattr(ad, dtype)) for _ in "xg")
        ad.set_num_threads(1)
        alone = [x.tolist() for x in normalized(rows, slope)]
        ad.set_num_threads(3)
        together = normalized(rows.t().contiguous().t(), slope.t().contiguous().t())
        ad.set_num_threads(before)
        assert [x.tolist() for x in together] == alone, n
        for i in range(2):
            one = normalized(rows[i : i + 1], slope[i : i + 1])
            assert one[0][0].tolist() == alone[0][i]
            assert one[1][0].tolist() == alone[1][i]


def test_layer_norm_has_the_gradients_of_its_rule() -> None:
    """Backward alone is one native call; with create_graph it is the rule."""
    for n in (1, 9, 33, 2500):
        x, w, b, g = (
            ad.randn(*shape, dtype=ad.float64) for shape in ((70, n), (n,), (n,), (70, n))
        )
        leaves = [a.requires_grad_() for a in (x, w, b)]
        y = functional.layer_norm(x, (n,), w, b)
        native = ad.autograd.grad(y, leaves, g, retain_graph=True)
        for ours, rule in zip(
            native, ad.autograd.grad(y, leaves, g, create_graph=True), strict=True
        ):
            assert ad.allclose(ours, rule, rtol=1e-9, atol=1e-9), n


def by_channel(kind: str, leaves: list[ad.Tensor]) -> ad.Tensor:
    x, w, b = leaves
    if kind == "group":
        return functional.group_norm(x, 2, w, b)
    if kind == "rms":
        return functional.rms_norm(x, x.shape[2:], w[0] * x.detach()[0, 0])
    held = None if kind == "batch" else w.detach() + 0.5
    return functional.batch_norm(x, held, held, w, b, kind == "batch")


@pytest.mark.parametrize("kind", ["batch", "fixed", "group", "rms"])
def test_a_norm_by_channel_has_the_gradients_of_its_rule_and_its_bits(kind: str) -> None:
    """Runs that are copied to the front, that chunks go across, and that are cut; any layout."""
    before = ad.get_num_threads()
    for shape in ((5, 4), (3, 4, 7), (40, 4, 65), (3, 4, 1024), (2, 4, 2500)):
        x, g = (ad.randn(*shape, dtype=ad.float64) * 3 for _ in "xg")
        leaves = [a.requires_grad_() for a in (x, *(ad.rand(4, dtype=ad.float64) for _ in "wb"))]
        if kind == "rms" and len(shape) < 3:
            continue
        y = by_channel(kind, leaves)
        wanted = leaves[: 2 if kind == "rms" else 3]
        native = ad.autograd.grad(y, wanted, g, retain_graph=True)
        for ours, rule in zip(
            native, ad.autograd.grad(y, wanted, g, create_graph=True), strict=True
        ):
            assert ad.allclose(ours, rule, rtol=1e-9, atol=1e-9), shape
        ad.set_num_threads(1)
        apart = [x.transpose(0, 1).contiguous().transpose(0, 1).detach().requires_grad_()]
        again = by_channel(kind, [*apart, *leaves[1:]])
        others = ad.autograd.grad(again, [*apart, *wanted[1:]], g)
        ad.set_num_threads(before)
        assert y.tolist() == again.tolist()
        assert [a.tolist() for a in native] == [a.tolist() for a in others], shape


def test_moments_of_channels_are_those_of_their_numbers_together() -> None:
    for shape in ((6, 3, 70), (3, 3, 1500), (2, 3, 40_000)):
        x = ad.randn(*shape) * 2 + 100
        mean, var = ad.zeros(3), ad.zeros(3)
        functional.batch_norm(x, mean, var, training=True, momentum=1.0)
        rows = x.transpose(0, 1).reshape(3, -1)
        assert mean.tolist() == rows.double().mean(1).float().tolist()
        assert ad.allclose(var.double(), rows.double().var(1), rtol=2e-7, atol=0)


@pytest.mark.parametrize("n", [3, 16, 40, 1024, 5000])
def test_a_first_number_far_from_the_others_leaves_the_variance_exact(n: int) -> None:
    """Distances are counted from it."""
    x = ad.randn(5, n)
    for first in (0.0, 1e4, -1e9, 1e18):
        x[:, 0] = first
        wanted = x.double().var(1)
        for found in (x.var(1), x.t().contiguous().var(0)):
            assert ad.allclose(found.double(), wanted, rtol=1e-7, atol=0), first
