"""Records what PyTorch prints for the demo, as demo.json (see recording.py).

The demo's own text runs, on PyTorch. Another engine rounds differently, and training may amplify
that, so each seed is run again with every weight moved by one unit in the last place: before the
first step (up, down, either at random), and at random after every step. The seeds of EXACT print
the same text each time. The others are recorded with the spread of their numbers.
"""

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "autodiff" / "demo.py"
EXACT = [52, 814, 1309]
SPREAD = [17]
RANDOM_VARIANTS = 3

Nudge = Callable[
    [torch.Tensor], torch.Tensor
]  # where each element moves to: a neighbour, or itself


def load_demo() -> ModuleType:
    """autodiff/demo.py, with PyTorch in the place of autodiff."""
    spec = importlib.util.spec_from_file_location("demo_on_torch", DEMO)
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    torch.compile = lambda step: step
    sys.modules |= {"autodiff": torch, "autodiff.gradcheck": torch.autograd, spec.name: demo}
    spec.loader.exec_module(demo)
    return demo


def up(x: torch.Tensor) -> torch.Tensor:
    """One unit in the last place more."""
    return torch.nextafter(x, torch.tensor(torch.inf))


def down(x: torch.Tensor) -> torch.Tensor:
    """One unit in the last place less."""
    return torch.nextafter(x, torch.tensor(-torch.inf))


def either(generator: torch.Generator) -> Nudge:
    """Each element up or down."""
    return lambda x: torch.where(torch.rand(x.shape, generator=generator) < 0.5, up(x), down(x))


def some(generator: torch.Generator) -> Nudge:
    """Half of the elements up or down."""
    move = either(generator)
    return lambda x: torch.where(torch.rand(x.shape, generator=generator) < 0.5, move(x), x)


def noisy_sgd(first: Nudge, each: Nudge) -> type[torch.optim.SGD]:
    """An optimiser that nudges its parameters when made, and after each step."""

    class NoisySGD(torch.optim.SGD):
        def __init__(self, parameters: Any, lr: float) -> None:
            super().__init__(parameters, lr)
            self.move(first)

        def step(self) -> None:  # type: ignore[override]
            super().step()
            self.move(each)

        def move(self, nudge: Nudge) -> None:
            with torch.no_grad():
                for parameter in self.param_groups[0]["params"]:
                    parameter.copy_(nudge(parameter))

    return NoisySGD


def variants() -> Iterator[type[torch.optim.SGD]]:
    """The optimisers to run each seed with."""
    still: Nudge = torch.clone
    yield noisy_sgd(up, still)
    yield noisy_sgd(down, still)
    for seed in range(RANDOM_VARIANTS):
        generator = torch.Generator().manual_seed(seed)
        yield noisy_sgd(either(generator), still)
        yield noisy_sgd(either(generator), some(generator))


def printed(demo: ModuleType, seed: int, optimizer: type = torch.optim.SGD) -> list[str]:
    """The demo's lines for `seed`."""
    lines: list[str] = []
    with mock.patch.object(torch.optim, "SGD", optimizer):
        demo.train_all([demo.LINE, demo.NETWORK], seed, lines.append)
    return lines


def numbers(lines: list[str]) -> list[float]:
    """The losses in the lines."""
    return [float(number) for number in re.findall(r"\d+\.\d{4}", "\n".join(lines))]


def record(demo: ModuleType, seed: int) -> dict[str, Any]:
    """The lines of a seed, and by how much its variants differ from them."""
    lines = printed(demo, seed)
    others = [numbers(printed(demo, seed, optimizer)) for optimizer in variants()]
    differences = [
        abs(a - b) for other in others for a, b in zip(numbers(lines), other, strict=True)
    ]
    print(f"seed {seed}: spread {max(differences):.4f}", flush=True)
    return {"lines": lines, "spread": round(max(differences), 4)}


def main() -> None:
    """Run all seeds and write what they print."""
    torch.set_num_threads(1)
    demo = load_demo()
    golden = {seed: record(demo, seed) for seed in EXACT + SPREAD}
    unstable = [seed for seed in EXACT if golden[seed]["spread"] != 0]
    if unstable:
        sys.exit(f"these seeds depend on the last bits, choose others: {unstable}")
    text = json.dumps({"torch": torch.__version__, "seeds": golden}, indent=2)
    (HERE / "demo.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
