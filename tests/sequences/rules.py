"""The steps a random sequence is made of. Each turns some bytes into one call and its model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from sequences import ops, views
from sequences.machine import Live, Session
from sequences.model import Tensor, UnmodelledError, made, sized
from sequences.walk import reached

Step = Callable[[Session, "Choices"], None]
NUMBERS = (2, 0.5, -1, 1.5, 0, -0.5, 1, -2.0, 3)
VALUES = {
    "float64": (1.0, -0.5, 2.0, 0.25, -1.5, 0.0, 0.75, -2.0, 1.25, 3.0),
    "float32": (1.0, -0.5, 2.0, 0.25, -1.5, 0.0, 0.75, -2.0, 1.25, 3.0),
    "int64": (0, 1, 2, -1, 1, 0, 3, -2),
    "bool": (True, False, True),
}
MOST_DIMS = 8  # of a tensor: where PyTorch would give more, the library refuses
SHAPES = (
    (2,),
    (3,),
    (2, 3),
    (3, 2),
    (1, 3),
    (2, 1),
    (),
    (4,),
    (2, 2),
    (0,),
    (2, 0),
    (2, 1, 3),
    (1,),
)


class Choices:
    """Decisions, read off a string of bytes; zeros once it is used up."""

    def __init__(self, data: bytes) -> None:
        self.data = iter(data)

    def below(self, n: int) -> int:
        return next(self.data, 0) % n

    def one_of(self, items: Any) -> Any:
        return items[self.below(len(items))]

    def chance(self, of: int) -> bool:
        """Once in so many times; not where the byte is 0, so that simple examples do without."""
        return self.below(of) == of - 1

    def tensor(self, s: Session, wanted: Callable[[Tensor], Any] = lambda m: True) -> Live:
        """A live tensor, most often a late one. UnmodelledError where there is none as wanted."""
        fitting = [live for live in reversed(s.live) if wanted(live.model)]
        if not fitting:
            raise UnmodelledError
        return self.one_of(fitting)

    def dim(self, x: Live) -> int:
        """A dimension, sometimes one that is not there."""
        n = max(len(x.model.shape), 1)
        return self.below(2 * n + 1) - n if self.chance(4) else self.below(n)


def floating(m: Tensor) -> bool:
    return m.is_float


def differentiable(m: Tensor) -> bool:
    return m.is_float and m.requires_grad


# ---- creation ----


def nested(values: list[Any], shape: tuple[int, ...]) -> Any:
    if not shape:
        return values[0]
    step = sized(shape[1:])
    return [nested(values[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def create(s: Session, c: Choices) -> None:
    dtype = c.one_of(("float64", "float64", "float64", "float64", "float32", "int64", "bool"))
    shape = c.one_of(SHAPES)
    grad = dtype.startswith("float") and c.chance(2)
    values = [c.one_of(VALUES[dtype]) for _ in range(sized(shape))]
    build(s, dtype, shape, values, grad)


def build(s: Session, dtype: str, shape: tuple[int, ...], values: list[Any], grad: bool) -> None:
    def model() -> Tensor:
        m = made(dtype, shape, values)
        if grad:
            m.require_grad()
        return m

    flag = ", requires_grad=True" if grad else ""
    what = f"tensor({nested(values, shape)}" if values else f"zeros({shape}"
    s.new(f"ad.{what}, dtype=ad.{dtype}{flag})", model)


# ---- views ----


def view(s: Session, c: Choices) -> None:
    x = c.tensor(s, lambda m: len(m.shape) < 4 and len(m.positions) < 24)
    name, text, model = c.one_of(VIEWS)(x.model, x, c)
    s.new(f"{x}{name}{text}", model)


def _transpose(m: Tensor, x: Live, c: Choices) -> Any:
    a, b = c.dim(x), c.dim(x)
    return ".transpose", f"({a}, {b})", lambda: views.transpose(m, a, b)


def _permute(m: Tensor, x: Live, c: Choices) -> Any:
    left, order = list(range(len(m.shape))), []
    while left:
        order.append(left.pop(c.below(len(left))))
    if c.chance(6):
        order.append(0)
    return ".permute", f"({order})", lambda: views.permute(m, order)


def _select(m: Tensor, x: Live, c: Choices) -> Any:
    d, i = c.dim(x), c.below(6) - 2
    return ".select", f"({d}, {i})", lambda: views.select(m, d, i)


def _item(m: Tensor, x: Live, c: Choices) -> Any:
    i = c.below(4) - 1
    return "", f"[{i}]", lambda: views.select(m, 0, i)


def _narrow(m: Tensor, x: Live, c: Choices) -> Any:
    d, start, length = c.dim(x), c.below(4) - 1, c.below(4)
    return ".narrow", f"({d}, {start}, {length})", lambda: views.narrow(m, d, start, length)


def _slice(m: Tensor, x: Live, c: Choices) -> Any:
    start, stop = c.one_of((None, 0, 1, -1, 2)), c.one_of((None, 3, 1, -1, 9))
    step = c.one_of((1, 2, 1, 2, 1, 0))
    first, last = ("" if v is None else str(v) for v in (start, stop))
    return "", f"[{first}:{last}:{step}]", lambda: views.sliced(m, start, stop, step)


def _expand(m: Tensor, x: Live, c: Choices) -> Any:
    sizes = [2 if n == 1 and c.below(2) else n for n in m.shape]
    if c.below(2) and len(sizes) < 3:
        sizes.insert(0, c.one_of((2, 1, 3, -1)))
    if c.chance(6) and sizes:
        sizes[-1] = c.one_of((-1, 5))
    return ".expand", f"({sizes})", lambda: views.expand(m, tuple(sizes))


def other_shape(m: Tensor, c: Choices) -> tuple[int, ...]:
    """A shape, most often one for as many elements."""
    n = sized(m.shape)
    if c.chance(8):
        return c.one_of(SHAPES)
    fits = [sh for sh in (*SHAPES, (4, 1), (6,), (3, 1, 2), (-1,), (2, -1)) if sized(sh) in (n, -1)]
    return c.one_of([*fits, m.shape, m.shape[::-1]])


def _view(m: Tensor, x: Live, c: Choices) -> Any:
    shape = other_shape(m, c)
    return ".view", f"({shape})", lambda: views.view(m, shape)


def _reshape(m: Tensor, x: Live, c: Choices) -> Any:
    shape = other_shape(m, c)
    return ".reshape", f"({shape})", lambda: views.reshape(m, shape)


def _unsqueeze(m: Tensor, x: Live, c: Choices) -> Any:
    if len(m.shape) == MOST_DIMS:
        raise UnmodelledError
    d = c.below(len(m.shape) + 3) - 1
    return ".unsqueeze", f"({d})", lambda: views.unsqueeze(m, d)


def _squeeze(m: Tensor, x: Live, c: Choices) -> Any:
    d = None if c.below(2) else c.dim(x)
    return ".squeeze", "()" if d is None else f"({d})", lambda: views.squeeze(m, d)


def _detach(m: Tensor, x: Live, c: Choices) -> Any:
    return ".detach", "()", lambda: views.detach(m)


def _whole(m: Tensor, x: Live, c: Choices) -> Any:
    return "", "[...]", lambda: views.alias(m)


def _movedim(m: Tensor, x: Live, c: Choices) -> Any:
    a, b = c.dim(x), c.dim(x)
    return ".movedim", f"({a}, {b})", lambda: views.movedim(m, a, b)


def _diagonal(m: Tensor, x: Live, c: Choices) -> Any:
    offset, a, b = c.below(5) - 2, c.dim(x), c.dim(x)
    return ".diagonal", f"({offset}, {a}, {b})", lambda: views.diagonal(m, offset, a, b)


def _unfold(m: Tensor, x: Live, c: Choices) -> Any:
    if not m.shape:
        raise UnmodelledError  # it has one window of one element
    d, size, step = c.dim(x), c.below(4), c.below(3)
    return ".unfold", f"({d}, {size}, {step})", lambda: views.unfold(m, d, size, step)


def _unflatten(m: Tensor, x: Live, c: Choices) -> Any:
    d, sizes = c.dim(x), c.one_of(((-1, 2), (2, -1), (1, 3), (3, 1), (2, 2)))
    return ".unflatten", f"({d}, {sizes})", lambda: views.unflatten(m, d, sizes)


VIEWS = (
    *(_slice, _select, _transpose, _narrow, _view, _item, _permute, _expand, _reshape),
    *(_unsqueeze, _squeeze, _detach, _whole, _slice, _select, _view),
    *(_movedim, _diagonal, _unfold, _unflatten),
)

# ---- new tensors from old ----


def recorded(c: Choices) -> bool:
    return not c.chance(12)


def pointwise(s: Session, c: Choices) -> None:
    x, grad = c.tensor(s), recorded(c)
    if c.below(3) == 0:
        name = c.one_of(tuple(ops.UNARY))
        s.new(f"{x}.{name}()", lambda: ops.unary(name, x.model), grad)
        return
    name = c.one_of(("mul", "add", "sub", "div", "maximum", "mul"))
    if name != "maximum" and c.below(3) == 0:
        number = c.one_of(NUMBERS)
        s.new(f"{x}.{name}({number})", lambda: ops.binary(name, x.model, number), grad)
        return
    z = c.tensor(s)
    s.new(f"{x}.{name}({z})", lambda: ops.binary(name, x.model, z.model), grad)


def compare(s: Session, c: Choices) -> None:
    x, z, name = c.tensor(s), c.tensor(s), c.one_of(tuple(ops.COMPARISONS))
    s.new(f"{x}.{name}({z})", lambda: ops.compare(name, x.model, z.model))


def choose(s: Session, c: Choices) -> None:
    mask = c.tensor(s, lambda m: m.dtype == "bool")
    x, z = c.tensor(s), c.tensor(s)
    s.new(f"ad.where({mask}, {x}, {z})", lambda: ops.where(mask.model, x.model, z.model))


def copied(s: Session, c: Choices) -> None:
    x, grad = c.tensor(s), recorded(c)
    if c.chance(4):
        rearranged(s, c, x, grad)
        return
    dtype = c.one_of(("", "float64", "int64", "float32", "bool"))
    if dtype in ("", x.model.dtype):
        s.new(f"{x}.clone()", lambda: ops.clone(x.model), grad)
    else:
        s.new(f"{x}.to(ad.{dtype})", lambda: ops.convert(x.model, dtype), grad)


def rearranged(s: Session, c: Choices, x: Live, grad: bool) -> None:
    if c.below(2) and x.model.shape:
        d = c.dim(x)
        s.new(f"{x}.flip({d})", lambda: ops.flip(x.model, d), grad)
        return
    sizes = c.one_of(((2,), (1, 2), (2, 1), (3, 1), (1, 1, 2)))
    s.new(f"{x}.repeat({sizes})", lambda: ops.repeat(x.model, sizes), grad)


def reduction(s: Session, c: Choices) -> None:
    x, name, grad = c.tensor(s), c.one_of(("sum", "mean", "prod", "amax", "sum")), recorded(c)
    keepdim = bool(c.below(2))
    dim = c.one_of((None, c.dim(x), c.dim(x), (c.dim(x), c.dim(x))))
    if name == "prod" and (dim is None or isinstance(dim, tuple)):
        dim, keepdim = None, False
    given = "" if dim is None else f"{dim}, keepdim={keepdim}"
    keepdim = keepdim and dim is not None
    s.new(f"{x}.{name}({given})", lambda: ops.reduce(name, x.model, dim, keepdim), grad)


def product(s: Session, c: Choices) -> None:
    x, z = c.tensor(s, floating), c.tensor(s, floating)
    s.new(f"{x} @ {z}", lambda: ops.matmul(x.model, z.model))


def join(s: Session, c: Choices) -> None:
    x = c.tensor(s)
    rest = [c.tensor(s, lambda m: m.shape == x.model.shape) for _ in range(c.below(3))]
    xs = [x, *rest, *([c.tensor(s)] if c.chance(4) else [])]
    name, d = c.one_of(("cat", "stack")), c.dim(x)
    if len(x.model.shape) > 3:
        raise UnmodelledError
    models, f = [t.model for t in xs], getattr(ops, name)
    s.new(f"ad.{name}([{', '.join(map(str, xs))}], {d})", lambda: f(models, d))


def index_for(s: Session, c: Choices) -> Live:
    return c.tensor(s, lambda m: m.dtype in ("int64", "bool") and m.shape)


def fits(x: Live, i: Live) -> None:
    if len(x.model.shape) + len(i.model.shape) > MOST_DIMS:
        raise UnmodelledError


def index(s: Session, c: Choices) -> None:
    x, i = c.tensor(s), index_for(s, c) if not c.chance(8) else c.tensor(s)
    fits(x, i)
    s.new(f"{x}[{i}]", lambda: ops.index_get(x.model, i.model))


def gather(s: Session, c: Choices) -> None:
    x, i = c.tensor(s), c.tensor(s, lambda m: m.dtype == "int64")
    d = c.dim(x)
    s.new(f"{x}.gather({d}, {i})", lambda: ops.gather(x.model, d, i.model))


# ---- writes ----


def update(s: Session, c: Choices) -> None:
    x, grad = c.tensor(s), not c.chance(5)
    if c.below(4) == 0:
        name = c.one_of(("neg", "exp", "sin", "tanh", "square"))
        s.change(f"{x}.{name}_()", x, lambda: ops.unary_(name, x.model), grad)
        return
    name = c.one_of(("mul", "add", "sub", "div"))
    z: Any = c.tensor(s) if c.below(3) else c.one_of(NUMBERS)
    other = z.model if isinstance(z, Live) else z
    if other is x.model and name == "div":
        raise UnmodelledError
    s.change(f"{x}.{name}_({z})", x, lambda: ops.binary_(name, x.model, other), grad)


def overwrite(s: Session, c: Choices) -> None:
    x, grad = c.tensor(s), not c.chance(5)
    if c.below(2):
        z = c.tensor(s)
        if z.model.storage is x.model.storage and z.model.positions == x.model.positions:
            raise UnmodelledError
        s.change(f"{x}.copy_({z})", x, lambda: ops.copy_(x.model, z.model), grad)
        return
    value = 0 if c.below(2) else c.one_of((1, 2, -1, 0))
    text = f"{x}.fill_({value})" if c.below(2) else f"{x}.zero_()"
    number = value if "fill" in text else 0
    if len(set(x.model.positions)) < len(x.model.positions):
        raise UnmodelledError
    s.change(text, x, lambda: ops.copy_(x.model, number), grad)


def assign(s: Session, c: Choices) -> None:
    x, grad = c.tensor(s), not c.chance(6)
    z: Any = c.tensor(s) if c.below(2) else c.one_of((2, -1, 0, 1))
    value = z.model if isinstance(z, Live) else z
    if isinstance(z, Live) and z.model.requires_grad and not x.model.is_float:
        raise UnmodelledError  # PyTorch has such a view require grad
    if c.below(2) and x.model.shape:
        place = c.one_of(("0", "-1", "0:1", "1:", "::2", "7", "..."))
        key = eval(f"_[{place}]", {"_": _Key()})

        def model() -> None:
            part = (
                views.alias(x.model)
                if key is Ellipsis
                else views.sliced(x.model, key.start, key.stop, key.step or 1)
                if isinstance(key, slice)
                else views.select(x.model, 0, key)
            )
            given = value
            if isinstance(given, Tensor):
                if given.storage is x.model.storage and set(given.positions) & set(part.positions):
                    raise UnmodelledError
                while len(given.shape) > len(part.shape) and given.shape[0] == 1:
                    given = views.select(given, 0, 0)
            if len(set(part.positions)) < len(part.positions):
                raise UnmodelledError
            ops.copy_(part, given)

        s.change(f"{x}[{place}] = {z}", x, model, grad)
        return
    i = index_for(s, c)
    fits(x, i)
    s.change(f"{x}[{i}] = {z}", x, lambda: ops.index_put(x.model, i.model, value), grad)


class _Key:
    def __getitem__(self, key: Any) -> Any:
        return key


# ---- gradients ----


def require(s: Session, c: Choices) -> None:
    x = c.tensor(s, lambda m: not m.family.has_views)
    m = x.model
    if len(set(m.positions)) < len(m.positions):
        raise UnmodelledError
    flag = not c.chance(4)

    def model() -> None:
        if flag and not m.is_float and m.is_leaf:
            raise ops.RefusedError(RuntimeError)
        if not m.is_leaf:
            if flag:
                return
            raise ops.RefusedError(RuntimeError)
        if flag:
            m.require_grad()
        else:
            m.family.node = None
            m.slot.muted = True

    s.change(f"{x}.requires_grad_({flag})", x, model)


def given_for(s: Session, c: Choices, y: Live) -> tuple[str, Tensor | None]:
    """A cotangent for y: none, one number, or (now and then) a live tensor of whatever shape."""
    kind = c.below(6)
    if kind == 0 or (kind < 4 and sized(y.model.shape) == 1):
        return "None", None
    if kind == 5 and c.below(2):
        z = c.tensor(s, lambda m: m.dtype == y.model.dtype and not m.requires_grad)
        return str(z), z.model
    return cotangent(y, c.one_of((1.0, 0.5, -2.0)))


def cotangent(y: Live, first: float) -> tuple[str, Tensor]:
    """A cotangent for y whose elements are all different."""
    shape, dtype = y.model.shape, y.model.dtype
    values = [first + 0.5 * k for k in range(sized(shape))]
    text = f"tensor({nested(values, shape)}" if values else f"zeros({shape}"
    return f"ad.{text}, dtype=ad.{dtype})", made(dtype, shape, values)


def behind(s: Session, c: Choices, y: Live) -> Live:
    """A tensor that y was most likely computed from."""
    node = y.model.live_node()
    nodes = set() if node is None else set(reached(node))
    wanted = (
        differentiable if c.chance(4) else lambda m: m.live_node() in nodes and m is not y.model
    )
    return c.tensor(s, wanted)


def backward(s: Session, c: Choices) -> None:
    y = c.tensor(s, differentiable if not c.chance(10) else floating)
    text, given = given_for(s, c, y)
    retain = c.below(3) == 1
    s.backward(y, given, f"{y}.backward({text}, retain_graph={retain})", retain)


def finish(s: Session) -> None:
    """Backward from the newest tensors, so that no sequence ends without gradients."""
    newest = [live for live in reversed(s.live) if differentiable(live.model)]
    for y in newest[:3]:
        with contextlib.suppress(UnmodelledError):
            text, given = cotangent(y, 1.0)
            s.backward(y, given, f"{y}.backward({text}, retain_graph=True)", True)


def grad(s: Session, c: Choices) -> None:
    y = c.tensor(s, differentiable)
    xs = [behind(s, c, y) for _ in range(1 + c.below(2))]
    text, given = given_for(s, c, y)
    retain, unused = c.below(3) != 0, c.below(3) != 0
    inputs = f"[{', '.join(map(str, xs))}]"
    options = f"retain_graph={retain}, allow_unused={unused}"
    line = f"gs = ad.autograd.grad({y}, {inputs}, {text}, {options})"
    s.grad(y, given, xs, line, retain, unused)


def second(s: Session, c: Choices) -> None:
    y = c.tensor(s, differentiable)
    x = behind(s, c, y)
    if sized(x.model.shape) == 0:
        raise UnmodelledError
    text, given = given_for(s, c, y)
    line = f"gs = ad.autograd.grad({y}, [{x}], {text}, create_graph=True)"
    s.second_order(y, given, x, line)


def forget_grad(s: Session, c: Choices) -> None:
    x = c.tensor(s, lambda m: not m.is_view and m.slot.grad is not None)
    slot = x.model.slot
    if c.below(2):
        s.change(f"{x}.grad = None", x, lambda: setattr(slot, "grad", None))
    else:
        s.change(f"{x}.grad.zero_()", x, lambda: ops.copy_(slot.grad, 0))


def take_grad(s: Session, c: Choices) -> None:
    x = c.tensor(s, lambda m: not m.is_view and m.is_leaf and m.slot.grad is not None)
    if any(live.model is x.model.slot.grad for live in s.live):
        raise UnmodelledError
    x.model.slot.grad.storage.near = True
    s.new(f"{x}.grad", lambda: x.model.slot.grad)


def delete(s: Session, c: Choices) -> None:
    s.drop(s.live.index(c.tensor(s)))
