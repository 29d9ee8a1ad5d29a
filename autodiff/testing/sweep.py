"""`python -m autodiff gradcheck`: the gradients of every operation, checked on this machine."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from autodiff.gradcheck import worst_error
from autodiff.named import NamedTuple
from autodiff.testing.cases import FAMILIES, Case
from autodiff.testing.draw import Random

ATOL = (1e-6, 1e-5)  # of first and second order
TITLE = f" {'family':11} {'cases':>5} {'first':>8} {'second':>8} {'ms':>6}  verdict"


class Row(NamedTuple):
    """What the checks of one operation found; errors are in units of what is tolerated."""

    name: str
    family: str
    cases: int
    first: float
    second: float
    seconds: float
    verdict: str
    message: str = ""

    def line(self, width: int) -> str:
        """The row of the table, its name in so many columns."""
        numbers = f"{self.first:8.1e} {self.second:8.1e}" if self.cases else f"{'':17}"
        name = f"{self.name:{width}} {self.family:11}"
        line = f"{name} {self.cases:5} {numbers} {self.seconds * 1e3:6.0f}"
        indented = "".join(f"\n    {part}" for part in self.message.splitlines())
        return f"{line}  {self.verdict}{indented}"


def chosen(pattern: str | None) -> list[tuple[str, Case]]:
    """Families and cases whose name matches a glob, or contains the pattern."""
    return [
        (family, case)
        for family, cases in FAMILIES.items()
        for case in cases
        if pattern is None or pattern in case.name or fnmatchcase(case.name, pattern)
    ]


def check(family: str, case: Case, seed: int, examples: int) -> Row:
    """Check one operation to first and second order on operands drawn from a seed."""
    if not case.differentiable:
        return Row(case.name, family, 0, 0.0, 0.0, 0.0, "not differentiable")
    worst, done, start = [0.0, 0.0], 0, time.perf_counter()
    message = ""
    for k in range(examples):
        xs = case.operands(Random(f"{seed} {case.name} {k}"))
        xs = [x.detach().requires_grad_(x.is_floating_point()) for x in xs]
        done += 1
        for order in (1, 2):
            try:
                error = worst_error(case.call, xs, order=order, atol=ATOL[order - 1])
            except Exception as failure:  # any: a broken rule may raise anything
                worst[order - 1] = float("inf")
                shapes = ", ".join(str(list(x.shape)) for x in xs)
                kind = type(failure).__name__
                message = f"order {order}, operands of shapes {shapes}: {kind}: {failure}"
                break
            worst[order - 1] = max(worst[order - 1], error)
        if message:
            break
    verdict = "FAILED" if message else "ok"
    seconds = time.perf_counter() - start
    return Row(case.name, family, done, worst[0], worst[1], seconds, verdict, message)


def progress(cases: Sequence[tuple[str, Case]]) -> Iterator[tuple[str, Case]]:
    """The cases, with a bar on a terminal: tqdm's where it is installed, or a percentage."""
    if not sys.stderr.isatty():
        yield from cases
        return
    with contextlib.suppress(ModuleNotFoundError):
        from tqdm import tqdm

        yield from tqdm(cases, leave=False, unit="op")
        return
    for k, case in enumerate(cases):
        print(f"\r{100 * k // len(cases):3}%", end="", file=sys.stderr, flush=True)
        yield case
    print("\r    \r", end="", file=sys.stderr, flush=True)


def main(pattern: str | None, seed: int, examples: int, names_only: bool = False) -> int:
    """Check and print a table. The exit status: 1 on a failure, 2 where no operation matches."""
    cases = chosen(pattern)
    if not cases:
        print(f"no operation matches {pattern!r}: --list prints all", file=sys.stderr)
        return 2
    if names_only:
        print("\n".join(case.name for _, case in cases))
        return 0
    rows = [check(family, case, seed, examples) for family, case in progress(cases)]
    width = max(len(row.name) for row in rows)
    print(f"{'operation':{width}}{TITLE}")
    print("\n".join(row.line(width) for row in rows))
    failed = sum(row.verdict == "FAILED" for row in rows)
    skipped = sum(row.cases == 0 for row in rows)
    spent = sum(row.seconds for row in rows)
    print(
        f"\n{len(rows) - failed - skipped} operations passed, {failed} failed, {skipped} are not "
        f"differentiable; {sum(row.cases for row in rows)} cases in {spent:.1f} s, seed {seed}. "
        "Errors are in units of the tolerance."
    )
    return 1 if failed else 0
