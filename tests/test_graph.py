"""The graph: what backward adds where, and what in-place writes do to it."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from golden.record_graph import GOLDEN, PROGRAMS, leaves, run

import autodiff as ad

RECORDED: dict[str, dict[str, Any]] = json.loads(GOLDEN.read_text())["programs"]


def leaf(*values: float) -> ad.Tensor:
    return ad.tensor(values, dtype=ad.float64, requires_grad=True)


def flat(value: Any) -> Iterator[Any]:
    if not isinstance(value, list):
        yield value
        return
    for item in value:
        yield from flat(item)


# ---- in-place writes through views, against PyTorch and against finite differences ----


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("part", ["result", "first", "second"])
def test_same_as_pytorch(name: str, part: str) -> None:
    got, expected = list(flat(run(ad, name)[part])), list(flat(RECORDED[name][part]))
    assert [v is None for v in got] == [v is None for v in expected]
    for a, b in zip(got, expected, strict=True):
        assert a is None or math.isclose(a, b, rel_tol=1e-10, abs_tol=1e-12)


@pytest.mark.parametrize(
    "name", sorted(set(PROGRAMS) - {"detached_branch", "write_column_then_use_view"})
)
def test_same_as_finite_differences(name: str) -> None:
    assert ad.gradcheck(lambda *xs: PROGRAMS[name](ad, *xs), leaves(ad), atol=1e-6)


# ---- backward ----


def test_backward_adds_to_grad() -> None:
    x = leaf(1, 2)
    (x * x).sum().backward()
    assert x.grad is not None
    first = x.grad
    assert first.tolist() == [2, 4]
    (3 * x).sum().backward()
    assert x.grad is first  # in place, as optimisers that keep the buffer expect
    assert first.tolist() == [5, 7]


def test_equal_gradients_of_leaves_do_not_share_memory() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    (x + y).sum().backward()
    (x + y).sum().backward()
    assert x.grad is not None
    x.grad.mul_(10)
    assert y.grad is not None
    assert y.grad.tolist() == [2, 2]


def test_a_leaf_used_twice_gets_both_cotangents() -> None:
    x = leaf(3)
    y = x * x
    (y * y + x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4 * 27 + 1]


def test_diamonds_of_depth_60_take_60_steps_not_2_to_the_60() -> None:
    x = leaf(1)
    y = x
    for _ in range(60):
        y = y + y
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0**60]


def test_second_backward_needs_retain_graph() -> None:
    x = leaf(2)
    y = x.sin().sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(2 * math.cos(2))
    with pytest.raises(RuntimeError) as raised:
        y.backward()
    text = str(raised.value)
    assert text.startswith("SinBackward0: Trying to backward through the graph a second time")
    assert "Specify retain_graph=True if you need to backward" in text


def test_backward_of_more_than_one_element_needs_a_gradient() -> None:
    x = leaf(1, 2)
    with pytest.raises(
        RuntimeError, match="grad can be implicitly created only for scalar outputs"
    ):
        (x * 2).backward()
    (x * 2).backward(ad.tensor([1.0, 10.0], dtype=ad.float64))
    assert x.grad is not None
    assert x.grad.tolist() == [2, 20]


def test_a_gradient_of_another_shape_is_refused() -> None:
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match="Mismatch in shape: grad_output has a shape of"):
        (x * 2).backward(ad.ones(3, dtype=ad.float64))


def test_backward_of_a_constant_is_refused() -> None:
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        ad.ones(()).backward()


def test_backward_from_a_leaf_sets_its_grad() -> None:
    x = ad.tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad is not None
    assert x.grad.item() == 1


def test_inputs_limits_where_gradients_go() -> None:
    x, y = leaf(2), leaf(5)
    (x * y).sum().backward(inputs=[x])
    assert x.grad is not None
    assert x.grad.tolist() == [5]
    assert y.grad is None


def test_inputs_named_twice_get_their_gradient_once_and_no_leaves_keep_theirs() -> None:
    x = leaf(2, 3)
    y = x * 2
    z = (y * 3).sum()
    z.backward(inputs=[x, y, x, y], retain_graph=True)
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad.tolist(), y.grad.tolist()) == ([6, 6], [3, 3])
    assert y.retains_grad
    z.backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([12, 12], [6, 6])


def test_zeros_in_place_of_no_gradient_are_part_of_a_graph_where_one_is_made() -> None:
    x, y = leaf(2), leaf(3)
    for create in (False, True):
        (g,) = ad.autograd.grad(x * 2, y, create_graph=create, materialize_grads=True)
        assert g.requires_grad == create


def test_third_derivative() -> None:
    x = leaf(0.3, 1.1)
    y = x.sin()
    for _ in range(3):
        (y,) = ad.autograd.grad(y.sum(), x, create_graph=True)
    assert y.tolist() == pytest.approx([-math.cos(0.3), -math.cos(1.1)])
    assert y.requires_grad


def test_create_graph_makes_grad_differentiable() -> None:
    x = leaf(2)
    with pytest.warns(UserWarning, match="reference cycle") as seen:
        (x * x * x).sum().backward(create_graph=True)
    assert seen[0].filename == __file__
    g = x.grad
    assert g is not None
    assert g.requires_grad
    x.grad = None
    g.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [12]


def test_gradients_have_no_graph_by_default() -> None:
    x = leaf(2)
    (x * x).sum().backward()
    assert x.grad is not None
    assert not x.grad.requires_grad


# ---- grad ----


def test_grad_touches_no_grad_attribute() -> None:
    x, y = leaf(2), leaf(5)
    gx, gy = ad.autograd.grad((x * y).sum(), (x, y))
    assert (gx.tolist(), gy.tolist(), x.grad, y.grad) == ([5], [2], None, None)


@pytest.mark.parametrize("wrap", [list, set, iter, lambda xs: dict(enumerate(xs)).values()])
def test_inputs_and_outputs_come_in_anything_that_is_gone_through(wrap: Any) -> None:
    x, y = leaf(2), leaf(5)
    assert {g.item() for g in ad.autograd.grad(wrap([(x * y).sum()]), wrap([x, y]))} == {2, 5}
    ad.autograd.backward(wrap([(x * y).sum()]), inputs=wrap([x]))
    assert x.grad is not None
    assert (x.grad.item(), y.grad) == (5, None)
    with pytest.raises(RuntimeError, match="cannot be empty"):
        ad.autograd.grad((x * y).sum(), wrap([]))


def test_grad_of_inner_tensors() -> None:
    x = leaf(2)
    y = x * x
    z = y.sin()
    gy, gx = ad.autograd.grad(z.sum(), (y, x))
    assert gy.item() == pytest.approx(math.cos(4))
    assert gx.item() == pytest.approx(4 * math.cos(4))


def test_grad_leaves_alone_what_lies_behind_its_inputs() -> None:
    x = leaf(2)
    y = x.sin()
    ad.autograd.grad(y.exp().sum(), y)
    y.sum().backward()  # what y saved was not freed
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(math.cos(2))


def test_unused_inputs() -> None:
    x, y = leaf(2), leaf(5)
    with pytest.raises(RuntimeError) as raised:
        ad.autograd.grad(x.sum(), (x, y))
    assert str(raised.value) == (
        "One of the differentiated Tensors appears to not have been used in the graph. Set "
        "allow_unused=True if this is the desired behavior."
    )
    assert ad.autograd.grad(x.sum(), (x, y), allow_unused=True)[1] is None
    (zeros,) = ad.autograd.grad(x.sum(), y, materialize_grads=True)
    assert zeros.tolist() == [0]


def test_grad_wants_inputs_that_require_grad() -> None:
    x = leaf(2)
    with pytest.raises(
        RuntimeError, match="One of the differentiated Tensors does not require grad"
    ):
        ad.autograd.grad(x.sum(), ad.ones(1))


def test_grad_of_several_outputs_is_the_sum() -> None:
    x = leaf(2)
    (g,) = ad.autograd.grad((x.sum(), (x * x).sum()), x)
    assert g.tolist() == [5]


# ---- writes that are refused ----


def test_a_saved_tensor_that_was_written_to() -> None:
    x = leaf(1, 2)
    y = x * 1
    z = y.sin()
    y.add_(1)
    with pytest.raises(
        RuntimeError,
        match=r"one of the variables needed for gradient computation has been modified by an "
        r"inplace operation.*SinBackward0",
    ):
        z.sum().backward()


def test_a_write_through_detach_is_noticed() -> None:
    x = leaf(1, 2)
    y = x * 1
    z = y * y
    y.detach()[0] = 7
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_a_saved_output_that_was_written_to() -> None:
    x = leaf(1, 2)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*ExpBackward0"):
        y.sum().backward()


def test_writing_to_a_tensor_nobody_saved_is_fine() -> None:
    x = leaf(1, 2)
    y = x + 1
    y.mul_(3)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3, 3]


WRITES: dict[str, Callable[[Any], Any]] = {
    "add_": lambda x: x.add_(1),
    "copy_": lambda x: x.copy_(x.detach() * 2),
    "zero_": lambda x: x.zero_(),
    "fill_": lambda x: x.fill_(3),
    "setitem": lambda x: x.__setitem__(0, 1.0),
    "index_put_": lambda x: x.index_put_((ad.tensor([0]),), ad.ones(1, dtype=ad.float64)),
    "iadd": lambda x: x.__iadd__(1),
    "masked_fill_": lambda x: x.masked_fill_(x.detach() > 0, 1.0),
    "uniform_": lambda x: x.uniform_(),
    "clamp_": lambda x: x.clamp_(0, 1),
}


@pytest.mark.parametrize("name", WRITES)
def test_leaves_are_not_written_to_in_the_graph(name: str) -> None:
    x = leaf(1, 2)
    before = x.tolist()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        WRITES[name](x)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        WRITES[name](x[:])
    assert x.tolist() == before
    with ad.no_grad():
        WRITES[name](x)
        WRITES[name](x[:])
    assert x.is_leaf
    assert x.requires_grad


def test_detach_shares_memory_and_version() -> None:
    x = leaf(1, 2)
    y = x.detach()
    assert not y.requires_grad
    before = x._version
    y[0] = 5
    assert x.tolist() == [5, 2]
    assert x._version == y._version == before + 1


def test_a_failed_write_leaves_the_graph_as_it_was() -> None:
    x = leaf(1, 2)
    y = x * 1
    node, version = y.grad_fn, y._version
    with pytest.raises(RuntimeError):
        y.add_(ad.ones(3, dtype=ad.float64))
    assert y.grad_fn is node
    assert y._version == version
    y.sum().backward()


# ---- grad modes ----


def test_no_grad_and_enable_grad_nest() -> None:
    x = leaf(1)
    with ad.no_grad():
        assert not ad.is_grad_enabled()
        assert not (x * 2).requires_grad
        with ad.enable_grad():
            assert (x * 2).requires_grad
        assert not ad.is_grad_enabled()
    assert (x * 2).requires_grad


def test_an_exception_restores_the_mode() -> None:
    with pytest.raises(KeyError), ad.no_grad():
        raise KeyError
    assert ad.is_grad_enabled()


def test_modes_as_decorators() -> None:
    x = leaf(1)

    @ad.no_grad()
    def without(x: ad.Tensor) -> ad.Tensor:
        """Doubles."""
        return x * 2

    @ad.no_grad
    def bare(x: ad.Tensor) -> ad.Tensor:
        return x * 2

    @ad.enable_grad()
    def within(x: ad.Tensor) -> ad.Tensor:
        return x * 2

    @ad.set_grad_enabled(False)
    def off(x: ad.Tensor) -> ad.Tensor:
        return x * 2

    assert without.__doc__ == "Doubles."
    assert ad.is_grad_enabled()
    assert [f(x).requires_grad for f in (without, bare, within, off)] == [False, False, True, False]
    with ad.no_grad():
        assert within(x).requires_grad


def test_walks_are_one_threads_whatever_is_asked_for() -> None:
    @ad.autograd.set_multithreading_enabled(True)
    def slope(x: ad.Tensor) -> Any:
        return ad.autograd.grad(x * x, x)

    with ad.autograd.set_multithreading_enabled(False):
        assert slope(ad.tensor(3.0, requires_grad=True))[0].item() == 6
    with pytest.raises(TypeError, match="bool"):
        ad.autograd.set_multithreading_enabled("no")  # type: ignore[arg-type]


def test_set_grad_enabled_acts_at_once_or_within() -> None:
    ad.set_grad_enabled(False)
    try:
        assert not ad.is_grad_enabled()
    finally:
        ad.set_grad_enabled(True)
    with ad.set_grad_enabled(False):
        assert not ad.is_grad_enabled()
    assert ad.is_grad_enabled()
    text = repr(ad.set_grad_enabled(True))
    assert text == "torch.autograd.grad_mode.set_grad_enabled(mode=True)"


def test_modes_are_of_one_thread() -> None:
    seen: list[bool] = []
    with ad.no_grad():
        thread = threading.Thread(target=lambda: seen.append(ad.is_grad_enabled()))
        thread.start()
        thread.join()
        assert not ad.is_grad_enabled()
    assert seen == [True]


def test_a_product_saves_only_what_a_gradient_needs() -> None:
    x, w = ad.ones(2, 3), ad.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    for y in (ad.nn.functional.linear(x, w), x @ w.t()):
        before = w._version
        with ad.no_grad():
            w.mul_(1.0)  # nothing that the gradient of w needs
        assert w._version == before + 1
        (g,) = ad.autograd.grad(y.sum(), (w,))
        assert g.tolist() == [[2.0, 2.0, 2.0]]
    y = ad.nn.functional.linear(x.requires_grad_(), w)
    with ad.no_grad():
        w.mul_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("write", [lambda v: v.mul_(2), lambda v: v.zero_(), lambda v: v.normal_()])
def test_views_that_must_not_be_written_to(write: Callable[[ad.Tensor], Any]) -> None:
    own_leaf = ad.zeros(2)[:1].requires_grad_()
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        write(own_leaf)
    y = leaf(1, 2) * 2
    with ad.no_grad():
        v = y[:1]
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode"):
        write(v)
    with ad.no_grad():
        write(v)


def test_a_gradient_outlives_its_leaf() -> None:
    x = leaf(3)
    (x * x).sum().backward()
    g, y = x.grad, (x * x).sum()
    del x
    y.backward()
    assert g is not None
    assert g.tolist() == [12]


def test_a_leaf_that_no_longer_requires_grad_gets_none() -> None:
    x = leaf(2)
    y = x * x
    x.requires_grad_(False)
    y.backward(ad.ones(1, dtype=ad.float64), retain_graph=True)
    assert x.grad is None
    x.requires_grad_()
    y.backward(ad.ones(1, dtype=ad.float64))
    assert x.grad is not None
    assert x.grad.tolist() == [4]


@pytest.mark.parametrize("stop", [lambda x: x.requires_grad_(False), lambda x: x.detach_()])
def test_a_leaf_that_is_gone_is_remembered_to_require_none(stop: Any) -> None:
    x = leaf(2)
    x.backward()
    y, g = 3 * x, x.grad
    stop(x)
    del x
    y.backward()
    assert g is not None
    assert g.tolist() == [1]


def test_a_write_through_data_is_not_noticed_by_what_others_saved() -> None:
    x = leaf(1, 2)
    y = x * x
    x.data[0].add_(6)
    assert x._version == 0
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [14.0, 4.0]
    data, w = x.data, leaf(1, 1)
    z = data[:1] * w
    data.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    parameter = ad.nn.Parameter(x.data)
    z = parameter * parameter
    with ad.no_grad():
        parameter.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


class Assign(ad.autograd.Function):
    """A slot of memory that is filled while earlier slots are in use, as solvers do it."""

    @staticmethod
    def forward(ctx: Any, memory: ad.Tensor, value: ad.Tensor, i: int) -> ad.Tensor:
        ctx.i = i
        memory.data[i] = value
        return memory

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor) -> Any:  # type: ignore[override]
        return g, g[ctx.i], None


def test_slots_are_filled_through_data() -> None:
    x = leaf(3)
    slots = Assign.apply(ad.zeros(3), x[0], 0)
    slots = Assign.apply(slots, (slots[:1] * x).sum(), 1)
    slots = Assign.apply(slots, (slots[:2] * x).sum(), 2)
    slots[2].backward()  # of x (x + x^2)
    assert x.grad is not None
    assert x.grad.tolist() == [33.0]


# ---- nodes and edges as users see them ----


@pytest.mark.parametrize("name", PROGRAMS)
def test_backward_begins_at_an_edge_as_at_its_tensor(name: str) -> None:
    xs = leaves(ad)
    y = PROGRAMS[name](ad, *xs)
    g = ad.arange(1.0, y.numel() + 1, dtype=y.dtype).reshape(y.shape)
    want = ad.autograd.grad(y, xs, g, retain_graph=True, allow_unused=True)
    ad.autograd.backward(y, g, retain_graph=True)
    grads = [x.grad for x in xs]
    edges = [ad.autograd.graph.get_gradient_edge(y)]
    edges.append(ad.autograd.graph.GradientEdge(y.grad_fn, 0))
    del y
    for edge in edges:
        got = ad.autograd.grad(edge, xs, g, retain_graph=True, allow_unused=True)
        assert list(map(str, got)) == list(map(str, want))
        for x in xs:
            x.grad = None
        ad.autograd.backward(edge, g, retain_graph=True)
        assert [str(x.grad) for x in xs] == list(map(str, grads))
        with pytest.raises(RuntimeError, match="Mismatch in shape"):
            ad.autograd.grad(edge, xs, g[None])
        with pytest.raises(RuntimeError, match="only for scalar outputs"):
            ad.autograd.grad(edge, xs)


class Pair(ad.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: ad.Tensor) -> Any:
        return 2 * x, 3 * x

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        return 2 * g + 3 * h


class Sum(ad.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        return x + y

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor) -> Any:  # type: ignore[override]
        Sum.sent = 2 * g
        return Sum.sent, Sum.sent

    sent: ad.Tensor


@pytest.mark.parametrize("hooked", [False, True])
def test_what_a_function_of_the_users_sends_is_no_gradient_itself(hooked: bool) -> None:
    """It may send one tensor to two leaves, or keep it; each gradient is alone."""
    x, y = leaf(1, 2), leaf(3, 4)
    if hooked:
        x.register_hook(lambda g: None)
    for passes in (1, 2):
        Sum.apply(x, y).sum().backward()
        assert x.grad is not None
        assert y.grad is not None
        assert x.grad.tolist() == y.grad.tolist() == [2.0 * passes] * 2
        assert Sum.sent.tolist() == [2.0, 2.0]
        Sum.sent.zero_()
        assert x.grad.tolist() == [2.0 * passes] * 2


def test_edges_of_a_function_of_two_outputs() -> None:
    x, edge = leaf(1, 2), ad.autograd.graph.GradientEdge
    a, b = Pair.apply(x)
    edges = [edge(a.grad_fn, 0), edge(a.grad_fn, 1)]
    one = ad.ones(2, dtype=ad.float64)
    found = [ad.autograd.grad(e, x, one, retain_graph=True)[0].tolist() for e in edges]
    assert found == [[2, 2], [3, 3]]
    assert ad.autograd.grad(edges, x, [one, 2 * one], retain_graph=True)[0].tolist() == [8, 8]
    arrived = ad.autograd.grad((a + 5 * b).sum(), edges[::-1])
    assert [g.tolist() for g in arrived] == [[5, 5], [1, 1]]


def test_edges_of_which_nothing_is_known_are_refused() -> None:
    x = leaf(1, 2)
    y = (x.sin() * 2).sum()
    inner = y.grad_fn.next_functions[0][0]
    with pytest.raises(RuntimeError, match="get_gradient_edge"):
        ad.autograd.grad(ad.autograd.graph.GradientEdge(inner, 0), x, ad.ones(2, dtype=ad.float64))


def test_a_node_can_be_called_and_written_on() -> None:
    x, one = leaf(1, 2), ad.ones(2, dtype=ad.float64)
    node = (x * x).grad_fn
    assert [g.tolist() for g in node(one)] == [[1, 2], [1, 2]]
    assert x.exp().grad_fn(one).tolist() == x.exp().tolist()
    with ad.no_grad():
        assert not node(one)[0].requires_grad
    node.metadata["note"] = 1
    assert node.metadata == {"note": 1}


def test_outputs_of_unbind_are_numbered() -> None:
    x = ad.ones(3, 2, requires_grad=True)
    for ys in (x.unbind(), x.unbind(1), list(x)):
        assert [y.output_nr for y in ys] == list(range(len(ys)))
    total = ys[2].sum() * 3
    assert total.grad_fn is not None
    edge = ad.autograd.graph.get_gradient_edge(ys[2])
    assert edge.output_nr == 2
    assert ad.autograd.grad(total, edge)[0].tolist() == [3, 3]


@pytest.mark.parametrize("exponent", [-1, -0.5, 0.5, 1, 2, 3, 2.5])
def test_powers_may_be_written_to_before_backward(exponent: float) -> None:
    x = leaf(0.25, 4)
    y = x**exponent
    (expected,) = ad.autograd.grad(y.sum(), x, retain_graph=True)
    y.add_(1)
    (found,) = ad.autograd.grad(y.sum(), x)
    assert found.tolist() == expected.tolist()
    written = (x * 1).pow_(exponent)
    assert ad.autograd.grad(written.sum(), x)[0].tolist() == expected.tolist()
