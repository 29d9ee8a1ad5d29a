"""Functions that their first call writes: whoever makes it, and whatever is on."""

from __future__ import annotations

import threading
import time
import warnings
from typing import Any

import autodiff as ad
from autodiff.ops.written import finish, twin
from autodiff.replaced import Layer


def sample(written: list[int], wait: float = 0.0) -> Any:
    """A twin of a function of two numbers, which notes each time that it is written."""

    def difference(x: int, y: int = 1, *, twice: bool = False) -> int:
        return (x - y) << twice

    def tell(scope: dict[str, Any]) -> list[str]:
        written.append(1)
        time.sleep(wait)
        scope["function"] = difference
        return ["return function(_0, _1, twice=twice)"]

    return twin(difference, tell)


def test_the_first_call_writes_it() -> None:
    written: list[int] = []
    call = sample(written)
    assert (call.__name__, written) == ("difference", [])
    assert [call(5), call(5, 2), call(y=3, x=5, twice=True)] == [4, 3, 4]
    assert written == [1]
    assert call.__code__.co_varnames == ("x", "y", "twice")


def test_several_threads_call_it_first() -> None:
    written: list[int] = []
    found: list[int] = []
    call = sample(written, wait=0.05)
    threads = [threading.Thread(target=lambda: found.append(call(5, 2))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (written, found) == ([1], [3] * 8)


def test_it_is_given_other_code_before_its_first_call() -> None:
    written: list[int] = []
    call, layer, user = sample(written), Layer(99), object()
    layer.wraps[call] = lambda raw: lambda *args, **kwargs: -raw(*args, **kwargs)
    layer.use(user)
    try:
        assert [call(5), call(5, 2)] == [-4, -3]
    finally:
        layer.leave(user)
    assert ([call(5), call(5, 2)], written) == ([4, 3], [1])
    finish(call)  # which has nothing left to do
    assert call(5) == 4


def test_a_warning_is_of_the_users_line() -> None:
    x, y = ad.ones(1), ad.ones(2, 2)
    for _ in range(2):  # a first call, where no other test made it, and a later one
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            ad.var(x), ad.std_mean(x), ad.sum(y, 0, out=ad.zeros(3)), ad.ones(2, 2, 2).T
        assert [w.filename for w in told] == [__file__] * 4
