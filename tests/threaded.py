"""Functions on threads of their own, begun at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def side_by_side(*work: Callable[[], Any]) -> list[Any]:
    """What each of the functions returns, on a thread of its own; a failure is raised."""
    results: list[Any] = [None] * len(work)
    failures: list[BaseException] = []
    start = threading.Barrier(len(work))

    def run(i: int) -> None:
        try:
            start.wait()
            results[i] = work[i]()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results
