"""A row gives the same bits in any batch: of results, and of gradients with respect to the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from large import numbers, payload

import autodiff as ad
from autodiff.nn import functional

WIDTHS = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 1000, 1024, 1025, 4096]))
BATCHES = st.integers(1, 100)
DTYPES = st.sampled_from([ad.float32, ad.float64])
COLUMNS = (1, 3, 8, 16, 17, 33, 48, 97)

Rows = Callable[[ad.Tensor], ad.Tensor]


def class_of(x: ad.Tensor) -> ad.Tensor:
    """A class for each row that the row itself determines."""
    return (x[:, 0].abs() * 1000).to(ad.int64) % x.shape[1]


def batch_norm(x: ad.Tensor) -> ad.Tensor:
    """By moments that are given, of a number for each column, as weight and bias are."""
    mean, var, weight, bias = numbers((4, x.shape[1]), 11, x.dtype)
    return functional.batch_norm(x, mean, var.abs(), weight, bias)


# Functions of rows (batch, width); a name that the package has not is left out.
FUNCTIONS: dict[str, Rows] = {
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "logsumexp": lambda x: x.logsumexp(1),
    "cross_entropy": lambda x: functional.cross_entropy(x, class_of(x.detach()), reduction="none"),
    "multi_margin": lambda x: functional.multi_margin_loss(
        x, class_of(x.detach()), 2, 0.5, reduction="none"
    ),
    "multilabel_margin": lambda x: functional.multilabel_margin_loss(
        x, (x.detach() * 1000).to(ad.int64).abs() % (x.shape[1] + 1) - 1, reduction="none"
    ),
    "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean(1),
    "prod": lambda x: x[:, :64].prod(1),
    "amax": lambda x: x.amax(1),
    "argmin": lambda x: x.argmin(1),
    "var": lambda x: x.var(1, correction=0),
    "std": lambda x: x.std(1, correction=0.5),
    "layer_norm": lambda x: functional.layer_norm(x, x.shape[1:]),
    "batch_norm": batch_norm,
    "rms_norm": lambda x: functional.rms_norm(x, x.shape[1:]),
    "normalize": lambda x: functional.normalize(x, dim=1),
    "norm": lambda x: x.norm(2, 1),
    "cumsum": lambda x: x.cumsum(1),
    "logcumsumexp": lambda x: x.logcumsumexp(1),
    "median": lambda x: x.median(1).values,
    "cumprod": lambda x: x.cumprod(1),
    "cummax": lambda x: x.cummax(1)[0],
    "sort": lambda x: x.sort(1)[0],
    "topk": lambda x: x.topk((x.shape[1] + 1) // 2, 1)[0],
}
PRESENT = [
    name for name in FUNCTIONS if any(hasattr(where, name) for where in (ad.Tensor, functional))
]


def value_and_gradient(f: Rows, x: ad.Tensor, g: ad.Tensor | None) -> list[ad.Tensor]:
    """f(x) and the gradient by x for the first rows of g, as many as x has."""
    x = x.detach().requires_grad_()
    y = f(x)
    if g is None or not y.requires_grad:
        return [y]
    return [y, *ad.autograd.grad(y, x, g)]


def check_rows(f: Rows, x: ad.Tensor, some: slice) -> None:
    """The rows of `some` of f(x) are what f makes of these rows alone."""
    y = f(x)
    g = numbers(tuple(y.shape), 7, y.dtype) if y.is_floating_point() else None
    whole = value_and_gradient(f, x, g)
    alone = value_and_gradient(f, x[some].contiguous(), None if g is None else g[some])
    for kind, a, b in zip(("value", "gradient"), whole, alone, strict=False):
        assert payload(a[some]) == payload(b), f"the {kind} of rows {some} of {list(x.shape)}"


def part(data: Any, batch: int) -> slice:
    first = data.draw(st.integers(0, batch - 1), label="first row")
    return slice(first, data.draw(st.sampled_from([first + 1, first + 1, batch]), label="end"))


@pytest.mark.parametrize("name", PRESENT)
@settings(max_examples=60)
@given(data=st.data(), batch=BATCHES, width=WIDTHS, d=DTYPES, transposed=st.booleans())
def test_a_row_gives_the_same_bits_in_any_batch(
    name: str, data: Any, batch: int, width: int, d: ad.dtype, transposed: bool
) -> None:
    x = numbers((width, batch), 3, d).t() if transposed else numbers((batch, width), 3, d)
    check_rows(FUNCTIONS[name], x, part(data, batch))


@settings(max_examples=150)
@given(
    data=st.data(),
    batch=BATCHES,
    width=WIDTHS,
    columns=st.sampled_from(COLUMNS),
    d=DTYPES,
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_a_row_of_a_product_has_the_same_bits_in_any_batch(
    data: Any, batch: int, width: int, columns: int, d: ad.dtype, flags: tuple[bool, bool, bool]
) -> None:
    """Of matmul and linear, each operand in either order in memory, with a bias or not."""
    a_turned, b_turned, biased = flags
    a = numbers((width, batch), 3, d).t() if a_turned else numbers((batch, width), 3, d)
    w = numbers((columns, width), 4, d)
    bias = numbers((columns,), 5, d) if biased else None
    some = part(data, batch)
    if b_turned:
        check_rows(lambda x: functional.linear(x, w, bias), a, some)
    else:
        check_rows(lambda x: x @ w.t().contiguous(), a, some)


@pytest.mark.parametrize(
    ("columns", "width", "d"), [(701, 603, ad.float32), (450, 461, ad.float64)]
)
def test_a_few_rows_times_a_matrix_past_the_caches_have_the_bits_of_each(
    columns: int, width: int, d: ad.dtype
) -> None:
    a, w = numbers((9, width), 3, d), numbers((columns, width), 4, d)
    each = [payload(functional.linear(row, w, w[0, 0].expand(columns))) for row in a]
    for rows in range(2, 10):
        y = functional.linear(a[:rows], w, w[0, 0].expand(columns))
        assert [payload(row) for row in y] == each[:rows]


@settings(max_examples=100)
@given(
    batch=st.integers(1, 12),
    m=st.sampled_from((1, 2, 7, 12, 13, 64)),
    n=st.sampled_from(COLUMNS),
    k=WIDTHS,
    d=DTYPES,
    shared=st.sampled_from(["", "a", "b"]),
)
def test_a_product_has_the_same_bits_alone_and_in_a_batch(
    batch: int, m: int, n: int, k: int, d: ad.dtype, shared: str
) -> None:
    a = numbers((m, k) if shared == "a" else (batch, m, k), 3, d)
    b = numbers((k, n) if shared == "b" else (batch, k, n), 4, d)
    y = a @ b
    for i in range(batch):
        one = (a if shared == "a" else a[i]) @ (b if shared == "b" else b[i])
        assert payload(y[i]) == payload(one), i


@settings(max_examples=100)
@given(batch=st.integers(1, 5), width=WIDTHS, step=st.integers(1, 3), d=DTYPES)
def test_a_product_of_vectors_has_the_bits_of_a_sum(
    batch: int, width: int, step: int, d: ad.dtype
) -> None:
    """Of products; alone, by any of its names, in any layout, and of a batch of samples."""
    a, b = numbers((batch, width), 3, d), numbers((batch, width * step), 4, d)[:, ::step]
    together = payload(ad.func.vmap(ad.dot)(a, b))
    assert together == payload((a * b).sum(1))
    found = [f(x, y) for x, y in zip(a, b, strict=True) for f in (ad.dot, ad.matmul, ad.inner)]
    assert together == payload(ad.stack(found[::3]))
    assert payload(ad.stack(found)) == payload(ad.stack(found[::3]).repeat_interleave(3))


@settings(max_examples=100)
@given(data=st.data(), rows=st.integers(1, 9), width=st.integers(1, 40), d=DTYPES)
def test_bags_have_the_bits_of_rows_that_are_added(
    data: Any, rows: int, width: int, d: ad.dtype
) -> None:
    """Sums and means, by starts in any order, and the table's gradient."""
    count = data.draw(st.integers(0, 40), label="count")
    index = ad.tensor(
        data.draw(st.lists(st.integers(0, rows - 1), min_size=count, max_size=count)),
        dtype=ad.int64,
    )
    later = data.draw(st.lists(st.integers(0, count), max_size=6), label="starts")
    starts = ad.tensor([0, *later])
    mode = data.draw(st.sampled_from(["sum", "mean"]), label="mode")
    found = []
    for given_index in (index, index.to(ad.int32)):  # the latter are copied, and added one by one
        table = numbers((rows, width), 3, d).requires_grad_()
        y = functional.embedding_bag(given_index, table, starts, mode=mode)
        y.backward(numbers(tuple(y.shape), 5, d))
        assert table.grad is not None
        found.append((payload(y), payload(table.grad)))
    assert found[0] == found[1]


@settings(max_examples=60)
@given(batch=BATCHES, width=st.integers(1, 40), d=DTYPES, data=st.data())
def test_a_network_gives_a_row_the_same_bits_in_any_batch(
    batch: int, width: int, d: ad.dtype, data: Any
) -> None:
    rng = ad.Generator().manual_seed(1)
    layers = [ad.nn.Linear(width, 33), ad.nn.GELU(), ad.nn.Linear(33, 10), ad.nn.LogSoftmax(1)]
    net = ad.nn.Sequential(*layers).to(d)
    with ad.no_grad():
        for p in net.parameters():
            p.normal_(generator=rng)
    check_rows(net, numbers((batch, width), 3, d), part(data, batch))
