"""Elements in other places: rolled, flipped, padded, repeated, joined, and views of them."""

from collections.abc import Iterator

from workload import Array, Text, Workload, calls, integers, normal

GROUP = "rearranging"
SHAPES = ((64, 10), (512, 1000))
TEXTS: dict[str, Text] = {
    "roll of rows": lambda lib, x: x.roll(3, 0),
    "roll of columns": lambda lib, x: x.roll(3, 1),
    "flip of rows": lambda lib, x: x.flip(0),
    "tril": lambda lib, x: x.tril(),
    "diagonal": lambda lib, x: x.diagonal(),
    "windows": lambda lib, x: x.unfold(0, 4, 2),
    "repeat 2x2": lambda lib, x: x.repeat(2, 2),
    "cat of columns": lambda lib, x: lib.cat([x, x], 1),
    "stack": lambda lib, x: lib.stack([x, x]),
}
IMAGES = ((2, 3, 8, 8), (16, 16, 32, 32))
WINDOWS: dict[str, Text] = {
    "unfold 3x3": lambda lib, x: lib.nn.functional.unfold(x, 3, padding=1),
    "nearest at twice the size": lambda lib, x: lib.nn.functional.interpolate(x, scale_factor=2),
    "bilinear at twice the size": lambda lib, x: lib.nn.functional.interpolate(
        x, scale_factor=2, mode="bilinear"
    ),
    "max_pool2d 3x3": lambda lib, x: lib.nn.functional.max_pool2d(x, 3, 2, 1),
    "avg_pool2d 2x2": lambda lib, x: lib.nn.functional.avg_pool2d(x, 2),
    "adaptive_avg_pool2d to 1x1": lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, 1),
}


def _matrices() -> Iterator[Workload]:
    for name, text in TEXTS.items():
        for rows, cols in SHAPES:
            yield calls(
                f"{name}, {rows}x{cols}",
                GROUP,
                lambda rows=rows, cols=cols: (normal(rows, cols),),
                torch=text,
                against=("torch",),
                size=rows * cols,
                line=name,
                threads=(1,),
            )


def _pads() -> Iterator[Workload]:
    for mode in ("constant", "reflect", "replicate"):
        for shape in IMAGES:
            yield calls(
                f"pad of {'x'.join(map(str, shape))}, {mode}",
                GROUP,
                lambda shape=shape: (normal(*shape),),
                torch=lambda lib, x, mode=mode: lib.nn.functional.pad(x, (1, 1, 1, 1), mode),
                against=("torch",),
                threads=(1,),
            )


def _windows() -> Iterator[Workload]:
    for name, text in WINDOWS.items():
        for shape in IMAGES:
            yield calls(
                f"{name}, {'x'.join(map(str, shape))}",
                GROUP,
                lambda shape=shape: (normal(*shape),),
                torch=text,
                against=("torch",),
                threads=(1,),
            )
    for n, channels, *image in IMAGES:
        yield calls(
            f"fold 3x3, {'x'.join(map(str, (n, channels, *image)))}",
            GROUP,
            lambda n=n, channels=channels, image=image: (
                normal(n, 9 * channels, image[0] * image[1]),
            ),
            torch=lambda lib, x, image=image: lib.nn.functional.fold(x, image, 3, padding=1),
            against=("torch",),
            tolerance=1e-5,
            threads=(1,),
        )


def _tables() -> Iterator[Workload]:
    for n, rows, width in ((32, 100, 16), (4096, 1000, 64)):

        def operands(n: int = n, rows: int = rows, width: int = width) -> list[Array]:
            return [integers(n, high=rows), normal(rows, width)]

        yield calls(
            f"embedding, {n} of {rows}x{width}",
            GROUP,
            operands,
            torch=lambda lib, at, table: lib.nn.functional.embedding(at, table),
            against=("torch",),
            threads=(1,),
        )
        yield calls(
            f"one_hot, {n} of {rows}",
            GROUP,
            lambda operands=operands: operands()[:1],
            torch=lambda lib, at, rows=rows: lib.nn.functional.one_hot(at, rows),
            against=("torch",),
            threads=(1,),
        )


WORKLOADS: list[Workload] = [*_matrices(), *_pads(), *_windows(), *_tables()]
