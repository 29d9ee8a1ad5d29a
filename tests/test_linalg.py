"""Factorizations and solves at sizes that are cut into blocks: residuals, bits, what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from golden.record_linalg import GOLDEN, ON, PLAIN, derivatives, plain

import autodiff as ad
from autodiff import linalg

SIZES = [1, 7, 8, 9, 16, 17, 33, 64, 65, 129, 200]
RECORDED = json.loads(GOLDEN.read_text())
# Where there is no second derivative, PyTorch says nan.
UNDEFINED = (
    "linalg.vector_norm(z, 2, 1)",
    "linalg.vector_norm(z, 1.5, 0)",
    "nn.functional.normalize(z)",
)
DTYPES = {ad.float32: 2.0**-24, ad.float64: 2.0**-53}
Arrays = Any


def alike(a: Any, b: Any, undefined: bool) -> bool:
    """Whether nested numbers agree, 0 and None alike; ours may be anything where `undefined`."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(alike(p, q, undefined) for p, q in zip(a, b, strict=True))
    if isinstance(a, list) or isinstance(b, list):  # no gradient, or one of zeros
        whole = a if isinstance(a, list) else b
        return (a is None or b is None) and not np.any(np.array(whole))
    if isinstance(b, float) and isinstance(a, float):
        if math.isnan(b):
            return undefined or math.isnan(a)
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return bool(a == b)


def matrix(m: int, n: int, d: ad.dtype, seed: int = 0) -> ad.Tensor:
    values = np.random.default_rng(seed).standard_normal((m, n))
    return ad.from_numpy(values).to(d)


def exact(x: ad.Tensor) -> Arrays:
    """In extended precision."""
    return x.detach().numpy().astype(np.longdouble)


def size(x: Arrays) -> float:
    return float(np.abs(x).sum(1).max(initial=0))


@pytest.fixture(params=[(d, n) for d in DTYPES for n in SIZES], ids=str)
def case(request: pytest.FixtureRequest) -> tuple[ad.dtype, int, float]:
    d, n = request.param
    return d, n, 4 * n * DTYPES[d]  # what a backward-stable algorithm may be off by, for its size


def test_solves_are_backward_stable(case: tuple[ad.dtype, int, float]) -> None:
    """|A X - B| <= bound |A| |X| (Higham, Accuracy and Stability, theorems 9.4 and 8.5)."""
    d, n, bound = case
    a = matrix(n, n, d)
    for k in (1, 3, 40):
        b = matrix(n, k, d, 1)
        x = linalg.solve(a, b)
        assert size(exact(a) @ exact(x) - exact(b)) <= 4 * bound * size(exact(a)) * size(exact(x))
        for upper in (False, True):
            t = a * 0.1 + ad.eye(n, dtype=d) * 4
            x = linalg.solve_triangular(t, b, upper=upper)
            part = np.triu(exact(t)) if upper else np.tril(exact(t))
            assert size(part @ exact(x) - exact(b)) <= bound * size(part) * size(exact(x))


def test_factors_multiply_to_what_they_are_of(case: tuple[ad.dtype, int, float]) -> None:
    d, n, bound = case
    a = matrix(n, n, d)
    square = a @ a.mT + ad.eye(n, dtype=d)
    low = linalg.cholesky(square)
    assert size(exact(low) @ exact(low).T - exact(square)) <= bound * size(exact(square))
    assert not np.triu(exact(low), 1).any()
    for x in (a, matrix(n + 5, n, d, 2), matrix(max(n - 3, 1), n, d, 3)):
        q, r = linalg.qr(x, "complete")
        assert size(exact(q) @ exact(r) - exact(x)) <= 4 * bound * size(exact(x))
        one = np.eye(x.shape[0])
        assert size(exact(q).T @ exact(q) - one) <= 8 * (bound + 8 * DTYPES[d]) * len(one) ** 0.5
        assert not np.tril(exact(r), -1).any()


def test_an_inverse_is_what_solves_the_identity(case: tuple[ad.dtype, int, float]) -> None:
    """It is made from less, as most of the identity is zeros: bit for bit."""
    d, n, _ = case
    a = ad.randn(2, n, n, dtype=d)
    solved = linalg.solve(a, ad.eye(n, dtype=d).expand(2, n, n))
    assert ad.equal(linalg.inv(a), solved)


@pytest.mark.parametrize("d", DTYPES, ids=str)
def test_a_pivot_is_the_first_of_the_largest(d: ad.dtype) -> None:
    """Of equal ones, too, whichever lanes they are in; a nan is none, but where it comes first."""
    for n in range(1, 150):
        column = ad.randint(-3, 4, (n,)).to(d)
        if n % 3 == 1:
            column[ad.randint(0, n, (n // 4,))] = math.nan
        sizes = [abs(x) for x in column.tolist()]
        most = 0 if math.isnan(sizes[0]) else sizes.index(max(x for x in sizes if x == x))
        a = ad.eye(n, dtype=d)
        a[:, 0] = column
        assert linalg.lu_factor_ex(a).pivots[0] == most + 1, (n, column)


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 3), (3, 5), (17, 17), (20, 40), (100, 33)])
def test_qr_is_right_column_by_column(d: ad.dtype, m: int, n: int) -> None:
    """However far their sizes are apart: nothing overflows, vanishes or swamps another."""
    a, eps = matrix(m, n, ad.float64), DTYPES[d]
    low, high = (-36.0, 36.0) if d is ad.float32 else (-290.0, 290.0)
    far = ad.linspace(low, high, n, dtype=ad.float64)
    first = (ad.arange(m) == 0).unsqueeze(1)
    again = a[:, ad.arange(n) % max(n // 2, 1)]
    for x in (a * 10**low, a * 10**high, a * 10**far, a.where(first, a * 10 ** (low / 2)), again):
        given = x.to(d)
        q, r = map(exact, linalg.qr(given))
        columns = np.abs(exact(given)).max(0)
        assert (np.abs(q @ r - exact(given)) <= 64 * eps * columns).all()
        assert size(q.T @ q - np.eye(q.shape[1])) <= 64 * eps * len(q) ** 0.5


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("m", [1, 3, 17, 50])
@pytest.mark.parametrize("n", [1, 4, 16, 33])
def test_least_squares(d: ad.dtype, m: int, n: int) -> None:
    """The pseudo-inverse's, of full rank and less; in batches, layouts and derivatives, too."""
    eps, least = DTYPES[d], min(m, n)
    for rank in {least, (least + 1) // 2}:
        a = matrix(m, n, d) if rank == least else matrix(m, rank, d) @ matrix(rank, n, d)
        wanted = np.linalg.pinv(a.double().numpy(), rcond=2 * eps * max(m, n))
        for k in (0, 1, 20):
            b = matrix(m, k, d, 1)
            x, _, found, _ = linalg.lstsq(a, b)
            assert found.item() == rank
            spread = np.linalg.norm(wanted, 2) * np.linalg.norm(a.double().numpy(), 2)
            off = np.abs(exact(x) - wanted @ exact(b))
            assert off.max(initial=0) <= 64 * eps * spread * (1 + spread * eps) * (
                size(exact(b)) * size(wanted)
            )
            batch = linalg.lstsq(ad.stack([a * 2 + 1, a]), ad.stack([b, b]).mT.clone().mT)
            assert batch.solution[1].tolist() == x.tolist()
            assert batch.rank[1].item() == rank
        g = matrix(n, 20, d, 2)
        x, y = a.double().requires_grad_(), b.double().requires_grad_()
        if d is ad.float32 and rank < least:
            continue  # whose rank in float64 is full, by what rounding left
        ours = ad.autograd.grad(linalg.lstsq(x, y).solution, (x, y), g.double())
        theirs = ad.autograd.grad(linalg.pinv(x) @ y, (x, y), g.double())
        for p, q in zip(ours, theirs, strict=True):
            assert (p - q).abs().max() <= 1e-12 * spread**2 * (1 + q.abs().max())


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1, 2, 9, 30, 70])
def test_eigenvalues_alone_are_those_of_vectors(d: ad.dtype, n: int) -> None:
    a = matrix(n, n, d)
    for uplo in "LU":
        assert linalg.eigvalsh(a, uplo).tolist() == linalg.eigh(a, uplo).eigenvalues.tolist()


@pytest.mark.parametrize("n", [24, 25, 31, 33, 40, 64, 71, 100])
@pytest.mark.parametrize("kind", ["any", "arrow", "steps", "halves"])
def test_vectors_of_halves_joined(kind: str, n: int) -> None:
    """Of matrices whose halves have values, or hardly anything, in common."""
    eye, unit = ad.eye(n, dtype=ad.float64), 2.0**-53
    a = ad.randn(n, n, dtype=ad.float64)
    a = a + a.mT
    if kind == "arrow":
        a = eye.clone()
        a[0], a[:, 0] = 1, 1
    elif kind == "steps":
        a = ad.ones(n, n, dtype=ad.float64) + ad.diag((ad.arange(n) // 7).double())
    elif kind == "halves":
        a = ad.block_diag(a[: n // 2, : n // 2], a[: n - n // 2, : n - n // 2])
    w, v = linalg.eigh(a.tril())
    assert ((v * w) @ v.mT - a).abs().max() <= 8 * n * unit * w.abs().max()
    assert (v.mT @ v - eye).abs().max() <= 8 * n * unit
    assert (linalg.eigvalsh(a) - w).abs().max() <= n * unit * w.abs().max()


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1, 5, 24])
def test_spectra(d: ad.dtype, n: int) -> None:
    """Orthonormal vectors, values in order, and also of a matrix without full rank."""
    eps = DTYPES[d]
    for x in (matrix(n + 3, n, d), matrix(n, n + 2, d), matrix(n + 3, 1, d) @ matrix(1, n, d)):
        u, s, vh = linalg.svd(x)
        k = s.shape[0]
        again = exact(u)[:, :k] * exact(s) @ exact(vh)[:k]
        assert size(again - exact(x)) <= 64 * n * eps * size(exact(x))
        for q in (exact(u), exact(vh)):
            assert size(q.T @ q - np.eye(len(q))) <= 128 * len(q) * eps
        assert (np.diff(exact(s)) <= 0).all()
        assert (exact(s) >= 0).all()
    a = matrix(n, n, d)
    w, v = linalg.eigh(a + a.mT)
    whole = exact(a + a.mT)
    assert size(exact(v) * exact(w) @ exact(v).T - whole) <= 64 * n * eps * size(whole)
    assert (np.diff(exact(w)) >= 0).all()
    assert linalg.matrix_rank(matrix(9, 2, d) @ matrix(2, n, d)).item() == min(2, n)


def of_values(n: int, values: np.ndarray) -> np.ndarray:
    q = np.linalg.qr(np.random.default_rng(n).standard_normal((n, n)))[0]
    return np.asarray((q * values) @ q.T)


BESIDE = np.eye(70, k=1) + np.eye(70, k=-1)
GLUED = np.diag(np.abs(np.arange(105) % 21 - 10.0)) + np.where(
    np.arange(105) % 21, np.eye(105, k=1), 1e-8 * np.eye(105, k=1)
)
LARGE = {
    "random": matrix(17, 17, ad.float64).numpy(),
    "none": np.zeros((40, 40)),
    "diagonal": np.diag(np.arange(50.0) - 20),
    "rank 2": (matrix(64, 2, ad.float64) @ matrix(2, 64, ad.float64)).numpy(),
    "two values": of_values(60, np.repeat([1.0, 2.0], 30)),
    "near one": of_values(90, 1 + 1e-14 * np.arange(90)),
    "glued": np.triu(GLUED) + np.triu(GLUED, 1).T,
    "graded": of_values(80, 10.0 ** -np.arange(80)),
    "beside": BESIDE,
    "all but nothing beside": np.diag(np.arange(70) == 3) + 1e-170 * BESIDE,
    "Wilkinson": 1e-200 * (np.diag(np.abs(np.arange(70.0) - 35)) + BESIDE),
    "corners": 1e200 * (np.fliplr(np.eye(45)) * (np.abs(np.arange(45) - 22) > 21)),
}


@pytest.mark.parametrize("name", LARGE)
def test_spectra_of_large_matrices(name: str) -> None:
    """Which are found another way than those of small ones."""
    a = LARGE[name]
    x, eps, largest = ad.tensor(a), 64 * len(a) * 2.0**-53, size(a)
    u, s, vh = map(exact, linalg.svd(x))
    assert size((u * s) @ vh - a) <= eps * largest
    assert abs(s - np.linalg.svd(a, compute_uv=False)).max() <= eps * largest
    assert (np.diff(s) <= 0).all()
    whole = (a + a.T) / 2
    w, v = map(exact, linalg.eigh(ad.tensor(whole)))
    assert size((v * w) @ v.T - whole) <= eps * largest
    assert abs(w - np.linalg.eigvalsh(whole)).max() <= eps * largest
    assert (np.diff(w) >= 0).all()
    for q in (u, vh, v):
        assert size(q.T @ q - np.eye(len(q))) <= eps
    assert linalg.eigvalsh(ad.tensor(whole)).tolist() == w.tolist()
    batch = linalg.eigh(ad.stack([ad.ones(whole.shape, dtype=ad.float64), ad.tensor(whole)]))
    assert [y[1].tolist() for y in batch] == [w.tolist(), v.tolist()]
    beyond = ad.tensor(np.where(np.eye(len(a)) > 0, np.nan, whole))
    assert linalg.eigvalsh(beyond).isnan().all()
    assert linalg.svdvals(beyond).isnan().all()


CALLS: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "solve": lambda x: linalg.solve(x, x.mT),
    "inv": linalg.inv,
    "cholesky": lambda x: linalg.cholesky(x @ x.mT),
    "cholesky_solve": lambda x: ad.cholesky_solve(x, x),
    "cdist": lambda x: ad.cdist(x, x.mT, compute_mode="use_mm_for_euclid_dist"),
    "qr": lambda x: linalg.qr(x).Q,
    "svd": lambda x: linalg.svd(x).U,
    "eigh": lambda x: linalg.eigh(x).eigenvectors,
    "lstsq": lambda x: linalg.lstsq(x, x.mT).solution,
    "lstsq, less": lambda x: linalg.lstsq(x.tril() * 0 + 1, x.mT).solution,
    "triangle": lambda x: linalg.solve_triangular(x, x, upper=True, unitriangular=True) * 0 + x,
}


@pytest.mark.parametrize("name", CALLS)
def test_bits_depend_on_neither_threads_nor_batch_nor_layout(name: str) -> None:
    call = CALLS[name]
    x = matrix(150, 150, ad.float32) + ad.eye(150) * 30
    threads = ad.get_num_threads()
    try:
        found = []
        for n in (1, 3):
            ad.set_num_threads(n)
            found += [call(x), call(ad.stack([x * 2, x]))[1], call(x.mT.contiguous().mT)]
    finally:
        ad.set_num_threads(threads)
    assert len({y.numpy().tobytes() for y in found}) == 1


def test_the_gradient_of_a_determinant_does_not_depend_on_the_batch() -> None:
    """Though that of a singular matrix is made of its minors."""
    singular = ad.tensor([[1.0, 2.0, 0.5], [2.0, 4.0, 1.0], [0.0, 1.0, 3.0]])
    for n in (1, 3):
        found = []
        for regular in (ad.eye(n) * 0.3 + 0.7, ad.eye(n) * 3):
            x = ad.stack([regular, singular[:n, :n] * (n > 1)]).requires_grad_()
            linalg.det(x).backward(ad.tensor([0.3, 0.7]))
            alone = x.detach()[0].clone().requires_grad_()
            linalg.det(alone).backward(ad.tensor(0.3))
            assert x.grad[0].tolist() == alone.grad.tolist()
            found.append(x.grad[1].tolist())
        assert found[0] == found[1]
        want = [[11.0, -6.0, 2.0], [-5.5, 3.0, -1.0], [0.0, 0.0, 0.0]] if n == 3 else [[1.0]]
        assert np.allclose(found[0], 0.7 * np.array(want))


def test_infinite_and_nan_matrices_end() -> None:
    for value in (float("inf"), float("nan")):
        x = ad.full((6, 6), value)
        for call in (linalg.svdvals, linalg.eigvalsh):
            assert call(x).isnan().all()
        assert not linalg.qr(x).Q.isfinite().all()
        assert not linalg.det(x).isfinite()


def test_a_singular_matrix_is_refused_and_named() -> None:
    x = ad.stack([ad.eye(3), ad.zeros(3, 3)])
    for call, words in (
        (linalg.inv, r"linalg.inv: \(Batch element 1\): The diagonal element 1 is zero"),
        (lambda a: linalg.solve(a, a), r"\(Batch element 1\): The solver failed"),
        (linalg.cholesky, r"linalg.cholesky: \(Batch element 1\): .*minor of order 1 is not pos"),
    ):
        with pytest.raises(linalg.LinAlgError, match=words):
            call(x)
    assert issubclass(linalg.LinAlgError, RuntimeError)
    assert linalg.inv_ex(x).info.tolist() == [0, 1]
    assert linalg.cholesky_ex(x).info.tolist() == [0, 1]


def test_what_is_far_from_one_in_size() -> None:
    """Determinants that overflow have logarithms; singular values of tiny and huge matrices."""
    x = ad.eye(400, dtype=ad.float64) * 1e3
    assert linalg.slogdet(x).logabsdet.item() == pytest.approx(400 * np.log(1e3))
    for scale in (1e-300, 1e300):
        a = matrix(4, 4, ad.float64)
        assert (linalg.svdvals(a * scale) / scale).allclose(linalg.svdvals(a), rtol=1e-12)


@pytest.mark.parametrize("text", ON)
def test_values_and_derivatives_are_pytorchs(text: str) -> None:
    got, wanted = derivatives(ad, text), RECORDED["derivatives"][text]
    for ours, theirs in zip(got, wanted, strict=False):
        same = alike(ours, theirs, text in UNDEFINED)
        assert same, f"{ours}, not {theirs}"


@pytest.mark.parametrize("text", PLAIN)
def test_calls_end_as_pytorchs(text: str) -> None:
    got, wanted = plain(ad, text), RECORDED["plain"][text]
    if isinstance(wanted[0], str):
        assert got[0] == wanted[0], got
        return
    assert alike(got, wanted, False), f"{got}, not {wanted}"


@pytest.mark.parametrize("shape", [(), (2,), (5,), (2, 3), (0, 3)], ids=str)
def test_exchanges_of_another_number_are_refused(shape: tuple[int, ...]) -> None:
    """Rather than taken for the first few, read past, or broadcast."""
    lu, pivots = ad.eye(3), ad.ones(shape, dtype=ad.int32)
    with pytest.raises(RuntimeError, match="pivots"):
        linalg.lu_solve(lu, pivots, ad.ones(3, 1))
    if shape[-1:] != (3,):
        with pytest.raises(RuntimeError, match="expected 3 pivots"):
            ad.lu_unpack(lu, pivots)


@pytest.mark.parametrize("d", [ad.uint8, ad.int16, ad.int64, ad.float16, ad.float32, ad.float64])
@pytest.mark.parametrize(("shape", "dim"), [((3, 5), 0), ((2, 3, 7), 1), ((5000, 3), 1)])
def test_cross_products_by_definition(d: ad.dtype, shape: tuple[int, ...], dim: int) -> None:
    a, b = (ad.randint(0, 120, shape).to(d) for _ in range(2))
    wide = [(x.double() if d.is_floating_point else x.long()).unbind(dim) for x in (a, b)]
    (p, q, r), (x, y, z) = wide
    wanted = ad.stack([q * z - r * y, r * x - p * z, p * y - q * x], dim).to(d)
    assert ad.equal(linalg.cross(a, b, dim=dim), wanted)
    turned = linalg.cross(a.mT.contiguous().mT, b.flip(0).flip(0), dim=dim)
    assert ad.equal(turned, wanted)


def test_distances_by_a_product_are_those_of_the_differences() -> None:
    for d, unit in DTYPES.items():
        for m, n, k in ((1, 30, 1), (40, 3, 5), (33, 65, 17), (130, 64, 40)):
            x, y = ad.randn(2, m, k, dtype=d), ad.randn(2, n, k, dtype=d)
            made = ad.cdist(x, y, compute_mode="use_mm_for_euclid_dist")
            wanted = ad.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist")
            squares = (x.double() ** 2).sum(-1).max() + (y.double() ** 2).sum(-1).max()
            assert (made.double() ** 2 - wanted**2).abs().max() <= (k + 8) * 2 * unit * squares
            assert ad.equal(made[1], ad.cdist(x[1], y[1], compute_mode="use_mm_for_euclid_dist"))
    there = ad.cdist(ad.full((2, 2), math.nan), ad.zeros(30, 2))
    assert there.isnan().all()


@pytest.mark.parametrize("wants", [False, True])
def test_kron_of_too_many_dimensions_is_refused_by_its_name(wants: bool) -> None:
    with pytest.raises(RuntimeError, match="kron: at most 4 dimensions are supported, got 2-D"):
        ad.kron(ad.ones(2, 2, requires_grad=wants), ad.ones([2] * 5))


def test_numbers_have_no_dimension_to_cross() -> None:
    with pytest.raises(IndexError, match="no dimensions"):
        linalg.cross(ad.tensor(1.0), ad.tensor(1.0))


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (2, 5, 3)])
def test_low_rank_decompositions_are_the_decompositions(shape: tuple[int, ...]) -> None:
    """With as many columns as there are, and where the rank is less than those asked for."""
    with ad.random.fork_rng():
        ad.manual_seed(0)
        x = ad.randn(*shape, dtype=ad.float64).requires_grad_()
        least = min(shape[-2:])
        u, s, v = ad.svd_lowrank(x, least, M=ad.ones(shape[-1], dtype=ad.float64))
        assert ad.allclose(u * s.unsqueeze(-2) @ v.mT, x - 1)
        assert ad.allclose(s, ad.linalg.svdvals(x - 1))
        (got,) = ad.autograd.grad(s.square().sum(), x)
        assert ad.allclose(got, 2 * (x - 1))
        centred = x - x.mean(-2, keepdim=True)
        u, s, v = ad.pca_lowrank(x, 2)
        assert (u.shape[-1], s.shape[-1], v.shape[-1]) == (2, 2, 2)
        assert ad.allclose(ad.pca_lowrank(x)[1], ad.linalg.svdvals(centred), atol=1e-9)
        assert ad.allclose(ad.pca_lowrank(x, center=False)[1], ad.linalg.svdvals(x))
        narrow = x[..., :1] @ x[..., :1, :]
        u, s, v = ad.svd_lowrank(narrow, 2, niter=1)
        assert ad.allclose(u * s.unsqueeze(-2) @ v.mT, narrow)


def test_low_rank_decompositions_refuse() -> None:
    x = ad.ones(3, 4)
    with pytest.raises(ValueError, match=r"q\(=5\) must be .* not greater than min\(m, n\)=3"):
        ad.pca_lowrank(x, 5)
    with pytest.raises(ValueError, match=r"niter\(=-1\) must be non-negative"):
        ad.pca_lowrank(x, 2, niter=-1)
    with pytest.raises(RuntimeError, match=r"svd_lowrank: .* at least 2 dimensions"):
        ad.svd_lowrank(x[0])


@pytest.mark.parametrize("n", [99, 127, 131])
def test_vectors_of_values_that_are_next_to_nothing_are_orthogonal(n: int) -> None:
    """What is left of a matrix of rank 2 is rounding, and that of rounding, down to 1e-160."""
    at = ad.arange(n)
    a = ((at[:, None] + at) % 2).to(ad.float64)
    _, v = ad.linalg.eigh(a)
    assert (v.mT @ v - ad.eye(n, dtype=ad.float64)).abs().max().item() < 1e-13
