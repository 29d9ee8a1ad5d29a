"""Rows taken at indices, rows added at indices, and elements along a dimension."""

from collections.abc import Iterator
from typing import Any

from workload import Library, Run, Workload, array_of, calls, integers, normal, same

SHAPES = ((64, 10), (512, 1000), (4096, 4096))
PEERS = ("torch",)


def operands(rows: int, cols: int) -> Any:
    """A matrix, as many row numbers as it has rows, and a column of each row."""
    return lambda: (
        normal(rows, cols),
        integers(rows, high=rows),
        integers(rows, cols, high=cols),
    )


def forward(shape: tuple[int, int]) -> Iterator[Workload]:
    name = f"{shape[0]}x{shape[1]}"
    rest: dict[str, Any] = {"against": PEERS, "size": shape[0] * shape[1]}
    moved = 2.0 * 4 * shape[0] * shape[1]
    yield calls(
        f"x[rows] {name}",
        "gather",
        operands(*shape),
        everywhere=lambda lib, x, rows, cols: x[rows],
        line="x[rows]",
        work=moved,
        unit="byte",
        quick=shape == (512, 1000),
        **rest,
    )
    yield calls(
        f"index_select of rows {name}",
        "gather",
        operands(*shape),
        torch=lambda lib, x, rows, cols: x.index_select(0, rows),
        numpy=lambda lib, x, rows, cols: lib.take(x, rows, axis=0),
        line="index_select of rows",
        work=moved,
        unit="byte",
        **rest,
    )
    yield calls(
        f"index_select of columns {name}",
        "gather",
        lambda: (normal(*shape), integers(shape[1], high=shape[1])),
        torch=lambda lib, x, cols: x.index_select(1, cols),
        numpy=lambda lib, x, cols: lib.take(x, cols, axis=1),
        line="index_select of columns",
        **rest,
    )
    yield calls(
        f"gather along rows {name}",
        "gather",
        operands(*shape),
        torch=lambda lib, x, rows, cols: x.gather(1, cols),
        numpy=lambda lib, x, rows, cols: lib.take_along_axis(x, cols, 1),
        line="gather along rows",
        **rest,
    )
    yield calls(
        f"gather one of each row {name}",
        "gather",
        lambda: (normal(*shape), integers(shape[0], 1, high=shape[1])),
        torch=lambda lib, x, cols: x.gather(1, cols),
        numpy=lambda lib, x, cols: lib.take_along_axis(x, cols, 1),
        line="gather one of each row",
        **rest,
    )


def stateful(name: str, shape: tuple[int, int], make: Any) -> Workload:
    return Workload(
        f"{name} {shape[0]}x{shape[1]}",
        "gather",
        same(make),
        against=PEERS,
        size=shape[0] * shape[1],
        line=name,
    )


def scatter(shape: tuple[int, int]) -> Iterator[Workload]:
    def prepared(lib: Library) -> list[Any]:
        return [array_of("", lib, x) for x in operands(*shape)()]

    def index_add(lib: Library) -> Run:
        x, rows, _ = prepared(lib)
        into = lib.zeros_like(x)
        return lambda: into.zero_().index_add_(0, rows, x)

    def index_put(lib: Library) -> Run:
        x, rows, _ = prepared(lib)
        into = lib.zeros_like(x)
        return lambda: into.zero_().index_put_((rows,), x, accumulate=True)

    def gradient_of(text: Any) -> Any:
        def make(lib: Library) -> Run:
            x, rows, cols = prepared(lib)
            x.requires_grad_()
            g = lib.ones_like(x.detach())

            def run() -> Any:
                x.grad = None
                text(x, rows, cols).backward(g)
                return x.grad

            return run

        return make

    yield stateful("index_add_ of rows", shape, index_add)
    yield stateful("index_put_ of rows, adding", shape, index_put)
    yield stateful("x[rows], with gradient", shape, gradient_of(lambda x, rows, cols: x[rows]))
    yield stateful(
        "index_select of rows, with gradient",
        shape,
        gradient_of(lambda x, rows, cols: x.index_select(0, rows)),
    )
    yield stateful(
        "gather along rows, with gradient",
        shape,
        gradient_of(lambda x, rows, cols: x.gather(1, cols)),
    )


def _all() -> Iterator[Workload]:
    for shape in SHAPES:
        yield from forward(shape)
        yield from scatter(shape)


WORKLOADS: list[Workload] = list(_all())
