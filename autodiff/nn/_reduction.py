"""What PyTorch's own losses ask of reductions: numbers for their names, older arguments."""

from __future__ import annotations

from autodiff.nn.functional.reduction import check_reduction, reduction_of

_NUMBERS = {"none": 0, "mean": 1, "sum": 2}


def get_enum(reduction: str) -> int:
    """The number of a reduction: 0 none, 1 mean, 2 sum. ValueError where it is none of them."""
    check_reduction(reduction)
    return _NUMBERS[reduction]


def legacy_get_string(size_average: bool | None, reduce: bool | None) -> str:
    """The reduction by two deprecated arguments, with a warning."""
    return reduction_of(size_average is None or size_average, reduce, "mean")


def legacy_get_enum(size_average: bool | None, reduce: bool | None) -> int:
    """The number of `legacy_get_string`."""
    return get_enum(legacy_get_string(size_average, reduce))
