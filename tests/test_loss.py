"""Losses are PyTorch's: every recorded case, run again."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from golden.record_loss import (
    ERRORS,
    GOLDEN,
    NUMBERS,
    TEXTS,
    TYPES,
    WARNINGS,
    warned,
)
from golden.recording import failure

import autodiff as ad
import autodiff.nn

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())
TOLERANCE = {"float32": (4e-6, 1e-6), "float64": (1e-11, 1e-13)}  # relative, absolute


def close(got: Any, expected: Any, dtype: str) -> bool:
    """Nested numbers alike."""
    if isinstance(expected, list):
        return len(got) == len(expected) and all(
            close(a, b, dtype) for a, b in zip(got, expected, strict=True)
        )
    if expected is None or math.isnan(expected):
        return got is None if expected is None else math.isnan(got)
    rtol, atol = TOLERANCE[dtype]
    return math.isclose(got, expected, rel_tol=rtol, abs_tol=atol)


def test_every_case_is_recorded() -> None:
    cases = {
        "numbers": NUMBERS,
        "texts": TEXTS,
        "errors": ERRORS,
        "types": TYPES,
        "warnings": WARNINGS,
    }
    for section, given in cases.items():
        assert list(RECORD[section]) == list(given)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", NUMBERS)
def test_same_numbers_as_pytorch(name: str) -> None:
    got, expected = NUMBERS[name](ad), RECORD["numbers"][name]
    assert close(got, expected, name.rpartition("-")[2]), (got, expected)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", TEXTS)
def test_same_names_and_dtypes_as_pytorch(name: str) -> None:
    assert TEXTS[name](ad) == RECORD["texts"][name]


@pytest.mark.parametrize("name", ERRORS)
def test_same_errors_as_pytorch(name: str) -> None:
    kind, text = failure(ERRORS[name], ad)
    assert [kind, text.replace("autodiff.", "torch.")] == RECORD["errors"][name]


@pytest.mark.parametrize("name", TYPES)
def test_same_types_of_errors_as_pytorch(name: str) -> None:
    assert failure(TYPES[name], ad)[0] == RECORD["types"][name]


@pytest.mark.parametrize("name", WARNINGS)
def test_same_warnings_as_pytorch(name: str) -> None:
    kind, text, value = warned(WARNINGS[name], ad)
    assert [kind, text.replace("autodiff.", "torch.")] == RECORD["warnings"][name][:2]
    assert close(value, RECORD["warnings"][name][2], "float32")


def test_a_target_that_changed_before_backward_is_refused() -> None:
    x, target = ad.randn(4, 3, requires_grad=True), ad.tensor([0, 1, 2, 0])
    loss = ad.nn.functional.cross_entropy(x, target)
    target[0] = 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    loss = ad.nn.functional.cross_entropy(x, target)
    (slope,) = ad.autograd.grad(loss, x, create_graph=True)
    target[0] = 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        slope.sum().backward()


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_classes_of_places_are_the_rows_they_stand_for(
    name: str, weighted: bool, reduction: str
) -> None:
    """The same bits as of (places, classes), gradient and all, however the images lie."""
    ad.manual_seed(0)
    loss = getattr(ad.nn.functional, name)
    images, target = ad.randn(2, 5, 37, 3), ad.randint(0, 5, (2, 37, 3))
    options = {
        "weight": ad.rand(5) if weighted else None,
        "ignore_index": 1,
        "reduction": reduction,
    }
    last = images.permute(0, 2, 3, 1).contiguous()
    rows = last.reshape(-1, 5).requires_grad_()
    of_rows = loss(rows, target.reshape(-1), **options)
    of_rows.backward(ad.ones_like(of_rows))
    for layout in (images, last.permute(0, 3, 1, 2)):
        x = layout.detach().requires_grad_()
        of_places = loss(x, target, **options)
        of_places.backward(ad.ones_like(of_places))
        assert ad.equal(of_places.reshape(-1), of_rows.reshape(-1))
        assert ad.equal(x.grad.permute(0, 2, 3, 1).reshape(-1, 5), rows.grad)


@pytest.mark.parametrize("margin", ["1", None, [1]])
def test_a_margin_is_a_number(margin: Any) -> None:
    with pytest.raises(TypeError, match="argument 'margin' must be Number"):
        ad.nn.functional.multi_margin_loss(ad.zeros(2, 3), ad.tensor([0, 1]), margin=margin)


@pytest.mark.parametrize(
    ("name", "narrow"),
    [
        *(("huber_loss", True), ("soft_margin_loss", True), ("hinge_embedding_loss", True)),
        *(("mse_loss", False), ("l1_loss", False), ("smooth_l1_loss", False)),
    ],
)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_target_of_another_dtype_gives_pytorchs(name: str, narrow: bool, reduction: str) -> None:
    loss, x = getattr(ad.nn.functional, name), ad.tensor([0.1, 0.7], requires_grad=True)
    y = ad.tensor([1.0, -1.0], dtype=ad.float64)
    got, want = loss(x, y, reduction=reduction), loss(x.double(), y, reduction=reduction)
    assert got.dtype is (ad.float32 if narrow else ad.float64)
    assert got.equal(want.to(got.dtype))
    (slope,) = ad.autograd.grad(got.sum(), x)
    assert ad.allclose(slope, ad.autograd.grad(want.sum(), x)[0])
    assert loss(x.double(), y.float(), reduction=reduction).dtype is ad.float64


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_classes_of_images_are_found_in_any_layout(reduction: str) -> None:
    """Of nll_loss, cross_entropy and gradients, as of images whose places are one dimension."""
    x = ad.randn(2, 3, 4, 5, dtype=ad.float64).log_softmax(1)
    target = ad.arange(40).view(2, 4, 5) % 3
    layouts = [x, x.transpose(0, 3).contiguous().transpose(0, 3)]
    layouts.append(x.contiguous(memory_format=ad.channels_last))
    for loss in (ad.nn.functional.nll_loss, ad.nn.functional.cross_entropy):
        flat = x.flatten(2).detach().requires_grad_()
        wanted = loss(flat, target.flatten(1), reduction=reduction)
        wanted.sin().sum().backward()
        for each in layouts:
            given = each.detach().requires_grad_()
            got = loss(given, target, reduction=reduction)
            got.sin().sum().backward()
            assert got.flatten().tolist() == wanted.flatten().tolist()
            assert given.grad.flatten(2).tolist() == flat.grad.tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "values",
    [
        [-math.inf, -math.inf, 1.0, 2.0, math.inf, 3.0],
        [1.0, math.nan, 2.0],
        [-math.inf],
        [1e30, -1e30, 3e38],
    ],
)
def test_running_exponentials_of_what_is_not_finite(values: list[float]) -> None:
    """A line of logcumsumexp is logsumexp of each beginning of it."""
    got = ad.tensor(values).logcumsumexp(0).tolist()
    wanted = [ad.tensor(values[: i + 1]).logsumexp(0).item() for i in range(len(values))]
    assert close(got, wanted, "float32")
