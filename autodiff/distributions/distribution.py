"""What all distributions share: shapes, checks, and formulas by the names of parameters."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from autodiff.changes import recorder_here
from autodiff.dtypes import finfo, get_default_dtype
from autodiff.functions import broadcast_shapes, empty, sigmoid, softmax, tensor
from autodiff.grad_mode import enable_grad, no_grad
from autodiff.native import refuse_any
from autodiff.ops.fused import pointwise
from autodiff.shapes import Size
from autodiff.tensor import Tensor

__all__ = ["Distribution"]


def names_of(function: Any) -> tuple[str, ...]:
    """The names of a function's arguments."""
    code = function.__code__
    return tuple(code.co_varnames[: code.co_argcount])


class formula(pointwise):  # noqa: N801 - a decorator
    """One kernel that is given values, and the distribution's parameters by their names."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.names = names_of(function)

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__ = owner.__name__ + name

    def __get__(self, d: Any, owner: type) -> Callable[..., Any]:
        return lambda *given: self(*given, *(getattr(d, k) for k in self.names[len(given) :]))


class moment(property):  # noqa: N801 - a decorator
    """A property made of the others that its function names."""

    def __init__(self, function: Callable[..., Any]) -> None:
        names = names_of(function)
        super().__init__(lambda d: function(*(getattr(d, name) for name in names)))


class lazy(functools.cached_property[Any]):  # noqa: N801 - a decorator
    """A property made once, with its graph whoever asks first.

    >>> class Plain(distributions.Distribution):
    ...     twice = distributions.utils.lazy_property(lambda self: ad.ones(2) * 2)
    >>> Plain(validate_args=False).twice
    tensor([2., 2.])
    """

    def __get__(self, d: Any, owner: type | None = None) -> Any:
        with enable_grad():
            return super().__get__(d, owner)


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors of one shape; numbers get the first tensor's dtype, or the default one.

    >>> distributions.utils.broadcast_all(ad.ones(2), 0.5)
    (tensor([1., 1.]), tensor([0.5000, 0.5000]))
    """
    if not all(isinstance(v, (Tensor, int, float)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects "
            "implementing __torch_function__."
        )
    dtypes = [v.dtype for v in values if isinstance(v, Tensor)] or [get_default_dtype()]
    made: list[Any] = [v if isinstance(v, Tensor) else tensor(v, dtype=dtypes[0]) for v in values]
    try:
        shape = broadcast_shapes(*(v.shape for v in made))
    except RuntimeError:
        shape = sum(made).shape  # which says what does not fit
    return tuple(v if v.shape == shape else v.expand(shape) for v in made)


def sum_rightmost(x: Any, n: int) -> Any:
    """The sum over the last n dimensions."""
    return x.flatten(-n).sum(-1) if n else x


def is_batched(x: Any) -> bool:
    """Whether a tensor stands for those of all samples, under `func.vmap`."""
    return hasattr(x, "level")


def require(valid: Any, text: Callable[[Any], str], found: Callable[[], Any]) -> None:
    """ValueError where not all is true, with the values found; the text is of what names things.

    A recording looks again at each run; it names things by their class, which tells no values.
    """
    while is_batched(valid):
        valid = valid.value

    def whole() -> str:
        return f"{text(repr)}:\n{text_of(found())}"

    if recorder := recorder_here():
        told = text(lambda x: type(x).__name__).replace("{", "{{").replace("}", "}}")
        try:
            refuse_any(valid.logical_not()._p, ValueError, told)
        except ValueError:
            raise ValueError(recorder.apart(whole)) from None
    elif not valid.all():
        raise ValueError(whole())


def text_of(value: Any) -> str:
    """A tensor as it is formatted; one that stands for several by its repr."""
    return repr(value) if is_batched(value) else f"{value}"


def missing(*_: Any) -> Any:
    """What a distribution does not have."""
    raise NotImplementedError


class Distribution:
    """The base of all distributions: parameters, shapes of batches and events, and checks.

    A subclass names its parameters in `arg_constraints` and overrides what it has of `rsample`,
    `sample`, `log_prob`, `cdf`, `icdf`, `entropy`, `mean`, `mode`, `variance` and `support`; the
    rest raises NotImplementedError. Parameters and values are checked (ValueError) unless
    `validate_args=False`.

    >>> d = distributions.Normal(ad.zeros(3, 1), ad.ones(2))
    >>> d.batch_shape, d.event_shape, d.expand((4, 3, 2)).sample((5,)).shape
    (torch.Size([3, 2]), torch.Size([]), torch.Size([5, 4, 3, 2]))
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__
    _noise: Any = staticmethod(missing)  # overwrites a tensor by what _sample is given
    _sample: Any = staticmethod(missing)
    _log_prob: Any = staticmethod(missing)
    _cdf: Any = staticmethod(missing)
    _icdf: Any = staticmethod(missing)
    _entropy: Any = staticmethod(missing)
    arg_constraints: Any = property(missing)
    support: Any = property(missing)
    mean: Any = property(missing)
    variance: Any = property(missing)
    stddev: Any = moment(lambda variance: variance.sqrt())
    batch_shape: Any = moment(lambda _batch_shape: _batch_shape)
    event_shape: Any = moment(lambda _event_shape: _event_shape)

    def __init__(
        self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            for name, constraint in (self._declared("arg_constraints") or {}).items():
                if name in self.__dict__ or not isinstance(getattr(type(self), name, None), lazy):
                    self._check(name, constraint)

    def _declared(self, name: str) -> Any:
        """What a class tells of itself; None, with a warning, where it does not."""
        try:
            return getattr(self, name)
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `{name}`. Please define it or initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )

    def _check(self, name: str, constraint: Any, must: str = "") -> None:
        value = getattr(self, name)
        valid = constraint.check(value)
        shown = f"{name} ({type(value).__name__} of shape {tuple(value.shape)})"
        require(
            valid,
            lambda named: (
                f"Expected parameter {shown} of distribution {named(self)} "
                f"{must or f'to satisfy the constraint {named(constraint)},'} but found invalid "
                "values"
            ),
            lambda: value.detach()[~valid] if must and not is_batched(valid) else value,
        )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions that are not told check what they are given."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def _take(self, validate_args: bool | None, **parameters: Any) -> None:
        """Keep parameters, broadcast; their shape is that of the batch."""
        tensors = broadcast_all(*parameters.values())
        self.__dict__.update(zip(parameters, tensors, strict=True))
        Distribution.__init__(self, tensors[0].shape, validate_args=validate_args)

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        """What the `expand` of a class `cls` of the user's fills: an object made without init."""
        if _instance is None and type(self).__init__ is not cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method."
            )
        return object.__new__(type(self)) if _instance is None else _instance

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        """The same distribution for a larger batch, its parameters expanded."""
        new = copy.copy(self) if _instance is None else _instance
        if _instance is None and not type(self).__init__.__module__.startswith("autodiff."):
            raise NotImplementedError(
                f"Subclass {type(self).__name__} that defines a custom __init__ method must also "
                "define a custom .expand() method."
            )
        new.__dict__.update(self.__dict__ | new.__dict__)
        new._batch_shape = Size(batch_shape)
        for name, constraint in self.arg_constraints.items():
            if (value := self.__dict__.get(name)) is not None:
                event = value.shape[value.dim() - constraint.event_dim :]
                new.__dict__[name] = value.expand(new._batch_shape + event)
        return new

    @property
    def mode(self) -> Any:
        raise NotImplementedError(f"{type(self)} does not implement mode")

    def _extended_shape(self, sample_shape: Iterable[int] = ()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _drawn(self, sample_shape: Iterable[int]) -> Any:
        first = next(v for k, v in self.__dict__.items() if k in self.arg_constraints)
        place = empty(self._extended_shape(sample_shape), dtype=first.dtype)
        return self._sample(self._noise(place))

    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        """Draws, of shape sample_shape + batch_shape + event_shape, outside the graph."""
        with no_grad():
            derived = type(self).rsample is not Distribution.rsample
            return self.rsample(sample_shape) if derived else self._drawn(sample_shape)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        """Draws as functions of the parameters, to which gradients flow."""
        return self._drawn(sample_shape) if self.has_rsample else missing()

    def sample_n(self, n: int) -> Any:
        """`sample((n,))`, which is what new code writes."""
        advice = "`sample_n(n)` will be deprecated. Use `sample((n,))` instead."
        warnings.warn(advice, FutureWarning, stacklevel=2)
        return self.sample((n,))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density, or of the probability, of values."""
        return self._log_prob(self._checked(value))

    def cdf(self, value: Any) -> Any:
        """The probability of a draw that is not greater."""
        return self._cdf(self._checked(value))

    def icdf(self, value: Any) -> Any:
        """The value whose `cdf` this is."""
        return self._icdf(value)

    def entropy(self) -> Any:
        """The expectation of -log_prob, of shape batch_shape."""
        return self._entropy()

    def perplexity(self) -> Any:
        """The exponential of the entropy."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values of a discrete distribution, along a first dimension."""
        raise NotImplementedError

    def _enumerated(self, values: Tensor, expand: bool) -> Any:
        event = values.shape[1:]
        shaped = values.reshape([-1, *[1] * len(self._batch_shape), *event])
        return shaped.expand([-1, *self._batch_shape, *event]) if expand else shaped

    def _checked(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        return value

    def _validate_sample(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, event = value.shape, self._event_shape
        if shape[len(shape) - len(event) :] != event:
            raise ValueError(
                f"The right-most size of value must match event_shape: {shape} vs {event}."
            )
        whole = self._batch_shape + event
        if any(1 != i != j != 1 for i, j in zip(reversed(shape), reversed(whole), strict=False)):
            raise ValueError(
                f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {whole}."
            )
        support = self._declared("support")
        if support is not None:
            require(
                support.check(value),
                lambda named: (
                    f"Expected value argument ({type(value).__name__} of shape {tuple(shape)}) to "
                    f"be within the support ({named(support)}) of the distribution {named(self)}, "
                    "but found invalid values"
                ),
                lambda: value,
            )

    def __repr__(self) -> str:
        held = {k: self.__dict__[k] for k in self.arg_constraints if k in self.__dict__}
        shown = (f"{k}: {text_of(v) if v.numel() == 1 else v.shape}" for k, v in held.items())
        return f"{type(self).__name__}({', '.join(shown)})"


class OfProbsOrLogits(Distribution):
    """A distribution given by probabilities or by their logits: the others are made when asked."""

    _binary = True

    def _given_one(self, probs: Any, logits: Any) -> tuple[str, Any]:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        return ("logits", logits) if probs is None else ("probs", probs)

    @lazy
    def logits(self) -> Any:
        eps = finfo(self.probs.dtype).eps
        p = self.probs.clamp(eps, 1 - eps)
        return p.log() - (-p).log1p() if self._binary else p.log()

    @lazy
    def probs(self) -> Any:
        return sigmoid(self.logits) if self._binary else softmax(self.logits, -1)

    # what was given of the two: the other one comes later into the dict
    _param: Any = property(
        lambda self: next(v for k, v in self.__dict__.items() if k in ("probs", "logits"))
    )
    param_shape: Any = moment(lambda _param: _param.shape)
