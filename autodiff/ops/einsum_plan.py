"""How a sum of products is read from its equation and cut into steps; shapes alone, no tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import Any

from autodiff.named import NamedTuple
from autodiff.shapes import Size

# A label is the code of a letter, or ELLIPSIS less how far from the right a dimension of "..." is.
Labels = tuple[int, ...]
ELLIPSIS = -1
OPTIMAL = 6  # operands whose order is the best of all; that of more is chosen step by step


# ---- reading ----


def refused(text: str) -> RuntimeError:
    """The error of a call that cannot be planned."""
    return RuntimeError(f"einsum(): {text}")


def _name(label: int) -> str:
    return chr(label) if label >= 0 else "..."


def _terms(equation: str) -> tuple[list[list[int]], list[int] | None]:
    """The labels of each operand, and of the result where it is given; ELLIPSIS stands for all."""
    left, arrow, right = equation.partition("->")
    sides = [left.split(","), [right] if arrow else []]
    start, found = 0, []
    for side in sides:
        for i, term in enumerate(side):
            found.append(
                list(_labels(term, start, f"operand {i}" if side is sides[0] else "the output"))
            )
            start += len(term) + 1
        start += 1
    return found[: len(sides[0])], found[-1] if arrow else None


def _labels(term: str, start: int, owner: str) -> Iterator[int]:
    at, seen = 0, False
    while at < len(term):
        c = term[at]
        if term.startswith("...", at):
            if seen:
                raise refused(f"found '.' for {owner} for which an ellipsis was already found")
            seen = True
            yield ELLIPSIS
            at += 3
            continue
        at += 1
        if c == " ":
            continue
        if c == ".":
            raise refused(f"found '.' for {owner} that is not part of any ellipsis")
        if not (c.isascii() and c.isalpha()):
            raise refused(
                f"invalid subscript given at index {start + at - 1} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )
        yield ord(c)


def sublist(given: Any) -> list[int]:
    """Labels given as numbers, which stand for A-Z and a-z in this order."""
    if not isinstance(given, (tuple, list)):
        raise TypeError(f"einsum(): subscripts must be a list, not {type(given).__name__}")
    found = []
    for item in given:
        if item is Ellipsis or isinstance(item, EllipsisType):
            found.append(ELLIPSIS)
        elif isinstance(item, int) and 0 <= item < 52:
            found.append(item + ord("A") if item < 26 else item - 26 + ord("a"))
        else:
            raise ValueError(
                "einsum(): subscript in subscript list is not within the valid range [0, 52)"
            )
    return found


@functools.lru_cache(maxsize=512)
def parsed(equation: str) -> tuple[tuple[Labels, ...], Labels | None]:
    """What `_terms` finds, as it is remembered."""
    terms, output = _terms(equation)
    return tuple(map(tuple, terms)), None if output is None else tuple(output)


# ---- planning ----


class Step(NamedTuple):
    """Operands i and j (or i alone, where j is -1) make a new one, which comes last.

    First, the dimensions `summed` go. A pair then becomes matrices: `orders` are those of their
    dimensions, `shapes` what they and their product are reshaped to, None where nothing is to be
    done. Without `inner`, they are multiplied element by element.
    """

    i: int
    j: int
    summed: Sequence[tuple[int, ...]]
    orders: Sequence[tuple[int, ...] | None]
    shapes: Sequence[list[int] | None]
    inner: bool


class Plan(NamedTuple):
    """What is done to each operand (diagonals, then sizes of 1 that go), then the steps."""

    diagonals: list[list[tuple[int, int]]]
    dropped: list[tuple[int, ...]]
    steps: list[Step]
    order: tuple[int, ...] | None  # of the last operand's dimensions, in the result
    prepared: bool  # whether there are diagonals, or sizes of 1 that go


def _spread(labels: Sequence[int], ndim: int, operand: int) -> list[int]:
    """The labels of each dimension, the ellipsis written out."""
    room = ndim - sum(label != ELLIPSIS for label in labels)
    if room < 0 or (room and ELLIPSIS not in labels):
        word = "more than" if room < 0 and ELLIPSIS in labels else "does not match"
        tail = "" if ELLIPSIS in labels else " and no ellipsis was given"
        raise refused(
            f"the number of subscripts in the equation ({ndim - room}) {word} the number of "
            f"dimensions ({ndim}) for operand {operand}{tail}"
        )
    found: list[int] = []
    for label in labels:
        found += range(ELLIPSIS - room, ELLIPSIS) if label == ELLIPSIS else (label,)
    return found


def _output(given: Sequence[int] | None, operands: Sequence[Sequence[int]]) -> list[int]:
    """The result's labels; where none are given, those that occur once, in order."""
    every = [label for labels in operands for label in labels]
    dims = sorted({label for label in every if label < 0})
    if given is None:
        return dims + sorted(
            label for label in set(every) if label >= 0 and every.count(label) == 1
        )
    found: list[int] = []
    for label in given:
        if label != ELLIPSIS and given.count(label) > 1:
            raise refused(f"output subscript {_name(label)} appears more than once in the output")
        if label != ELLIPSIS and label not in every:
            raise refused(
                f"output subscript {_name(label)} does not appear in the equation for any input "
                "operand"
            )
        found += dims if label == ELLIPSIS else [label]
    return found


def _sizes(operands: Sequence[Sequence[int]], shapes: Sequence[Sequence[int]]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for k, (labels, shape) in enumerate(zip(operands, shapes, strict=True)):
        own: dict[int, int] = {}
        for label, size in zip(labels, shape, strict=True):
            if own.setdefault(label, size) != size:
                raise refused(
                    f"subscript {_name(label)} is repeated for operand {k} but the sizes don't "
                    f"match, {size} != {own[label]}"
                )
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size not in (1, known):
                raise refused(
                    f"subscript {_name(label)} has size {size} for operand {k} which does not "
                    f"broadcast with previously seen size {known}"
                )
    return sizes


def _order(
    operands: list[Labels], output: Sequence[int], sizes: dict[int, int]
) -> list[tuple[int, int]]:
    """Pairs to multiply, by their place among what is left; a product comes last."""
    n = len(operands)
    if n > OPTIMAL:
        return _greedy(operands, output, sizes)
    best: dict[int, tuple[float, list[tuple[int, int]]]] = {1 << i: (0, []) for i in range(n)}
    outside = frozenset(output)

    def labels(group: int) -> frozenset[int]:
        """What a product of the operands in a group keeps, and what it is the sum of."""
        own = frozenset(x for i in range(n) if group >> i & 1 for x in operands[i])
        rest = outside.union(*(operands[i] for i in range(n) if not group >> i & 1))
        return own & rest if group & (group - 1) else own

    for group in sorted(range(1, 1 << n), key=lambda g: (g.bit_count(), g)):
        if group in best:
            continue
        options = []
        part = (group - 1) & group
        while part:
            other = group ^ part
            if part > other:  # each split once
                cost = math.prod(sizes[x] for x in labels(part) | labels(other))
                first, second = best[part], best[other]
                total = first[0] + second[0] + cost
                options.append((total, [*first[1], *second[1], (part, other)]))
            part = (part - 1) & group
        best[group] = min(options)
    return _places(best[(1 << n) - 1][1], n)


def _places(splits: Sequence[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    left = [1 << i for i in range(n)]
    pairs = []
    for a, b in splits:
        i, j = sorted((left.index(a), left.index(b)))
        pairs.append((i, j))
        del left[j], left[i]
        left.append(a | b)
    return pairs


def _greedy(
    operands: list[Labels], output: Sequence[int], sizes: dict[int, int]
) -> list[tuple[int, int]]:
    """Always the pair whose product adds the least to what is kept."""
    left, pairs = [frozenset(x) for x in operands], []

    def made(i: int, j: int) -> frozenset[int]:
        rest = frozenset(output).union(*(x for k, x in enumerate(left) if k not in (i, j)))
        return (left[i] | left[j]) & rest

    def volume(labels: frozenset[int]) -> int:
        return math.prod(sizes[x] for x in labels)

    while len(left) > 1:
        _, i, j = min(
            (volume(made(i, j)) - volume(left[i]) - volume(left[j]), i, j)
            for j in range(len(left))
            for i in range(j)
        )
        product = made(i, j)
        pairs.append((i, j))
        del left[j], left[i]
        left.append(product)
    return pairs


def _step(
    i: int, j: int, a: Labels, b: Labels, kept: set[int], sizes: dict[int, int]
) -> tuple[Step, Labels]:
    """How a and b become their product, of which the labels `kept` are needed."""
    drops = [
        tuple(d for d, x in enumerate(own) if x not in other and x not in kept)
        for own, other in ((a, b), (b, a))
    ]
    a = tuple(x for x in a if x in b or x in kept)
    b = tuple(x for x in b if x in a or x in kept)
    inner = [x for x in a if x in b and x not in kept]
    batch = [x for x in a if x in b and x in kept]
    rows, cols = [x for x in a if x not in b], [x for x in b if x not in a]

    def count(labels: Sequence[int]) -> int:
        return math.prod(sizes[x] for x in labels)

    result = (*batch, *rows, *cols)
    shape = [sizes[x] for x in result]
    if inner:
        k, lead = count(inner), [sizes[x] for x in batch]
        lead = lead if len(lead) < 7 else [count(batch)]
        left = tuple(map(a.index, (*batch, *rows, *inner)))
        right = tuple(map(b.index, (*batch, *inner, *cols)))
        shapes = ([*lead, count(rows), k], [*lead, k, count(cols)], shape)
    else:
        left = tuple(map(a.index, (*batch, *rows)))
        right = tuple(map(b.index, (*batch, *cols)))
        own = [sizes[x] for x in (*batch, *rows)] + [1] * len(cols)
        shapes = (own, [sizes[x] for x in (*batch, *cols)], shape)
        if batch and rows:
            shapes = (
                own,
                [sizes[x] for x in batch] + [1] * len(rows) + [sizes[x] for x in cols],
                shape,
            )
    made = [*shapes[0][:-1], shapes[1][-1]] if inner else shape
    orders = [None if order == tuple(range(len(order))) else order for order in (left, right)]
    moved = [[sizes[own[d]] for d in order] for own, order in ((a, left), (b, right))]
    given = [
        None if to == list(was) else to for to, was in zip(shapes, (*moved, made), strict=True)
    ]
    return Step(i, j, drops, orders, given, bool(inner)), result


@functools.lru_cache(maxsize=512)
def plan_of(terms: tuple[Labels, ...], output: Labels | None, shapes: tuple[Size, ...]) -> Plan:
    """What is done to operands of these labels and shapes."""
    spread = [
        _spread(labels, len(shape), k)
        for k, (labels, shape) in enumerate(zip(terms, shapes, strict=True))
    ]
    result = _output(output, spread)
    sizes = _sizes(spread, shapes)
    diagonals, dropped, left = [], [], []
    for labels, shape in zip(spread, shapes, strict=True):
        pairs, own, extents = [], list(labels), list(shape)
        while len(set(own)) < len(own):
            label = next(x for x in own if own.count(x) > 1)
            first = own.index(label)
            second = own.index(label, first + 1)
            pairs.append((first, second))
            own = [x for d, x in enumerate(own) if d not in (first, second)] + [label]
            extents = [n for d, n in enumerate(extents) if d not in (first, second)] + [
                extents[first]
            ]
        narrow = tuple(d for d, x in enumerate(own) if extents[d] == 1 != sizes[x])
        diagonals.append(pairs)
        dropped.append(narrow)
        left.append(tuple(x for d, x in enumerate(own) if d not in narrow))
    steps = []
    for i, j in _order(left, result, sizes) if len(left) > 1 else ():
        a, b = left[i], left[j]
        del left[j], left[i]
        kept = set(result).union(*left)
        step, made = _step(i, j, a, b, kept, sizes)
        steps.append(step)
        left.append(made)
    (last,) = left
    over = tuple(d for d, x in enumerate(last) if x not in result)
    if over:
        steps.append(Step(0, -1, (over,), (), (), False))
        last = tuple(x for x in last if x in result)
    order = tuple(map(last.index, result))
    unmoved = order == tuple(range(len(order)))
    prepared = any(diagonals) or any(dropped)
    return Plan(diagonals, dropped, steps, None if unmoved else order, prepared)
