"""An autograd.Function under vmap: by the rule that it brings along."""

from __future__ import annotations

from typing import Any, NamedTuple

from autodiff.autograd.function import Function
from autodiff.func.batched import Batched, Level, levels, mapped
from autodiff.ops.rearrange import movedim
from autodiff.tensor import Tensor

__all__ = ["VmapInfo", "brings_rule", "by_its_rule"]


class VmapInfo(NamedTuple):
    """What a rule is told of the vmap."""

    batch_size: int
    randomness: str


def brings_rule(cls: type[Function]) -> bool:
    """Whether a Function overrides `vmap`; RuntimeError where it asks for a made rule, too."""
    overrides = cls.vmap is not Function.vmap
    if overrides and cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and "
            "an overridden vmap staticmethod. Please set generate_vmap_rule=False or delete the "
            "overridden vmap staticmethod to avoid ambiguity."
        )
    return overrides


def by_its_rule(cls: type[Function], level: Level, args: tuple[Any, ...]) -> Any:
    """The outputs of a Function's `vmap`, which is outside of the level and of those within it."""
    dims = tuple(_dims(x, level) for x in args)
    values = mapped(args, level, lambda x: x.value)
    before = levels.stack
    levels.stack = before[: level.depth]
    try:
        result = cls.vmap(VmapInfo(level.size, level.randomness), dims, *values)
    finally:
        levels.stack = before
    if not isinstance(result, tuple) or len(result) != 2:
        raise RuntimeError(
            "Expected the vmap staticmethod to have two returns, an output and out_dims with "
            f"pytree structure compatible with the output. Got a {type(result)} instead"
        )
    return _batched(cls, level, *result)


def _dims(x: Any, level: Level) -> Any:
    """Of the batched tensors of an argument 0, where their samples are; of all else None."""
    if isinstance(x, (tuple, list)):
        return type(x)([_dims(each, level) for each in x])
    if isinstance(x, dict):
        return {name: _dims(each, level) for name, each in x.items()}
    return 0 if type(x) is Batched and x.level is level else None


def _batched(cls: type[Function], level: Level, output: Any, dims: Any) -> Any:
    if isinstance(output, (tuple, list)) and not isinstance(dims, int | None):
        if isinstance(dims, (tuple, list)) and len(dims) == len(output):
            pairs = zip(output, dims, strict=True)
            return type(output)(_batched(cls, level, *pair) for pair in pairs)
    elif isinstance(output, (tuple, list)):
        return type(output)(_batched(cls, level, each, dims) for each in output)
    elif isinstance(dims, int) and isinstance(output, Tensor):
        return Batched(movedim(output, dims, 0), level)
    elif dims is None:
        return output
    raise RuntimeError(
        f"The vmap staticmethod of {cls.__name__} returned an incompatible (output, out_dims) "
        f"tuple. Expected out_dims={dims} to be compatible with the structure of `output`, which "
        f"is a {type(output).__name__}."
    )
