"""Trees of dicts, lists, tuples and named tuples: their leaves, and trees of the same form.

Everything else is a leaf, None included. A dict's leaves come in the order of its keys.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

__all__ = ["alike", "broadcast", "flatten", "is_leaf", "tree_map", "unflatten"]

_DICTS = (dict, OrderedDict, defaultdict)
_SEQUENCES = (list, tuple, deque)


def _children(tree: Any) -> list[Any] | None:
    """The direct members of a tree; None for a leaf."""
    kind = type(tree)
    if kind in _DICTS:
        return list(tree.values())
    if kind in _SEQUENCES or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        return list(tree)
    return None


def is_leaf(tree: Any) -> bool:
    """Whether it has no members."""
    return _children(tree) is None


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of a tree in order."""
    children = _children(tree)
    if children is None:
        yield tree
        return
    for child in children:
        yield from leaves(child)


def _with(tree: Any, members: Sequence[Any]) -> Any:
    """A tree with other members."""
    kind: Any = type(tree)
    if kind in _DICTS:
        pairs = dict(zip(tree, members, strict=True))
        return kind(tree.default_factory, pairs) if kind is defaultdict else kind(pairs)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind(*members)
    return deque(members, tree.maxlen) if kind is deque else kind(members)


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """A tree of the same form, each leaf being `function` of the leaf there."""
    children = _children(tree)
    if children is None:
        return function(tree)
    return _with(tree, [tree_map(function, child) for child in children])


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """The leaves of a tree, and what `unflatten` needs besides: a tree of that form."""
    return list(leaves(tree)), tree


def unflatten(form: Any, new: Iterable[Any]) -> Any:
    """A tree of a form with other leaves."""
    rest = iter(new)
    return tree_map(lambda _: next(rest), form)


def broadcast(prefix: Any, tree: Any) -> list[Any] | None:
    """For each leaf of a tree that of a prefix of it; None where it is no prefix of the tree."""
    inner, outer = _children(prefix), _children(tree)
    if inner is None:
        return [prefix] * sum(1 for _ in leaves(tree))
    if outer is None or type(prefix) is not type(tree) or len(inner) != len(outer):
        return None
    if isinstance(tree, dict) and list(prefix) != list(tree):
        return None
    parts = [broadcast(a, b) for a, b in zip(inner, outer, strict=True)]
    if any(part is None for part in parts):
        return None
    return [leaf for part in parts for leaf in part or ()]


def alike(a: Any, b: Any) -> bool:
    """Whether two trees have the same form."""
    inner, outer = _children(a), _children(b)
    if inner is None or outer is None:
        return inner is outer
    if type(a) is not type(b) or len(inner) != len(outer):
        return False
    if isinstance(a, dict) and list(a) != list(b):
        return False
    return all(map(alike, inner, outer))
