"""What is measured once and not in rounds: import time, installed size, peak memory.

`footprint.facts(libraries)` lists them; the suite prints and reports them as a table of their own.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """A number of ours and one of a peer's; the ratio, peer's over ours, is to reach the target."""

    name: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    target: float = 1.0
    peer: str = "torch"

    @property
    def met(self) -> bool:
        return self.ratio >= self.target
