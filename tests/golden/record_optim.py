"""Records PyTorch's SGD as optim.json: run it where torch is installed.

A case is the options of groups; the test takes the same steps with `run`, so both sides read alike.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("optim.json")
STEPS = 100
Options = dict[str, Any]


def cases() -> dict[str, list[Options]]:
    """The options of each group, by name: one group of all combinations, and two that differ."""
    found: dict[str, list[Options]] = {}
    for dtype, momentum, dampening, decay, nesterov, maximize in itertools.product(
        ("float32", "float64"), (0.0, 0.9), (0.0, 0.3), (0.0, 0.1), (False, True), (False, True)
    ):
        if (nesterov and (momentum == 0 or dampening != 0)) or (dampening and momentum == 0):
            continue
        options = {
            "lr": 0.01,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        flags = f"{'-nesterov' * nesterov}{'-maximize' * maximize}"
        found[f"{dtype}-{momentum}-{dampening}-{decay}{flags}"] = [options]
    found["float64-groups"] = [{"lr": 0.1}, {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.01}]
    return found


def run(lib: Any, optim: Any, name: str, groups: list[Options], steps: int = STEPS) -> list[Any]:
    """Fits two parameters a group to targets; the values after some of the steps."""
    lib.manual_seed(1)
    d = getattr(lib, name.split("-")[0])
    params = [lib.randn(n, dtype=d).requires_grad_() for _ in groups for n in (3, 1)]
    target = lib.randn(3, dtype=d)
    given = [{"params": params[2 * i : 2 * i + 2], **options} for i, options in enumerate(groups)]
    optimizer = optim.SGD(given)
    kept = []
    for step in range(steps):
        optimizer.zero_grad()
        outputs = [params[i].tanh() * params[i + 1] for i in range(0, len(params), 2)]
        loss = sum(((y - target) ** 2).sum() for y in outputs)
        loss = -loss if groups[0].get("maximize") else loss
        loss.backward()
        if step % 5 == 3:
            params[1].grad = None  # skipped, its momentum kept
        optimizer.step()
        if step % 10 == 9 or step < 3:
            kept.append([p.tolist() for p in params])
    return kept


def _parameter(lib: Any, n: int = 2) -> Any:
    return lib.ones(n, requires_grad=True)


def _loaded(lib: Any, optim: Any, groups: list[list[int]]) -> Any:
    """An SGD of one group of one parameter, given the state of one of other groups."""
    other = optim.SGD([{"params": [_parameter(lib) for _ in group]} for group in groups])
    optim.SGD([_parameter(lib)]).load_state_dict(other.state_dict())


Case = Callable[[Any, Any], Any]
ERRORS: dict[str, Case] = {
    "tensor": lambda lib, optim: optim.SGD(_parameter(lib)),
    "empty": lambda lib, optim: optim.SGD([]),
    "number": lambda lib, optim: optim.SGD([3]),
    "not iterable": lambda lib, optim: optim.SGD(3),
    "no leaf": lambda lib, optim: optim.SGD([_parameter(lib) * 2]),
    "set": lambda lib, optim: optim.SGD([{"params": {_parameter(lib)}}]),
    "no params": lambda lib, optim: optim.SGD([{"lr": 3}]),
    "mixed": lambda lib, optim: optim.SGD([{"params": [_parameter(lib)]}, 3]),
    "names": lambda lib, optim: optim.SGD([("a", _parameter(lib)), _parameter(lib)]),
    "lr": lambda lib, optim: optim.SGD([_parameter(lib)], lr=-1),
    "lr tensor": lambda lib, optim: optim.SGD([_parameter(lib)], lr=lib.ones(2)),
    "momentum": lambda lib, optim: optim.SGD([_parameter(lib)], momentum=-1),
    "weight_decay": lambda lib, optim: optim.SGD([_parameter(lib)], weight_decay=-1),
    "nesterov": lambda lib, optim: optim.SGD([_parameter(lib)], nesterov=True),
    "both": lambda lib, optim: optim.SGD([_parameter(lib)], foreach=True, fused=True),
    "fewer groups": lambda lib, optim: _loaded(lib, optim, [[0], [1]]),
    "other sizes": lambda lib, optim: _loaded(lib, optim, [[0, 1]]),
}
REPRS: dict[str, Case] = {
    "one": lambda lib, optim: optim.SGD([_parameter(lib)], lr=0.1),
    "two": lambda lib, optim: optim.SGD(
        [{"params": [_parameter(lib)]}, {"params": _parameter(lib), "momentum": 0.5}], 0.2
    ),
    "named": lambda lib, optim: optim.SGD([("a", _parameter(lib))]),
    "state": lambda lib, optim: optim.SGD([_parameter(lib)], momentum=0.5).state_dict(),
    "groups": lambda lib, optim: optim.SGD([_parameter(lib), _parameter(lib)]).param_groups,
}


def failure(case: Case, lib: Any, optim: Any) -> list[str]:
    """The type and text of the exception that a case raises."""
    try:
        result = case(lib, optim)
    except Exception as error:
        return [type(error).__name__, str(error)]
    raise AssertionError(f"no exception, but {result!r}")


def main() -> None:
    """Writes optim.json."""
    import torch

    sections = {
        "trajectories": {n: run(torch, torch.optim, n, groups) for n, groups in cases().items()},
        "errors": {n: failure(case, torch, torch.optim) for n, case in ERRORS.items()},
        "reprs": {n: repr(case(torch, torch.optim)) for n, case in REPRS.items()},
    }
    texts = [f'"torch":"{torch.__version__}"']
    for name, section in sections.items():
        lines = ",\n".join(
            f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in section.items()
        )
        texts.append(f'"{name}":{{\n{lines}\n}}')
    GOLDEN.write_text("{" + ",\n".join(texts) + "}\n")


if __name__ == "__main__":
    main()
