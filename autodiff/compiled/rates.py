"""Numbers of optimisers and schedulers that functions look at.

A run takes those of now, whatever they were; but what Python computed of them would be old.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autodiff.compiled.reads import Reads
from autodiff.optim.lr_scheduler import LRScheduler
from autodiff.optim.optimizer import Optimizer

WHOLE = {"items", "values", "dict"}
STEPPING = {"_last_lr", "_step_count", "best", "last_epoch", "num_bad_epochs", "T_cur", "T_i"}


def asked_of(
    value: Optimizer | LRScheduler, reads: Reads
) -> Iterator[tuple[dict[str, Any], str | int]]:
    """The tables that functions which look up these may look into, and the keys; also those that
    they set, as they may set what is there to what it is.
    """
    asked = reads.attributes
    if isinstance(value, LRScheduler):
        found = (
            (STEPPING & asked) | reads.puts | ({"_last_lr"} if "get_last_lr" in asked else set())
        )
        yield from ((vars(value), key) for key in found & vars(value).keys())
        return
    tables = [*value.param_groups] if "param_groups" in asked else []
    tables += [value.defaults] if "defaults" in asked else []
    for table in tables:
        for key in table if WHOLE & asked else table.keys() & (asked | reads.sets):
            if key != "params":
                yield table, key
