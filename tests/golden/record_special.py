"""Records PyTorch's values and first two derivatives of the special functions, at ordinary numbers
and at edges, as special.json (see recording.py).

Each case is a call on the operands, written as text: the test runs the same text on both libraries.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("special.json")
INF, NAN = float("inf"), float("nan")
NUMBERS = [-2.5, -0.75, -0.25, 0.0, 0.25, 0.75, 1.0, 2.5, 30.0, INF, -INF, NAN]
PAIRS = [
    *((1.5, -2.0), (-0.5, 0.25), (-3.0, -1.0), (2.0, 2.5), (NAN, 1.0), (1.0, NAN), (INF, 2.0)),
    *((2.0, INF), (0.0, 3.0), (0.0, NAN)),
]
CALLS = [
    *("x.sinh()", "x.cosh()", "x.tan()", "x.asin()", "x.acos()", "x.atan()", "x.asinh()"),
    *("x.acosh()", "x.atanh()", "x.deg2rad()", "x.rad2deg()", "x.sinc()", "x.exp2()", "x.log2()"),
    *("x.log10()", "x.frac()", "x.signbit()", "x.logit()", "x.logit(0.125)", "x.logit(eps=0.5)"),
    *("x.nan_to_num()", "x.nan_to_num(1)", "x.nan_to_num(nan=2.0, neginf=-5.0)"),
    *("x.nan_to_num(0.0, 9.0)", "x.clone().nan_to_num_(posinf=3)", "x.clone().logit_(0.125)"),
    *("x.erfc()", "x.erfinv()", "x.lgamma()", "x.digamma()", "x.polygamma(1)", "x.polygamma(2)"),
    *("x.round(decimals=1)", "x.clone().round_(decimals=-1)", "x.clone().lerp_(x.detach(), 0.25)"),
    *("x.clone().clamp_min_(-0.5)", "x.clone().clamp_max_(0.5)", "x.clamp(-0.5, 0.5)"),
    *("x.clone().lgamma_()", "x.clone().polygamma_(3)"),
    *("x.xlogy(2.5)", "x.__rdiv__(2.0)"),
    *("a.atan2(b)", "a.fmax(b)", "a.fmin(b)", "a.hypot(b)", "a.logaddexp(b)", "a.logaddexp2(b)"),
    *("a.xlogy(b)", "a.xlogy(b.float())", "x.i0()", "x.clone().i0_()"),
    *("special.i0e(x)", "special.i1(x)", "special.i1e(x)"),
    *("special.entr(x)", "special.erfcx(x)", "special.ndtr(x)", "special.log_ndtr(x)"),
    *("special.ndtri(x)", "special.xlog1py(a, b)", "special.zeta(3.0, x)"),
    *("x.detach().abs().igamma(x * x + 0.5)", "x.detach().abs().igammac(x * x + 0.5)"),
    *("special.gammainc(a.detach().abs(), b)", "special.gammaincc(a.detach().abs(), b)"),
    *("a.detach().clone().igamma_(b.detach())", "a.detach().clone().igammac_(b.detach())"),
]


def facts(lib: Any, text: str) -> list[Any]:
    """The value of a call, its gradients, and those of the gradients' sum."""
    values = [NUMBERS, *zip(*PAIRS, strict=True)]
    leaves = [lib.tensor(v, dtype=lib.float64, requires_grad=True) for v in values]
    y = eval(text, {"special": lib.special}, dict(zip("xab", leaves, strict=True)))
    found = [y.tolist()]
    named = zip("xab", leaves, strict=True)
    wanted = [leaf for name, leaf in named if re.search(rf"\b{name}\b", text)]
    for _ in range(2):
        if not y.requires_grad:
            break
        grads = lib.autograd.grad(y.sum(), wanted, create_graph=True, allow_unused=True)
        found.append([None if g is None else g.tolist() for g in grads])
        y = sum((g for g in grads if g is not None), lib.zeros(()))
    return found


def main() -> None:
    """Writes special.json, a call a line."""
    import torch

    write(GOLDEN, calls={text: facts(torch, text) for text in CALLS})


if __name__ == "__main__":
    main()
