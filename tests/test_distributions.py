"""Distributions say, draw and refuse what PyTorch's do, and their formulas have true slopes."""

from __future__ import annotations

import copy
import json
import math
import pickle
import types
import warnings
from typing import Any

import pytest
from golden import record_distributions as record

import autodiff as ad
from autodiff import distributions as dist
from autodiff import func
from autodiff.distributions.gamma import Shares, StandardGamma

pytestmark = pytest.mark.usefixtures("settings_kept")
GOLDEN = json.loads(record.GOLDEN.read_text())
VALUES = record.DISTRIBUTIONS


def agrees(got: Any, want: Any, tolerance: float) -> bool:
    """Whether lists of numbers are near, and all else is equal."""
    if isinstance(want, list):
        pairs = zip(got, want, strict=True)
        return isinstance(got, list) and all(agrees(a, b, tolerance) for a, b in pairs)
    if isinstance(want, (int, float)) and isinstance(got, (int, float)):
        return (got != got and want != want) or math.isclose(
            got, want, rel_tol=tolerance, abs_tol=tolerance
        )
    return bool(got == want)


def check(got: Any, want: Any, tolerance: float) -> None:
    got = json.loads(json.dumps(got))
    assert agrees(got, want, tolerance), f"{got}\n  is not\n{want}"


def digits(text: str) -> float:
    """PyTorch's trigamma has eight digits, and its Bessel functions have seven."""
    if record.dtype_of(text) == "float32":
        return 2e-6
    if text.startswith("VonMises"):
        return 1e-6
    return 3e-8 if text.startswith((*record.GAMMAS, "LKJ")) else 1e-9


@pytest.mark.parametrize("text", VALUES)
def test_a_distribution_says_what_pytorchs_does(text: str) -> None:
    got = record.facts(ad, text, VALUES[text])
    for name, want in GOLDEN["facts"][text].items():
        if name == "drawn" and text.startswith("Wishart"):
            continue  # PyTorch writes over what its slopes need
        if name == "drawn" and text in record.IMPLICIT:
            check(got[name][:2], want[:2], 3e-3)
        else:  # PyTorch's entropy of counts has a term in float32
            loose = name == "entropy" and text.startswith("Multinomial")
            check(got[name], want, 3e-8 if loose else digits(text))


@pytest.mark.parametrize("text", VALUES)
def test_draws_are_pytorchs_for_the_seed(text: str) -> None:
    check(record.samples(ad, text), GOLDEN["samples"][text], 3e-6)


@pytest.mark.parametrize("p", record.PAIRS)
def test_divergences_are_pytorchs(p: str) -> None:
    for q in record.PAIRS[p]:
        check(record.divergence(ad, p, q), GOLDEN["kl"][f"{p} to {q}"], digits(p))


@pytest.mark.parametrize("text", record.REFUSED)
def test_what_is_refused_and_why(text: str) -> None:
    got = record.failure(lambda: record.evaluated(ad, text, "float32"))
    assert got == GOLDEN["refused"][text]


@pytest.mark.parametrize("text", record.PLAIN)
def test_texts_of_all_kinds_give_what_they_do_on_pytorch(text: str) -> None:
    check(
        record.told(lambda: record.evaluated(ad, text, "float32")[0]), GOLDEN["plain"][text], 1e-6
    )


def slopes_hold(text: str, values: Any, run: Any, order: int) -> None:
    _, leaves = record.evaluated(ad, text, "float64")
    x = ad.tensor(values)
    x = x.double() if x.is_floating_point() else x

    def of(*parameters: Any) -> Any:
        ad.manual_seed(5)
        symmetric = [(p + p.mT) / 2 if record.MATRIX in text and p.dim() == 2 else p
                     for p in parameters]  # fmt: skip
        d, _ = record.evaluated(ad, text, "float64", symmetric)
        return run(d, x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dist.Distribution.set_default_validate_args(False)
        try:
            assert ad.gradcheck(of, leaves)
            assert order == 1 or ad.gradgradcheck(of, leaves)
        finally:
            dist.Distribution.set_default_validate_args(True)


@pytest.mark.parametrize("text", VALUES)
def test_log_prob_has_the_slopes_of_differences(text: str) -> None:
    order = 1 if "Laplace" in text else 2
    slopes_hold(text, VALUES[text], lambda d, x: d.log_prob(x), order)


DRAWN = [
    t
    for t in VALUES
    if GOLDEN["facts"][t]["drawn"] != "missing" and t not in record.IMPLICIT
    if "StraightThrough" not in t  # whose slopes are those of its probabilities
]


@pytest.mark.parametrize("text", DRAWN)
def test_rsample_has_the_slopes_of_differences(text: str) -> None:
    slopes_hold(text, VALUES[text], lambda d, x: d.rsample((2,)), 1)


@pytest.mark.parametrize(("a", "x", "slope"), GOLDEN["gamma_slopes"])
def test_the_slope_of_a_gamma_number_keeps_its_probability(
    a: float, x: float, slope: float
) -> None:
    known = types.SimpleNamespace(saved_tensors=(double(a), double(x)))
    assert math.isclose(StandardGamma.backward(known, double(1.0)).item(), slope, rel_tol=1e-6)


@pytest.mark.parametrize("a", [1e-3, 0.05, 1.0, 7.0, 1e3, 1e7])
def test_the_slope_of_a_share_keeps_its_probability(a: float) -> None:
    """Less than x has the probability x^a of Beta(a, 1), and 1 - (1 - x)^b of Beta(1, b)."""
    p = double([1e-9, 1e-3, 0.3, 0.7, 0.999, 1 - 1e-9])
    x = p ** (1 / a)
    x = x[(x > 1e-300) & (x < 1)]
    one = ad.ones_like(x)
    for place, c in enumerate((ad.stack([one * a, one], -1), ad.stack([one, one * a], -1))):
        shares = ad.stack([x, 1 - x] if place == 0 else [1 - x, x], -1)
        known = types.SimpleNamespace(saved_tensors=(c, shares))
        got = Shares.backward(known, ad.tensor([1.0, 0.0], dtype=ad.float64).expand(c.shape))
        want = -x * x.log() / a * (1 - 2 * place)
        assert ad.allclose(got[:, place], want, rtol=1e-6, atol=0)


def test_slopes_of_shares_are_those_of_their_means() -> None:
    c = double([0.5, 2.0, 1.5]).requires_grad_()
    x = dist.Dirichlet(c).rsample((4000,))
    (slopes,) = ad.autograd.grad(x[:, 0].mean(), c)
    (expected,) = ad.autograd.grad(dist.Dirichlet(c).mean[0], c)
    assert ad.allclose(slopes, expected, rtol=0.1, atol=0.01)
    p = double(3.0).requires_grad_()
    (slope,) = ad.autograd.grad(dist.Beta(p, 2.0).rsample((4000,)).mean(), p)
    assert math.isclose(slope.item(), 2 / 25, rel_tol=0.1)


def test_no_distribution_is_of_a_negative_count() -> None:
    with pytest.raises(ValueError, match=r"total_count .* but found -1"):
        dist.Multinomial(-1, double([0.5, 0.5]))
    assert dist.Multinomial(-1, double([0.5, 0.5]), validate_args=False).total_count == -1


def test_the_divergence_of_wisharts_has_slopes() -> None:
    """PyTorch's has none in the first of them, and another value for a batch."""

    def divergence(*given: Any) -> Any:
        return dist.kl_divergence(dist.Wishart(*given[:2]), dist.Wishart(*given[2:]))

    v, w = double([[2.0, 0.5], [0.5, 1.0]]), double([[1.0, 0.25], [0.25, 3.0]])
    got = divergence(double([4.0, 2.5]), v, double(2.5), w)
    assert math.isclose(got[0].item(), 1.8134206297221434, rel_tol=1e-12)
    assert got[1] == divergence(double(2.5), v, double(2.5), w)
    factors = [x.clone().requires_grad_() for x in (double(4.0), v, double(2.5), w)]
    assert ad.gradcheck(lambda a, m, b, k: divergence(a, m @ m.mT, b, k @ k.mT), factors)


def test_slopes_of_matrices_are_those_of_their_means() -> None:
    df, v = double(4.0).requires_grad_(), double([[2.0, 0.5], [0.5, 1.0]]).requires_grad_()
    x = dist.Wishart(df, v).rsample((4000,))
    slopes = ad.autograd.grad(x.mean(0).sum(), [df, v])
    for slope, expected in zip(slopes, (v.sum(), df.expand(2, 2)), strict=True):
        assert ad.allclose(slope, expected, rtol=0.1)


def double(value: Any) -> Any:
    return ad.tensor(value, dtype=ad.float64)


def loss_of(mean: Any, log_std: Any, logits: Any, x: Any) -> Any:
    """The loss of a variational model, with what a policy draws."""
    q = dist.Normal(mean, log_std.exp())
    z = q.rsample()
    action = dist.Categorical(logits=logits)
    chosen = action.sample()
    loss = dist.kl_divergence(q, dist.Normal(0.0, 1.0)).sum() - action.log_prob(chosen).sum()
    whole = dist.Independent(dist.Bernoulli(logits=z), 1)
    return loss - whole.log_prob(x).sum() - action.entropy().mean()


def test_a_compiled_step_is_the_eager_one() -> None:
    shapes = [(3, 4), (3, 4), (3, 5)]
    leaves = [ad.randn(shape).requires_grad_() for shape in shapes]
    copies = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    x = ad.bernoulli(ad.full((3, 4), 0.5))

    @ad.compile(fullgraph=True)
    def step() -> Any:
        loss = loss_of(*leaves, x)
        loss.backward()
        return loss

    ad.manual_seed(1)
    compiled = [step().item() for _ in range(3)]
    ad.manual_seed(1)
    eager = []
    for _ in range(3):
        loss = loss_of(*copies, x)
        loss.backward()
        eager.append(loss.item())
    assert compiled == eager
    assert len(set(eager)) == 3, "each draws anew"
    assert all(ad.equal(a.grad, b.grad) for a, b in zip(leaves, copies, strict=True))


def test_formulas_map_over_a_batch() -> None:
    means, x = ad.tensor([0.0, 1.0, 2.0]), ad.tensor([0.5, 1.5])
    mapped = func.vmap(lambda m: dist.Normal(m, 2.0).log_prob(x))(means)
    assert ad.equal(mapped, dist.Normal(means.unsqueeze(-1), 2.0).log_prob(x))
    with pytest.raises(ValueError, match="to satisfy the constraint"):
        func.vmap(lambda scale: dist.Normal(0.0, scale).log_prob(x))(means - 1)


@pytest.mark.parametrize("name", ["Cauchy", "Gumbel", "Laplace", "LogNormal", "Normal", "Uniform"])
def test_parameters_of_no_dimensions_give_their_dtype(name: str) -> None:
    d = getattr(dist, name)(*ad.tensor([0.25, 2.0], dtype=ad.float64))
    x = ad.tensor([0.5, 0.75], dtype=ad.float64)
    for found in (d.log_prob(x), d.cdf(x), d.icdf(x), d.entropy()):
        assert found.dtype is ad.float64


def test_half_floats_draw_and_tell_in_their_dtype() -> None:
    d = dist.Normal(ad.zeros(3, dtype=ad.bfloat16), ad.ones(3, dtype=ad.bfloat16))
    assert d.rsample().dtype == d.log_prob(d.mean).dtype == d.entropy().dtype == ad.bfloat16


@pytest.mark.parametrize("again", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_a_copy_says_the_same(again: Any) -> None:
    base = dist.Normal(ad.tensor([0.5, 1.0]), 2.0)
    d = dist.TransformedDistribution(base, [dist.TanhTransform()])
    x = ad.tensor([0.5, -0.5])
    assert ad.equal(again(d).log_prob(x), d.log_prob(x))


def test_a_cache_gives_back_what_rounding_lost() -> None:
    x = ad.tensor([30.0, -2.0])
    cached, forgetful = dist.TanhTransform(cache_size=1), dist.TanhTransform()
    assert cached.inv(cached(x)) is x
    assert forgetful.inv(forgetful(x))[0] == math.inf
    chain = dist.ComposeTransform([forgetful, dist.AffineTransform(1.0, 2.0)], cache_size=1)
    y = chain(x)
    assert chain.inv(y) is x
    assert dist.TransformedDistribution(dist.Normal(0.0, 1.0), chain).log_prob(y).isfinite().all()


def test_the_slope_of_a_chain_is_that_of_its_parts() -> None:
    chain = dist.ComposeTransform([dist.TanhTransform(), dist.AffineTransform(1.0, -2.0)])
    x = ad.tensor([0.3, -1.0], dtype=ad.float64, requires_grad=True)
    y = chain(x)
    (slope,) = ad.autograd.grad(y.sum(), x)
    assert ad.allclose(chain.log_abs_det_jacobian(x, y), slope.abs().log())
    assert ad.allclose(chain.inv.log_abs_det_jacobian(y, x), -slope.abs().log())


class Mine(dist.Normal):
    """A subclass that is expanded and compared as what it is of."""

    def __init__(self, loc: Any) -> None:
        super().__init__(loc, 1.0)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return super().expand(batch_shape, self.__new__(Mine))


class Plain(dist.Normal):
    def __init__(self, loc: Any) -> None:
        super().__init__(loc, 1.0)


def test_a_subclass_expands_itself() -> None:
    d = Mine(ad.tensor(2.0)).expand((3,))
    assert type(d) is Mine
    assert d.loc.tolist() == [2.0] * 3
    assert d.batch_shape == (3,)
    with pytest.raises(NotImplementedError, match="must also define a custom"):
        Plain(0.0).expand((2,))


def test_the_nearest_divergence_is_taken() -> None:
    assert dist.kl_divergence(Mine(1.0), dist.Normal(0.0, 1.0)).item() == 0.5
    before = dict(dist.kl._KL)
    try:
        dist.register_kl(Mine, dist.Normal)(lambda p, q: "left")
        dist.register_kl(dist.Normal, Mine)(lambda p, q: "right")
        assert dist.kl_divergence(Mine(1.0), dist.Normal(0.0, 1.0)) == "left"
        with pytest.warns(RuntimeWarning, match=r"Please register_kl\(Mine, Mine\)"):
            assert dist.kl_divergence(Mine(1.0), Mine(0.0)) == "left"
    finally:
        dist.kl._KL.clear()
        dist.kl._KL.update(before)
        dist.kl._nearest.cache_clear()
    with pytest.raises(TypeError, match="Expected type_p to be a Distribution subclass"):
        dist.register_kl(3, dist.Normal)  # type: ignore[arg-type]


def test_constraints_of_which_there_is_no_transform_are_refused() -> None:
    for to, of in ((dist.biject_to, "positive_definite"), (dist.transform_to, "boolean")):
        with pytest.raises(NotImplementedError, match="Cannot transform"):
            to(getattr(dist.constraints, of))


@pytest.mark.parametrize("name", ["Cat", "Stack"])
def test_parts_without_a_transform_each_are_refused(name: str) -> None:
    parts = [dist.ExpTransform(), dist.TanhTransform()]
    with pytest.raises(AssertionError, match=name):
        getattr(dist, f"{name}Transform")(parts)(ad.zeros(3))
    with pytest.raises(AssertionError, match="one for each"):
        dist.CatTransform(parts, lengths=[1])
    with pytest.raises(AssertionError, match="is of transforms, not 3"):
        getattr(dist, f"{name}Transform")([3])
    with pytest.raises(AssertionError, match="one for each"):
        dist.constraints.cat([dist.constraints.real], lengths=[1, 2])


@pytest.mark.parametrize("text", VALUES)
def test_what_was_asked_before_is_expanded_too(text: str) -> None:
    d, _ = record.evaluated(ad, text, record.dtype_of(text))
    shape = (2, *d.batch_shape)
    fresh = d.expand(shape)
    names = ("mean", "variance", "covariance_matrix", "precision_matrix", "logits", "probs")
    for name in names:
        record.told(lambda name=name: getattr(d, name))
    asked = d.expand(shape)
    for name in names:
        got, want = (record.told(lambda e=e, name=name: getattr(e, name)) for e in (asked, fresh))
        assert agrees(got, want, 1e-9)


def test_binomial_draws_follow_their_probabilities() -> None:
    """By waiting, by rejection, and from the other side."""
    for n, p in ((5.0, 0.3), (60.0, 0.4), (60.0, 0.7)):
        d = dist.Binomial(n, ad.tensor(p, dtype=ad.float64))
        x = d.sample((2000,))
        counts = [(x == k).sum().item() for k in range(int(n) + 1)]
        expected = (d.log_prob(d.enumerate_support()).exp() * 2000).tolist()
        chi = sum((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True) if e > 5)
        cells = sum(e > 5 for e in expected)
        assert chi < cells + 5 * math.sqrt(2 * cells)


@pytest.mark.parametrize("text", [text for text in VALUES if not text.startswith("Wishart")])
def test_a_density_is_recorded_with_what_it_checks(text: str) -> None:
    """Checks look at no value, but for Wishart's of its degrees of freedom, which it tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        d, leaves = record.evaluated(ad, text, record.dtype_of(text))
        try:
            value = d.sample()
            wanted = d.log_prob(value)
        except NotImplementedError:
            return
    xs = [x.detach() for x in leaves]

    def density(*xs: Any) -> Any:
        return record.evaluated(ad, text, record.dtype_of(text), xs)[0].log_prob(value)

    compiled = ad.compile(density, fullgraph=True)
    for _ in range(3):
        assert compiled(*xs).tolist() == wanted.tolist()


def test_binomial_draws_of_many_trials_are_as_normal_ones() -> None:
    """Where logs of factorials have no digits left to tell one number from another by."""
    for n, p in ((1e15, 0.3), (1e16, 0.5), (1e17, 1e-3), (1e20, 0.7)):
        x = dist.Binomial(n, ad.tensor(p, dtype=ad.float64)).sample((4000,))
        z = (x - n * p) / math.sqrt(n * p * (1 - p))
        assert abs(z.mean().item()) < 5 / math.sqrt(4000)
        assert abs(z.var().item() - 1) < 5 * math.sqrt(2 / 4000)


@pytest.mark.parametrize("text", VALUES)
def test_entropy_of_a_family_is_what_its_normalizer_tells(text: str) -> None:
    d, _ = record.evaluated(ad, text, "float64")
    if isinstance(d, dist.ExponentialFamily) and not isinstance(d, dist.Poisson):
        if any(name in text for name in ("Beta", "Dirichlet")):
            with pytest.raises(NotImplementedError):  # as the mean of k is left open
                dist.ExponentialFamily.entropy(d)
            return
        told = dist.ExponentialFamily.entropy(d)
        assert told.shape == d.batch_shape
        assert ad.allclose(told, d.entropy(), rtol=1e-6, atol=1e-6)


def test_which_are_exponential_families() -> None:
    kinds = [getattr(dist, name) for name in dist.__all__]
    families = {
        kind.__name__
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, dist.ExponentialFamily)
    }
    assert families == {
        *("Bernoulli", "Beta", "Chi2", "ContinuousBernoulli", "Dirichlet", "Exponential"),
        *("ExponentialFamily", "Gamma", "Normal", "Poisson", "Wishart"),
    }


def test_a_users_distribution_expands_as_pytorchs_do() -> None:
    class Diagonal(ad.distributions.Independent):
        def __init__(self, loc: ad.Tensor) -> None:
            super().__init__(ad.distributions.Normal(loc, 1.0), 1)

        def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
            new = self._get_checked_instance(Diagonal, _instance)
            return super().expand(batch_shape, new)

    class Further(Diagonal):
        def __init__(self) -> None:
            super().__init__(ad.zeros(3))

    wide = Diagonal(ad.arange(3.0)).expand([2])
    assert (type(wide), wide.batch_shape, wide.event_shape) == (Diagonal, (2,), (3,))
    assert wide.mean.tolist() == [[0.0, 1.0, 2.0]] * 2
    with pytest.raises(NotImplementedError, match="Subclass Further of Diagonal"):
        Further().expand([2])
