"""Dropout beside its numbers (tests/test_random.py has those): graph, channels, errors, modules."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import autodiff as ad
from autodiff import nn
from autodiff.nn import functional

KINDS: dict[str, Callable[..., ad.Tensor]] = {
    name: getattr(functional, name) for name in functional.__all__ if "dropout" in name
}
MODULES = [
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
]


def fitting(name: str) -> ad.Tensor:
    """An input that the function takes without a warning."""
    sizes = {"dropout2d": (2, 3, 2, 2), "dropout3d": (2, 3, 2, 1, 2)}
    return ad.randn(*sizes.get(name, (2, 3, 4)), dtype=ad.float64)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_gradients_to_second_order(name: str, inplace: bool) -> None:
    def seeded(x: ad.Tensor) -> ad.Tensor:
        ad.manual_seed(3)
        return KINDS[name](x * x, 0.4, True, inplace)

    x = fitting(name).requires_grad_()
    assert ad.gradcheck(seeded, (x,))
    assert ad.gradgradcheck(seeded, (x,))
    title = "AddBackward0" if "alpha" in name else "MulBackward0"
    node = seeded(x).grad_fn
    assert node is not None
    assert node.name() == title


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_drawn_where_nothing_is_dropped(name: str) -> None:
    x = fitting(name)
    before = ad.get_rng_state().tolist()
    assert KINDS[name](x, 0.5, False) is x or KINDS[name](x, 0.5, False).equal(x)
    assert KINDS[name](x, 0.0, True).equal(x)
    assert KINDS[name](x, 1.0, True).equal(x * 0)
    assert ad.get_rng_state().tolist() == before


@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"])
def test_a_channel_has_one_fate(name: str) -> None:
    x = ad.ones(fitting(name).shape)
    ad.manual_seed(1)
    channels = KINDS[name](x, 0.5, True).reshape(6, -1)
    assert (channels == channels[:, :1]).all()
    assert len(set(channels[:, 0].tolist())) == 2


def test_what_dropout_refuses() -> None:
    for name, function in KINDS.items():
        for p in (-0.1, 1.5):
            with pytest.raises(ValueError, match="between 0 and 1"):
                function(fitting(name), p, False)
        with pytest.raises(RuntimeError, match="got nan"):
            function(fitting(name), float("nan"))
        with pytest.raises(RuntimeError, match="can't be cast"):
            function(fitting(name).long(), 0.5, True)
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            function(fitting(name).requires_grad_(), 0.5, True, True)
    with pytest.raises(TypeError, match="must be Tensor, not list"):
        functional.dropout([1.0])
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        functional.feature_alpha_dropout(ad.ones(3), 0.5, True)
    for shape in ((3,), (2, 3, 4, 5)):
        with pytest.raises(RuntimeError, match="Expected 2D or 3D input"):
            functional.dropout1d(ad.ones(shape))
    with pytest.warns(UserWarning, match="interpreted as shape"):
        functional.dropout2d(ad.ones(2, 3, 4))
    for shape in ((9,), (9, 3), (9, 3, 4)):  # of channels alone, unless there are five dimensions
        ad.manual_seed(0)
        kept = functional.dropout1d(ad.ones(9, 1)).reshape(9, *[1] * (len(shape) - 1))
        ad.manual_seed(0)
        with pytest.warns(UserWarning, match=f"{len(shape)}-D input to dropout3d"):
            got = functional.dropout3d(ad.ones(shape))
        assert ad.equal(got, kept.expand(shape))


def test_an_unbatched_input_is_written_in_place() -> None:
    x = ad.ones(3, 4)
    assert functional.dropout1d(x, 0.9, inplace=True) is x
    assert x._version == 1
    assert functional.dropout1d(ad.ones(3, 4), 0.5).shape == (3, 4)


@pytest.mark.parametrize("kind", MODULES, ids=lambda kind: kind.__name__)
def test_modules(kind: Any) -> None:
    module = kind(0.25, inplace=True)
    assert repr(module) == f"{kind.__name__}(p=0.25, inplace=True)"
    assert repr(kind()) == f"{kind.__name__}(p=0.5, inplace=False)"
    assert copy.deepcopy(module).p == 0.25
    with pytest.raises(ValueError, match="between 0 and 1, but got 2"):
        kind(2)
    x = ad.ones(2, 3, 4, 5) if kind is nn.Dropout2d else ad.ones(2, 3, 4, 5, 1)
    x = ad.ones(2, 3, 4) if kind is nn.Dropout1d else x
    assert module.eval()(x) is x
    ad.manual_seed(2)
    assert not kind(0.5)(x).equal(x)
