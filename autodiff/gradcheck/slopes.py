"""Slopes of a function along one of its numbers, and what a gradient may be at a kink.

A kink is where the slopes from the left and from the right differ: there any value between them
is a gradient (a subgradient, where the function is convex). Curvature makes one-sided differences
differ too, in proportion to the step, and rounding in inverse proportion; so a kink is only
believed when the gap between the slopes, extrapolated to a step of 0, stays as the step shrinks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from autodiff.named import NamedTuple

SHRINK = 0.1  # from one step to the next smaller
STEPS = 3
UNIT = 2.0**-52  # of float64, in which functions are evaluated


class Tolerance(NamedTuple):
    """How far a gradient may be from a difference quotient."""

    atol: float
    rtol: float

    def of(self, expected: float) -> float:
        """The distance allowed from an expected value."""
        return self.atol + self.rtol * abs(expected)

    def accepts(self, expected: float, got: float) -> bool:
        """Whether a value is near the expected one; the same infinity is, nan never."""
        return expected == got or abs(expected - got) <= self.of(expected)


class Line:
    """The outputs as one number of an input varies; each place is evaluated once."""

    def __init__(self, value: float, evaluate: Callable[[float], list[list[float]]]) -> None:
        self.value = value
        self.evaluate = evaluate
        self.seen: dict[float, list[list[float]]] = {}

    def at(self, step: float) -> list[list[float]]:
        """All outputs at `value + step`."""
        found = self.seen.get(step)
        if found is None:
            found = self.seen[step] = self.evaluate(self.value + step)
        return found

    def width(self, low: float, high: float) -> float:
        """The distance between two steps' places, as rounding leaves it."""
        return (self.value + high) - (self.value + low)

    def central(self, step: float) -> list[list[float]]:
        """The central differences of all outputs."""
        width = self.width(-step, step)
        return [
            [(up - down) / width for up, down in zip(*pair, strict=True)]
            for pair in zip(self.at(step), self.at(-step), strict=True)
        ]


class Slopes(NamedTuple):
    """The slopes on both sides of a number, and the outputs they were taken from."""

    left: float
    right: float
    values: tuple[float, float, float]  # at -step, 0 and step
    noise: float  # what rounding of the outputs can add to a slope

    @property
    def gap(self) -> float:
        """By how much the slope rises at the number."""
        return self.right - self.left

    @property
    def central(self) -> float:
        """The slope across, from the one-sided ones."""
        return (self.left + self.right) / 2

    def allows(self, got: float, tolerance: Tolerance) -> bool:
        """Whether a gradient lies between the slopes, ends included."""
        low, high = sorted((self.left, self.right))
        below, above = tolerance.of(low) + self.noise, tolerance.of(high) + self.noise
        return low - below <= got <= high + above


class Verdict(NamedTuple):
    """Whether a gradient is accepted, what was found on both sides, and what to say of it."""

    accepted: bool
    slopes: Slopes
    note: str


def measure(line: Line, output: int, place: int, step: float) -> Slopes:
    """One-sided slopes, with the error that is linear in the step extrapolated away."""

    def f(at: float) -> float:
        return line.at(at)[output][place]

    def side(sign: int) -> float:
        far, near = sign * step, sign * step / 2
        whole = (f(far) - f(0.0)) / line.width(0.0, far)
        half = (f(near) - f(0.0)) / line.width(0.0, near)
        return 2 * half - whole

    values = f(-step), f(0.0), f(step)
    noise = 16 * UNIT * max(map(abs, values)) / step
    return Slopes(side(-1), side(1), values, noise)


def judge(
    line: Line, output: int, place: int, got: float, eps: float, tolerance: Tolerance
) -> Verdict:
    """Whether a gradient that the central difference contradicts is right all the same.

    It is at a kink, between the slopes; and beside one, nearer than eps, if it is the slope of the
    side it is on.
    """
    first = measure(line, output, place, eps)
    if not all(map(math.isfinite, first.values)):
        left, here, right = first.values
        what = f"f is {left} at x - eps, {here} at x and {right} at x + eps"
        return Verdict(False, first, f"the function is not finite here: {what}")
    if not math.isfinite(got):
        return Verdict(False, first, f"the gradient is {got}")
    scales = [first]
    for k in range(1, STEPS):
        scales.append(measure(line, output, place, eps * SHRINK**k))
    near = tolerance.accepts(first.left, got) or tolerance.accepts(first.right, got)
    kink = False
    for wide, narrow in pairwise(scales):
        if _kinked(wide, narrow, tolerance):
            kink = True
            if wide.allows(got, tolerance):
                return Verdict(True, wide, "")
        elif near and narrow.noise <= tolerance.of(got) and tolerance.accepts(narrow.central, got):
            return Verdict(True, first, "")
    return Verdict(False, first, _note(scales, kink))


def _kinked(wide: Slopes, narrow: Slopes, tolerance: Tolerance) -> bool:
    """Whether the gap between the slopes is there at both steps: neither curvature nor noise."""
    least = tolerance.of(max(abs(narrow.left), abs(narrow.right))) + narrow.noise
    return abs(narrow.gap) > least and 0.5 * wide.gap**2 <= wide.gap * narrow.gap <= 2 * wide.gap**2


def _note(scales: list[Slopes], kink: bool) -> str:
    if kink:
        return "the slopes differ here: any gradient between them would pass"
    wide, narrow = scales[0], scales[1]
    for sign in (0, 2):
        far, close = (abs(s.values[sign] - s.values[1]) for s in (wide, narrow))
        rounding = 64 * UNIT * max(map(abs, wide.values))
        if close > max(far / 2, rounding):
            return f"the function jumps by about {close:.6g} here: it has no derivative"
    return ""
