"""Compiled training has eager's bits under every instruction set, on one thread and on two."""

from __future__ import annotations

import pytest
from compiled_results import STEPS
from test_isa import FUSED, SETS, results


@pytest.mark.parametrize("isa", SETS)
def test_compiled_training_has_the_bits_of_eager(isa: str) -> None:
    found = results("compiled_results.py", isa)
    assert len(found) == 8
    for name, (bits, runs, regions) in found.items():
        assert bits == found[f"{name.split(',')[0]}, 1 thread(s), eager"][0], name
        assert runs == (STEPS - 2 if "compiled" in name else 0), name
        assert (regions > 10) == ("2 thread(s)" in name), name
    if isa in FUSED:
        assert found == results("compiled_results.py", FUSED[0])
