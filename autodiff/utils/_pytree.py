"""Trees of containers, by the names that programs have from `torch.utils._pytree`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from autodiff.func import trees
from autodiff.func.trees import is_leaf as _is_leaf
from autodiff.func.trees import tree_map as tree_map

PyTree = Any
Test = Callable[[Any], bool] | None


class TreeSpec:
    """The form of a tree: the tree with None for each leaf, where `is_leaf` said so, too."""

    def __init__(self, tree: Any, is_leaf: Test = None) -> None:
        self._form = tree_map(lambda _: None, tree, is_leaf=is_leaf)
        self.num_leaves = sum(1 for _ in trees.leaves(self._form))
        self.type = None if self.is_leaf() else type(tree)

    def is_leaf(self) -> bool:
        return _is_leaf(self._form)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this form with these leaves. ValueError where there are more or fewer."""
        given = list(leaves)
        if len(given) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(given)} but the spec refers "
                f"to a pytree that holds {self.num_leaves} items ({self!r})."
            )
        return trees.unflatten(self._form, given)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """What a tree has where this form has leaves. ValueError where it has another form."""
        found: list[Any] = []
        tree_map(lambda _, there: found.append(there), self._form, tree)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and trees.alike(self._form, other._form)

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves))

    def __repr__(self) -> str:
        return f"TreeSpec({self._form!r})"


def LeafSpec() -> TreeSpec:  # noqa: N802 - PyTorch's name
    return TreeSpec(None)


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[Any, Any]],
    unflatten_fn: Callable[[Any, Any], Any],
    **options: Any,
) -> None:
    """Take objects of a type apart by `flatten_fn(x)`, which gives their members and what else
    there is of them, and make them of both by `unflatten_fn(members, rest)`: here and in `func`.
    """
    if cls in trees.registered:
        raise ValueError(f"{cls} is already registered as pytree node.")
    trees.registered[cls] = flatten_fn, unflatten_fn


def tree_is_leaf(tree: Any, is_leaf: Test = None) -> bool:
    return bool(is_leaf is not None and is_leaf(tree)) or _is_leaf(tree)


def tree_iter(tree: Any, is_leaf: Test = None) -> Iterator[Any]:
    return trees.leaves(tree, is_leaf)


def tree_leaves(tree: Any, is_leaf: Test = None) -> list[Any]:
    return list(trees.leaves(tree, is_leaf))


def tree_structure(tree: Any, is_leaf: Test = None) -> TreeSpec:
    return TreeSpec(tree, is_leaf)


def tree_flatten(tree: Any, is_leaf: Test = None) -> tuple[list[Any], TreeSpec]:
    return tree_leaves(tree, is_leaf), TreeSpec(tree, is_leaf)


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    return treespec.unflatten(leaves)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Test = None) -> Any:
    """The tree itself, after a call of the function for each leaf."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def _holds(what: Any) -> Callable[[Any], bool]:
    """Whether an object is of a type, or one of several, or passes a test."""
    if isinstance(what, (type, tuple)):
        return lambda x: isinstance(x, what)
    test: Callable[[Any], bool] = what
    return test


def tree_map_only(what: Any, func: Callable[[Any], Any], tree: Any, is_leaf: Test = None) -> Any:
    """A tree of the same form, changed at leaves of a type, or that pass a test."""
    holds = _holds(what)
    return tree_map(lambda x: func(x) if holds(x) else x, tree, is_leaf=is_leaf)


def tree_map_only_(what: Any, func: Callable[[Any], Any], tree: Any, is_leaf: Test = None) -> Any:
    tree_map_only(what, func, tree, is_leaf)
    return tree


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Test = None) -> bool:
    return all(map(pred, trees.leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Test = None) -> bool:
    return any(map(pred, trees.leaves(tree, is_leaf)))


def tree_all_only(what: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: Test = None) -> bool:
    return all(map(pred, filter(_holds(what), trees.leaves(tree, is_leaf))))


def tree_any_only(what: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: Test = None) -> bool:
    return any(map(pred, filter(_holds(what), trees.leaves(tree, is_leaf))))
