"""Numbers as they would be after quantization: rounded to multiples of a scale, and limited.

Gradients pass through the rounding, where nothing was clamped.
"""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import float32, int32
from autodiff.ops.arithmetic import where
from autodiff.ops.base import titled
from autodiff.ops.convert import as_tensor
from autodiff.ops.guard import kind_of
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor

_NODE = "FakeQuantizePer{}AffineCachemask{}Backward0"


def _check(name: str, x: Tensor, quant_min: Any, quant_max: Any) -> None:
    for bound in (quant_min, quant_max):
        if not isinstance(bound, int):
            raise TypeError(f"{name}(): quant_min and quant_max must be ints, not {kind_of(bound)}")
    if not x.is_floating_point():
        raise NotImplementedError(f'"{name}" not implemented for {x.dtype.title!r}')
    if quant_min > quant_max:
        raise RuntimeError(
            f"`quant_min` should be less than or equal to `quant_max`: {quant_min}, {quant_max}"
        )


def _quantized(x: Tensor, scale: Any, zero_point: Any, low: int, high: int) -> Tensor:
    """Computed in float32, or x's float64."""
    given = x.detach() if x.itemsize > 4 else x.detach().to(float32)
    places = (given * scale.reciprocal()).round() + zero_point
    places = where(places == places, places, float("-inf"))
    limited = places.clamp(low, high)
    kept = where(places == limited, x, x.new_zeros(()))
    value = ((limited - zero_point).to(float32) * scale).to(x.dtype)
    y: Tensor = value + (kept - kept.detach())  # which is 0, and has the gradient
    return y


def fake_quantize_per_tensor_affine(
    input: Tensor, scale: Any, zero_point: Any, quant_min: int, quant_max: int
) -> Tensor:
    """(q - zero_point) * scale, q being input / scale + zero_point, rounded (half to even) and
    clamped to [quant_min, quant_max].

    `scale` is a float and `zero_point` an int, or both are tensors of one. The gradient is the
    result's where nothing was clamped, else 0. RuntimeError for a zero_point outside the limits.

    >>> ad.fake_quantize_per_tensor_affine(ad.tensor([0.1, 0.7, 9.0]), 0.5, 0, -2, 2)
    tensor([0.0000, 0.5000, 1.0000])
    """
    name = "fake_quantize_per_tensor_affine"
    _check(name, input, quant_min, quant_max)
    tensors = isinstance(scale, Tensor) and isinstance(zero_point, Tensor)
    if not tensors and (not isinstance(scale, (int, float)) or not isinstance(zero_point, int)):
        raise TypeError(
            f"{name}(): scale and zero_point must be a float and an int, or tensors, not "
            f"{kind_of(scale)} and {kind_of(zero_point)}"
        )
    s = as_tensor(scale).detach().to(float32)
    z = as_tensor(zero_point).detach()
    if s.numel() != 1 or z.numel() != 1:
        raise RuntimeError(f"{name}(): scale and zero_point must be of one element each")
    if not quant_min <= (z.item() if tensors else zero_point) <= quant_max:
        raise RuntimeError("`zero_point` must be between `quant_min` and `quant_max`.")
    y = _quantized(input, s.reshape(()), z.to(float32).reshape(()), quant_min, quant_max)
    return titled(y, _NODE.format("Tensor", "TensorQparams" if tensors else ""))


def fake_quantize_per_channel_affine(
    input: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> Tensor:
    """The same with a scale and a zero_point (int32 or floats) for each index of a dimension.

    >>> x, zero = ad.tensor([[0.3, 0.3]]), ad.zeros(2, dtype=ad.int32)
    >>> ad.fake_quantize_per_channel_affine(x, ad.tensor([0.5, 0.25]), zero, 1, 0, 3)
    tensor([[0.5000, 0.2500]])
    """
    name = "fake_quantize_per_channel_affine"
    _check(name, input, quant_min, quant_max)
    d = dim_index(axis, input.ndim)
    if scale.dtype is not float32:
        raise RuntimeError(f"Scale must be Float, found {scale.dtype.title}")
    if zero_point.dtype is not int32 and not zero_point.is_floating_point():
        kind = zero_point.dtype.title
        raise RuntimeError(f"Zero-point must be Int32, Float or Half, found {kind}")
    if not list(scale.shape) == list(zero_point.shape) == [input.shape[d]]:
        raise RuntimeError(
            "dimensions of scale and zero-point are not consistent with input tensor: "
            f"{list(scale.shape)} and {list(zero_point.shape)}, for the size {input.shape[d]} of "
            f"dimension {d}"
        )
    if bool(((zero_point < quant_min) | (zero_point > quant_max)).any()):
        raise RuntimeError("`zero_point` must be between `quant_min` and `quant_max`.")
    shape = [-1 if k == d else 1 for k in range(input.ndim)]
    s, z = (p.detach().to(float32).reshape(shape) for p in (scale, zero_point))
    return titled(_quantized(input, s, z, quant_min, quant_max), _NODE.format("Channel", ""))
