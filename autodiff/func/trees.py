"""Trees of dicts, lists, tuples and named tuples: their leaves, and trees of the same form.

Everything else is a leaf, None included. A dict's leaves come in the order of its keys.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

_DICTS = (dict, OrderedDict, defaultdict)
_SEQUENCES = (list, tuple, deque)
# What users' types are taken apart by (to members and what else there is), and made of these.
registered: dict[type, tuple[Callable[[Any], tuple[Any, Any]], Callable[[Any, Any], Any]]] = {}


def _children(tree: Any) -> list[Any] | None:
    """The direct members of a tree; None for a leaf."""
    kind = type(tree)
    if kind in _DICTS:
        return list(tree.values())
    if kind in _SEQUENCES or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        return list(tree)
    return list(registered[kind][0](tree)[0]) if kind in registered else None


def is_leaf(tree: Any) -> bool:
    """Whether it has no members."""
    return _children(tree) is None


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Iterator[Any]:
    """The leaves of a tree in order, and what else `is_leaf` calls one."""
    children = None if is_leaf is not None and is_leaf(tree) else _children(tree)
    if children is None:
        yield tree
        return
    for child in children:
        yield from leaves(child, is_leaf)


def _with(tree: Any, members: Sequence[Any]) -> Any:
    """A tree with other members."""
    kind: Any = type(tree)
    if kind in registered:
        return registered[kind][1](list(members), registered[kind][0](tree)[1])
    if kind in _DICTS:
        pairs = dict(zip(tree, members, strict=True))
        return kind(tree.default_factory, pairs) if kind is defaultdict else kind(pairs)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind(*members)
    return deque(members, tree.maxlen) if kind is deque else kind(members)


def tree_map(
    function: Callable[..., Any],
    tree: Any,
    *others: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """A tree of the same form, each leaf being `function` of the leaf there, and of what others
    have there. ValueError where these are of another form.
    """
    children = None if is_leaf is not None and is_leaf(tree) else _children(tree)
    if children is None:
        return function(tree, *others)
    members = [children, *(_members(other, tree, len(children)) for other in others)]
    return _with(
        tree, [tree_map(function, *each, is_leaf=is_leaf) for each in zip(*members, strict=True)]
    )


def _members(tree: Any, like: Any, count: int) -> list[Any]:
    """The members of a tree in the order of those of another."""
    children = _children(tree) if type(tree) is type(like) else None
    if (
        children is None
        or len(children) != count
        or (isinstance(like, dict) and {*tree} != {*like})
    ):
        raise ValueError(f"Node type mismatch; expected {like!r}, but got {tree!r}.")
    return [tree[key] for key in like] if isinstance(like, dict) else children


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
