"""Calls that are native as a whole: the same as in the steps of Python that they stand for."""

import gc
import re
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FunctionType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_calls import at_once, leave_to_python
from native_tensors import in_use, no_collector

import autodiff as ad
import autodiff.nn.functional as F
from autodiff import anomaly, shortcuts
from autodiff.expr import build, inputs
from autodiff.native import lib
from autodiff.ops import arithmetic, cast
from autodiff.ops.pointwise import PointwiseOp
from autodiff.tensor import Tensor, tensor_of


def leaf(*shape: int, grad: bool = True) -> Tensor:
    return (ad.arange(ad.Size(shape).numel()).reshape(shape) * 0.5 - 1).requires_grad_(grad)


def stale() -> Tensor:
    """A view whose base was written to in the graph since."""
    base = leaf(4) * 1
    view = base.view(2, 2)
    base.mul_(3.0)
    return view


def frozen() -> Tensor:
    with ad.inference_mode():
        return ad.ones(2, 2)


OPERANDS: dict[str, Callable[[], Any]] = {
    "plain": lambda: leaf(2, 2, grad=False),
    "leaf": lambda: leaf(2, 2),
    "recorded": lambda: leaf(2, 2) * 2,
    "row": lambda: leaf(2),
    "number": lambda: leaf(),
    "deep": lambda: leaf(2, 1, 2),
    "batch": lambda: leaf(2, 2, 2),
    "empty": lambda: leaf(0, 2),
    "turned": lambda: leaf(2, 3).T,
    "view of a leaf": lambda: leaf(3, 2)[1:],
    "leaf that is a view": lambda: leaf(3, 2, grad=False)[1:].requires_grad_(),
    "stale": stale,
    "frozen": frozen,
    "parameter": lambda: ad.nn.Parameter(leaf(2, 2, grad=False)),
    "integers": lambda: ad.arange(4).view(2, 2),
    "classes": lambda: ad.tensor([1, 0]),
    "ignored": lambda: ad.tensor([-100, 1]),
    "no classes": lambda: ad.tensor([1, 7]),
    "bools": lambda: ad.tensor([[True, False], [True, True]]),
    "doubles": lambda: leaf(2, 2, grad=False).double().requires_grad_(),
    "float": lambda: 1.5,
    "zero": lambda: -0.0,
    "int": lambda: 3,
    "large": lambda: 2**70,
    "bool": lambda: True,
    "none": lambda: None,
    "list": lambda: [1.0],
    "text": lambda: "x",
}
TENSORS = [name for name, make in OPERANDS.items() if isinstance(make(), Tensor)]
PLAIN = (-3, -2, -1, 0, 1, 2, 5, True, 2**40, 2**70, None, 1.0)

UNARY: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: x.exp(),
    "square": lambda x: x**2,
    "root": lambda x: x**0.5,
    "tanh": lambda x: ad.tanh(x),
    "not": lambda x: ad.logical_not(x),
    "neg": lambda x: -x,
    "relu": ad.relu,
    "clone": lambda x: x.clone(),
    "contiguous": lambda x: x.contiguous(),
    "T": lambda x: x.T,
    "t": lambda x: x.t(),
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "double": lambda x: x.double(),
    "view": lambda x: x.view(-1),
    "reshape": lambda x: x.reshape(2, -1),
    "expand": lambda x: x.expand(3, -1, -1),
    "permute": lambda x: x.permute(1, 0),
    "slice": lambda x: x[1:5],
    "to": lambda x: x.to(ad.float64),
    "to its own": lambda x: x.to(ad.float32),
    "to by name": lambda x: x.to(dtype=ad.float16),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda x, y: x + y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "<": lambda x, y: x < y,
    "**": lambda x, y: x**y,
    "maximum": ad.maximum,
    "sub": ad.sub,
    "eq": ad.eq,
    "@": lambda x, y: x @ y,
    "matmul": ad.matmul,
    "bmm": ad.bmm,
    "linear": F.linear,
    "biased": lambda x, y: F.linear(x, x, y),
    "where": lambda x, y: ad.where(x > 0, x, y),
    "where not": lambda x, y: ad.where(x > 0, y, 2.5),
    "clamp": lambda x, y: ad.clamp(x, -0.25, y),
    "addcmul": lambda x, y: ad.addcmul(x, x, y, value=2),
    "norm": lambda x, y: F.batch_norm(x, y, y.abs(), y, y),
    "nll": F.nll_loss,
    "nll of each": lambda x, y: F.nll_loss(x, y, reduction="none"),
    "cross_entropy": F.cross_entropy,
    "cross_entropy of all": lambda x, y: F.cross_entropy(x, y, reduction="sum"),
}
INDEXED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "transpose": lambda x, i, j: x.transpose(i, j),
    "select": lambda x, i, j: x.select(i, j),
    "unsqueeze": lambda x, i, j: x.unsqueeze(i),
    "item": lambda x, i, j: x[i],
    "items": lambda x, i, j: x[:, i],
    "slice": lambda x, i, j: x[i:j],
    "sum": lambda x, i, j: x.sum(i, keepdim=j),
    "mean": lambda x, i, j: x.mean(i, keepdim=j),
    "view": lambda x, i, j: x.view(i, j),
    "expand": lambda x, i, j: x.expand(i, j),
    "permute": lambda x, i, j: x.permute(i, j),
}


def _cells() -> list[Any]:
    """Where the functions that call pointwise ops keep what does all of it natively."""
    found = {}
    for function in gc.get_objects():
        if isinstance(function, FunctionType):
            for cell in function.__closure__ or ():
                if _is_quick(cell):
                    found[id(cell)] = cell
    return [*found.values()]


def _is_quick(cell: Any) -> bool:
    try:
        return type(cell.cell_contents.__self__).__name__ == "Quick"
    except (ValueError, AttributeError):  # empty, or something else
        return False


CELLS, DIRECT = _cells(), at_once()


@contextmanager
def whole() -> Iterator[None]:
    """Every call takes the steps of Python."""
    with pytest.MonkeyPatch.context() as patch:
        for cell in CELLS:
            behind = cell.cell_contents.__self__.told[-1]
            patch.setattr(cell, "cell_contents", behind or (lambda *given: None))
        patch.setattr(arithmetic, "_CALLS", {})
        for d in ad.dtypes.ALL:
            patch.setitem(cast.AT_ONCE, d, cast.AT_ONCE[d].__self__.told[-1])
        leave_to_python(patch)
        yield


def test_there_are_such_functions() -> None:
    assert len(CELLS) > 100
    assert {"_view_at_once", "_linear_at_once", "_sum_at_once"} <= {name for _, name in DIRECT}


def told_of(node: Any, depth: int = 2) -> Any:
    """What there is to know of a node."""
    if node is None:
        return None
    found = [type(node).__name__, node.name()]
    for name in ("op", "args", "shape", "metas", "versions"):
        found.append(re.sub(" at 0x.*?>", ">", repr(getattr(node, name, "missing"))))
    for p in node.saved or ():
        x = tensor_of(p)
        found.append((x.dtype, x.shape, repr(x.tolist()), p.number))
    if depth:
        found.append([told_of(edge, depth - 1) for edge in node.edges])
    return found


def result_of(call: Callable[..., Any], names: Sequence[str], rest: Any, mode: Any) -> Any:
    """All there is to know of a call's result, or of its error."""
    given = [OPERANDS[name]() for name in names]
    try:
        with warnings.catch_warnings(), mode():
            warnings.simplefilter("ignore")
            y = call(*given, *rest)
    except Exception as error:
        return type(error), str(error)
    if not isinstance(y, Tensor):
        return y
    base = y._base
    found = [type(y), y.dtype, y.shape, y.stride(), y.requires_grad, y.is_inference(), y._p.number]
    found += [told_of(y._node), y.numel()]
    if max(y.numel(), *y.shape, 0) > 10_000:  # rows of no elements make a list, too
        return found
    found += [repr(y.detach().tolist())]
    found += ["no" if base is None else [i for i, x in enumerate(given) if x is base]]
    found += [y._base_node is (None if base is None else base._node)]
    leaves = [x for x in given if isinstance(x, Tensor) and x.requires_grad]
    if y.requires_grad and leaves:
        try:
            grads = ad.autograd.grad(y.sum(), leaves, allow_unused=True)
            found.append([None if g is None else repr(g.tolist()) for g in grads])
        except Exception as error:
            found.append((type(error), str(error)))
    return found


MODES = nullcontext, ad.no_grad, ad.inference_mode, ad.autograd.detect_anomaly


def check(call: Callable[..., Any], names: Sequence[str], rest: Sequence[Any], mode: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anomaly.lines, "left", 0)
        first = result_of(call, names, rest, mode)
        again = result_of(call, names, rest, mode)  # an op's first recorded call is Python's
        with whole():
            wanted = result_of(call, names, rest, mode)
    assert first == again == wanted


@given(st.sampled_from([*UNARY]), st.sampled_from(TENSORS), st.sampled_from(MODES))
def test_calls_of_one_tensor(name: str, x: str, mode: Any) -> None:
    check(UNARY[name], [x], [], mode)


@given(
    st.sampled_from([*BINARY]),
    st.sampled_from(TENSORS),
    st.sampled_from([*OPERANDS]),
    st.sampled_from(MODES),
)
@settings(max_examples=400)
def test_calls_of_two(name: str, x: str, y: str, mode: Any) -> None:
    check(BINARY[name], [x, y], [], mode)


@given(
    st.sampled_from([*INDEXED]),
    st.sampled_from(TENSORS),
    st.sampled_from(PLAIN),
    st.sampled_from(PLAIN),
    st.sampled_from(MODES),
)
@settings(max_examples=400)
def test_calls_of_a_tensor_and_integers(name: str, x: str, i: Any, j: Any, mode: Any) -> None:
    check(INDEXED[name], [x], [i, j], mode)


def test_a_number_of_the_machine_is_bound_as_it_is_declared() -> None:
    with pytest.raises(KeyError):  # what takes other arguments than ops do
        shortcuts.direct(lib.ad_rng_new, [], 0, 0)
    told: list[Any] = []
    assert lib.ad_direct(0, b"no such form", 0, [], 0, 0, id(told))
    assert not told


def test_what_calls_an_op_goes_with_it() -> None:
    """An op and what calls it refer to each other, and to what its nodes are made of."""

    def made() -> tuple[Any, Any]:
        op = PointwiseOp("gone", build("mul", *inputs(2)), 2)
        x = leaf(3)
        for _ in range(3):
            y = op.call(x, x)
        y.sum().backward()
        assert x.grad.tolist() == (2 * x).tolist()
        return weakref.ref(op), weakref.ref(y._node)

    gc.collect()
    op, node = made()
    assert node() is None
    gc.collect()
    assert op() is None


def test_nothing_is_kept() -> None:
    x, w, b = leaf(4, 4, grad=False), leaf(4, 4), leaf(4)
    classes = ad.tensor([3, 0, 1, 1])

    def run() -> None:
        y = F.linear(x.T, w, b) @ w.view(4, 4)[0:4]
        z = (y * y + 2.0).exp().relu().sum(0).reshape(2, 2).transpose(0, -1).mean()
        (z + F.cross_entropy(w, classes)).backward()
        F.cross_entropy(x, classes)
        w.grad = b.grad = None
        for wrong in (lambda: x + leaf(3), lambda: x.view(3, 3), lambda: x @ leaf(3, 3)):
            with pytest.raises(RuntimeError):
                wrong()

    with no_collector():
        run()
        gc.collect()
        counted = [*map(sys.getrefcount, (x, w, b, w._node, None, x._p, w._p))]
        before = in_use()
        for _ in range(50):
            run()
        after = [*map(sys.getrefcount, (x, w, b, w._node, None, x._p, w._p))]
        assert in_use() == before
    counted[4] = after[4] = 0 if abs(counted[4] - after[4]) < 40 else after[4]
    assert counted == after


def test_failed_allocations(monkeypatch: pytest.MonkeyPatch) -> None:
    testcapi = pytest.importorskip("_testcapi")
    monkeypatch.setattr(anomaly.lines, "left", 0)  # what remembers them is not native
    x, w, b = leaf(3, 3, grad=False), leaf(3, 3), leaf(3)
    classes = ad.tensor([2, 0, 1])
    calls = [
        lambda: x + 2.0,
        lambda: w * w,
        lambda: w.exp(),
        lambda: w.T,
        lambda: w[1],
        lambda: w.view(9),
        lambda: F.linear(x, w, b),
        lambda: w.sum(),
        lambda: w.sum(0),
        lambda: w @ x,
        lambda: F.cross_entropy(w, classes),
    ]
    for call in calls:
        for _ in range(3):
            call()
        gc.collect()
        before = in_use()
        for at in range(24):
            y = None
            testcapi.set_nomemory(at, at + 1)
            try:
                y = call()
            except MemoryError:
                pass
            finally:
                testcapi.remove_mem_hooks()
            assert y is None or isinstance(y, Tensor)
        y = None
        gc.collect()
        assert in_use() == before


def test_threads_may_replace_operands_meanwhile() -> None:
    """The descriptor of a call that lets Python go is held, whatever becomes of its tensor."""
    x, w = ad.ones(300, 300), ad.ones(300, 300, requires_grad=True)
    wrong: list[Any] = []
    done = threading.Event()

    def replace() -> None:
        while not done.is_set():
            x.data = ad.ones(300, 300)
            w.data = ad.ones(300, 300)

    def use() -> None:
        try:
            for _ in range(60):
                for y in (x * w, x @ w, w.T + x, F.linear(x, w), w.sum(0)):
                    if y.max() != y.min():
                        wrong.append(y)
        except Exception as error:
            wrong.append(error)

    users = [threading.Thread(target=use) for _ in range(3)]
    other = threading.Thread(target=replace)
    for thread in [other, *users]:
        thread.start()
    for thread in users:
        thread.join()
    done.set()
    other.join()
    assert not wrong


def test_recording_is_each_threads_own() -> None:
    w = leaf(2, 2)
    found: list[Any] = []

    def run() -> None:
        found.append([y.requires_grad for y in (w * w, w.T, w.sum(), w @ w, w + 1)])

    run()
    with ad.no_grad():
        run()
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    run()
    assert found == [[True] * 5, [False] * 5, [True] * 5, [True] * 5]


def test_writes_after_a_native_record_are_seen() -> None:
    for make in (lambda x: x * x, lambda x: x * x * 2.0, lambda x: x @ x, lambda x: F.linear(x, x)):
        w = leaf(2, 2)
        for _ in range(2):
            x = w * 1.0
            y = make(x)
        x.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace"):
            y.sum().backward()


def test_names_of_a_node_are_its_classes_own() -> None:
    """A context of a user's function has any attributes beside."""

    class Double(ad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.args, ctx.plan, ctx.shape, ctx.metas, ctx.op, ctx.code = range(6)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            assert [ctx.args, ctx.plan, ctx.shape, ctx.metas, ctx.op, ctx.code] == [*range(6)]
            return g * 2

    x = leaf(2)
    Double.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_a_long_chain_of_nodes_is_freed_without_recursion() -> None:
    gc.collect()
    assert (leaf(1) * 1.5).numel() == 1  # the number is kept
    before = in_use()
    x = leaf(1)
    for _ in range(200_000):
        x = x * 1.5
    del x
    gc.collect()
    assert in_use() == before
