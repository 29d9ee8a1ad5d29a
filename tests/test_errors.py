"""Bad input: PyTorch's exceptions, words that name what is wrong, and never a crash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.record_tensor import evaluate, recorded, themes

import autodiff as ad
from autodiff import optim
from autodiff.nn import functional as F

FUZZ = Path(__file__).parent


@pytest.mark.parametrize(("line", "words"), themes()["errors"])
def test_raises_as_pytorch_and_says_what_is_wrong(line: str, words: str) -> None:
    name = recorded()[line].removeprefix("raises ")
    assert words, "a line of [errors] says what its message must name"
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the type is compared below
        evaluate(ad, line)
    assert type(raised.value).__name__ == name, raised.value
    assert re.search(words, str(raised.value), re.DOTALL), str(raised.value)


def minimised(**options: Any) -> None:
    """Steps of L-BFGS with these options."""
    x = ad.ones(2, requires_grad=True)
    optimizer = optim.LBFGS([x], **options)

    def closure() -> ad.Tensor:
        optimizer.zero_grad()
        loss = (x**4).sum()
        loss.backward()
        return loss

    optimizer.step(closure)


# What PyTorch words or allows differently, or what only we have.
OURS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: ad.empty(2**62, dtype=ad.uint8), MemoryError, "not enough memory for 46116860"),
    (lambda: ~ad.ones(2), TypeError, "integer and Boolean-type tensors, not torch.float32"),
    (lambda: ad.tensor(1.0).size(-1), IndexError, "^Dimension specified as -1 but tensor has no"),
    (lambda: ad.tensor(1.0).stride(3), IndexError, "^Dimension specified as 3 but tensor has no"),
    (lambda: ad.ones(3)["a"], TypeError, "invalid data type 'str'"),
    (lambda: ad.ones(3)[["a"]], TypeError, "^new\\(\\): invalid data type 'str'$"),
    (lambda: F.linear(np.ones(2), ad.ones(2, 2)), TypeError, "position 1.* not numpy.ndarray$"),
    (lambda: F.pairwise_distance(ad.ones(2), date(1, 1, 1)), TypeError, "not datetime.date$"),
    (lambda: F.relu(FUZZ), TypeError, f"not {type(FUZZ).__name__}"),
    (lambda: minimised(lr=True), RuntimeError, "^Boolean alpha only supported for Boolean results"),
    (lambda: ad.cat([ad.tensor(1.5)], 1), RuntimeError, "zero-dimensional"),
    (lambda: ad.ones(3)[[0.5]], IndexError, "float32"),
    (lambda: ad.ones(2).to(5.5), TypeError, "float"),
    (lambda: ad.zeros([1] * 9), RuntimeError, "at most 8 dimensions.*9"),
    (lambda: ad.ones([1] * 8).unsqueeze(0), RuntimeError, "8|9"),
    (lambda: ad.ones([1] * 8)[None], RuntimeError, "8|9"),
    (lambda: ad.ones([1] * 8).expand([2] * 9), RuntimeError, "9"),
    (lambda: ad.ones(1).expand(3).zero_(), RuntimeError, "single memory location"),
    (lambda: ad.zeros(2, size=(2,)), TypeError, "given twice"),
    (lambda: ad.pointwise(lambda x: x)("a"), TypeError, "argument 1.*str"),
    (lambda: ad.pointwise(lambda x: 5)(ad.ones(2)), TypeError, "returns an expression.*int"),
    (lambda: ad.pointwise(lambda x: x if x > 0 else -x)(ad.ones(2)), TypeError, "truth value"),
    (lambda: ad.pointwise(lambda x: x + ad.ones(2))(ad.ones(2)), TypeError, "Tensor"),
    (lambda: ad.pointwise(lambda: 1)(), TypeError, "at least one input"),
    (lambda: ad.pointwise(lambda *x: x[0])(*[ad.ones(1)] * 9), ValueError, "at most 8.*9"),
    (lambda: ad.Generator("cuda"), RuntimeError, "cuda"),
    (lambda: ad.manual_seed(2**64), ValueError, "64 bits"),
    (lambda: ad.set_printoptions(precision=-1), ValueError, "precision.*-1"),
]


@pytest.mark.parametrize(("call", "kind", "words"), OURS)
def test_errors_of_our_own(call: Callable[[], object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert re.search(words, str(raised.value), re.DOTALL), str(raised.value)


def test_a_failed_write_changes_nothing() -> None:
    x = ad.arange(3)
    for write in (
        lambda: x.add_(0.5),
        lambda: x.add_(ad.ones(4, dtype=ad.int64)),
        lambda: x.__setitem__(5, 1),
        lambda: x.__setitem__([0, 3], 1),
        lambda: x.copy_(ad.ones(2)),
    ):
        with pytest.raises((RuntimeError, IndexError)):
            write()
    assert x.tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("script", ["fuzz_arguments.py", "fuzz_native.py"])
def test_no_arguments_crash_or_hang(script: str, seed: int) -> None:
    """In a process of its own: any name of the library, any native entry point, given anything."""
    command = [sys.executable, "-X", "faulthandler", str(FUZZ / script), str(seed), "4000"]
    env = os.environ | {"PYTHONPATH": str(Path(ad.__file__).parents[1])}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=env
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_tensors_of_other_dimensions_are_not_joined() -> None:
    with pytest.raises(RuntimeError, match="must have same number of dimensions: got 2 and 1"):
        ad.cat([ad.ones(2, 3), ad.ones(3)], 1)
