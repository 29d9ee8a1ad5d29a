"""Singular values from random combinations, as PyTorch draws them."""

from __future__ import annotations

import pytest

import autodiff as ad

# svd_lowrank(x, 2, niter=0)[1] and pca_lowrank(x, 3, niter=1)[1] of PyTorch, from the seed 3
RECORDED = [
    [2.084348826796122, 1.5505582688823347],
    [2.329376112538555, 1.9617077276731663, 1.228951885912207],
]
SHAPES = [(20, 8), (8, 20), (3, 12, 9)]


def product(rank: int, *shape: int) -> ad.Tensor:
    *batch, m, n = shape
    g = ad.Generator().manual_seed(sum(shape))
    left = ad.randn(*batch, m, rank, generator=g, dtype=ad.float64)
    return left @ ad.randn(*batch, rank, n, generator=g, dtype=ad.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_of_low_rank_is_found_whole(shape: tuple[int, ...]) -> None:
    x, mean = product(3, *shape), product(1, *shape)
    for found, of in (
        (ad.svd_lowrank(x, 3), x),
        (ad.svd_lowrank(x, 4, M=mean), x - mean),
        (ad.pca_lowrank(x, 4), x - x.mean(-2, keepdim=True)),
        (ad.pca_lowrank(x, 3, center=False, niter=0), x),
    ):
        u, s, v = found
        assert ad.allclose(u @ ad.diag_embed(s) @ v.mT, of, atol=1e-10)
        for basis in (u, v):
            one = ad.eye(s.shape[-1], dtype=x.dtype)
            assert ad.allclose(basis.mT @ basis, one.expand_as(basis.mT @ basis), atol=1e-10)
        assert ad.allclose(s, ad.linalg.svdvals(of)[..., : s.shape[-1]], atol=1e-9)


def test_random_numbers_are_pytorchs() -> None:
    """Its values of a matrix of full rank, seed 3, no iterations: what the draws decide."""
    x = (ad.arange(42, dtype=ad.float64).reshape(7, 6).square() * 0.37).sin()
    ad.manual_seed(3)
    assert ad.allclose(ad.svd_lowrank(x, 2, niter=0)[1], ad.tensor(RECORDED[0], dtype=x.dtype))
    assert ad.allclose(ad.pca_lowrank(x, 3, niter=1)[1], ad.tensor(RECORDED[1], dtype=x.dtype))


@pytest.mark.parametrize("q", [-1, 3])
def test_more_components_than_there_are(q: int) -> None:
    with pytest.raises(ValueError, match=r"not greater than min\(m, n\)=2"):
        ad.pca_lowrank(ad.ones(3, 2), q)
    with pytest.raises(ValueError, match=r"niter\(=-1\)"):
        ad.pca_lowrank(ad.ones(3, 2), 1, niter=-1)


def test_gradients_reach_the_matrix() -> None:
    x = product(2, 5, 4).requires_grad_()

    def nuclear(x: ad.Tensor) -> ad.Tensor:
        ad.manual_seed(0)
        return ad.svd_lowrank(x, 2)[1].sum()

    (found,) = ad.autograd.grad(nuclear(x), x)
    u, _, vh = ad.linalg.svd(x.detach(), full_matrices=False)
    assert ad.allclose(found, u[:, :2] @ vh[:2], atol=1e-8)
