"""Records how PyTorch words errors of sizes and dtypes as texts.json (see recording.py).

Ours begin with the same words, and may go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("texts.json")
LINES = """
torch.cat([x, y])
torch.cat([y, y, x], 0)
torch.cat([w, w[:, :2]], -1)
torch.cat([x, v])
torch.cat([])
torch.vstack([x, y])
x.expand(3, 3)
x.expand(3)
x.expand(-1, 4)
x.expand(-1, 2, 3)
x.expand(-2, 3)
x.expand(2**31, 2**31, 2, 3)
x.expand(2**62, 2, 3)
v.expand(2**63 - 1, 3)
torch.broadcast_to(x, (4, 4))
x.expand_as(y)
torch.dot(v, x)
torch.dot(v, u)
torch.dot(v, v.double())
torch.dot(v, v.long())
F.linear(x, m.double())
F.linear(x.long(), m)
F.linear(x, m.half())
F.linear(v, m.bfloat16())
F.linear(w.bool(), m)
F.linear(x, m, v.double())
F.linear(x, m, v.long())
x @ m.double()
torch.mm(x.int(), m.to(torch.uint8))
x + torch.ones(4, 4)
x.add_(torch.ones(4, 4))
torch.where(x > 0, x, torch.ones(4, 4))
x.eq(torch.ones(5, 4, 4))
torch.matmul(torch.ones(2, 3, 3, 3), torch.ones(4, 4, 3, 3))
torch.max(x, 0, 5)
torch.min(x, 0, 1.5)
torch.max(x, x, 5)
torch.max(x, 0, None)
""".strip().splitlines()


def words(lib: Any, line: str) -> list[str]:
    """The type of the exception of a line, and what it says, in its first sentence."""
    scope = {"x": lib.ones(2, 3), "y": lib.ones(2, 4), "w": lib.ones(2, 3, 3), "u": lib.ones(2)}
    scope |= {"v": lib.ones(3), "m": lib.ones(3, 3), "torch": lib, "F": lib.nn.functional}
    kind, text = failure(eval, line, scope)
    return [kind, text.splitlines()[0].partition(", but expected one of")[0].rstrip(".")]


def main() -> None:
    """Writes the file, a line's words a line."""
    import torch

    write(GOLDEN, texts={line: words(torch, line) for line in LINES})


if __name__ == "__main__":
    main()
