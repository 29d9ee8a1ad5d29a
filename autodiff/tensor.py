"""The Tensor: a descriptor of native memory, and its place in the graph. No mathematics here.

Five slots make a tensor. `_p` is its native descriptor, which frees itself. `_node` is the node of
the graph that a gradient for this tensor goes to, or None where none is wanted. `_acc` holds
`.grad` (for a leaf that requires grad, `_acc` is its node). `_base` is the tensor this one is a
view of, and `_base_node` the node that had when the view was made.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from autodiff import dtypes, torch_function
from autodiff.changes import changed_of, changes, recorder_here
from autodiff.hooks import RemovableHandle, add_hook, hooks_of
from autodiff.native import error, lib
from autodiff.node import AccumulateGrad, Node, mode, shown
from autodiff.shortcuts import filler
from autodiff.values import Valued

_new: Callable[[type[Any]], Any] = object.__new__

_NO_GRAD_KEPT = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
    "attribute won't be populated during autograd.backward(). Call .retain_grad() on it first to "
    "have it populated, or access the leaf Tensor instead."
)

_NOT_A_LEAF = (
    "you can only change requires_grad flags of leaf variables. If you want to use a computed "
    "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
)

TENSOR_TYPES: set[type] = set()  # Tensor and its subclasses: a fast test for operands


class Tensor(Valued):
    """A strided, typed array that remembers how it was computed.

    Calling it makes a tensor of the default dtype: of the given sizes, with unset elements, or of
    the elements of a sequence (prefer `tensor`, which takes the dtype from the elements).

    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    >>> ad.Tensor([1, 2]), ad.Tensor(2, 3).shape
    (tensor([1., 2.]), torch.Size([2, 3]))
    """

    __slots__ = ()  # as `shortcuts.Slots` has them
    _node: Node | None
    _acc: AccumulateGrad | None
    _base: Tensor | None
    _base_node: Node | None

    __array_priority__ = 1000  # NumPy leaves mixed arithmetic to us

    def __new__(cls, *data: Any, device: Any = None) -> Any:
        """A tensor of the given sizes, unset, or of the elements of a sequence or tensor."""
        return late.make(cls, data, device)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if (
            vars(cls).get("__torch_dispatch__", torch_function.refused)
            is not torch_function.refused
        ):
            raise NotImplementedError(
                f"{cls.__name__}: there is no dispatch below autograd that would call "
                "__torch_dispatch__. Define __torch_function__, which every public function calls."
            )
        TENSOR_TYPES.add(cls)
        if torch_function.takes_part(cls):
            importlib.import_module("autodiff.overrides").install()

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a public function on tensors of a subclass, so that its results are of it too.

        A subclass may override this to handle each public function itself.

        >>> class Counted(ad.Tensor):
        ...     calls = 0
        ...     @classmethod
        ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
        ...         cls.calls += 1
        ...         return super().__torch_function__(func, types, args, kwargs)
        >>> x = ad.ones(2).as_subclass(Counted)
        >>> x + 1, Counted.calls
        (Counted([2., 2.]), 1)
        """
        return torch_function.default(cls, Tensor, func, types, args, kwargs or {})

    @property
    def requires_grad(self) -> bool:
        """Whether backward computes a gradient for this tensor or passes one through it.

        >>> x = ad.ones(2, requires_grad=True)
        >>> (2 * x).requires_grad
        True
        """
        return self._node is not None or (self._base is not None and live_node(self) is not None)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError(f"requires_grad must be a bool, not {type(value).__name__}")
        if not self.is_leaf:
            raise RuntimeError(_NOT_A_LEAF)
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set whether operations on this leaf are recorded; returns the tensor.

        >>> ad.ones(2).requires_grad_()
        tensor([1., 1.], requires_grad=True)
        """
        dtypes.flag(requires_grad, "requires_grad_")
        node = live_node(self)
        if node is not None and node is not self._acc:
            if requires_grad:
                return self
            raise RuntimeError(_NOT_A_LEAF)
        if requires_grad and self._p.dtype < dtypes.FIRST_FLOAT:
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, not {self.dtype!r}"
            )
        if requires_grad and node is None:
            if not mode.inference and lib.ad_is_inference(self._p):
                raise RuntimeError(
                    "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                    "allowed."
                )
            self._node = self._accumulator()
            self._node.stopped = False
            changed_of(self, "_node", None)
        elif isinstance(node, AccumulateGrad) and not requires_grad:
            self._node = None
            node.stopped = True
            changed_of(self, "_node", node)
        return self

    def _accumulator(self) -> AccumulateGrad:
        if self._acc is None:
            made = AccumulateGrad(self)
            if self._acc is None:  # and no other thread made one meanwhile
                self._acc = made
        return self._acc

    def _asked(self) -> AccumulateGrad | None:
        """What holds the gradient; None where there is none, and no recording relies on that."""
        if self._acc is None and changes.recorder is not None and (recorder := recorder_here()):
            return recorder.accumulator(self) if live_node(self) is None else None
        return self._acc

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor.

        >>> x = ad.ones(2, requires_grad=True)
        >>> x.is_leaf, (2 * x).is_leaf
        (True, False)
        """
        node = self._node if self._base is None else live_node(self)
        return node is None or node is self._acc

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that made this tensor; None for a leaf.

        >>> (2 * ad.ones(2, requires_grad=True)).grad_fn.name()
        'MulBackward0'
        """
        node = live_node(self)
        if node is None or node is self._acc:
            return None
        shown[node] = self.shape, self.dtype
        return node.call

    @property
    def output_nr(self) -> int:
        """The tensor's place among the outputs of its node: 0, unless a Function has several.

        >>> ad.ones(2, 3, requires_grad=True).exp().output_nr
        0
        """
        node = live_node(self)
        return 0 if node is None else node.output_nr

    def _is_view(self) -> bool:
        return self._base is not None

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward accumulated, or None.

        >>> x = ad.ones(2, requires_grad=True)
        >>> (3 * x).sum().backward()
        >>> x.grad
        tensor([3., 3.])
        """
        leaf = self._acc
        if leaf is None and (changes.recorder is None or (leaf := self._asked()) is None):
            if self.requires_grad:
                warnings.warn(_NO_GRAD_KEPT, UserWarning, stacklevel=2)
            return None
        return leaf.gradient()

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is None:
            if leaf := self._asked():
                leaf.put(None)
            return
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type "
                f"{type(value).__name__}"
            )
        if value.shape != self.shape or value.dtype is not self.dtype:
            raise RuntimeError(
                f"assigned grad has data of a different size or type: {value.dtype!r} "
                f"{list(value.shape)} for a tensor of {self.dtype!r} {list(self.shape)}"
            )
        self._accumulator().put(value)

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def retain_grad(self) -> None:
        """Make backward keep the gradient of this non-leaf tensor in `.grad`.

        >>> y = 2 * ad.ones(2, requires_grad=True)
        >>> y.retain_grad()
        >>> y.sum().backward()
        >>> y.grad
        tensor([1., 1.])
        """
        node = live_node(self)
        if node is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if node is not self._acc:
            hooks_of(node).retained = self._accumulator()
            changed_of(self)

    @property
    def retains_grad(self) -> bool:
        """Whether this is a non-leaf tensor whose gradient backward keeps.

        >>> y = 2 * ad.ones(2, requires_grad=True)
        >>> y.retain_grad()
        >>> y.retains_grad
        True
        """
        node = live_node(self)
        if node is None or self._acc is None or node is self._acc:
            return False
        return hooks_of(node).retained is self._acc

    def register_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Call `hook(gradient)` once the gradient of this tensor is known.

        A tensor that it returns replaces the gradient. The hook is about the tensor's present
        value: a later in-place write makes another value, with a gradient of its own.

        >>> x = ad.ones(2, requires_grad=True)
        >>> handle = x.register_hook(lambda g: 10 * g)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        node = live_node(self)
        if node is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return add_hook(hooks_of(node).tensor, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Call `hook(tensor)` after backward has added to `.grad` of this leaf.

        >>> x = ad.ones(2, requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
        >>> x.sum().backward()
        tensor([1., 1.])
        """
        node = live_node(self)
        if node is None:
            raise RuntimeError(
                "cannot register a post accumulate grad hook on a tensor that doesn't require "
                "gradient"
            )
        if node is not self._acc:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        return add_hook(hooks_of(node).accumulated, hook)

    def cpu(self, memory_format: Any = None) -> Tensor:
        """The tensor itself, as all memory is the CPU's; in the memory format, if one is given.

        >>> x = ad.zeros(2)
        >>> x.cpu() is x
        True
        """
        return self if memory_format is None else self.to(memory_format=memory_format)

    def detach(self) -> Tensor:
        """The same memory as a tensor outside the graph.

        >>> y = 2 * ad.ones(2, requires_grad=True)
        >>> y.detach()
        tensor([2., 2.])
        """
        return own(lib.ad_alias(self._p), "detach", self._p)

    def detach_(self) -> Tensor:
        """Take this tensor out of the graph; it becomes a leaf.

        >>> y = 2 * ad.ones(2, requires_grad=True)
        >>> y.detach_().is_leaf
        True
        """
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        if self._acc is not None:
            self._acc.stopped = True
        self._node = None
        changed_of(self)
        return self

    @property
    def data(self) -> Tensor:
        """The same memory as a tensor outside the graph, whose writes no version counts.

        A node that saved this memory computes with what it finds there, and does not notice the
        write; writes through `detach()` are noticed.

        >>> x = ad.ones(2, requires_grad=True)
        >>> y = x * x
        >>> x.data.add_(1)
        tensor([2., 2.])
        >>> ad.autograd.grad(y.sum(), x)
        (tensor([4., 4.]),)
        """
        return own(lib.ad_aside(self._p), "data", self._p)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self.requires_grad and not value.is_floating_point():
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point, not "
                f"{value.dtype!r}"
            )
        if value.dtype is self.dtype and value.is_set_to(self):
            return  # as after x.data += y, which has written to the elements
        self._p = value.detach()._p
        self._base = self._base_node = None
        changed_of(self)

    def __hash__(self) -> int:
        return id(self)

    @staticmethod
    def _make_subclass(cls: type[T], data: Tensor, require_grad: bool = False) -> T:
        """A leaf of a subclass over the same memory, as makers of subclasses ask for it."""
        y = as_subclass(cls, data)
        y.requires_grad_(require_grad)
        return y


TENSOR_TYPES.add(Tensor)
torch_function.plain.add(Tensor)
blank: Callable[[], Tensor] = functools.partial(_new, Tensor)  # its slots are not set
tensor_of: Callable[[Any], Tensor] = filler(Tensor)  # a leaf of a descriptor that is already fresh
Tensor.__module__ = "autodiff"  # where users know it


def wrap(p: Any, node: Node | None = None) -> Tensor:
    """A tensor of a descriptor that is already fresh."""
    x = tensor_of(p)
    x._node = node
    return x


def own(p: Any, op: str, *inputs: Any) -> Tensor:
    """A tensor that owns a new descriptor; a failure of `op` on `inputs` where it is NULL."""
    if not p:
        raise error(op, *inputs)
    return tensor_of(p)


T = TypeVar("T", bound=Tensor)


def as_subclass(cls: type[T], x: Tensor) -> T:
    """A leaf of another class over the same memory."""
    y: T = _new(cls)
    y._p = x._p
    y._node = y._acc = y._base = y._base_node = None
    return y


def live_node(x: Tensor) -> Node | None:
    """The node of x, renewed first where x is a view and its base was written to in the graph."""
    base = x._base
    if base is not None and base._node is not x._base_node:
        late.renew_view(x, base)
    return x._node


class _Late:
    """What later modules provide, so that imports point one way."""

    renew_view: Callable[[Tensor, Tensor], None]  # set by ops.regions
    make: Callable[[type[Any], tuple[Any, ...], Any], Any]  # set by ops.typed


late = _Late()
