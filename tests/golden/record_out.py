"""Records which dtypes of `out` PyTorch's functions accept, as out.json (see recording.py).

A case is a call with operands by name: x of the dtype in question, which holds 0, 1 and 2, and
what goes with it. For each pair of dtypes, x's and out's, a letter is kept: `.` where out is
written, else the first of the exception's name.
"""

from __future__ import annotations

import json
import warnings
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("out.json")
DTYPES = ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"]
_UNARY = """
abs acos asinh bitwise_not ceil cos deg2rad digamma erf erfc exp exp2 expm1 floor frac i0 lgamma
log log1p logical_not logit neg nan_to_num positive rad2deg reciprocal relu round rsqrt sgn sigmoid
sign signbit sin sinc sqrt square tan tanh trunc isposinf isneginf fix negative absolute
all any amax amin argmax argmin logsumexp mean nansum nonzero prod std sum var msort
diag tril triu diff histc masked_select isin take t_copy alias_copy frexp aminmax max min
cumsum cumprod logcumsumexp sort mode median nanmedian kthvalue topk bernoulli
"""
_REST = {
    "t_copy": "mm", "positive": "", "relu": "", "masked_select": "x, x == x", "isin": "x, x",
    "take": "x, at", "histc": "m, 3", "msort": "m", "kthvalue": "x, 1", "topk": "x, 2",
    "amin": "x, 0", "cumsum": "x, 0", "cumprod": "x, 0", "logcumsumexp": "x, 0", "mode": "x, 0",
    **dict.fromkeys(["sum", "mean", "nansum", "prod", "std", "var", "any", "amax"], "x, 0"),
    "argmax": "x, 0", "argmin": "x, 0",
    "logsumexp": "x, 0", "diag": "x", "tril": "mm", "triu": "mm", "median": "x, 0", "all": "x, 0",
    "nanmedian": "x, 0", "max": "x, 0", "bernoulli": "x * 0", "min": "x",
}  # fmt: skip
_BINARY = """
add sub mul div true_divide floor_divide remainder fmod pow float_power maximum minimum fmax fmin
atan2 hypot logaddexp xlogy copysign nextafter heaviside eq lt logical_and logical_xor bitwise_and
bitwise_left_shift gcd ldexp outer inner kron dot vdot cat-l stack-l hstack-l searchsorted bucketize
equal-o
"""
_CALLS = """
rsub|where(x > 1, x, x)|addcmul(x, x, x)|addcdiv(x, x, x)
lerp(x, x, 0.5)|polygamma(1, x)|mvlgamma(x + 1, 1)|renorm(mm, 2, 0, 1)
cumsum(x, 0, dtype=x.dtype)|randperm(3, dtype=x.dtype)|arange(3, dtype=x.dtype)
ones(3, dtype=x.dtype)|full((3,), 1, dtype=x.dtype)|eye(3, dtype=x.dtype)|full((3,), 1)
linspace(0, 1, 3, dtype=x.dtype)|sum(x, 0, dtype=x.dtype)|mean(m, 0, dtype=torch.float64)
gather(x, 0, at)|index_select(x, 0, at)|index_add(x, 0, at, x)|index_copy(x, 0, at, x)
scatter(x, 0, at, x)|scatter_add(x, 0, at, x)|scatter_reduce(x, 0, at, x, 'sum')
index_reduce(x, 0, at, x, 'prod')|take_along_dim(x, at)|slice_scatter(x, x, 0)
column_stack((x, x))|vstack((x, x))|dstack((x, x))|cat((x, x.to(torch.float64)))
mm(mm, mm)|matmul(mm, mm)|bmm(mm[None], mm[None])|mv(mm, x)|addmm(mm, mm, mm)|addr(mm, x, x)
addmv(x, mm, x)|baddbmm(mm[None], mm[None], mm[None])|addbmm(mm, mm[None], mm[None])
tensordot(mm, mm, 1)|cross(x, x)|chain_matmul(mm, mm)
cholesky(eye)|cholesky_inverse(eye)|cholesky_solve(eye, eye)|inverse(eye)
linalg.cholesky(eye)|linalg.cond(eye)|linalg.det(eye)|linalg.inv(eye)|linalg.matrix_norm(eye)
linalg.matrix_power(eye, 0)|linalg.matrix_power(eye, 1)
linalg.matrix_rank(eye)|linalg.multi_dot((eye, eye))|linalg.norm(x)|linalg.norm(x, 1)
linalg.pinv(eye)|linalg.pinv(eye, hermitian=True)|linalg.solve(eye, eye)|linalg.svdvals(eye)
linalg.eigvalsh(eye)|linalg.tensorinv(eye, 1)|linalg.tensorsolve(eye, x)|linalg.vecdot(x, x)
linalg.vector_norm(x)|linalg.cross(x, x)|linalg.householder_product(eye, x)|logspace(0, 1, 3)
max(x)|linalg.solve_triangular(eye, eye, upper=True)|linalg.lu_solve(eye, piv, eye)
nn.functional.normalize(x, dim=0)|softmax(m, 0)|log_softmax(m, 0)
special.expit(x)|special.erfcx(x)|special.entr(x)|special.ndtr(x)
special.zeta(x + 2, x + 1)|special.xlog1py(x, x)|special.round(x)
special.logsumexp(x, 0)|quantile(m, 0.5)|nanquantile(m, 0.5)|nanmean(x, 0)|logical_or(x, x)
randn(3, dtype=x.dtype)|normal(0.0, 1.0, (3,), dtype=m.dtype)
rand(3)|randint(3, (2,))|randperm(4)|multinomial(m, 2)
isin(1, x)|expand_copy(x, (3, 3))|view_copy(x, (3, 1))
sub(x, 1)|mul(x, 2)|add(x, 1.5)|pow(x, 2)|pow(2, x)|add(x, x, alpha=2)|div(x, 2)|eq(x, 1)
div(x, x + 1, rounding_mode='trunc')|fmod(x + 1, 2)|sub(x - x, x)|add(x, x + x)|mul(x + 250, x)
"""


def cases() -> list[str]:
    """The calls, without their `out`."""
    found = []
    for name in _UNARY.split():
        if given := _REST.get(name, "x"):
            found.append(f"{name}({given})")
    for name in _BINARY.split():
        name, _, form = name.partition("-")
        given = {"": "x, x", "l": "(x, x)"}.get(form)
        if given:
            found.append(f"{name}({given})")
    found += [line for part in _CALLS.splitlines() for line in part.split("|") if "(" in line]
    return found


def scope(lib: Any, name: str) -> dict[str, Any]:
    """The operands of a case, x of the dtype of that name."""
    x = lib.tensor([0, 1, 2], dtype=getattr(lib, name))
    kind = x.dtype if x.is_floating_point() else lib.float32
    return {
        "x": x,
        "m": x.to(kind),  # where integers are refused in any case
        "mm": x.reshape(3, 1).expand(3, 3).contiguous(),
        "eye": lib.eye(3, dtype=kind if kind is not lib.float16 else lib.float32),
        "at": lib.tensor([2, 1, 0]),
        "piv": lib.tensor([1, 2, 3], dtype=lib.int32),
        "torch": lib,
    }


def written(lib: Any, case: str, given: str, kind: str) -> Any:
    """The tensor or tensors that a case has written to, the first of which is of dtype `kind`."""
    names = scope(lib, given)
    lib.manual_seed(0)
    natural = eval(f"torch.{case}", names)
    many = isinstance(natural, (tuple, list))
    kinds = [getattr(lib, kind), *([y.dtype for y in natural[1:]] if many else [])]
    outs = tuple(lib.empty(0, dtype=d) for d in kinds)
    names["out"] = outs if many else outs[0]
    lib.manual_seed(0)
    eval(f"torch.{case[:-1]}, out=out)", names)
    return natural, outs


def letters(lib: Any, case: str) -> str:
    """What comes of a case for every pair of dtypes; `-` where there is no such result at all."""
    found = []
    for given, kind in product(DTYPES, DTYPES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                eval(f"torch.{case}", scope(lib, given))
        except Exception:
            found.append("-")
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                written(lib, case, given, kind)
        except Exception as failure:
            found.append(type(failure).__name__[0])
        else:
            found.append(".")
    return "".join(found)


@cache
def recorded() -> dict[str, str]:
    """PyTorch's letters, by case."""
    found: dict[str, str] = json.loads(GOLDEN.read_text())["cases"]
    return found


def main() -> None:
    """Writes the file, a case a line."""
    import torch

    write(GOLDEN, cases={case: letters(torch, case) for case in cases()})


if __name__ == "__main__":
    main()
