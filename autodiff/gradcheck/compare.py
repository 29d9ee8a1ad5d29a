"""The Jacobian by backward and by differences, compared element by element."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from autodiff.gradcheck.slopes import Line, Tolerance, judge
from autodiff.gradcheck.subject import Leaf, Subject
from autodiff.graph import grad
from autodiff.ops.create import zeros
from autodiff.ops.indexing import setitem
from autodiff.tensor import Tensor

Index = tuple[int, ...]


class GradcheckError(RuntimeError):
    """A gradient that finite differences contradict."""


def _positions(x: Tensor) -> Iterator[Index]:
    """The index of each element, in row-major order."""
    return product(*map(range, x.shape))


def _flat(y: Tensor) -> list[float]:
    values: list[float] = y.detach().reshape(-1).tolist()
    return values


def _far(a: list[float], b: list[float], limit: float) -> bool:
    """Whether two lists differ somewhere by more than a limit; nan is equal to nan here."""
    pairs = zip(a, b, strict=True)
    return any(not (p == q or abs(p - q) <= limit or (p != p and q != q)) for p, q in pairs)


class Comparison:
    """One subject, checked with one step and tolerance.

    `worst` is its largest error, in units of the tolerance; those at kinks are not counted.
    """

    def __init__(
        self, subject: Subject, eps: float, tolerance: Tolerance, nondet_tol: float
    ) -> None:
        self.subject = subject
        self.eps, self.tolerance, self.nondet_tol = eps, tolerance, nondet_tol
        self.worst = 0.0

    def run(self) -> None:
        """Compare every element. GradcheckError at the first that disagrees."""
        leaves = self.subject.leaves
        before = [repr(_flat(leaf.tensor)) for leaf in leaves]
        ys = self.subject()
        kept = [k for k, y in enumerate(ys) if y.requires_grad]
        kept = kept or [k for k, y in enumerate(ys) if y.is_floating_point()]  # must be constant
        analytical = [self.analytical(ys[k], k) for k in kept]
        for leaf, then in zip(leaves, before, strict=True):
            if repr(_flat(leaf.tensor)) != then:
                raise GradcheckError(f"{leaf.name} was changed by the function or its backward")
        self.check_repeats(ys, kept, analytical)
        for n, leaf in enumerate(leaves):
            for at, index in enumerate(_positions(leaf.tensor)):
                line = self.line(leaf, index, kept)
                columns = [[row[n][at] for row in rows] for rows in analytical]
                self.compare(line, leaf, index, kept, ys, columns)

    def analytical(self, y: Tensor, k: int) -> list[list[list[float]]]:
        """For each element of output k, its gradient with respect to each leaf."""
        return [self.row(y, k, index) for index in _positions(y)]

    def row(self, y: Tensor, k: int, index: Index) -> list[list[float]]:
        """The gradient of one element of output k with respect to each leaf."""
        leaves = self.subject.leaves
        if not y.requires_grad:
            return [[0.0] * leaf.tensor.numel() for leaf in leaves]
        one = zeros(y.shape, dtype=y.dtype)
        setitem(one, index, 1.0)
        xs = [leaf.tensor for leaf in leaves]
        found = grad(y, xs, one, retain_graph=True, allow_unused=True)
        return [self.gradient(leaf, k, g) for leaf, g in zip(leaves, found, strict=True)]

    def gradient(self, leaf: Leaf, k: int, g: Tensor | None) -> list[float]:
        """A gradient's elements, zeros for None; GradcheckError where it does not fit its leaf."""
        x = leaf.tensor
        if g is None:
            return [0.0] * x.numel()
        if g.shape != x.shape or g.dtype is not x.dtype:
            raise GradcheckError(
                f"the gradient of output {k} with respect to {leaf.name} is {g.dtype!r} "
                f"{list(g.shape)}, and the {leaf.name.split()[0]} is {x.dtype!r} {list(x.shape)}"
            )
        return _flat(g)

    def check_repeats(
        self, ys: Sequence[Tensor], kept: Sequence[int], rows: Sequence[list[list[list[float]]]]
    ) -> None:
        """GradcheckError where a second evaluation, or its first gradient, is another."""
        again = self.subject()
        for k, jacobian in zip(kept, rows, strict=True):
            what = None
            if k >= len(again) or again[k].shape != ys[k].shape:
                what = f"output {k} changes shape"
            elif _far(_flat(ys[k]), _flat(again[k]), self.nondet_tol):
                what = f"output {k} differs"
            elif jacobian:
                first = self.row(again[k], k, (0,) * again[k].ndim)
                pairs = zip(jacobian[0], first, strict=True)
                if any(_far(a, b, self.nondet_tol) for a, b in pairs):
                    what = f"the gradient of output {k} differs"
            if what:
                raise GradcheckError(
                    f"the function is not deterministic: {what} from one call to the next with the "
                    "same inputs (nondet_tol allows differences). Draws of the default generator "
                    "are repeated by gradcheck; seed another generator inside the function, keep "
                    "no state between calls, or call eval() on a module"
                )

    def line(self, leaf: Leaf, index: Index, kept: Sequence[int]) -> Line:
        """The kept outputs as one element of a leaf varies."""
        memory = leaf.varied.detach()
        value = memory[index].item()

        def evaluate(there: float) -> list[list[float]]:
            setitem(memory, index, there)
            try:
                ys = self.subject(varied=True)
                return [
                    _flat(ys[k]) for k in kept
                ]  # before the value is restored: they may view it
            finally:
                setitem(memory, index, value)

        line = Line(value, evaluate)
        if not line.width(-self.eps, self.eps) > 0:
            raise GradcheckError(
                f"a step of eps={self.eps} vanishes beside {leaf.name} {list(index)} = {value}"
            )
        return line

    def compare(
        self,
        line: Line,
        leaf: Leaf,
        index: Index,
        kept: Sequence[int],
        ys: Sequence[Tensor],
        columns: list[list[float]],
    ) -> None:
        """Compare a column of each output's Jacobian. GradcheckError names the first difference."""
        atol, rtol = self.tolerance
        for n, (expected, got) in enumerate(zip(line.central(self.eps), columns, strict=True)):
            for at, (want, have) in enumerate(zip(expected, got, strict=True)):
                limit = atol + rtol * abs(want)
                error = abs(want - have)
                if error <= limit:
                    if error > self.worst * limit:
                        self.worst = error / limit
                elif want != have:  # equal infinities are
                    self.disagreement(line, leaf, index, kept[n], ys[kept[n]], (n, at, want, have))

    def disagreement(
        self,
        line: Line,
        leaf: Leaf,
        index: Index,
        k: int,
        y: Tensor,
        found: tuple[int, int, float, float],
    ) -> None:
        """GradcheckError, unless there is a kink here that explains the difference."""
        n, at, want, have = found
        verdict = judge(line, n, at, have, self.eps, self.tolerance)
        if verdict.accepted:
            return
        place = list(_positions(y))[at]
        lines = [
            f"Jacobian mismatch for output {k} with respect to {leaf.name}: d output"
            f"{list(place)} / d {leaf.name.split()[0]}{list(index)}",
            f"numerical (expected): {want}",
            f"analytical (got): {have}",
            f"slope from the left: {verdict.slopes.left}",
            f"slope from the right: {verdict.slopes.right}",
        ]
        if verdict.note:
            lines.append(verdict.note)
        elif y.element_size() < 8:
            lines.append(f"output {k} is {y.dtype!r}, too coarse for differences of {self.eps}")
        raise GradcheckError("\n".join(lines))
