"""What vmap does besides running operations: random numbers, shared tensors, errors, its end."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from golden.record_func import leaves

import autodiff as ad
from autodiff import func, nn
from autodiff.autograd import functional
from autodiff.func import dispatch, looking
from autodiff.func.batched import levels
from autodiff.nn.functional import dropout, linear, mse_loss

vmap = func.vmap
X = leaves(ad)[0]


def equal(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype is b.dtype and bool((a == b).all())


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: x + ad.rand(4),
        lambda x: ad.randn(2, dtype=ad.float64) * x[0],
        lambda x: ad.rand_like(x),
        lambda x: x.clone().normal_(),
        lambda x: dropout(x.exp(), 0.5),
        lambda x: ad.bernoulli(x.sigmoid()),
        lambda x: ad.randperm(5),
        lambda x: ad.randint(0, 1000, (3,)),
    ],
)
def test_randomness(draw: Any) -> None:
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(draw)(X)
    rows = ad.stack([X[0]] * 40)
    ad.manual_seed(1)
    same = vmap(draw, randomness="same")(rows)
    assert all(equal(row, same[0]) for row in same)
    ad.manual_seed(1)
    assert equal(same[0], draw(rows[0])), "of all samples, the numbers that one call draws"
    different = vmap(draw, randomness="different")(rows)
    assert any(not equal(row, different[0]) for row in different)
    assert different.shape == same.shape


def test_randomness_of_nested_batches() -> None:
    inner = vmap(lambda x: ad.rand(()), randomness="different")
    found = vmap(lambda row: inner(row), randomness="same")(X)
    assert equal(found[0], found[1])
    assert len(set(found[0].tolist())) == 4
    across = vmap(lambda row: vmap(lambda x: ad.rand(()), randomness="same")(row),
                  randomness="different")(X)  # fmt: skip
    assert len(set(across[:, 0].tolist())) == 3
    assert equal(across[:, 0], across[:, 1])
    with pytest.raises(RuntimeError, match="one for all"):
        vmap(lambda x: ad.zeros(2).uniform_(), randomness="different")(X)


def test_operations_are_themselves_again() -> None:
    """Also after an error, and however the function was imported."""
    before = linear.__code__, ad.ops.base.Op.__call__, ad.reshape.__code__

    def look(x: ad.Tensor) -> ad.Tensor:
        assert linear.__code__ is not before[0]
        return linear(x, ad.ones(2, 4, dtype=x.dtype))

    assert vmap(look)(X).shape == (3, 2)
    with pytest.raises(ZeroDivisionError):
        vmap(lambda x: x / (1 // 0))(X)
    assert (linear.__code__, ad.ops.base.Op.__call__, ad.reshape.__code__) == before
    assert not levels.stack


def test_what_runs_as_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model and its losses: no operation of them runs sample by sample."""
    net = nn.Sequential(
        nn.Linear(4, 5), nn.GELU(), nn.LayerNorm(5), nn.Linear(5, 3), nn.Softmax(-1)
    )
    p = {name: x.detach() for name, x in net.named_parameters()}
    x, t = X.to(ad.float32), ad.tensor([0, 2, 1])

    def losses(p: Any, x: ad.Tensor, t: ad.Tensor) -> ad.Tensor:
        y = func.functional_call(net, p, (x,))
        row = y.unsqueeze(0)
        return nn.functional.cross_entropy(row, t.unsqueeze(0)) + mse_loss(y, y.detach() * 2)

    calls = []
    original = dispatch.one_by_one
    for module in (dispatch, looking):
        monkeypatch.setattr(
            module, "one_by_one", lambda name, *rest: calls.append(name) or original(name, *rest)
        )
    found = vmap(func.grad(losses), in_dims=(None, 0, 0))(p, x, t)
    func.vmap(func.hessian(lambda x: (x.exp() * x.sum()).mean()))(x)
    func.jacrev(net)(x)
    monkeypatch.undo()
    assert not calls
    for i in range(3):
        one = func.grad(losses)(p, x[i], t[i])
        for name, g in one.items():
            assert ad.allclose(found[name][i], g, rtol=1e-4, atol=1e-6), name


def test_an_operation_without_a_rule_runs_one_by_one() -> None:
    found = vmap(lambda x, i: x.index_select(0, i))(X, ad.tensor([[0, 1], [1, 3], [2, 2]]))
    assert equal(found[1], X[1][[1, 3]])
    assert equal(vmap(lambda x: x.reshape(2, 2).as_strided((2,), (1,)))(X), X[:, :2])


class Square(ad.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: ad.Tensor) -> Any:
        ctx.save_for_backward(x)
        return x * x, x + 1

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor, h: ad.Tensor) -> ad.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * g * x + h


def test_functions_of_users_run_one_by_one() -> None:
    assert equal(vmap(Square.apply)(X)[0], X * X)
    assert equal(vmap(func.grad(lambda x: Square.apply(x)[0].sum()))(X), 2 * X)
    assert equal(func.jacrev(lambda x: Square.apply(x)[0])(X[0]), (2 * X[0] * ad.eye(4)))


def test_writes_go_through_views() -> None:
    def f(x: ad.Tensor) -> ad.Tensor:
        z = x * 2
        z[1:].neg_()
        z.view(2, 2)[0].zero_()
        return z

    assert equal(vmap(f)(X), ad.stack([f(row) for row in X]))


@pytest.mark.parametrize("nested", [False, True])
def test_views_without_a_rule_are_views(nested: bool, monkeypatch: Any) -> None:
    monkeypatch.delitem(dispatch.OPERATIONS, "select")
    monkeypatch.delitem(dispatch.OPERATIONS, "transpose")

    def f(x: ad.Tensor) -> ad.Tensor:
        z = x.reshape(2, 2) + 0
        z.transpose(0, 1)[1].mul_(x[1:3])
        return z

    if nested:
        both = vmap(vmap(f))(ad.stack([X, X + 1]))
        assert equal(both[1], vmap(f)(X + 1))
    assert equal(vmap(f)(X), ad.stack([f(row) for row in X]))


@pytest.mark.parametrize(
    "f",
    [
        lambda x, i: x[i],
        lambda x, i: x[:, i],
        lambda x, i: x[i, ..., None, i],
        lambda x, i: x[0, i - 3],
        lambda x, i: x[i, [0, 1]],
        lambda x, i: x.select(1, i),
        lambda x, i: x.narrow(0, i, 1),
        lambda x, i: x.roll(i, 0),
        lambda x, i: x.sum(1).log_softmax(0)[i],
        lambda x, i: nn.functional.one_hot(i, 4),
        lambda x, i: func.vmap(lambda row: row[i])(x),
        lambda x, i: func.grad(lambda x: x[i].square().sum())(x),
    ],
)
def test_a_place_of_its_own_for_each_sample(f: Any) -> None:
    x, at = ad.arange(36.0).reshape(3, 3, 4), ad.tensor([0, 2, 1]) % 2
    expected = ad.stack([f(each, i) for each, i in zip(x, at, strict=True)])
    assert equal(vmap(f)(x, at), expected)
    shared = ad.stack([f(x[0], i) for i in at])
    assert equal(vmap(f, (None, 0))(x[0], at), shared)


def test_a_tensor_that_samples_share_is_not_written() -> None:
    index = ad.tensor([2, 0, 1])
    for write in (
        lambda x, y: x.clone().scatter_add_(0, index, y),
        lambda x, y: x.clone().scatter_(0, index, y),
        lambda x, y: x.clone().masked_scatter_(x > 0, y),
        lambda x, y: x.clone().cumsum_(0).clamp_(max=y),
    ):
        with pytest.raises(RuntimeError, match="over a tensor that is one for all of them"):
            func.vmap(write, in_dims=(None, 0))(ad.ones(3), ad.ones(2, 3))


def test_what_transforms_inside_leave_is_not_outside() -> None:
    """A result requires grad where something outside does, and only there."""
    x, y, w = ad.ones(2), ad.ones(2), ad.ones(2, requires_grad=True)
    for inner in (
        lambda x: func.grad(lambda q: (q.sin() * x).sum())(y),
        lambda x: func.jvp(lambda q: q.sin() * x, (y,), (x,))[1],
        lambda x: func.vjp(lambda q: q.sin() * x, y)[1](x)[0],
        lambda x: func.jacfwd(lambda q: q.sin() * x)(y).sum(0),
    ):
        for outer in (func.jacrev, func.jacfwd, lambda f: func.grad(lambda x: f(x).sum())):
            assert not outer(inner)(x).requires_grad
            assert outer(lambda x, f=inner: f(x) * w)(x).requires_grad


def test_a_weight_of_classes_that_all_samples_share() -> None:
    x, target, weight = ad.randn(3, 2, 4), ad.tensor([1, 3]), ad.rand(4)
    loss = ad.nn.functional.cross_entropy
    found = func.vmap(lambda x: loss(x, target, weight=weight))(x)
    assert ad.allclose(found, ad.stack([loss(row, target, weight=weight) for row in x]))


def test_a_batch_of_none() -> None:
    assert vmap(lambda x: (x.exp() @ ad.ones(4, 2, dtype=x.dtype)).sum(0))(X[:0]).shape == (0,)
    assert vmap(func.grad(lambda x: (x * x).sum()))(X[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: x.tolist(), "item"),
        (lambda x: float(x[0]), "__float__"),
        (lambda x: x.numpy(), "numpy"),
        (lambda x: x.sum().backward(), "backward"),
        (lambda x: ad.zeros(4).add_(x), "one for all"),
        (lambda x: ad.zeros(4, dtype=x.dtype).__setitem__(0, x[0]), "one for all"),
        (lambda x: nn.BatchNorm1d(2).double()(x.view(2, 2)), "running_mean"),
        (
            lambda x: nn.InstanceNorm1d(1, track_running_stats=True).double()(x.view(1, 1, 4)),
            "eval",
        ),
        (lambda x: x if x.sum() > 0 else -x, "control flow"),
        (lambda x: ad.nonzero(x), "nonzero"),
        (lambda x: x[x > 0], "dynamic shape"),
        (lambda x: x.masked_select(x > 0), "dynamic shape"),
        (lambda x: ad.autograd.grad((x * W).sum(), W), "their sum"),
        (lambda x: x @ ad.ones(3, 2, dtype=x.dtype), "cannot be multiplied"),
        (lambda x: x.view(3), "invalid for input of size 4"),
    ],
)
def test_errors_name_what_cannot_be(f: Any, text: str) -> None:
    with pytest.raises(RuntimeError, match=text):
        vmap(f)(X)


W = ad.ones(4, dtype=ad.float64, requires_grad=True)


def test_gradients_stop_where_the_graph_does() -> None:
    """A result requires grad only where something outside does."""
    x = X.clone()
    assert not func.grad(lambda a: (a * a).sum())(x).requires_grad
    assert func.grad(lambda a: (a * W).exp().sum())(x).requires_grad
    with ad.no_grad():
        assert not func.grad(lambda a: (a * W).exp().sum())(x).requires_grad
        assert equal(func.grad(lambda a: (a * a).sum())(x), x * 2)
    value, pull = func.vjp(lambda a: a * 2, x)
    assert not value.requires_grad
    assert not pull(x)[0].requires_grad
    assert pull(x.requires_grad_())[0].requires_grad
    assert X.grad is None
    assert W.grad is None


def test_a_batch_norm_that_is_made_to_keep_nothing_can_be_mapped() -> None:
    net = func.replace_all_batch_norm_modules_(nn.Sequential(nn.BatchNorm1d(2).double()))
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    x = X[:4, :4].reshape(-1, 2, 2)
    assert ad.equal(vmap(net)(x), ad.stack([net(each) for each in x]))


def test_a_buffer_set_anew_is_set_in_the_dict() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", ad.zeros(()))

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            self.seen = self.seen + 1
            return x

    model, given = Counter(), {"seen": ad.tensor(5.0)}
    func.functional_call(model, given, (X,))
    assert given["seen"].item() == 6
    assert model.seen.item() == 0
    with pytest.raises(ZeroDivisionError):
        func.functional_call(nn.Sequential(Failing()), {}, (X,))


class Failing(nn.Module):
    def forward(self, x: ad.Tensor) -> ad.Tensor:
        raise ZeroDivisionError


def test_value_and_grad_is_grad_and_value_turned() -> None:
    value, gradient = func.value_and_grad(lambda x: (x * x).sum())(X)
    assert equal(gradient, X * 2)
    assert equal(value, (X * X).sum())
    (value, aux), _ = func.value_and_grad(lambda x: (x.sum(), 7), has_aux=True)(X)
    assert aux == 7


def test_gradients_of_a_dict() -> None:
    x = X.clone().requires_grad_()
    found = ad.autograd.grad((x * W).sum(), {"x": x, "w": W})
    assert equal(found["x"], W.expand(3, 4).detach())
    assert equal(found["w"], X.sum(0))


def test_functional_results_are_detached() -> None:
    x = X.clone().requires_grad_()
    for part in functional.vjp(lambda a: a.sin(), x, X):
        assert not part.requires_grad
    assert not functional.jacobian(lambda a: a.sin(), x).requires_grad
    assert functional.jacobian(lambda a: a.sin(), x, create_graph=True).requires_grad


def test_one_place_for_the_batch_is_not_that_of_two_results() -> None:
    x = ad.arange(6).reshape(2, 3)
    assert vmap(lambda x: x, out_dims=(1,))(x).shape == (3, 2)
    with pytest.raises(ValueError, match="not compatible with the structure"):
        vmap(lambda x: (x, x), out_dims=(1,))(x)


class Product(ad.autograd.Function):
    """x y of arrays, which no batched tensor is."""

    seen: ClassVar[list[tuple[Any, ...]]] = []

    @staticmethod
    def forward(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        return ad.from_numpy(x.detach().numpy() * y.detach().numpy())

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor) -> Any:
        x, y = ctx.saved_tensors
        return Product.apply(g, y), Product.apply(g, x)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: ad.Tensor, y: ad.Tensor) -> Any:
        Product.seen.append((*info, in_dims))
        x, y = (
            a.unsqueeze(-1) if d is None else a.movedim(d, -1)
            for a, d in zip((x, y), in_dims, strict=True)
        )
        return Product.apply(x, y), -1


def test_a_function_brings_its_own_rule() -> None:
    x, y = ad.randn(2, 3), ad.randn(3)
    Product.seen.clear()
    assert (vmap(Product.apply, in_dims=(0, None))(x, y) == x * y).all()
    assert Product.seen == [(2, "error", (0, None))]
    assert (vmap(vmap(Product.apply), randomness="same")(x, x) == x * x).all()
    assert Product.seen[1:] == [(3, "error", (0, 0)), (2, "same", (0, 0))]
    slopes = vmap(func.grad(lambda a: Product.apply(a, y).sum()))(x)
    assert (slopes == y.expand(2, 3)).all()
    assert (func.jacrev(Product.apply)(y, y) == ad.diag(y)).all()


def test_what_rules_of_functions_must_give() -> None:
    x = ad.ones(2, 3)

    def ruled(rule: Any, **more: Any) -> Any:
        return type("Ruled", (Product,), {"vmap": staticmethod(rule), **more}).apply

    alone = ruled(lambda info, in_dims, x, y: (ad.ones(3), None))
    assert (vmap(alone)(x, x) == 1).all()
    pair = ruled(lambda info, in_dims, x, y: ((x, y.T), (0, 1)))
    assert [tuple(each.shape) for each in vmap(pair)(x, x)] == [(2, 3), (2, 3)]
    with pytest.raises(RuntimeError, match="two returns"):
        vmap(ruled(lambda info, in_dims, x, y: x))(x, x)
    with pytest.raises(RuntimeError, match="incompatible"):
        vmap(ruled(lambda info, in_dims, x, y: (x, (0, 0))))(x, x)
    with pytest.raises(RuntimeError, match="ambiguity"):
        vmap(ruled(Product.vmap, generate_vmap_rule=True))(x, x)
    with pytest.raises(NotImplementedError, match="override the vmap staticmethod"):
        ad.autograd.Function.vmap(None, (), x)
    with pytest.raises(NotImplementedError, match="implement the forward function"):
        ad.autograd.Function.apply(x)
    assert not levels.stack
