"""Function transforms give what PyTorch gives: values, forms of results, and exceptions."""

from __future__ import annotations

import builtins
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from golden.record_func import GOLDEN, PROGRAMS, WRONG, run, wrong

import autodiff as ad
from autodiff import func, replaced
from autodiff.func.batched import BatchError

RECORDED: dict[str, Any] = json.loads(GOLDEN.read_text())


def close(found: Any, expected: Any, at: str = "") -> None:
    """Trees of numbers are alike."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), at
        for name in expected:
            close(found[name], expected[name], f"{at}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), at
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            close(a, b, f"{at}[{i}]")
    else:
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True), at


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_pytorch_s_results(name: str) -> None:
    close(run(ad, PROGRAMS[name]), RECORDED["programs"][name])


@pytest.mark.parametrize("line", WRONG)
def test_wrong_calls_raise_pytorch_s_exceptions(line: str) -> None:
    kind, text = wrong(ad, line)
    expected, _ = RECORDED["wrong"][line]
    assert expected in {base.__name__ for base in _kinds(kind)}, f"{kind}: {text}"
    assert text
    assert "Descriptor" not in text, text


def _kinds(name: str) -> tuple[type, ...]:
    kind: type = BatchError if name == "BatchError" else getattr(builtins, name)
    return kind.__mro__


def test_the_page_s_example() -> None:
    text = (Path(__file__).parents[1] / "docs" / "transforms.md").read_text()
    exec(text.split("```python")[1].split("```")[0], {})


def test_no_generator_is_given_other_code() -> None:
    """CPython takes a generator's code for a function's with a warning, from 3.13 on."""
    with ad.autocast("cpu"):
        ad.vmap(ad.sin)(ad.ones(2))
    replaced.find_all()
    found = [f for layer in replaced._layers for f in layer.wraps if inspect.isgeneratorfunction(f)]
    assert not found


def test_what_is_no_float_has_a_tangent_of_zeros() -> None:
    x = ad.tensor([0.5, -1.0, 2.0])
    output, tangents = func.jvp(lambda x: (x.argmax(), 2 * x), (x,), (x,))
    assert output[0].item() == 2
    assert tangents[0].item() == 0
    assert tangents[0].dtype is ad.int64
    assert tangents[1].tolist() == [1.0, -2.0, 4.0]
    jacobian = func.jacfwd(lambda x: x > 0)(x)
    assert (jacobian.dtype, jacobian.shape) == (ad.bool, (3, 3))
    assert not jacobian.any()
    assert func.linearize(lambda x: x.argmax(), x)[1](x).item() == 0


def test_what_a_function_saves_for_its_own_jvp_is_not_needed() -> None:
    class Square(ad.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x**2

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * t

    x = ad.tensor([0.5, 3.0])
    assert func.jvp(Square.apply, (x,), (ad.ones(2),))[1].tolist() == [1.0, 6.0]
    assert func.jacfwd(Square.apply)(x).tolist() == [[1.0, 0.0], [0.0, 6.0]]
