"""Records how PyTorch prunes, as prune.json (see recording.py).

A program is a text: calls, one after another, that prune the parameters of the linear map `m`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from golden.recording import failure, plain, write

GOLDEN = Path(__file__).with_name("prune.json")
PROGRAMS = """
identity(m, "weight")
random_unstructured(m, "weight", 3)
random_unstructured(m, "weight", 0.25); l1_unstructured(m, "weight", 0.5)
l1_unstructured(m, "weight", 7); random_unstructured(m, "weight", 5)
l1_unstructured(m, "weight", 1.0)
l1_unstructured(m, "weight", 0.3, lib.arange(20.0).view(5, 4))
l1_unstructured(m, "bias", 2); l1_unstructured(m, "weight", 2); remove(m, "bias")
random_structured(m, "weight", 2, 0); random_structured(m, "weight", 0.5, 1)
random_structured(m, "weight", 0, 1)
ln_structured(m, "weight", 2, 1, 0); ln_structured(m, "weight", 1, 2, 0)
ln_structured(m, "weight", 0.5, float("inf"), -1)
ln_structured(m, "weight", 0.4, 2, 0, lib.arange(20.0).view(5, 4))
custom_from_mask(m, "weight", lib.tensor([1.0, 0, 1, 0]).expand(5, 4))
l1_unstructured(m, "weight", 5); custom_from_mask(m, "weight", lib.eye(5)[:, :4])
identity(m, "weight"); l1_unstructured(m, "weight", 2); identity(m, "weight"); remove(m, "weight")
global_unstructured([(m, "weight"), (m, "bias")], L1Unstructured, amount=9)
l1_unstructured(m, "bias", 2); both(m, RandomUnstructured, amount=0.5)
both(m, L1Unstructured, importance_scores={(m, "weight"): lib.arange(20.0).view(5, 4)}, amount=5)
both(m, Identity)
""".strip().splitlines()
REFUSED = """
random_unstructured(m, "weight", 99)
random_unstructured(m, "weight", 1.5)
random_unstructured(m, "weight", -1)
random_unstructured(m, "weight", "a")
l1_unstructured(m, "weight", 0.3, lib.ones(3))
random_structured(m, "bias", 1, 0)
random_structured(m, "weight", 1, 2)
ln_structured(m, "weight", 9, 2, 0)
custom_from_mask(m, "weight", lib.ones(3))
remove(m, "weight")
both(m, LnStructured, amount=1, n=2)
both(m, L1Unstructured, importance_scores=3, amount=1)
global_unstructured(3, L1Unstructured, amount=1)
PruningContainer().add_pruning_method(3)
""".strip().splitlines()


def run(lib: Any, text: str) -> Any:
    """The module that a program leaves."""
    prune = lib.nn.utils.prune
    names = {name: getattr(prune, name) for name in dir(prune) if not name.startswith("_")}

    def both(m: Any, *args: Any, **options: Any) -> None:
        prune.global_unstructured([(m, "weight"), (m, "bias")], *args, **options)

    lib.manual_seed(3)
    m = lib.nn.Linear(4, 5)
    for call in text.split("; "):
        eval(call, names | {"m": m, "lib": lib, "both": both})
    return m


def facts(lib: Any, text: str) -> list[Any]:
    """The state, a result and the gradients, before and after a step of training."""
    m, found = run(lib, text), []
    optimizer = lib.optim.SGD(m.parameters(), lr=0.1)
    for _ in range(2):
        y = m(lib.arange(8.0).view(2, 4) / 4)
        y.pow(2).sum().backward()
        grads = {name: plain(p.grad) for name, p in m.named_parameters()}
        state = {name: plain(x) for name, x in sorted(m.state_dict().items())}
        found.append([plain(y.detach()), grads, state, lib.nn.utils.prune.is_pruned(m)])
        optimizer.step()
    return found


def main() -> None:
    """Writes the file."""
    import torch
    import torch.nn.utils.prune

    write(
        GOLDEN,
        facts={text: facts(torch, text) for text in PROGRAMS},
        refused={text: failure(run, torch, text) for text in REFUSED},
    )


if __name__ == "__main__":
    main()
