"""Random numbers inside vmap: refused, the same for all samples, or different for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autodiff.func.batched import BatchError, Level, found, is_batch, levels
from autodiff.func.dispatch import RANDOM, one_by_one
from autodiff.ops.generator import default_generator
from autodiff.tensor import Tensor

_NEW = (
    "rand randn rand_like randn_like randint randint_like randperm normal bernoulli poisson "
    "multinomial attend_dropping"
)


@contextmanager
def _outside(level: Level, name: str) -> Iterator[None]:
    """What is drawn inside this is drawn as the next outer vmap says."""
    if level.randomness == "error":
        raise RuntimeError(
            f"vmap: called random operation {name} while in randomness error mode. Please either "
            "use the 'same' or 'different' randomness flags on vmap or perform the randomness "
            "operation out of vmap"
        )
    levels.stack.pop()
    try:
        yield
    finally:
        levels.stack.append(level)


def _drawn(function: Callable[..., Any], level: Level, *args: Any, **kwargs: Any) -> Any:
    """New random numbers: one call for all samples, or one for each."""
    same = level.randomness == "same"
    with _outside(level, function.__name__):
        if same and found((*args, *kwargs.values())) is not level:
            return function(*args, **kwargs)
        generator = kwargs.get("generator") or default_generator
        state = generator.get_state()

        def one(*given: Any, **named: Any) -> Any:
            if same:
                generator.set_state(state)
            return function(*given, **named)

        return one_by_one(function.__name__, one, level, args, kwargs)


def _filled(
    function: Callable[..., Any], level: Level, x: Tensor, name: str, generator: Any, *args: Any
) -> Tensor:
    """Random numbers written over a tensor."""
    with _outside(level, name):
        if is_batch(x, level):
            value = x.value
            if level.randomness == "different":
                function(value, name, generator, *args)
            elif level.size:
                value.copy_(function(value[0].clone(), name, generator, *args))
        elif level.randomness == "different":
            raise BatchError(
                f"vmap: {name} would write different numbers for each sample over a tensor that is "
                "one for all of them. Make the tensor from what the function is given."
            )
        else:
            function(x, name, generator, *args)
    return x


RANDOM.update(dict.fromkeys(_NEW.split(), _drawn))
RANDOM["draw_into"] = _filled
