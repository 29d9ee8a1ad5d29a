"""Records files of torch.save, and what was in them, as checkpoint.json (see recording.py)."""

from __future__ import annotations

import base64
import collections
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("checkpoint.json")


def described(value: Any) -> Any:
    """Types, values, and of tensors dtype, strides, offset and whether they require grad."""
    kind = type(value).__name__
    if hasattr(value, "stride"):
        about = [list(value.shape), list(value.stride()), value.storage_offset()]
        return [kind, str(value.dtype), *about, value.requires_grad, value.tolist()]
    if isinstance(value, dict):
        return [kind, [[described(key), described(item)] for key, item in value.items()]]
    if isinstance(value, (list, tuple)):
        return [kind, [described(item) for item in value]]
    if isinstance(value, (set, frozenset)):
        return [kind, sorted(map(str, value))]
    return [kind, str(value)]


def _model(torch: Any) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))


def _training(torch: Any) -> Any:
    model = _model(torch)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 5])
    model(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    schedule.step()
    states = {"model": model, "optimizer": optimizer, "schedule": schedule}
    return {**{name: x.state_dict() for name, x in states.items()}, "epoch": 3}


def _views(torch: Any) -> Any:
    x = torch.arange(24.0).reshape(4, 6)
    return {"x": x, "t": x.t(), "part": x[1::2, 2:5], "one": x[3, 3], "wide": x[0, :1].expand(3)}


DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")
CASES: dict[str, Callable[[Any], Any]] = {
    "model": lambda torch: _model(torch).state_dict(),
    "training": _training,
    "views": _views,
    "dtypes": lambda torch: [torch.tensor([0, 1, 1], dtype=getattr(torch, d)) for d in DTYPES],
    "edges": lambda torch: (
        torch.zeros(0, 3),
        torch.tensor(2.5),
        torch.ones(2, requires_grad=True),
    ),
    "halves": lambda torch: [
        x(torch.tensor([0.1, 2.5])) for x in (torch.Tensor.half, torch.Tensor.bfloat16)
    ],
    "parameter": lambda torch: torch.nn.Parameter(torch.ones(2), requires_grad=False),
    "containers": lambda torch: {
        1: [(), (1,), (1, 2), (1, 2, 3, "a"), {"b": None}],
        (1, 2.5): {1, 2, 3},
        "more": [frozenset([1]), True, False, 2**70, -5, 300, 70000, 1e300, 1 + 2j, b"bytes"],
        "torch": [torch.float32, (torch.int64,), torch.Size([2, 3])],
        "ordered": collections.OrderedDict(a=1),
        "counter": collections.Counter("aab"),
    },
}
REFUSED: dict[str, Callable[[Any], Any]] = {
    "complex": lambda torch: torch.ones(2, dtype=torch.cfloat),
    "module": _model,
    "function": lambda torch: {"f": print},
    "device": lambda torch: torch.device("cpu"),
    "array": lambda torch: torch.ones(2).numpy(),
}


def _file(torch: Any, value: Any, **options: Any) -> str:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return base64.b64encode(file.getvalue()).decode()


def main() -> None:
    """Writes checkpoint.json."""
    import torch

    files = {name: _file(torch, case(torch)) for name, case in CASES.items()}
    files |= {f"{n}-5": _file(torch, CASES[n](torch), pickle_protocol=5) for n in ("containers",)}
    refused = {name: _file(torch, case(torch)) for name, case in REFUSED.items()}
    refused["old"] = _file(torch, torch.ones(2), _use_new_zipfile_serialization=False)
    write(
        GOLDEN,
        files=files,
        values={name: described(case(torch)) for name, case in CASES.items()},
        refused=refused,
    )


if __name__ == "__main__":
    main()
