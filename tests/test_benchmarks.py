"""The benchmark suite itself, on made-up contestants and clocks; no peer but NumPy is needed."""

from __future__ import annotations

import copy
import ctypes
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import against_eager
import limits
import measure
import report
import results
import timing
import units
from contestants import US
from fact import Fact
from limits import LIMIT, Limit, Limits, Stream
from results import Failure, Findings, Result
from workload import Workload, calls, normal
from workloads import all_workloads

WORKLOADS = all_workloads()
MOST_ELEMENTS, MOST_WORK = 1 << 19, 1e8  # of an operand, and in all, to be run by a test


# ---- workloads ----


def test_workloads_have_names_of_their_own() -> None:
    names = [(w.group, w.name) for w in WORKLOADS]
    assert len(set(names)) == len(names)
    places = [(w.group, w.line, w.size) for w in WORKLOADS if w.size is not None]
    assert len(set(places)) == len(places), "two points at one place of a plot"


def test_workloads_are_whole() -> None:
    for w in WORKLOADS:
        assert US in w.makes, w.name
        assert set(w.against) & set(w.makes), f"{w.name} is held against nobody"
        assert w.target > 0, w.name
        assert (w.work is None) == (w.unit == ""), w.name
        assert w.unit in ("", "byte", "flop float32", "flop float64"), w.name
        assert w.limit is None or w.work is not None, w.name
        assert set(w.threads) <= {0, 1}, w.name
    assert sum(w.quick for w in WORKLOADS) >= 5


class SmallOnly:
    """A generator of operands that lets a test skip what would take seconds."""

    def __init__(self, seed: int) -> None:
        self.generator = GENERATOR(seed)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def draw(*args: Any, **rest: Any) -> Any:
            shape = next((x for x in args if isinstance(x, tuple)), ())
            if math.prod(shape) > MOST_ELEMENTS:
                pytest.skip("large operands")
            return getattr(self.generator, name)(*args, **rest)

        return draw


GENERATOR = np.random.default_rng


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: f"{w.group}: {w.name}")
def test_workload_runs_as_on_numpy(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    if (workload.work or 0) > MOST_WORK:
        pytest.skip("much work")
    monkeypatch.setattr(np.random, "default_rng", SmallOnly)
    runs, failures = measure.prepare(workload, {US: ad, "numpy": np})
    assert failures == []
    assert US in runs


# ---- timing ----


class Clock:
    """Stands still but for what runs take."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[str] = []

    def perf_counter(self) -> float:
        return self.now

    def run(self, name: str, *seconds: float) -> Callable[[], None]:
        """A run that takes these seconds, in turn."""
        taken = 0

        def run() -> None:
            nonlocal taken
            self.now += seconds[taken % len(seconds)]
            self.ran.append(name)
            taken += 1

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_a_round_is_filled(clock: Clock) -> None:
    loops, seconds = timing.loops_of(clock.run("fast", 1e-6))
    assert seconds == pytest.approx(1e-6)
    assert loops * seconds == pytest.approx(timing.ROUND_SECONDS)
    assert timing.loops_of(clock.run("slow", 3.0)) == (1, 3.0)


def test_an_interruption_does_not_make_loops_too_few(clock: Clock) -> None:
    loops, seconds = timing.loops_of(clock.run("fast", 0.5, *[1e-5] * 10_000))
    assert seconds == pytest.approx(1e-5)
    assert loops == 2000


def test_contestants_take_turns(clock: Clock) -> None:
    runs = {name: clock.run(name, timing.ROUND_SECONDS) for name in "abc"}
    seconds = timing.take_turns(runs, 6)
    assert {name: len(values) for name, values in seconds.items()} == dict.fromkeys("abc", 6)
    assert (
        "".join(clock.ran).removeprefix("aabbcc") == "abc" + "bca" + "cab" + "abc" + "bca" + "cab"
    )


def test_long_work_has_fewer_rounds(clock: Clock) -> None:
    runs = {"a": clock.run("a", 2.0), "b": clock.run("b", 1.0)}
    assert len(timing.take_turns(runs, 9)["a"]) == timing.FEWEST_ROUNDS
    assert len(timing.take_turns(runs, 3)["a"]) == 3


def test_ratio_is_the_median_of_the_rounds() -> None:
    """One slow round, of both or of one, moves it little; means would be 0.64 and 6.2."""
    assert timing.ratio([1.0, 10.0, 1.0], [2.0, 20.0, 2.0]) == 2.0
    assert timing.ratio([1.0, 100.0, 1.0], [2.0, 2.0, 2.0]) == 2.0
    assert timing.ratio([1.0, 1.0, 2.0, 2.0], [1.0, 3.0, 2.0, 8.0]) == 2.0


def test_share_of_the_limit_is_measured_in_the_same_rounds(clock: Clock) -> None:
    """Ours does 100 in 3 units of time, the limit 1000 in 20: two thirds of it."""
    work = workload(work=100.0, unit="byte", parts=2)
    work = Workload(**vars(work) | {"makes": {US: lambda lib: value_of(clock.run(US, 0.06))}})

    class Yardstick:
        def contestant(self, unit: str, work: float) -> tuple[Callable[[], None], float]:
            assert (unit, work) == ("byte", 100.0)
            return clock.run(LIMIT, 0.2), 1000.0

    result, failures = measure.measure(work, {US: ad}, Yardstick(), 5)  # type: ignore[arg-type]
    assert failures == []
    assert result is not None
    assert result.seconds == {US: pytest.approx(0.03), LIMIT: pytest.approx(0.02)}
    assert result.share == pytest.approx(2 / 3)
    assert result.rate == pytest.approx(100 / 0.03)


# ---- results that differ ----


def value_of(run: Callable[[], Any], value: float = 1.0) -> Callable[[], Any]:
    """The run, with a result to compare."""

    def both() -> Any:
        run()
        return np.full(3, value)

    return both


def raising(library: Any) -> Any:
    raise ValueError("no such function")


def test_who_differs_or_raises_is_named_and_left_out() -> None:
    makes = {
        US: lambda lib: lambda: np.zeros(3),
        "torch": lambda lib: lambda: np.full(3, 0.5),
        "numpy": raising,
        "jax": lambda lib: lambda: np.full(3, 1e-6),
    }
    runs, failures = measure.prepare(workload(makes=makes), dict.fromkeys(makes))
    assert list(runs) == [US, "jax"]
    assert [str(failure) for failure in failures] == [
        "group: work: torch: the result differs from ours by up to 0.5",
        "group: work: numpy: ValueError: no such function",
    ]


def test_without_ours_nothing_is_timed() -> None:
    makes = {US: raising, "numpy": lambda lib: lambda: np.zeros(3)}
    result, failures = measure.measure(workload(makes=makes), dict.fromkeys(makes), None, 1)
    assert result is None
    assert [failure.contestant for failure in failures] == [US]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([1.0, math.nan, math.inf], [1.0, math.nan, math.inf], ""),
        ([1e6], [1e6 + 50], ""),  # relative to the largest
        ([1.0], [1.001], "differs from ours by up to 0.001"),
        ([1.0], [[1.0]], r"shape (1, 1), ours (1,)"),
        ([math.nan], [1.0], "differs"),
        ([True], [False], "differs from ours by up to 1"),
    ],
)
def test_difference(ours: Any, theirs: Any, said: str) -> None:
    text = measure.difference(workload(), np.array(ours), np.array(theirs))
    assert said in text
    assert bool(said) == bool(text)


# ---- limits ----


@pytest.fixture
def few_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SIZES", (1024, 10240))
    monkeypatch.setattr(limits, "LARGEST", 10240)
    monkeypatch.setattr(limits, "SECONDS", 1e-4)


@pytest.fixture(scope="module")
def compiled() -> Limits:
    return Limits(3)


@pytest.mark.usefixtures("few_floats")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_streams_write_each_element_whatever_the_threads(compiled: Limits, threads: int) -> None:
    machine = with_threads(compiled, threads)
    floats = [ctypes.cast(x, ctypes.POINTER(ctypes.c_float)) for x in machine.arrays]
    to = np.ctypeslib.as_array(floats[0], (10240,))
    for isa in (isa for isa in (*machine.isas, limits.STREAMING) if machine.has(isa)):
        for op, value in (("copy", 1.0), ("add", 2.0), ("triad", 1.5)):
            to[:] = -1
            machine.pass_of(Stream(op, isa, 640))(2)()
            assert (to[:640] == value).all(), (op, isa)
            assert (to[640:] == -1).all(), (op, isa)


def with_threads(machine: Limits, threads: int) -> Limits:
    """The same for fewer threads, without another run of the compiler."""
    fewer = copy.copy(machine)
    fewer.threads = threads
    return fewer


@pytest.mark.usefixtures("few_floats")
def test_limits_are_told(compiled: Limits) -> None:
    told = with_threads(compiled, 1).all(ad)
    assert all(limit.value > 0 for limit in told)
    assert {limit.unit for limit in told} == {"flop/s", "byte/s", "s"}
    peaks = [limit for limit in told if limit.unit == "flop/s"]
    assert len(peaks) == 2 * len(compiled.isas) > 0


@pytest.mark.usefixtures("few_floats")
def test_the_yardstick_counts_what_it_does(compiled: Limits) -> None:
    """Its passes are over about as much as the work takes, at most over the whole arrays."""
    machine = with_threads(compiled, 2)
    least, most = 4 * limits.LINE * machine.threads, 4 * limits.LARGEST
    for wanted, a_pass in ((1.0, least), (24_576.0, 8_192), (1e12, most)):
        call, moved = machine.contestant("byte", wanted) or (None, 0)
        assert call is not None
        passes = moved / a_pass
        assert passes % 2 == 0 or passes % 3 == 0
    assert machine.contestant("page", 1.0) is None


# ---- what is kept and shown ----


def workload(name: str = "work", **rest: Any) -> Workload:
    return Workload(name, rest.pop("group", "group"), **{"makes": {}, **rest})


def result(name: str, ratio: float, **rest: Any) -> Result:
    """Of a workload that takes us a second, and the peer `ratio` seconds."""
    ratios = {"torch": ratio, **rest.pop("ratios", {})}
    return Result(workload(name, **rest), {US: 1.0, **ratios}, ratios)


def found() -> Findings:
    items = [
        result("won", 2.0),
        result("lost", 0.8),
        result("lost more", 1.5, target=4.0),
        result("limited", 3.0, work=1e9, unit="byte", limit=0.9, ratios={LIMIT: 0.45}, group="b"),
        result("reached", 3.0, work=1e9, unit="byte", limit=0.9, ratios={LIMIT: 0.95}, group="b"),
        result("by peer", 3.9, targets={"torch": 4.0}, ratios={"numpy": 1.2}, group="c"),
        result("shown only", 1.0, ratios={"numpy": 0.1}, against=("torch",), group="b"),
    ]
    return Findings(
        threads=1,
        peers=["torch", "numpy"],
        date="2020-02-02",
        machine={"processor": "a good one"},
        limits=[Limit("multiply-adds, sse2 float32", 5e10, "flop/s")],
        facts=[Fact("import", 0.05, 2.0, "s", 40.0), Fact("size", 4.0, 2.0, "MB", 0.5)],
        results=items,
        failures=[Failure("b", "wrong", "numpy", "the result differs")],
    )


def test_best_share_and_met() -> None:
    assert [r.met for r in found().results] == [True, False, False, False, True, False, True]
    assert [round(r.reached, 3) for r in found().results] == [
        2.0,
        0.8,
        0.375,
        0.5,
        1.056,
        0.975,
        1.0,
    ]
    alone = Result(workload(), {US: 1.0}, {})
    assert alone.met
    assert not alone.is_beyond
    assert math.isnan(alone.best)


@pytest.mark.parametrize(
    ("share", "beside", "beyond"), [(0.9, 1.2, True), (0.7, 1.2, False), (1.1, 1.7, False)]
)
def test_a_row_is_beyond_whose_target_is_above_the_limit(
    share: float, beside: float, beyond: bool
) -> None:
    row = result("row", beside, target=1.5, work=1e9, unit="byte", ratios={LIMIT: share})
    assert row.is_beyond == beyond
    assert ("beyond" in report.results_table([row], found())) == beyond


def test_findings_pass_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.json"
    found().save(path)
    known = [r.workload for r in found().results]
    assert results.read(path, [*known, workload("another")]) == found()


def test_report_shows_the_losing_rows_first() -> None:
    page = report.render([found()], {"b": "plots/b.png"})
    losing = page.partition("### One thread: 4")[2].partition("\n## ")[0]
    order = [line.split(" | ")[0].strip("| ") for line in losing.strip().splitlines()[2:]]
    assert order == ["group: lost more", "b: limited", "group: lost", "c: by peer"]
    assert page.index("Rows below") < page.index("## Group")
    assert "| b | 2 of 3 | 2.08 |" in page
    assert "| **all** | **3 of 7** |" in page
    assert "| limited | 1 s | 1 Gbyte/s | 45% | 3.00 |  | 1, 90% of the limit | **no** |" in page
    assert "| by peer | 1 s | 3.90 | 1.20 | 1, PyTorch 4 | **no** |" in page
    assert "| shown only | 1 s |  |  | 1.00 | (0.10) | 1 | yes |" in page
    assert "- b: wrong: numpy: the result differs" in page
    assert "| size | 4 MB | 2 MB (PyTorch) | 0.5 | 1 | **no** |" in page
    assert "| multiply-adds, sse2 float32 | 50 Gflop/s |" in page
    assert "![Time against size: b](plots/b.png)" in page


def test_report_of_two_runs_has_both() -> None:
    both = [found(), Findings(2, ["torch"], results=[result("won", 0.5)])]
    page = report.render(both, {})
    assert "| group | 1 of 3 | 1.34 | 0 of 1 | 0.50 |" in page
    assert "### 2 threads: 1\n" in page
    assert "### 2 threads: group\n" in page
    assert "### 2 threads: b\n" not in page


def test_plots_are_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots = pytest.importorskip("plots")
    items = [
        result(f"{n} {line}", n, size=n, line=line, ratios={LIMIT: n / 10}, group="A, b")
        for line in "abcde"
        for n in (100, 1, 10)
    ]
    items.append(result("one size", 1.0, size=1, group="no line"))
    items.append(result("no size", 1.0, group="no size"))
    drawn = plots.draw_all(Findings(1, ["torch"], results=items), tmp_path)
    assert drawn == {"A, b": tmp_path / "a-b.png"}
    assert drawn["A, b"].read_bytes().startswith(b"\x89PNG")
    panels = plots.panels_of(items)
    assert [r.workload.size for r in panels["a"]] == [1, 10, 100]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.5e-9, "s", "1.5 ns"),
        (2.5e-10, "s", "0.25 ns"),
        (9.996e-4, "s", "1000 µs"),
        (1.0, "s", "1 s"),
        (123456789.0, "byte/s", "123 Mbyte/s"),
        (1e12, "flop/s", "1 Tflop/s"),
        (1.955, "MB", "1.96 MB"),
    ],
)
def test_units(value: float, unit: str, text: str) -> None:
    assert units.with_unit(value, unit) == text


def test_same_text_runs_everywhere() -> None:
    work = calls("exp", "g", lambda: [normal(4)], everywhere=lambda lib, x: lib.exp(x))
    assert list(work.makes) == [US, "torch", "numpy", "jax"]
    value = work.makes[US](ad)()
    np.testing.assert_allclose(value.numpy(), work.makes["numpy"](np)(), rtol=1e-6)


# ---- compiled beside eager ----


def of_us(make: Callable[[Any], Callable[[], Any]]) -> Workload:
    return Workload("made up", "none", {US: make})


def test_compiled_beside_eager() -> None:
    row = against_eager.measure(of_us(lambda lib: lambda: lib.ones(3).exp().sum()), ad, 1)
    assert isinstance(row, against_eager.Row)
    assert set(row.ratios) == set(against_eager.SIDES)
    assert min(row.ratios.values()) > 0
    why = against_eager.measure(of_us(lambda lib: lambda: lib.ones(1).item()), ad, 1)
    assert isinstance(why, str)
    assert "looks at a value" in why
    hidden = [0]

    def counting(lib: Any) -> Callable[[], Any]:
        def run() -> Any:
            hidden[0] += 1
            return lib.full((2,), hidden[0])

        return run

    with pytest.raises(SystemExit, match="other bits than eager's"):
        against_eager.measure(of_us(counting), ad, 1)
