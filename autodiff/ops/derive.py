"""The vjp of a pointwise expression: an expression for each input, and what it reads."""

from __future__ import annotations

from collections.abc import Sequence

from autodiff.expr import Expr, build, differentiate, expanded, rebuild, topological, with_args
from autodiff.named import NamedTuple
from autodiff.ops.factors import rewritten

WORTH_JOINING = 2  # repeated instructions cost more than a call of several results
WORTH_SAVING = 12  # instructions cost more than the output, where inputs are saved beside it
# What takes longer than to store a number and load it again.
SLOW = (
    *("exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "erf", "gelu"),
    "pow",
)
SLOPES_FOR_EACH = 2  # so many numbers are kept rather than one such function computed again


class Derived(NamedTuple):
    """What a node saves (inputs by position, then the output), and each input's cotangent."""

    saved: tuple[int, ...]
    # Of the output's cotangent and what it picks of what was saved; or None, or that cotangent.
    steps: list[tuple[Expr, tuple[int, ...]] | Expr | None]
    joint: list[Expr]  # all that are computed, of the cotangent and all that is saved


def derive(root: Expr, n: int, wanted: int) -> Derived:
    """The vjp of an expression of n inputs; bit i of `wanted`: input i wants a cotangent."""
    g, y = Expr("input", (), n), Expr("input", (), n + 1)
    derived = _use_output(root, _cotangents(root, g, n, wanted), y)
    return _arranged(derived, g, n)


def with_slopes(root: Expr, n: int, wanted: int) -> tuple[Derived, dict[int, Expr]] | None:
    """The same where some inputs' cotangents are the output's times what the call itself computed.

    That is the derivative of each of the inputs named; None where none is worth to be kept.
    """
    if not any(isinstance(s, tuple) and _slow([s[0]]) for s in derive(root, n, wanted).steps):
        return None  # the saved output may be all that they need
    g = Expr("input", (), n)
    cotangents = _cotangents(root, g, n, wanted, by_powers=True)
    slow = [i for i, d in enumerate(cotangents) if d is not None and _slow([d])]
    if len(slow) > SLOPES_FOR_EACH * _slow([d for d in cotangents if d is not None]):
        return None
    one = Expr("ones_like", (root,))
    slopes = rebuild(
        [d for i in slow if (d := cotangents[i]) is not None],
        lambda node, args: one if node is g else with_args(node, args),
    )
    kept = dict(zip(slow, rewritten(slopes, root), strict=True))
    derived = [build("mul", g, kept[i]) if i in kept else d for i, d in enumerate(cotangents)]
    return _arranged(derived, g, n), kept


def _slow(roots: Sequence[Expr]) -> int:
    """How many slow functions expressions compute."""
    return sum(e.op in SLOW for e in topological(expanded(roots)))


def _cotangents(
    root: Expr, g: Expr, n: int, wanted: int, by_powers: bool = False
) -> list[Expr | None]:
    symbols = {e.value: e for e in topological([root]) if e.op == "input"}
    xs = [symbols.get(i, Expr("input", (), i)) for i in range(n)]
    return [
        None if not wanted >> i & 1 else Expr("zeros_like", (g,)) if d is None else d
        for i, d in enumerate(differentiate(root, g, xs, by_powers))
    ]


def _arranged(derived: list[Expr | None], g: Expr, n: int) -> Derived:
    needs = [_input_indices(d) - {n} if d is not None else set() for d in derived]
    saved = tuple(sorted({n if i == n + 1 else i for need in needs for i in need}))
    steps: list[tuple[Expr, tuple[int, ...]] | Expr | None] = []
    for d, need in zip(derived, needs, strict=True):
        if d is None or d is g:
            steps.append(d)
            continue
        order = sorted(need)
        place = {n: 0, **{index: 1 + k for k, index in enumerate(order)}}
        picks = tuple(saved.index(min(index, n)) for index in order)
        steps.append((renumber([d], place)[0], picks))
    return Derived(
        saved, steps, _joint([d for d in derived if d is not None and d is not g], n, saved)
    )


def _joint(roots: Sequence[Expr], n: int, saved: tuple[int, ...]) -> list[Expr]:
    """All cotangents together, where computing them apart would repeat enough; else none."""
    inner = [sum(1 for e in topological([d]) if e.args) for d in roots]
    repeated = sum(inner) - sum(1 for e in topological(roots) if e.args)
    if repeated < WORTH_JOINING:
        return []
    place = {n: 0, **{n + 1 if i == n else i: 1 + k for k, i in enumerate(saved)}}
    return renumber(roots, place)


def grad_name_of(root: Expr, parent: str) -> str:
    """PyTorch's name of the node of a vjp."""
    simple = {"mul": "MulBackward0", "neg": "NegBackward0", "div": "DivBackward0"}
    return simple.get(root.op, parent.replace("Backward0", "BackwardBackward0"))


def _use_output(root: Expr, derived: list[Expr | None], y: Expr) -> list[Expr | None]:
    """Read the saved output instead of computing it again, where no input is then needed, or much
    less is computed.
    """
    roots = [d for d in derived if d is not None]
    changed = rebuild(roots, lambda node, args: y if node is root else with_args(node, args))
    indices = {i for d in changed for i in _input_indices(d)}
    needs_more = any(i < y.value - 1 for i in indices)
    if y.value not in indices or (needs_more and _steps(roots) - _steps(changed) < WORTH_SAVING):
        return derived
    replacement = iter(changed)
    return [None if d is None else next(replacement) for d in derived]


def _steps(roots: Sequence[Expr]) -> int:
    return sum(1 for e in topological(expanded(roots)) if e.args)


def _input_indices(root: Expr) -> set[int]:
    return {e.value for e in topological([root]) if e.op == "input"}


def in_pieces(root: Expr, n: int, most: int) -> list[tuple[Expr, list[int]]]:
    """Expressions of at most so many inputs each that together are one of n; the last is it.

    Beside each stand its inputs: those of the whole, then the pieces before it, numbered from n on.
    """
    pieces: list[tuple[Expr, list[int]]] = []
    at: dict[int, Expr] = {}  # what stands for a part that has become a piece

    def cut(part: Expr, like: Expr) -> None:
        needs = sorted(_input_indices(like))
        pieces.append((renumber([like], {k: i for i, k in enumerate(needs)})[0], needs))
        at[id(part)] = Expr("input", (), n + len(pieces) - 1)

    for e in topological([root]):
        if len(_input_indices(e)) > most:
            for arg in e.args:
                if arg.op != "input" and id(arg) not in at and _input_indices(arg):
                    cut(arg, arg)
            cut(e, with_args(e, tuple(at.get(id(arg), arg) for arg in e.args)))
    return pieces


def renumber(roots: Sequence[Expr], place: dict[int, int]) -> list[Expr]:
    """Expressions whose inputs take other places."""

    def change(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "input":
            return Expr("input", (), place[node.value])
        return with_args(node, args)

    return rebuild(roots, change)
