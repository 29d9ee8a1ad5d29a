"""What a process that runs for weeks must not gather."""

from __future__ import annotations

import autodiff as ad
from autodiff.expr import build, inputs
from autodiff.native import ffi, lib
from autodiff.ops.pointwise import PointwiseOp


def test_a_default_dtype_set_back_and_forth_makes_each_program_once() -> None:
    op = PointwiseOp("exponential", build("exp", *inputs(1)), 1)
    x = ad.tensor([1, 2])
    found = []
    try:
        for _ in range(3):
            for default in (ad.float64, ad.float32):
                ad.set_default_dtype(default)
                assert op.call(x).dtype is default
                program = lib.ad_op_program(op.native, 1, [x._p])
                found.append(int(ffi.cast("intptr_t", program)))
    finally:
        ad.set_default_dtype(ad.float32)
    assert len(set(found)) == 2
    assert found == found[:2] * 3
