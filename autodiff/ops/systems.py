"""Linear systems, inverses, determinants and Cholesky factors of batches of square matrices.

Each vjp is written with these solves themselves (Giles, An extended collection of matrix derivative
results, 2008), so there are derivatives of every order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autodiff.dtypes import SCALAR_NAMES, int32
from autodiff.native import error, ffi, lib, operand_text
from autodiff.ops.assign import masked_fill
from autodiff.ops.base import OUTPUT, Op, OpNode, fresh
from autodiff.ops.contraction import matmul
from autodiff.ops.create import arange, eye
from autodiff.ops.join import stack
from autodiff.ops.out import written, written_all
from autodiff.ops.products import diagonal_of
from autodiff.ops.returned import returned
from autodiff.ops.views import expand, mT, squeeze, unsqueeze
from autodiff.tensor import Tensor, wrap


class LinAlgError(RuntimeError):
    """A matrix that has no inverse, or no Cholesky factor.

    >>> linalg.inv(ad.zeros(2, 2))
    Traceback (most recent call last):
    autodiff.ops.systems.LinAlgError: linalg.inv: The diagonal element 1 is zero, ...
    """


# ---- what is taken ----


def check_matrix(name: str, x: Tensor, *, square: bool = True, what: str = "A") -> None:
    """RuntimeError where x is no batch of (square) matrices of floats."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument '{what}' must be Tensor, not {type(x).__name__}")
    given = operand_text(x._p)
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor {what} must have at least 2 dimensions. It is {given}"
        )
    if square and x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{name}: {what} must be batches of square matrices, but they are {x.shape[-2]} by "
            f"{x.shape[-1]} matrices, {given}"
        )
    check_float(name, x)


def check_float(name: str, x: Tensor) -> None:
    """RuntimeError where x is of integers."""
    if not x.is_floating_point():
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{SCALAR_NAMES[x._p.dtype]}: {operand_text(x._p)}"
        )


def check_success(name: str, a: Tensor, numbers: Sequence[int], text: str) -> None:
    """LinAlgError where one of the numbers, one a matrix, is not 0: {n} in the text."""
    for i, n in enumerate(numbers):
        if n:
            place = f"(Batch element {i}): " if a.ndim > 2 else ""
            raise LinAlgError(f"{name}: {place}{text.format(n=n)} A is {operand_text(a._p)}")


def native(count: int, name: str, function: Any, *args: Any) -> list[Any]:
    """The descriptors that a native function makes."""
    out = ffi.new(f"ad_tensor *[{count}]")
    if function(*args, out):
        raise error(name, args[0])
    return [fresh(p, name) for p in out]


def numbers_of(p: Any) -> list[int]:
    """The numbers of a contiguous int64 descriptor."""
    return ffi.unpack(ffi.cast("int64_t *", p.data), p.numel) if p.numel else []


def common_batch(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The two with their batches broadcast. RuntimeError where those do not."""
    first, second = list(a.shape[:-2]), list(b.shape[:-2])
    if first == second:
        return a, b
    n = max(len(first), len(second))
    batch = []
    for d, (p, q) in enumerate(
        zip([1] * (n - len(first)) + first, [1] * (n - len(second)) + second, strict=True)
    ):
        if p != q and 1 not in (p, q):
            raise RuntimeError(
                f"The size of tensor a ({p}) must match the size of tensor b ({q}) at "
                f"non-singleton dimension {d}"
            )
        batch.append(q if p == 1 else p)
    return expand(a, [*batch, *a.shape[-2:]]), expand(b, [*batch, *b.shape[-2:]])


# ---- triangles ----


def triangle(x: Tensor, upper: bool, diagonal: int = 0) -> Tensor:
    """x with zeros on the other side of a diagonal: the main one, or that `diagonal` above it."""
    rows, cols = (arange(n) for n in x.shape[-2:])
    beyond = unsqueeze(rows, 1) + diagonal
    return masked_fill(x, cols < beyond if upper else cols > beyond, 0)


def _triangle_rule(node: OpNode, g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor | None, ...]:
    """X = A^-1 B: dB = A^-T g, dA = the triangle of -dB X^T."""
    upper, unit = node.args
    gb = _triangle.on((mT(a), g), not upper, unit)
    if not node.needs(0):
        return None, gb
    ga = triangle(-matmul(gb, mT(x)), upper, (1 if upper else -1) if unit else 0)
    return ga, gb


_triangle: Op = Op(
    "solve_triangular",
    lib.ad_solve_triangular,
    _triangle_rule,
    saves=(0, OUTPUT),
    shaped=False,
    grad_name="LinalgSolveTriangularBackward0",
)


def _check_pair(name: str, a: Tensor, b: Tensor, left: bool) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type "
            f"{SCALAR_NAMES[a._p.dtype]} and B of type {SCALAR_NAMES[b._p.dtype]} instead"
        )
    if a.shape[-1] != b.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]}): "
            f"{operand_text(a._p)} and {operand_text(b._p)}"
        )


def solve_triangular(
    A: Tensor,  # noqa: N803 - PyTorch's name
    B: Tensor,  # noqa: N803
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """X of A X = B, or of X A = B where not `left`, for a triangle of A.

    The other triangle is not read, nor the diagonal where it is `unitriangular`. Batches broadcast.

    >>> L = ad.tensor([[2.0, 0.0], [1.0, 1.0]])
    >>> linalg.solve_triangular(L, ad.tensor([[2.0], [3.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    check_matrix("linalg.solve_triangular", A)
    check_matrix("linalg.solve_triangular", B, square=False, what="B")
    _check_pair("linalg.solve_triangular", A, B, left)
    if left:
        y = _triangle.on(common_batch(A, B), bool(upper), bool(unitriangular))
    else:
        y = mT(_triangle.on(common_batch(mT(A), mT(B)), not upper, bool(unitriangular)))
    return written("linalg_solve_triangular", out, y, A, B)


# ---- systems ----


class _LU(NamedTuple):
    """PA = LU as `ad_lu` makes it."""

    lu: Any
    order: Any
    info: Any

    def first_zero(self) -> list[int]:
        """1 + the first place of U's diagonal that is zero, or 0, a number a matrix."""
        return numbers_of(self.info)[::2]

    def diagonal(self) -> Tensor:
        """U's."""
        return diagonal_of(wrap(self.lu), self.lu.ndim - 2, self.lu.ndim - 1)

    def sign(self) -> Tensor:
        """Of the permutation, in U's dtype."""
        return wrap(self.info).select(-1, 1).to(wrap(self.lu).dtype)


def _factored(name: str, a: Tensor) -> _LU:
    return _LU(*native(3, name, lib.ad_lu, a._p))


def _solve_rule(node: OpNode, g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor | None, ...]:
    """X = A^-1 B: dB = A^-T g, dA = -dB X^T; of A^T the same, transposed."""
    factors, transposed = node.args
    gb = _solve.on((a, g), factors, not transposed)
    ga = None
    if node.needs(0):
        ga = -(matmul(x, mT(gb)) if transposed else matmul(gb, mT(x)))
    return ga, gb if node.needs(1) else None


_solve: Op = Op(
    "solve",
    lambda a, b, factors, transposed: lib.ad_lu_solve(factors.lu, factors.order, b, transposed),
    _solve_rule,
    saves=(0, OUTPUT),
    shaped=False,
    grad_name="LinalgSolveExBackward0",
)


def solve(
    A: Tensor,  # noqa: N803
    B: Tensor,  # noqa: N803
    *,
    left: bool = True,
    out: Tensor | None = None,
) -> Tensor:
    """X of A X = B, or of X A = B where not `left`; B may be a vector, or a batch of them.

    LinAlgError where A is singular.

    >>> linalg.solve(ad.tensor([[2.0, 0.0], [0.0, 4.0]]), ad.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    name = "torch.linalg.solve"
    check_matrix("linalg.solve", A)
    if not isinstance(B, Tensor):
        raise TypeError(f"linalg.solve(): argument 'B' must be Tensor, not {type(B).__name__}")
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])
    b = unsqueeze(B, B.ndim) if vector else B
    if b.ndim < 2:
        raise RuntimeError(
            "linalg.solve: The input tensor B must have at least 2 dimensions. It is "
            f"{operand_text(B._p)}"
        )
    _check_pair("linalg.solve", A, b, left or vector)
    a, b = common_batch(A, b) if left or vector else common_batch(mT(A), mT(b))
    factors = _factored("linalg.solve", a)
    check_success(
        name, A, factors.first_zero(), "The solver failed because the input matrix is singular."
    )
    y = _solve.on((a, b), factors, False)
    y = y if left or vector else mT(y)
    return written("linalg_solve", out, squeeze(y, -1) if vector else y, A, B)


def _identity(a: Tensor) -> Tensor:
    one = eye(a.shape[-1], dtype=a.dtype)
    return expand(one, a.shape) if a.ndim > 2 else one


@returned("linalg_inv_ex")
class inv_ex_result(NamedTuple):  # noqa: N801 - as max_result
    """What `linalg.inv_ex` returns."""

    inverse: Tensor
    info: Tensor


_NO_INVERSE = (
    "The diagonal element {n} is zero, the inversion could not be completed because the input "
    "matrix is singular."
)


def inv_ex(A: Tensor, *, check_errors: bool = False) -> inv_ex_result:  # noqa: N803
    """The inverses, and for each 0, or the place of the zero pivot that makes it worthless.

    >>> linalg.inv_ex(ad.tensor([[1.0, 2.0], [2.0, 4.0]])).info
    tensor(2, dtype=torch.int32)
    """
    name = "linalg.inv_ex" if check_errors else "linalg.inv"
    check_matrix(name, A)
    factors = _factored(name, A)
    if check_errors:
        check_success(name, A, factors.first_zero(), _NO_INVERSE)
    info = wrap(factors.info).select(-1, 0).to(int32)
    return inv_ex_result(_solve.on((A, _identity(A)), factors, False), info)


def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The inverse of a square matrix, or of each of a batch. LinAlgError where one is singular.

    >>> linalg.inv(ad.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    check_matrix("linalg.inv", A)
    factors = _factored("linalg.inv", A)
    check_success("linalg.inv", A, factors.first_zero(), _NO_INVERSE)
    y = _solve.on((A, _identity(A)), factors, False)
    return written("linalg_inv", out, y, A)


# ---- determinants ----


def _last_two(g: Tensor) -> Tensor:
    return unsqueeze(unsqueeze(g, g.ndim), g.ndim + 1)


def _inverse_of_transpose(node: OpNode, a: Tensor) -> Tensor:
    return _solve.on((a, _identity(a)), node.args[0], True)


def _det_rule(node: OpNode, g: Tensor, a: Tensor, y: Tensor) -> tuple[Tensor]:
    """dA = g det A^-T: g times the cofactors, which there are of a singular matrix, too."""
    if any(node.args[0].first_zero()):
        return (_last_two(g) * cofactors(a),)
    return (_last_two(g * y) * _inverse_of_transpose(node, a),)


def cofactors(a: Tensor) -> Tensor:
    """The derivative of det at each element, by determinants of minors: for singular matrices."""
    n = a.shape[-1]
    if n == 1:
        return a.new_ones(a.shape)
    keep = [[k for k in range(n) if k != i] for i in range(n)]
    rows = []
    for i in range(n):
        without = a[..., keep[i], :]
        minors = [det(without[..., keep[j]]) * (-1) ** (i + j) for j in range(n)]
        rows.append(stack(minors, -1))
    return stack(rows, -2)


_det: Op = Op(
    "linalg_det",
    lambda a, factors, value: lib.ad_alias(value),
    _det_rule,
    saves=(0, OUTPUT),
    shaped=False,
)


def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The determinant of each square matrix; 1 of one without elements.

    >>> linalg.det(ad.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    check_matrix("linalg.det", A)
    factors = _factored("linalg.det", A)
    value = factors.diagonal().prod(-1)
    value = value * factors.sign() if A.ndim > 2 or numbers_of(factors.info)[1] < 0 else value
    return written("linalg_det", out, _det(A, factors, value._p), A)


def _logabsdet_rule(node: OpNode, g: Tensor, a: Tensor) -> tuple[Tensor]:
    return (_last_two(g) * _inverse_of_transpose(node, a),)


_logabsdet: Op = Op(
    "linalg_slogdet",
    lambda a, factors, value: lib.ad_alias(value),
    _logabsdet_rule,
    saves=(0,),
    shaped=False,
)


@returned("linalg_slogdet")
class slogdet_result(NamedTuple):  # noqa: N801 - as max_result
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(A: Tensor, *, out: Any = None) -> slogdet_result:  # noqa: N803
    """The sign of the determinant, and the logarithm of its magnitude, which does not overflow.

    0 and -inf of a singular matrix. The sign has no derivative.

    >>> linalg.slogdet(ad.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(0.))
    """
    check_matrix("linalg.slogdet", A)
    factors = _factored("linalg.slogdet", A)
    diagonal = factors.diagonal()
    size = diagonal.abs().log().sum(-1)
    sign = diagonal.sign().prod(-1) * factors.sign()
    found = slogdet_result(sign, _logabsdet(A, factors, size._p))
    return slogdet_result(*written_all("linalg_slogdet", out, found, A))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: nan where that is negative, -inf where it is 0.

    >>> ad.logdet(ad.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor(1.7918)
    """
    check_matrix("logdet", input)
    sign, size = slogdet(input)
    found: Tensor = size + sign.log()
    return found


# ---- Cholesky ----


def _cholesky_rule(node: OpNode, g: Tensor, y: Tensor) -> tuple[Tensor]:
    """A = U^T U: dA = U^-1 S U^-T, S half the symmetric matrix of the lower triangle of U g^T."""
    upper, _ = node.args
    u, gt = (y, mT(g)) if upper else (mT(y), g)
    low = triangle(matmul(u, gt), False)
    middle = (low + mT(triangle(low, False, -1))) * 0.5
    half = _triangle.on((u, middle), True, False)
    return (_triangle.on((u, mT(half)), True, False),)


def _turned(p: Any) -> Any:
    return lib.ad_transpose(p, p.ndim - 2, p.ndim - 1)


_cholesky: Op = Op(
    "cholesky",
    lambda a, upper, value: lib.ad_alias(value) if upper else _turned(value),
    _cholesky_rule,
    saves=(OUTPUT,),
    shaped=False,
    grad_name="LinalgCholeskyExBackward0",
)
_NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the "
    "leading minor of order {n} is not positive-definite)."
)


@returned("linalg_cholesky_ex")
class cholesky_ex_result(NamedTuple):  # noqa: N801 - as max_result
    """What `linalg.cholesky_ex` returns."""

    L: Tensor
    info: Tensor


def _factor(name: str, a: Tensor, upper: bool) -> tuple[Tensor, Any]:
    """The factor, and for each matrix the order of the minor that is not positive, or 0."""
    check_matrix(name, a)
    p = a._p if upper else fresh(_turned(a._p), name, a._p)
    value, info = native(2, name, lib.ad_cholesky, p)
    return _cholesky(a, bool(upper), value), info


def cholesky_ex(
    A: Tensor,  # noqa: N803
    *,
    upper: bool = False,
    check_errors: bool = False,
) -> cholesky_ex_result:
    """`linalg.cholesky`, and for each matrix 0, or the order of the minor that is not positive.

    >>> linalg.cholesky_ex(ad.tensor([[1.0, 2.0], [2.0, 1.0]])).info
    tensor(2, dtype=torch.int32)
    """
    factor, info = _factor("linalg.cholesky_ex", A, upper)
    if check_errors:
        check_success("linalg.cholesky_ex", A, numbers_of(info), _NOT_POSITIVE)
    return cholesky_ex_result(factor, wrap(info).to(int32))


def cholesky(A: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The lower triangular L of A = L L^T, or the upper U of A = U^T U; that triangle of A is read.

    LinAlgError where A is not positive-definite.

    >>> linalg.cholesky(ad.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    factor, info = _factor("linalg.cholesky", A, upper)
    check_success("linalg.cholesky", A, numbers_of(info), _NOT_POSITIVE)
    return written("linalg_cholesky", out, factor, A)


# ---- powers ----


def matrix_power(A: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """A multiplied n times; for a negative n, its inverse.

    >>> linalg.matrix_power(ad.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(
            f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {type(n).__name__}"
        )
    if abs(n) >= 2**63:
        raise OverflowError("int too big to convert to int64")
    if isinstance(A, Tensor) and not A.is_floating_point() and n >= 0:
        if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
            check_matrix("linalg.matrix_power", A.double())
    else:
        check_matrix("linalg.matrix_power", A)
    base, left, result = inv(A) if n < 0 else A, abs(n), None
    while left:
        if left & 1:
            result = base if result is None else matmul(result, base)
        left >>= 1
        base = matmul(base, base) if left else base
    y = _identity(A).clone() if result is None else result.clone() if result is A else result
    return written("linalg_matrix_power", out, y, A)


# ---- the names at the top, with the names of their arguments there ----


def old_inverse(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`linalg.inv`: the inverse of square matrices. LinAlgError where one is singular.

    >>> ad.inverse(ad.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return inv(input, out=out)


def old_det(input: Tensor) -> Tensor:
    """`linalg.det`: the determinants of square matrices.

    >>> ad.det(ad.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    return det(input)


def old_slogdet(input: Tensor, *, out: Any = None) -> slogdet_result:
    """`linalg.slogdet`: the sign of the determinant and the logarithm of its magnitude.

    >>> ad.slogdet(ad.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(0.))
    """
    return slogdet(input, out=out)


def old_matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """`linalg.matrix_power`: input multiplied n times; for a negative n, its inverse.

    >>> ad.matrix_power(ad.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    return matrix_power(input, n, out=out)


def old_cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """`linalg.cholesky`, under PyTorch's first name for it.

    >>> ad.cholesky(ad.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    factor, info = _factor("cholesky", input, upper)
    check_success("cholesky", input, numbers_of(info), _NOT_POSITIVE)
    return written("cholesky", out, factor, input)


AT_TOP: dict[str, Callable[..., Any]] = {
    "cholesky": old_cholesky,
    "det": old_det,
    "inverse": old_inverse,
    "logdet": logdet,
    "matrix_power": old_matrix_power,
    "slogdet": old_slogdet,
}
for _name, _function in AT_TOP.items():
    _function.__name__ = _function.__qualname__ = _name
