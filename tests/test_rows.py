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


def test_softmax_has_the_bits_of_its_parts() -> None:
    for n in LENGTHS:
        x = ad.randn(9, n)
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
    assert repr(layer) == "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True)"
    with pytest.raises(RuntimeError, match=r"Given normalized_shape=\[3\], expected input"):
        functional.layer_norm(ad.ones(2, 4), (3,))
