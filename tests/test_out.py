"""`out=` takes what PyTorch's takes, and gets what the function returns."""

from __future__ import annotations

from itertools import product

import pytest
from golden.record_out import DTYPES, cases, letters, recorded, scope, written

import autodiff as ad

ALLOWED = {".": ".", "R": "RN", "T": "T", "N": "NR"}  # ours, where PyTorch's is the key
LENIENT = ("nansum", "std", "var")  # PyTorch's refuse float16 and integers for some sizes alone
MADE = ("rand", "normal", "multinomial", "bernoulli", "logspace")  # in the dtype of `out`


@pytest.mark.parametrize("case", cases())
def test_dtypes_as_pytorch(case: str) -> None:
    pairs = zip(product(DTYPES, DTYPES), letters(ad, case), recorded()[case], strict=True)
    wrong = [f"{x} -> {out}: {a}, not {b}" for (x, out), a, b in pairs
             if a != "-" and b != "-" and a not in ALLOWED[b]]  # fmt: skip
    assert not wrong or case.startswith(LENIENT), wrong


@pytest.mark.parametrize("case", [case for case in cases() if not case.startswith(MADE)])
def test_out_is_the_result_converted(case: str) -> None:
    found = letters(ad, case)
    for (given, kind), letter in zip(product(DTYPES, DTYPES), found, strict=True):
        if letter == ".":
            natural, outs = written(ad, case, given, kind)
            naturals = natural if isinstance(natural, (tuple, list)) else (natural,)
            for y, out in zip(naturals, outs, strict=True):
                ad.testing.assert_close(out, y.to(out.dtype), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("case", [case for case in cases() if recorded()[case][0] != "-"])
def test_operands_that_want_gradients_are_refused(case: str) -> None:
    names = scope(ad, "float32")
    for name in ("x", "m", "mm", "eye"):
        names[name] = names[name].detach().clone().requires_grad_()
    found = eval(f"torch.{case}", names)
    results = found if isinstance(found, (tuple, list)) else (found,)
    if any(y.requires_grad for y in results):
        outs = tuple(ad.empty_like(y.detach()) for y in results)
        names["out"] = outs if found is results else outs[0]
        with pytest.raises(RuntimeError, match="support automatic differentiation"):
            eval(f"torch.{case[:-1]}, out=out)", names)
