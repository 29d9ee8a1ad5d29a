"""Initial values beside their numbers, which tests/test_random.py and test_nn_layers.py have."""

from __future__ import annotations

import math

import pytest

import autodiff as ad
from autodiff.nn import init


@pytest.mark.parametrize("shape", [(1, 1), (33, 33), (20, 90), (90, 20), (8, 3, 4), (3, 4, 1)])
@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_orthogonal_is_orthogonal(shape: tuple[int, ...], dtype: ad.dtype) -> None:
    x = init.orthogonal_(ad.zeros(shape, dtype=dtype, requires_grad=True), gain=3.0)
    assert x.requires_grad
    assert x.is_leaf
    flat = x.detach().double().reshape(shape[0], -1)
    square = flat @ flat.t() if flat.shape[0] < flat.shape[1] else flat.t() @ flat
    tolerance = 1e-5 if dtype is ad.float32 else 1e-12
    wanted = 9 * ad.eye(len(square), dtype=ad.float64)
    assert ad.allclose(square, wanted, rtol=0, atol=tolerance)


def test_orthogonal_without_elements_draws_nothing() -> None:
    before = ad.get_rng_state().tolist()
    for shape in ((0, 3), (3, 0), (3, 0, 2)):
        assert init.orthogonal_(ad.zeros(shape)).shape == shape
    assert ad.get_rng_state().tolist() == before


def test_sparse_has_as_many_zeros_in_each_column() -> None:
    x = init.sparse_(ad.zeros(10, 7, requires_grad=True), 0.25, std=5.0)
    assert (x == 0).sum(0).tolist() == [3] * 7
    assert init.sparse_(ad.ones(3, 2), 2.0).tolist() == [[0.0, 0.0]] * 3


def test_dirac_keeps_channels() -> None:
    x = init.dirac_(ad.ones(4, 3, 3, 5), groups=2)
    ones = [[g * 2 + c, c, 1, 2] for g in range(2) for c in range(2)]
    assert x.nonzero().tolist() == ones
    assert init.dirac_(ad.ones(0, 2, 2)).shape == (0, 2, 2)


def test_what_init_refuses() -> None:
    for function, shape in (
        (init.orthogonal_, (3,)),
        (init.dirac_, (3, 3)),
        (lambda x: init.dirac_(x, 2), (3, 3, 3)),
        (lambda x: init.sparse_(x, 0.5), (3,)),
        (init.eye_, (3,)),
    ):
        with pytest.raises(ValueError, match=r"[Oo]nly tensors with|divisible"):
            function(ad.ones(shape))


@pytest.mark.parametrize("name", [n for n in init.__all__ if not n.endswith("_")][1:])
def test_old_names_warn(name: str) -> None:
    """All but calculate_gain, the first, which is no init."""
    arguments = {"constant": (0.5,), "sparse": (0.5,)}.get(name, ())
    shape = (2, 3, 3) if name == "dirac" else (3, 4)
    ad.manual_seed(1)
    with pytest.warns(FutureWarning, match=f"`nn.init.{name}` is now deprecated"):
        found = getattr(init, name)(ad.zeros(shape), *arguments)
    ad.manual_seed(1)
    assert found.equal(getattr(init, f"{name}_")(ad.zeros(shape), *arguments))


def test_fans_have_the_name_that_layers_of_ones_own_call_them_by() -> None:
    fans = init._calculate_fan_in_and_fan_out(ad.ones(4, 3, 5, 2))
    assert fans == (30, 40)
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init._calculate_fan_in_and_fan_out(ad.ones(4))


def test_xavier_bounds_round_as_pytorchs() -> None:
    """The gain meets the root before sqrt(3) does: other orders differ in the last digit."""
    for gain in (0.3, 0.7, 5 / 3, 1.9):
        x, y = (ad.empty(7, 11, dtype=ad.float64) for _ in range(2))
        bound = math.sqrt(3.0) * (gain * math.sqrt(2.0 / 18))
        ad.manual_seed(1)
        init.xavier_uniform_(x, gain)
        ad.manual_seed(1)
        init.uniform_(y, -bound, bound)
        assert (x == y).all()
