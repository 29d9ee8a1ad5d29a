"""An autograd.Function under vmap: by the rule that it brings along."""

from __future__ import annotations

from typing import Any

from autodiff.autograd.function import Function
from autodiff.func import trees
from autodiff.func.batched import Batched, Level, is_batch, levels
from autodiff.named import NamedTuple
from autodiff.ops.rearrange import movedim


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
    dims = trees.tree_map(lambda x: 0 if is_batch(x, level) else None, args)
    values = trees.tree_map(lambda x: x.value if is_batch(x, level) else x, args)
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
    return _placed(cls, level, *result)


def _placed(cls: type[Function], level: Level, output: Any, out_dims: Any) -> Any:
    """Outputs whose samples are along these dimensions, as batched tensors."""
    found = trees.leaves(output)
    dims = trees.broadcast(out_dims, output)
    if dims is None:
        raise RuntimeError(
            f"The vmap staticmethod of {cls.__name__} returned an incompatible (output, out_dims) "
            f"tuple. Expected out_dims={out_dims} to be compatible with the structure of `output`, "
            f"which is a {type(output).__name__}."
        )
    return trees.unflatten(
        output,
        (
            x if dim is None else Batched(movedim(x, dim, 0), level)
            for x, dim in zip(found, dims, strict=True)
        ),
    )
