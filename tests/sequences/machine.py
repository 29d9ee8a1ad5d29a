"""Runs each step in the library and in the model, and compares all there is to see."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from sequences.model import Mode, RefusedError, Tensor, UnmodelledError
from sequences.scalars import value_of
from sequences.walk import Pass, gradient_of, gradient_tensor, second

ROOM = 8  # live tensors; the oldest goes when another comes
TOLERANCE = {"float64": 1e-10, "float32": 1e-3, "int64": 0.0, "bool": 0.0}


class DifferenceError(AssertionError):
    """The library and the model differ."""


class Raised(NamedTuple):
    """An exception's class and text."""

    kind: type[Exception]
    text: str


class Live:
    """A tensor by its name, in the library and in the model."""

    def __init__(self, name: str, ours: Any, model: Tensor) -> None:
        self.name = name
        self.ours = ours
        self.model = model

    def __str__(self) -> str:
        return self.name


def flat(value: Any) -> list[Any]:
    if type(value) is not list:
        return [value]
    if value and type(value[0]) is not list:
        return value
    return [v for row in value for v in flat(row)]


def places(x: Any) -> list[int]:
    """The positions of a tensor's elements in its storage, from its strides."""
    at = [x.storage_offset()]
    for size, stride in zip(x.shape, x.stride(), strict=True):
        at = [p + i * stride for p in at for i in range(size)]
    return at


class Session:
    """Live tensors, the program so far, and the two sides it runs on."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.names: dict[str, Any] = {"ad": library}
        self.live: list[Live] = []
        self.program: list[str] = []
        self.count = 0
        self.refusals = 0
        self.near = 0.0  # how far a gradient may be off
        self.dtypes = {getattr(library, d): d for d in TOLERANCE}
        Mode.grad = True

    # ---- steps ----

    def fail(self, what: str) -> None:
        raise DifferenceError(
            "\n".join([what, "after the program", "import autodiff as ad", *self.program])
        )

    def execute(self, text: str, recorded: bool) -> Raised | None:
        """Run one line in the library; what it raised, if anything."""
        line = text if recorded else f"with ad.no_grad(): {text}"
        self.program.append(line)
        try:
            exec(line, self.names)
        except Exception as failure:
            return Raised(type(failure), repr(failure))  # itself, it would keep tensors alive
        return None

    def predict(self, model: Callable[[], Any], recorded: bool) -> Any:
        """What the model makes of a step: its result, or a RefusedError."""
        Mode.grad = recorded
        try:
            return model()
        except RefusedError as refused:
            return RefusedError(*refused.kinds)  # without its traceback
        finally:
            Mode.grad = True

    def agree(self, predicted: Any, failure: Raised | None) -> bool:
        """Whether the step succeeded on both sides. Fails where only one did."""
        if isinstance(predicted, RefusedError):
            kinds = " or ".join(kind.__name__ for kind in predicted.kinds)
            if failure is None:
                self.fail(f"the last line should have raised {kinds}")
            if not issubclass(failure.kind, predicted.kinds):
                self.fail(f"the last line should have raised {kinds}, not {failure.text}")
            self.program[-1] = f"# {kinds}: {self.program[-1]}"
            self.refusals += 1
            return False
        if failure is not None:
            self.fail(f"the last line should not have raised {failure.text}")
        return True

    def new(self, expression: str, model: Callable[[], Tensor], recorded: bool = True) -> None:
        """A step that makes a tensor."""
        name = f"t{self.count}"
        try:
            predicted = self.predict(model, recorded)
        except UnmodelledError:
            return
        failure = self.execute(f"{name} = {expression}", recorded)
        if self.agree(predicted, failure):
            self.count += 1
            live = Live(name, self.names[name], predicted)
            self.adopt_layout(live)
            self.compare(live, loose=True)
            self.add(live)
        self.check()

    def change(self, text: str, x: Live, model: Callable[[], None], recorded: bool = True) -> None:
        """A step that writes to x."""
        try:
            predicted = self.predict(model, recorded)
        except UnmodelledError:
            return
        failure = self.execute(text, recorded)
        if self.agree(predicted, failure):
            self.compare(x, loose=True)
        self.check()

    def add(self, live: Live) -> None:
        self.live.append(live)
        if len(self.live) > ROOM:
            self.drop(0)

    def drop(self, i: int) -> None:
        live = self.live.pop(i)
        self.program.append(f"del {live}")
        del self.names[live.name]

    # ---- comparison ----

    def adopt_layout(self, live: Live) -> None:
        """Which order the elements of a new storage lie in is the library's choice."""
        m = live.model
        if m.is_view or m.positions != list(range(len(m.positions))):
            return
        if m.family.has_views or len(m.storage.cells) != len(m.positions):
            return
        order = places(live.ours)
        if order == m.positions or sorted(order) != m.positions:
            return  # compare says what is wrong
        cells, scalars = m.storage.cells[:], dict(m.family.scalars)
        for k, p in enumerate(order):
            m.storage.cells[p] = cells[k]
            if scalars:
                m.family.scalars[p] = scalars[k]
        m.positions = m.family.positions = order

    def compare(self, live: Live, loose: bool = False) -> None:
        """One tensor against its model; where loose, the model takes over values that are near."""
        x, m = live.ours, live.model
        if tuple(x.shape) != m.shape:
            self.fail(f"{live} has shape {tuple(x.shape)}, expected {m.shape}")
        if self.dtypes[x.dtype] != m.dtype:
            self.fail(f"{live} is {x.dtype}, expected {m.dtype}")
        if x.requires_grad != m.requires_grad or x.is_leaf != m.is_leaf:
            self.fail(
                f"{live}: requires_grad, is_leaf are {x.requires_grad, x.is_leaf}, "
                f"expected {m.requires_grad, m.is_leaf}"
            )
        if m.positions and places(x) != m.positions:
            self.fail(f"{live}: elements lie at {places(x)}, expected {m.positions}")
        tolerance = max(TOLERANCE[m.dtype], self.near if m.storage.near else 0.0)
        self.compare_values(str(live), flat(x.tolist()), m, loose, tolerance)
        self.compare_gradient(live, loose)

    def compare_values(
        self, what: str, got: list[Any], m: Tensor, loose: bool, tolerance: float
    ) -> None:
        expected = m.values()
        if got == expected:
            return
        near = loose and len(got) == len(expected)
        if not near or not all(
            math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
            for a, b in zip(got, expected, strict=True)
        ):
            self.fail(f"{what} is {got}, expected {expected}")
        for p, value in zip(m.positions, got, strict=True):
            m.storage.cells[p] = value

    def compare_gradient(self, live: Live, loose: bool) -> None:
        m = live.model
        if not m.is_view and m.is_leaf:
            self.gradient(live, m.slot.grad, self.near if loose else 0.0)

    def gradient(self, live: Live, expected: Tensor | None, tolerance: float) -> None:
        g = live.ours.grad
        if (g is None) != (expected is None):
            self.fail(f"{live}.grad is {g}, expected {expected and expected.values()}")
        if expected is not None:
            if tuple(g.shape) != expected.shape or self.dtypes[g.dtype] != expected.dtype:
                self.fail(f"{live}.grad is {g}, expected {expected.dtype} {expected.shape}")
            values = flat(g.tolist())
            self.compare_values(f"{live}.grad", values, expected, tolerance > 0, tolerance)

    def check(self, loose: bool = False) -> None:
        """All live tensors."""
        for live in self.live:
            self.compare(live, loose)

    # ---- gradients ----

    def passed(
        self, y: Live, given: Tensor | None, inputs: list[Live] | None
    ) -> Pass | RefusedError:
        try:
            return Pass(y.model, given, None if inputs is None else [x.model for x in inputs])
        except RefusedError as refused:
            return RefusedError(*refused.kinds)

    def backward(self, y: Live, given: Tensor | None, text: str, retain: bool) -> None:
        """A backward pass into .grad of leaves."""
        walk = self.passed(y, given, None)
        if isinstance(walk, RefusedError):
            self.agree(walk, self.execute(text, True))
            self.check()
            return
        may, doubtful = walk.verdict()
        found = walk.flow()
        self.near = walk.near
        failure = self.execute(text, True)
        leaves = [node.leaf for node in walk.nodes if node.leaf is not None]
        if failure is not None:
            self.agree(None if not doubtful else RefusedError(RuntimeError), failure)
            self.adopt_partial(leaves, found)
            walk.free(certain=False)
        else:
            if not may:
                self.fail("the last line should have raised RuntimeError")
            for slot in leaves:
                self.accumulate(slot, found)
            if not retain:
                walk.free()
        self.check(loose=True)

    def accumulate(self, slot: Any, found: dict[Any, Any]) -> None:
        if slot.muted:
            return
        values = [found.get(scalar, 0.0) for scalar in slot.scalars]
        if slot.grad is None:
            slot.grad = gradient_tensor(slot.owner, values)
            return
        grad = slot.grad
        for p, v in zip(grad.positions, values, strict=True):
            grad.storage.cells[p] += v
        grad.storage.version += 1

    def adopt_partial(self, leaves: list[Any], found: dict[Any, Any]) -> None:
        """After a pass that broke off: each leaf's gradient is what it was, or complete."""
        for slot in leaves:
            holders = [live.ours.grad for live in self.live if live.model.slot is slot]
            holders += [live.ours for live in self.live if live.model is slot.grad]
            if not holders:  # nobody can look at it any more
                continue
            before = None if slot.grad is None else slot.grad.values()
            now = None if holders[0] is None else flat(holders[0].tolist())
            if now != before:
                self.accumulate(slot, found)

    def grad(
        self, y: Live, given: Tensor | None, xs: list[Live], text: str, retain: bool, unused: bool
    ) -> None:
        """`autograd.grad`: the gradients of y by inputs; text assigns them to `gs`."""
        walk = self.passed(y, given, xs)
        if isinstance(walk, RefusedError):
            self.agree(walk, self.execute(text, True))
            self.check()
            return
        may, doubtful = walk.verdict()
        missing = [x for x in xs if x.model.live_node() not in walk.nodes]
        found = walk.flow()
        self.near = walk.near
        failure = self.execute(text, True)
        if failure is not None:
            expected = doubtful or (missing and not unused)
            self.agree(RefusedError(RuntimeError) if expected else None, failure)
            walk.free(certain=False)
        else:
            if not may or (missing and not unused):
                self.fail("the last line should have raised RuntimeError")
            for x, g in zip(xs, self.names.pop("gs"), strict=True):
                self.compare_one(x, g, None if x in missing else gradient_of(x.model, found))
            if not retain:
                walk.free()
        self.check()

    def compare_one(self, x: Live, g: Any, values: list[Any] | None) -> None:
        """A gradient by x against what it should be."""
        if (g is None) != (values is None):
            self.fail(f"the gradient by {x} is {g}, expected {values}")
        if values is None:
            return
        m = gradient_tensor(x.model, [value_of(v) for v in values])
        if tuple(g.shape) != m.shape or self.dtypes[g.dtype] != m.dtype:
            self.fail(f"the gradient by {x} is {g}, expected {m.dtype} {m.shape}")
        self.compare_values(f"the gradient by {x}", flat(g.tolist()), m, True, self.near)

    def second_order(self, y: Live, given: Tensor | None, x: Live, text: str) -> None:
        """The gradient of the sum of a gradient; text assigns the first one to `gs`."""
        walk = self.passed(y, given, [x])
        if isinstance(walk, RefusedError):
            return
        may, doubtful = walk.verdict()
        if not may or doubtful or x.model.live_node() not in walk.nodes:
            return
        first = gradient_of(x.model, walk.flow(create=True))
        again = second(first)
        expected = gradient_of(x.model, again)
        self.near = 1e3 * walk.near
        failure = self.execute(text, True)
        self.agree(None, failure)
        g = self.names["gs"][0]
        self.compare_one(x, g, first)
        h = None
        if g.requires_grad:
            line = (
                f"hs = ad.autograd.grad(gs[0].sum(), [{x}], allow_unused=True, retain_graph=True)"
            )
            self.agree(None, self.execute(line, True))
            h = self.names.pop("hs")[0]
        if h is None:
            if any(expected):
                self.fail(f"the second gradient by {x} is missing, expected {expected}")
        else:
            self.compare_one(x, h, expected)
        del g, h, self.names["gs"]
        self.check()
