"""Compiled training has eager's bits under every instruction set, on one thread and on two."""

from __future__ import annotations

from compiled_results import STEPS
from test_isa import FUSED, SETS, results


def test_compiled_training_has_the_bits_of_eager() -> None:
    found = {isa: results("compiled_results.py", isa) for isa in SETS}
    for isa, runs_of in found.items():
        assert len(runs_of) == 8
        for name, (bits, runs, regions) in runs_of.items():
            assert bits == runs_of[f"{name.split(',')[0]}, 1 thread(s), eager"][0], (isa, name)
            assert runs == (STEPS - 2 if "compiled" in name else 0), (isa, name)
            assert (regions > 10) == ("2 thread(s)" in name), (isa, name)
    bits_of = [{name: run[0] for name, run in found[isa].items()} for isa in FUSED]
    assert all(each == bits_of[0] for each in bits_of)
