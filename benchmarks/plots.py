"""Time against size: a file for each group of workloads that has sizes, a panel for each line."""

import io
import math
import re
from collections.abc import Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from contestants import PEERS, TITLES, US
from limits import LIMIT
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from results import Findings, Result

COLUMNS = 4
PANEL = (2.6, 2.1)  # inches
DPI = 100
PALETTE = 64  # colours
COLOURS = {
    US: "#d62728",
    "torch": "#1f77b4",
    "numpy": "#2ca02c",
    "jax": "#9467bd",
    LIMIT: "#555555",
}
LABELS = TITLES | {LIMIT: "limit of the machine"}
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

Panels = dict[str, list[Result]]


def draw_all(found: Findings, folder: Path) -> dict[str, Path]:
    """Draw every group that has sizes; the files by group."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for group in dict.fromkeys(r.workload.group for r in found.results):
        panels = panels_of(r for r in found.results if r.workload.group == group)
        if panels:
            drawn[group] = folder / f"{re.sub(r'[^a-z0-9]+', '-', group.lower()).strip('-')}.png"
            draw(panels, drawn[group])
    return drawn


def panels_of(results: Iterable[Result]) -> Panels:
    """The results by line, in the order of sizes; a line of one size is no line."""
    panels: Panels = {}
    for result in results:
        if result.workload.size is not None:
            panels.setdefault(result.workload.line, []).append(result)
    return {
        line: sorted(members, key=lambda r: r.workload.size or 0)
        for line, members in panels.items()
        if len({r.workload.size for r in members}) > 1
    }


def draw(panels: Panels, path: Path) -> None:
    """A grid of panels with one legend."""
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = (max(2, columns) * PANEL[0], rows * PANEL[1] + 0.4)
    with pyplot.rc_context(STYLE):
        figure, grid = pyplot.subplots(
            rows, columns, figsize=size, squeeze=False, layout="constrained"
        )
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (line, results) in zip(grid.flat, panels.items(), strict=False):
            draw_panel(axes, line, results)
        for axes in grid[:, 0]:
            axes.set_ylabel("seconds")
        figure.supxlabel("size", fontsize=STYLE["font.size"])
        handles = {}
        for axes in grid.flat:
            handles |= {h.get_label(): h for h in axes.get_lines()}
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=5, frameon=False)
        save(figure, path)
        pyplot.close(figure)


def save(figure: Figure, path: Path) -> None:
    """As a picture of few colours, which takes a third of the bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, format="png")
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(PALETTE, dither=Image.Dither.NONE).save(path, optimize=True)


def draw_panel(axes: Axes, title: str, results: list[Result]) -> None:
    """The time of everybody, and the least that the machine allows."""
    axes.set_title(title)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.grid(alpha=0.25, linewidth=0.5)
    measured = [s for r in results for name, s in r.seconds.items() if name != LIMIT]
    axes.set_ylim(min(measured) / 3, max(measured) * 3)  # cuts off a limit that is far below
    for name in (LIMIT, *reversed(PEERS), US):
        points = [(r.workload.size, r.seconds[name]) for r in results if name in r.seconds]
        if points:
            style = {"linestyle": "--"} if name == LIMIT else {"marker": "o", "markersize": 2}
            width = 1.6 if name == US else 1.0
            axes.plot(
                *zip(*points, strict=True),
                color=COLOURS[name],
                label=LABELS[name],
                linewidth=width,
                **style,
            )
