"""What the recorders share. Each of them, record_NAME.py, writes PyTorch's facts to NAME.json.

To record where torch is installed: `cd tests && python -m golden.record_NAME`; `python -m golden`
runs all of them, `python -m golden NAME...` these. The tests import the same modules and run the
same cases on autodiff.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON holds it: tensors, tuples and what is in them as lists."""
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def alike(a: Any, b: Any, tolerance: float) -> bool:
    """Whether nested numbers agree; nan agrees with nan."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(alike(p, q, tolerance) for p, q in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        close = math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
        return close or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


def failure(case: Callable[..., Any], *args: Any) -> list[str]:
    """The type and text of the exception that a case raises, whatever it warns of.

    Where in a model it was raised, which we add to the text, is tested by test_where.py.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = case(*args)
    except Exception as error:
        return [type(error).__name__, str(error).partition("\n  in ")[0]]
    raise AssertionError(f"no exception, but {result!r}")


def entries(section: dict[str, Any] | list[Any]) -> str:
    """The JSON of a section, an entry a line, so that a changed fact is a changed line."""
    if isinstance(section, list):
        return "[\n" + ",\n".join(map(_compact, section)) + "\n]"
    lines = (f"{json.dumps(key)}:{_compact(value)}" for key, value in section.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def write(golden: Path, **sections: dict[str, Any] | list[Any]) -> None:
    """Writes the sections, after the version of PyTorch that they are from."""
    import torch

    texts = [f'"torch":{json.dumps(torch.__version__)}']
    texts += [f'"{name}":{entries(section)}' for name, section in sections.items()]
    golden.write_text("{" + ",\n".join(texts) + "}\n")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
