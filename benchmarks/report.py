"""Write docs/benchmarks.md and its plots: python benchmarks/report.py FILE... [--docs FOLDER].

The files are what `run.py --save` wrote, for one thread first and then for all cores.
"""

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from contestants import TITLES, US
from results import Findings, Result, read
from units import duration, with_unit
from workload import Workload
from workloads import all_workloads

GROUP_MEANS = {"dispatch": 1.0}  # what the geometric mean of a group is to reach, besides its rows
INTRODUCTION = """\
# Benchmarks

Made by `benchmarks/report.py` (`make bench` runs it), not edited by hand. A thread count lists
what was run on it. The same text ran on autodiff and on every peer that has it, in one process,
in turns. A number below a peer is the median over the rounds of the peer's time over ours:
**above 1 means that autodiff is faster**. In brackets are peers that a row is not held against.
`share` is how much of the machine's limit we reached, of its multiply-adds or of its bandwidth
for arrays of that size, which was measured in the same rounds. A row meets its target where no
peer that it is held against is below the target, nor the share below its own, if it has one.
Targets are for one thread; with all cores, the rows are held to the same. Where a row is marked
"beyond", its target would be missed even at the machine's limit: the peer is that near to it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--docs", type=Path, default=Path(__file__).parent.parent / "docs")
    options = parser.parse_args()
    found = [read(path, all_workloads()) for path in options.files]
    plots = draw(found[0], options.docs)
    page = options.docs / "benchmarks.md"
    page.write_text(render(found, plots))
    print(f"{page}, {len(plots)} plots")
    if failures := [str(failure) for f in found for failure in f.failures]:
        sys.exit("\n".join(failures))


def draw(found: Findings, docs: Path) -> dict[str, str]:
    """The plots that could be drawn, by group, as paths from the page."""
    try:
        from plots import draw_all
    except ImportError as error:
        print(f"no plots: {error}", file=sys.stderr)
        return {}
    folder = docs / "benchmarks"
    return {
        group: path.relative_to(docs).as_posix() for group, path in draw_all(found, folder).items()
    }


def render(found: Sequence[Findings], plots: dict[str, str]) -> str:
    """The page."""
    sections = [INTRODUCTION, summary(found), losing(found), facts(found), machine(found)]
    sections += [group(name, found, plots) for name in groups(found)]
    return "\n\n".join(section for section in sections if section) + "\n"


def groups(found: Iterable[Findings]) -> list[str]:
    return list(dict.fromkeys(r.workload.group for f in found for r in f.results))


def of(name: str, found: Findings) -> list[Result]:
    return [r for r in found.results if r.workload.group == name]


def threads(found: Findings) -> str:
    return "one thread" if found.threads == 1 else f"{found.threads} threads"


def summary(found: Sequence[Findings]) -> str:
    columns = ["group"]
    for f in found:
        columns += [f"rows that meet their target, {threads(f)}", "geometric mean"]
    rows = []
    for name in groups(found):
        cells = [name]
        for f in found:
            cells += [met_of(of(name, f)), mean_cell(name, of(name, f))]
        rows.append(cells)
    total = ["**all**"]
    for f in found:
        total += [f"**{met_of(f.results)}**", ""]
    note = "The geometric mean is of the ratios to the best peer that each row is held against."
    return f"## Summary\n\n{table(columns, [*rows, total])}\n\n{note}"


def met_of(results: Sequence[Result]) -> str:
    return f"{sum(r.met for r in results)} of {len(results)}" if results else ""


def mean_cell(name: str, results: Iterable[Result]) -> str:
    ratios = [r.best for r in results if not math.isnan(r.best)]
    if not ratios:
        return ""
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    target = GROUP_MEANS.get(name)
    return f"{mean:.2f}" if target is None else f"{mean:.2f} (target {target:g})"


def losing(found: Iterable[Findings]) -> str:
    """The rows under their target, the furthest first, and what computed something else."""
    sections = ["## Rows below their target"]
    for f in found:
        rows = sorted((r for r in f.results if not r.met), key=lambda r: r.reached)
        heading = f"### {threads(f).capitalize()}: {len(rows)}"
        sections.append(f"{heading}\n\n{results_table(rows, f, with_group=True)}".rstrip())
    failures = [f"- {failure}" for f in found for failure in f.failures]
    if failures:
        sections.append("## Rows that failed, or whose results differ\n\n" + "\n".join(failures))
    return "\n\n".join(sections)


def facts(found: Iterable[Findings]) -> str:
    rows = [
        [
            fact.name,
            with_unit(fact.ours, fact.unit),
            f"{with_unit(fact.theirs, fact.unit)} ({TITLES[fact.peer]})",
            f"{fact.ratio:.3g}",
            f"{fact.target:.3g}",
            mark(fact.met),
        ]
        for f in found
        for fact in f.facts
    ]
    columns = ["", TITLES[US], "peer", "ratio", "target", "met"]
    return f"## Measured once\n\n{table(columns, rows)}" if rows else ""


def machine(found: Sequence[Findings]) -> str:
    first = found[0]
    dates = " and ".join(dict.fromkeys(f.date for f in found))
    spent = ", ".join(f"{f.minutes:.0f} minutes with {threads(f)}" for f in found)
    rows = [[name, text] for name, text in first.machine.items()]
    rows += [["date", dates], ["the suite took", spent]]
    text = f"## Machine\n\n{table(['', ''], rows)}"
    names = list(dict.fromkeys(limit.name for f in found for limit in f.limits))
    if names:
        values = [
            {limit.name: with_unit(limit.value, limit.unit) for limit in f.limits} for f in found
        ]
        limits = [[name, *(v.get(name, "") for v in values)] for name in names]
        text += f"\n\n### Its limits\n\n{table(['', *map(threads, found)], limits)}"
    return text


def group(name: str, found: Iterable[Findings], plots: dict[str, str]) -> str:
    sections = [f"## {name[:1].upper()}{name[1:]}"]
    if name in plots:
        sections.append(f"![Time against size: {name}]({plots[name]})")
    for f in found:
        if results := of(name, f):
            sections.append(f"### {threads(f).capitalize()}: {name}\n\n{results_table(results, f)}")
    return "\n\n".join(sections)


def results_table(results: Sequence[Result], found: Findings, with_group: bool = False) -> str:
    """Columns that nothing fills are left out."""
    if not results:
        return ""
    peers = [name for name in found.peers if any(name in r.ratios for r in results)]
    limited = any(r.share is not None for r in results)
    columns = ["work", TITLES[US], *(["rate", "share"] if limited else [])]
    columns += [*(TITLES[name] for name in peers), "target", "met"]
    rows = []
    for r in results:
        title = f"{r.workload.group}: {r.workload.name}" if with_group else r.workload.name
        cells = [title.replace("|", "\\|"), duration(r.seconds[US])]
        cells += [rate(r), share(r)] if limited else []
        cells += [ratio(r, name) for name in peers]
        rows.append([*cells, target(r.workload), mark(r.met) + ", beyond" * r.is_beyond])
    return table(columns, rows)


def rate(result: Result) -> str:
    unit = result.workload.unit.partition(" ")[0]
    return "" if result.rate is None else with_unit(result.rate, f"{unit}/s")


def share(result: Result) -> str:
    return "" if result.share is None else f"{result.share:.0%}"


def ratio(result: Result, peer: str) -> str:
    """A peer's ratio; in brackets where the row is not held against that peer."""
    if peer not in result.ratios:
        return ""
    text = (
        f"{result.ratios[peer]:.2f}" if result.ratios[peer] < 100 else f"{result.ratios[peer]:.0f}"
    )
    return text if peer in result.workload.against else f"({text})"


def target(workload: Workload) -> str:
    """In general, by peer, and of the limit."""
    parts = [f"{workload.target:g}"]
    parts += [f"{TITLES[peer]} {value:g}" for peer, value in workload.targets.items()]
    if workload.limit is not None:
        parts.append(f"{workload.limit:.0%} of the limit")
    return ", ".join(parts)


def mark(met: bool) -> str:
    return "yes" if met else "**no**"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; numbers, which is all but the first column, to the right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
