"""What a process that runs for weeks must not gather."""

from __future__ import annotations

import autodiff as ad
from autodiff.expr import build, inputs
from autodiff.native import lib, take_failure
from autodiff.ops.pointwise import PointwiseOp


def test_a_default_dtype_set_back_and_forth_makes_each_program_once() -> None:
    op = PointwiseOp("exponential", build("exp", *inputs(1)), 1)
    x = ad.tensor([1, 2])
    missing = []
    try:
        for _ in range(3):
            for default in (ad.float64, ad.float32):
                ad.set_default_dtype(default)
                p = lib.ad_pw1(op.native, x._p)
                missing.append(not p and take_failure()[0] == lib.AD_NO_VARIANT)
                lib.ad_free(p)
                assert op.call(x).dtype is default
    finally:
        ad.set_default_dtype(ad.float32)
    assert missing == [True, True, False, False, False, False]
