"""Hooks, custom functions and inference mode: PyTorch's results, and what is ours to promise."""

from __future__ import annotations

import copy
import functools
import gc
import json
import pickle
import weakref
from typing import Any

import pytest
from golden.record_hooks import GOLDEN, PROGRAMS, outcome
from nested import alike

import autodiff as ad
from autodiff import anomaly
from autodiff.autograd import Function
from autodiff.autograd.function import once_differentiable
from autodiff.hooks import HookDict, RemovableHandle, add_hook, hooks_now

RECORDED = json.loads(GOLDEN.read_text())["programs"]


@pytest.fixture(autouse=True)
def _lines_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anomaly.lines, "left", anomaly.FIRST)


def leaf(*values: float) -> ad.Tensor:
    return ad.tensor(values, dtype=ad.float64, requires_grad=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_as_pytorch(name: str) -> None:
    assert alike(json.loads(json.dumps(outcome(ad, name))), RECORDED[name], rel=1e-6)


def test_every_recorded_program_is_there() -> None:
    assert set(RECORDED) == set(PROGRAMS)


# ---- hooks ----


def test_hooks_die_with_their_node() -> None:
    gc.collect()  # those that other tests left
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g: g)
    node = weakref.ref(y.grad_fn)
    before = len(hooks_now())
    del y
    gc.collect()
    assert node() is None
    assert len(hooks_now()) == before - 1


@pytest.mark.parametrize("register", ["tensor", "leaf", "node", "before", "accumulated"])
def test_hooks_that_refer_to_their_tensor_die_with_it(register: str) -> None:
    def made() -> weakref.ref[Any]:
        x = leaf(1.0)
        y = x * 2
        add = {
            "tensor": y.register_hook,
            "leaf": x.register_hook,
            "node": y.grad_fn.register_hook,
            "before": y.grad_fn.register_prehook,
            "accumulated": x.register_post_accumulate_grad_hook,
        }[register]
        add(lambda *_: print(x, y))
        return weakref.ref(y.grad_fn)

    node = made()
    gc.collect()
    assert node() is None


def test_retaining_makes_no_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        y = leaf(1.0) * 2
        y.retain_grad()
        alive = weakref.ref(y)
        (y * y).backward()
        del y
        assert alive() is None
    finally:
        gc.enable()


WRITES: list[Any] = [
    lambda y, view: y.mul_(2),
    lambda y, view: y[0].mul_(2),
    lambda y, view: view.t().mul_(2),
    lambda y, view: y.mul_(2).unsqueeze_(0).squeeze_(),
]


@pytest.mark.parametrize("write", WRITES)
def test_what_is_retained_is_the_gradient_of_the_value_that_was_written(write: Any) -> None:
    x = leaf(1.0, 2.0)
    y = x.expand(2, 2) * 1
    view = y[:]
    y.retain_grad()
    view.retain_grad()
    write(y, view)
    want = 2 * 8.0 * 2 if write is not WRITES[1] else 2 * 8.0 + 8.0
    assert y.retains_grad
    assert view.retains_grad
    (3 * y + 5 * view).sum().backward()
    assert y.grad is not None
    assert view.grad is not None
    assert set(y.grad.view(-1).tolist()) == {8.0}
    assert set(view.grad.view(-1).tolist()) == {5.0}
    assert x.grad is not None
    assert x.grad.tolist() == [want, want]


def test_hooks_of_gradients_that_nobody_asked_for_are_not_called() -> None:
    x, w, v = leaf(1.0), leaf(2.0), leaf(3.0)
    called = []
    y = w * v
    for name, t in {"x": x, "w": w, "y": y}.items():
        t.register_hook(lambda g, name=name: called.append(name))
    z = x * y
    ad.autograd.grad(z, x, retain_graph=True)
    assert called == ["x"]
    ad.autograd.grad(z, v, retain_graph=True)
    assert called == ["x", "y"]
    z.backward(inputs=[w])
    assert called == ["x", "y", "y", "w"]


PRODUCTS: dict[str, Any] = {
    "matmul": (lambda x, w: x @ w, (3, 3), (3, 3)),
    "mv": (lambda x, w: x @ w, (3, 3), (3,)),
    "linear": (lambda x, w: ad.nn.functional.linear(x, w, w[0]), (2, 3), (3, 3)),
    "conv2d": (ad.nn.functional.conv2d, (1, 2, 4, 4), (2, 2, 3, 3)),
    "conv_transpose2d": (ad.nn.functional.conv_transpose2d, (1, 2, 4, 4), (2, 2, 3, 3)),
}


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("name", PRODUCTS)
def test_of_two_products_the_one_that_nobody_asked_for_is_not_made(name: str, create: bool) -> None:
    function, *shapes = PRODUCTS[name]
    inputs = [ad.rand(shape, requires_grad=True) for shape in shapes]
    y = function(*inputs)
    sent: list[list[bool]] = []
    y.grad_fn.register_hook(lambda gi, go: sent.append([g is not None for g in gi[:2]]))
    g = ad.rand(y.shape)
    both = ad.autograd.grad(y, inputs, g, retain_graph=True, create_graph=create)
    for i, x in enumerate(inputs):
        (one,) = ad.autograd.grad(y, x, g, retain_graph=True, create_graph=create)
        assert one.equal(both[i])
        if create:  # what was not asked for is still what the gradient depends on
            (second,) = ad.autograd.grad(one.sum(), inputs[1 - i])
            assert second.abs().sum() > 0
    assert sent == [[True, True], [True, False], [False, True]]


def test_hook_wants_what_it_was_given() -> None:
    y = leaf(1.0, 2.0) * 2
    y.register_hook(lambda g: ad.ones(3, dtype=ad.float64))
    with pytest.raises(
        RuntimeError, match=r"has changed the size of value \(was \[2\] got \[3\]\)"
    ):
        y.sum().backward()


def test_a_hook_is_worded_only_where_it_fails() -> None:
    """The text of a `partial` has that of all it holds: the values of a large mask."""

    class Mask:
        def __repr__(self) -> str:
            raise AssertionError("nobody asked")

        def __call__(self, g: ad.Tensor) -> ad.Tensor:
            return g * 0

    x = leaf(1.0)
    x.register_hook(Mask())
    (x * x).backward()
    assert x.grad is not None
    assert x.grad.item() == 0
    x.register_hook(functools.partial(lambda g: g.float()))
    with pytest.raises(RuntimeError, match=r"hook 'functools.partial\(.* has changed the type"):
        (x * x).backward()


def test_gradient_of_a_tensor_that_keeps_none_warns() -> None:
    with pytest.warns(UserWarning, match="not a leaf Tensor"):
        assert (leaf(1.0) * 2).grad is None


def test_failed_hook_leaves_the_rest_usable() -> None:
    x = leaf(1.0)
    handle = x.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (x * 2).backward()
    handle.remove()
    (x * 2).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0]


def test_handles() -> None:
    hooks = HookDict()
    add_hook(hooks, len)
    handle = add_hook(hooks, repr, first=True)
    assert list(hooks.values()) == [repr, len]
    held: RemovableHandle = pickle.loads(pickle.dumps(handle))
    assert held.id == handle.id
    held.remove()
    assert len(hooks) == 2  # the copy's hooks are a copy
    copy.copy(handle).remove()
    assert list(hooks.values()) == [len]
    del hooks
    handle.remove()


# ---- Function ----


class Polynomial(Function):
    """x, y -> x^2 y, x y^3."""

    @staticmethod
    def forward(ctx: Any, x: ad.Tensor, y: ad.Tensor) -> Any:
        first = x * x * y
        ctx.save_for_backward(x, y, first)
        return first, x * y * y * y

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor, h: ad.Tensor) -> Any:
        x, y, first = ctx.saved_tensors
        gy = g * first / y + 3 * h * x * y * y
        return 2 * g * x * y + h * y * y * y, gy


def test_derivatives_of_several_outputs() -> None:
    x, y = leaf(0.5, -1.0), leaf(1.5, 2.0)
    assert ad.gradcheck(Polynomial.apply, (x, y))
    assert ad.gradgradcheck(Polynomial.apply, (x, y))


def test_a_function_makes_no_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        x, y = leaf(1.0), leaf(2.0)
        a, b = Polynomial.apply(x, y)
        alive = weakref.ref(a.grad_fn)
        del a, b
        assert alive() is None
    finally:
        gc.enable()


def test_saved_tensors_are_let_go_by_backward() -> None:
    middle = leaf(1.0) * 2
    a, b = Polynomial.apply(middle, leaf(2.0))
    alive = weakref.ref(middle)
    del middle
    (a + b).sum().backward()
    assert alive() is None


def test_a_wrong_backward_is_found() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            return x * x

        @staticmethod
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            return g

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        ad.gradcheck(Wrong.apply, leaf(2.0))


def test_gradients_that_do_not_fit_are_named() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            return ad.ones(5)

    with pytest.raises(RuntimeError, match=r"WrongBackward .* index 0 - got \[5\] .* with \[2\]"):
        Wrong.apply(leaf(1.0, 2.0)).sum().backward()


def test_once_differentiable_fails_where_a_second_derivative_is_taken() -> None:
    class Square(Function):
        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = leaf(3.0)
    (g,) = ad.autograd.grad((Square.apply(x) ** 2).sum(), x, create_graph=True)
    assert g.tolist() == [108.0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_a_failing_forward_restores_the_grad_mode() -> None:
    class Fails(Function):
        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        Fails.apply(leaf(1.0))
    assert ad.is_grad_enabled()


def test_a_view_whose_backward_a_write_would_override_can_be_looked_at() -> None:
    class Flat(ad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            return x.view(-1)

        @staticmethod
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            return g

    x = leaf(1.0, 2.0) * 1
    y = Flat.apply(x)
    x.mul_(2)
    assert y.requires_grad
    with pytest.warns(UserWarning, match="not a leaf"):
        assert y.grad is None
    assert repr(y) == "tensor([2., 4.], dtype=torch.float64, grad_fn=<Invalid>)"
    with pytest.raises(RuntimeError, match="has been modified inplace"):
        y.sum()


# ---- inference mode ----


def test_inference_mode_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), ad.inference_mode():
        raise KeyError
    assert not ad.is_inference_mode_enabled()
    assert ad.is_grad_enabled()
    assert not ad.ones(1).is_inference()


def test_inference_mode_is_one_threads() -> None:
    import threading

    found: list[bool] = []
    with ad.inference_mode():
        thread = threading.Thread(target=lambda: found.append(ad.ones(1).is_inference()))
        thread.start()
        thread.join()
    assert found == [False]


def test_inference_mode_changes_no_tensor_from_before_into_one_of_its_own() -> None:
    x, grown, out = leaf(1.0, 2.0), ad.zeros(2), ad.zeros(0)
    y = x * 2
    with ad.inference_mode():
        y.unsqueeze_(0)
        grown.resize_(5)
        ad.add(ad.ones(3), 1, out=out)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 2.0]
    assert not grown.is_inference()
    assert out.mul_(2).tolist() == [4.0, 4.0, 4.0]


# ---- what a node saved was written to ----


def test_overwritten_names_both_operations() -> None:
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(
        RuntimeError,
        match=r"ExpBackward0 \(recorded at .*test_hooks.py:\d+, in test_overwritten_names_both_"
        r"operations\) saved Double\[2\] at version 1, last written by mul_",
    ):
        y.sum().backward()


@pytest.mark.parametrize(
    "call",
    [
        lambda y: y * y,
        lambda y: y.exp(),
        lambda y: ad.mul(y, y),
        lambda y: ad.nn.functional.gelu(y),
        lambda y: y @ y,
        lambda y: y.prod(),
        lambda y: ad.addcmul(y, y, y),
    ],
)
def test_overwritten_names_the_line(call: Any) -> None:
    y = leaf(1.0, 2.0) * 1
    z = call(y)
    y.add_(1)
    z.detach().add_(1)
    line = call.__code__.co_firstlineno
    with pytest.raises(RuntimeError, match=rf"recorded at .*test_hooks.py:{line}, in <lambda>"):
        z.sum().backward()


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda y: y.zero_(), "copy_"),
        (lambda y: y.detach().uniform_(), "a random fill"),
        (lambda y: y.detach().index_put_((ad.tensor([0]),), ad.zeros(1, dtype=y.dtype)), "index"),
        (lambda y: y.detach()[0].sub_(1), "sub_"),
    ],
)
def test_overwritten_names_the_writer(write: Any, name: str) -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    z = y * y
    write(y)
    with pytest.raises(RuntimeError, match=f"last written by {name}"):
        z.sum().backward()


def test_lines_are_kept_for_the_first_operations_and_in_anomaly_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(anomaly.lines, "left", 2)

    def broken(y: ad.Tensor) -> ad.Tensor:
        z = y * y
        y.detach().add_(1)
        return z.sum()

    first, second = broken(leaf(1.0) * 1), broken(leaf(1.0) * 1)
    with ad.autograd.detect_anomaly():
        third = broken(leaf(1.0) * 1)
    fourth = broken(leaf(1.0) * 1)
    for z, words in [
        (first, "recorded at"),
        (second, "detect_anomaly"),
        (third, "recorded at"),
        (fourth, "detect_anomaly"),
    ]:
        with pytest.raises(RuntimeError, match=words):
            z.backward()


def test_remembering_lines_keeps_no_variables_alive() -> None:
    def forward() -> tuple[ad.Tensor, Any]:
        local = leaf(5.0)
        return leaf(1.0) * leaf(2.0), weakref.ref(local)

    y, local = forward()
    assert local() is None
    assert y.grad_fn.code.co_name == "forward"


def test_anomaly_mode_names_where_a_nan_comes_from() -> None:
    x = leaf(0.0)
    with ad.autograd.set_detect_anomaly(True):
        assert ad.autograd.is_anomaly_enabled()
        y = (x * 0).sqrt() * 0
        with pytest.raises(
            RuntimeError, match=r"'SqrtBackward0' \(recorded .*\) returned nan .*0th"
        ):
            y.backward()
        with ad.autograd.detect_anomaly(check_nan=False):
            ((x * 0).sqrt() * 0).backward()
        assert ad.autograd.is_anomaly_check_nan_enabled()
    assert not ad.autograd.is_anomaly_enabled()
    assert x.grad is not None
    assert x.grad.isnan().all()


def test_overwritten_by_an_optimizer() -> None:
    model = ad.nn.Linear(2, 1)
    hidden = model(ad.ones(1, 2, requires_grad=True))
    loss = hidden.sum()
    loss.backward(retain_graph=True)
    ad.optim.SGD(model.parameters(), lr=0.1).step()
    with pytest.raises(RuntimeError, match="last written by an optimizer's step"):
        loss.backward()
