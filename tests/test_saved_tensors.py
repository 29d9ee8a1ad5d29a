"""Hooks on what is saved for backward, and on several gradients at once."""

from __future__ import annotations

from typing import Any

import pytest

import autodiff as ad
from autodiff import nn
from autodiff.autograd import graph


class Cube(ad.autograd.Function):
    """With an input and an output saved by hand."""

    @staticmethod
    def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
        y = x * x * x
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
        x, y = ctx.saved_tensors
        return g * (2 * x * x + y / x)


def _network(x: ad.Tensor) -> ad.Tensor:
    hidden = ad.nn.functional.layer_norm(x @ x.t(), (2,)).exp().softmax(-1)
    written = hidden.clone()
    written.mul_(x.sum())
    return (written[ad.tensor([1, 0])] * Cube.apply(x.sum())).sum()


def _slopes(x: ad.Tensor) -> list[ad.Tensor]:
    (first,) = ad.autograd.grad(_network(x), x, create_graph=True)
    return [first, *ad.autograd.grad((first * first).sum(), x)]


def _x() -> ad.Tensor:
    return ad.tensor([[1.0, -0.5, 2.0], [0.25, 1.5, -1.0]], dtype=ad.float64, requires_grad=True)


def test_what_is_packed_and_unpacked_gives_the_same_derivatives() -> None:
    packed: list[Any] = []

    def pack(x: ad.Tensor) -> int:
        packed.append((x.tolist(), x.dtype))
        return len(packed) - 1

    def unpack(i: int) -> ad.Tensor:
        values, dtype = packed[i]
        return ad.tensor(values, dtype=dtype).reshape(ad.tensor(values).shape)

    with graph.saved_tensors_hooks(pack, unpack):
        got = _slopes(_x())
    assert len(packed) > 10
    for a, b in zip(got, _slopes(_x()), strict=True):
        assert ad.allclose(a, b, rtol=1e-12)


def test_backward_uses_what_is_unpacked() -> None:
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    with graph.saved_tensors_hooks(lambda x: x, lambda x: 10 * x):
        y = (x * x).sum() + Cube.apply(x[0])
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [20 + 2 * 100 + 1, 40]


@pytest.mark.parametrize(
    "write",
    [
        lambda y, x: y.zero_(),
        lambda y, x: y.mul_(x),
        lambda y, x: y.__setitem__(0, 9.0),
        lambda y, x: y.copy_(x),
        lambda y, x: y.t().sin_(),
    ],
)
def test_what_was_saved_may_be_written_to_when_copies_are(write: Any) -> None:
    x = ad.rand(2, 2, dtype=ad.float64, requires_grad=True)
    saves = (ad.exp, ad.sin, lambda y: y * y, lambda y: y @ y, lambda y: Cube.apply(y))
    for save in saves:
        expected = ad.autograd.grad(save(x.clone()).sum(), x)[0]
        for hooks in (
            graph.allow_mutation_on_saved_tensors(),
            graph.saved_tensors_hooks(lambda x: x.tolist(), lambda x: ad.tensor(x).double()),
        ):
            with hooks:
                y = x.clone()
                z = save(y)
                total = z.sum()
                write(y, x)
                write(z, x)
            got = ad.autograd.grad(total, x)[0]
            assert ad.allclose(got, expected, rtol=1e-5)


def test_hooks_are_innermost_and_gone_afterwards() -> None:
    seen: list[str] = []

    def told(name: str) -> graph.saved_tensors_hooks:
        return graph.saved_tensors_hooks(lambda x: (seen.append(name), x)[1], lambda x: x)

    x = ad.ones(2, requires_grad=True)
    with told("outer"):
        x.exp()
        with told("inner"):
            x.sin()
        x.cos()
    x.tan()
    assert seen == ["outer", "inner", "outer"]


def test_a_graph_is_freed_though_it_was_packed() -> None:
    x = ad.ones(2, requires_grad=True)
    with graph.save_on_cpu():
        y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_a_compiled_function_runs_as_it_is_while_hooks_see_what_is_saved() -> None:
    step = ad.compile(lambda x: (x * x).sum())
    x = ad.ones(2, requires_grad=True)
    for _ in range(4):
        step(x)
    seen: list[ad.Tensor] = []
    with graph.saved_tensors_hooks(lambda x: (seen.append(x), x)[1], lambda x: x):
        step(x)
    assert seen


@pytest.mark.parametrize(
    ("pack", "unpack", "kind", "text"),
    [
        (lambda x: x, lambda x: 5, TypeError, "int"),
        (lambda x: x, lambda x: x[:1], RuntimeError, r"\[2\]"),
        (lambda x: x, lambda x: x.double(), RuntimeError, "float32"),
        (lambda x: x.add_(1), lambda x: x, RuntimeError, "in place"),
    ],
)
def test_wrong_hooks_are_told(pack: Any, unpack: Any, kind: type[Exception], text: str) -> None:
    x = ad.ones(2, requires_grad=True) * 1
    with pytest.raises(kind, match=text):  # noqa: PT012
        with graph.saved_tensors_hooks(pack, unpack):
            y = x.exp()
        y.sum().backward()


def test_hooks_can_be_forbidden() -> None:
    forbidden = graph.disable_saved_tensors_hooks("not here")
    with forbidden, pytest.raises(RuntimeError, match="not here"), graph.save_on_cpu():
        pass
    with graph.save_on_cpu():
        pass


def test_several_gradients_are_told_of_together() -> None:
    a, b, c = (ad.ones(2, requires_grad=True) for _ in range(3))
    seen: list[Any] = []
    handle = graph.register_multi_grad_hook([a, b, c], lambda gs: seen.append(list(gs)))
    (2 * a + 3 * c).sum().backward()
    ad.autograd.grad((a * b).sum(), [b])
    (told,) = [seen[0]]
    assert [None if g is None else g.tolist() for g in told] == [[2, 2], None, [3, 3]]
    assert [None if g is None else g.tolist() for g in seen[1]] == [None, [1, 1], None]
    handle.remove()
    (a + b).sum().backward()
    assert len(seen) == 2
    first: list[Any] = []
    with graph.register_multi_grad_hook([a, b], first.append, mode="any"):
        (a * b).sum().backward()
    assert len(first) == 1
    with pytest.raises(RuntimeError, match="require"):
        graph.register_multi_grad_hook([ad.ones(2)], print)
    with pytest.raises(ValueError, match="some"):
        graph.register_multi_grad_hook([a], print, mode="some")


def test_a_write_can_be_told_of() -> None:
    x = ad.ones(2, requires_grad=True) * 1
    y = x.sin()
    graph.increment_version([x])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_modules_train_alike_under_hooks() -> None:
    nets = []
    for _ in range(2):
        ad.manual_seed(1)
        nets.append(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 2)))
    x = ad.randn(5, 3)
    nets[0](x).square().mean().backward()
    with graph.saved_tensors_hooks(lambda x: x.clone(), lambda x: x):
        loss = nets[1](x).square().mean()
    loss.backward()
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        assert p.grad.tolist() == q.grad.tolist()
