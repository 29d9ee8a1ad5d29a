"""The node of a call of an `autograd.Function`, which is the `ctx` of its two halves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from autodiff import dtypes
from autodiff.named import NamedTuple
from autodiff.native import lib
from autodiff.node import Cotangents, Node, freed, overwritten
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import zeros
from autodiff.shapes import Size
from autodiff.tensor import Tensor, wrap


class Meta(NamedTuple):
    """What a cotangent must look like."""

    shape: Size
    dtype: dtypes.dtype

    @classmethod
    def of(cls, x: Any) -> Meta | None:
        """That of a tensor; None for anything else."""
        return cls(x.shape, x.dtype) if isinstance(x, Tensor) else None


class Saved(NamedTuple):
    """A tensor kept for backward: itself, or its place among the outputs, which no node owns."""

    p: Any
    version: int
    tensor: Tensor | None
    output: int
    edge: Node | None = None
    unpack: Callable[[], Any] | None = None  # of what saved_tensors_hooks packed


class FunctionNode(Node):
    """A call of a Function: its place in the graph, and the `ctx` its two halves share."""

    custom = True
    function: Any  # the subclass of Function
    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self.edges = ()
        self.saved = ()
        self.versions = 0
        self._to_save: tuple[Any, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._constant: tuple[Tensor, ...] = ()
        self._materialize = True
        self._inputs: tuple[Meta | None, ...] = ()
        self._outputs: tuple[Meta | None, ...] = ()
        self._single = True

    # ---- what forward tells ----

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or other tensors; backward finds them in `saved_tensors`."""
        for i, x in enumerate(tensors):
            if x is not None and not isinstance(x, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type "
                    f"{type(x).__name__}"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Accepted for a `jvp`; forward-mode derivatives are computed from `backward`."""

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Declare the inputs that forward wrote to; they must be returned."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Declare the outputs that have no gradient; backward is given zeros for them."""
        for i, x in enumerate(tensors):
            if not isinstance(x, Tensor):
                raise RuntimeError(
                    f"mark_non_differentiable takes the outputs, but argument {i} is of type "
                    f"{type(x).__name__}"
                )
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward is given zeros (the default) or None for outputs nobody used."""
        self._materialize = dtypes.flag(value, "set_materialize_grads")

    # ---- what backward asks ----

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What save_for_backward kept. RuntimeError where it is freed or was written to."""
        saved: tuple[Saved | None, ...] | None = self.saved
        if saved is None:
            raise freed(self)
        return tuple(None if s is None else self._restored(s) for s in saved)

    def _restored(self, s: Saved) -> Tensor:
        if s.unpack is not None:
            s = s._replace(p=s.unpack())
        elif lib.ad_version(s.p) != s.version:
            raise overwritten(self, (s.p,), lib.ad_version(s.p) - s.version)
        if s.tensor is not None:
            return s.tensor
        if s.output < 0:
            return wrap(s.p, s.edge)
        return wrap(s.p, self if self._single else FunctionOutput(self, s.output))

    # ---- the node ----

    def name(self) -> str:
        return type(self).__name__

    def output(self, nr: int) -> tuple[Node, tuple[Any, Any]]:
        meta = self._outputs[nr]
        if meta is None:
            raise RuntimeError(f"{self.name()}: its output {nr} is no Tensor")
        return (self if self._single else FunctionOutput(self, nr)), meta

    def vjp(self, g: Any) -> Sequence[Tensor | None]:
        given: Sequence[Tensor | None] = tuple(g) if isinstance(g, Cotangents) else (g,)
        if self._materialize:
            given = [
                zeros(meta.shape, dtype=meta.dtype) if one is None and meta is not None else one
                for one, meta in zip(given, self._outputs, strict=True)
            ]
        found = self.function._pull()(self, *given)
        return self._fitted(found if isinstance(found, tuple) else (found,))

    def _fitted(self, found: tuple[Any, ...]) -> list[Tensor | None]:
        """The cotangents of the tensors among the inputs. RuntimeError where they do not fit."""
        n = len(self._inputs)
        if len(found) < n or any(g is not None for g in found[n:]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {n}, "
                f"got {len(found)})"
            )
        grads: list[Tensor | None] = []
        for i, (g, meta) in enumerate(zip(found, self._inputs, strict=False)):
            if meta is not None:
                wanted = self.edges[len(grads)] is not None  # else it may be any
                grads.append(self._fit(i, g, meta) if wanted else g)
            elif g is not None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position "
                    f"{i + 1}, but the corresponding forward input was not a Tensor"
                )
        return grads

    def _fit(self, i: int, g: Any, meta: Meta) -> Tensor | None:
        """A cotangent in its input's shape and dtype."""
        if g is None:
            return None
        if not isinstance(g, Tensor):
            raise RuntimeError(
                f"function {self.name()}: expected Tensor or None at position {i + 1} (got "
                f"{type(g).__name__})"
            )
        if g.shape != meta.shape:
            try:
                g = g.sum_to_size(meta.shape)
            except RuntimeError:
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {i} - got "
                    f"{list(g.shape)} but expected shape compatible with {list(meta.shape)}"
                ) from None
        return g if g.dtype is meta.dtype else to_dtype(g, meta.dtype)  # type: ignore[no-any-return]


class FunctionOutput(Node):
    """One of the outputs of a Function that has several: its node gathers their cotangents."""

    __slots__ = ("output_nr",)
    custom = True

    def __init__(self, ctx: FunctionNode, output_nr: int) -> None:
        self.edges = (ctx,)
        self.saved = ()
        self.versions = 0
        self.output_nr = output_nr

    @property
    def call(self) -> FunctionNode:
        """The node of the whole call."""
        return cast(FunctionNode, self.edges[0])

    def name(self) -> str:
        return self.call.name()

    def vjp(self, g: Tensor) -> Sequence[Any]:
        count = len(self.call._outputs)
        return (Cotangents(g if i == self.output_nr else None for i in range(count)),)
