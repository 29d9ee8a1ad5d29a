"""What a comparison found, and the file in which the runs for one thread and for all cores meet."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contestants import US
from fact import Fact
from limits import LIMIT, Limit
from workload import Workload


@dataclass(frozen=True)
class Result:
    """Median seconds of each contestant for one unit of a workload, and the peers' ratios.

    The limit of the machine is among them, for work that has one: its ratio is our share of it.
    """

    workload: Workload
    seconds: dict[str, float]
    ratios: dict[str, float]

    @property
    def best(self) -> float:
        """The ratio of the best of the peers that the workload is held against."""
        held = [r for name, r in self.ratios.items() if name in self.workload.against]
        return min(held, default=math.nan)

    @property
    def share(self) -> float | None:
        """Our share of the machine's limit."""
        return self.ratios.get(LIMIT)

    @property
    def reached(self) -> float:
        """The least of what is reached, as a share of what is asked for."""
        limit = self.workload.limit
        if limit is None or self.share is None:
            return self.beside_peers
        return min([self.share / limit, self.beside_peers])

    @property
    def beside_peers(self) -> float:
        """The least of what is reached beside a peer, as a share of what is asked for."""
        w = self.workload
        held = {name: self.ratios[name] for name in w.against if name in self.ratios}
        return min(
            (x / w.targets.get(name, w.target) for name, x in held.items()), default=math.nan
        )

    @property
    def met(self) -> bool:
        return not self.reached < 1

    @property
    def is_beyond(self) -> bool:
        """Whether what is asked for beside peers is more than the limit of the machine allows."""
        return self.share is not None and self.beside_peers < min(1.0, self.share)

    @property
    def rate(self) -> float | None:
        """Flop or bytes a second."""
        work = self.workload.work
        return None if work is None else work / self.seconds[US]


@dataclass(frozen=True)
class Failure:
    """A contestant that raised, or computed something else than we did."""

    group: str
    name: str
    contestant: str
    text: str

    def __str__(self) -> str:
        return f"{self.group}: {self.name}: {self.contestant}: {self.text}"


@dataclass
class Findings:
    """All that one process found, with `threads` threads."""

    threads: int
    peers: list[str]
    date: str = ""
    minutes: float = 0.0
    machine: dict[str, str] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write all of it; of workloads, the group and name."""
        plain = asdict(self) | {
            "results": [
                {
                    "workload": [r.workload.group, r.workload.name],
                    "seconds": r.seconds,
                    "ratios": r.ratios,
                }
                for r in self.results
            ]
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(plain, indent=1))


def read(path: Path, workloads: Iterable[Workload]) -> Findings:
    """What `save` wrote, with its workloads found among these."""
    known = {(w.group, w.name): w for w in workloads}
    plain: Mapping[str, Any] = json.loads(path.read_text())
    return Findings(
        **dict(plain)
        | {
            "limits": [Limit(**item) for item in plain["limits"]],
            "facts": [Fact(**item) for item in plain["facts"]],
            "failures": [Failure(**item) for item in plain["failures"]],
            "results": [
                Result(known[tuple(r["workload"])], r["seconds"], r["ratios"])
                for r in plain["results"]
            ],
        }
    )
