"""Records what PyTorch's layers with state compute and say, as layers.json (see recording.py).

Each case is a function of the library, torch or autodiff: the test runs the same text on both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("layers.json")
Case = Callable[[Any], Any]
FEW = 12  # elements that are recorded one by one


def digest(lib: Any, x: Any) -> Any:
    """A tensor's shape and elements, or of many elements sums that tell them."""
    if x is None:
        return None
    if isinstance(x, (list, tuple)):
        return [digest(lib, one) for one in x]
    x = x.detach()
    flat = x.reshape(-1).to(lib.float64)
    if x.numel() <= FEW:
        return [list(x.shape), *flat.tolist()]
    line = lib.linspace(-1, 2, x.numel(), dtype=lib.float64)
    weights = line, lib.cos(line * 3 * x.numel())
    return [list(x.shape), *[float((flat * w).sum()) for w in weights]]


def tensors(lib: Any, shapes: Any, dtype: Any) -> list[Any]:
    """Random numbers of each shape, that require grad; or what a function of the library gives."""
    return [
        shape(lib) if callable(shape) else lib.randn(shape, dtype=dtype).requires_grad_()
        for shape in shapes
    ]


def first_of(y: Any) -> list[Any]:
    """The tensors of a result, in order."""
    if isinstance(y, (tuple, list)):
        return [x for one in y for x in first_of(one)]
    return [] if y is None else [y]


def passes(lib: Any, module: Any, given: Any, options: Any = None) -> list[Any]:
    """The results of a call, and the gradients of inputs and parameters for fixed cotangents."""
    ys = first_of(module(*given, **(options or {})))
    wanted = [x for x in [*given, *module.parameters()] if hasattr(x, "dim") and x.requires_grad]
    wanted = [x for one in given if isinstance(one, (tuple, list)) for x in one] + wanted
    total = sum(
        (y * lib.cos(lib.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)).sum()
        for y in ys
        if y.requires_grad
    )
    found: Any = [None] * len(wanted)
    if isinstance(total, lib.Tensor):
        found = lib.autograd.grad(total, wanted, allow_unused=True)
    found = [0 * x if g is None else g for x, g in zip(wanted, found, strict=True)]
    return [digest(lib, ys), digest(lib, found)]


def layer(
    name: str, *args: Any, shapes: Any, call: Any = None, dtype: str = "float64", **options: Any
) -> tuple[str, Case]:
    """A module by its arguments, called twice in training and once in evaluation."""

    def run(lib: Any) -> Any:
        lib.manual_seed(7)
        d = getattr(lib, dtype)
        module = getattr(lib.nn, name)(*args, **options)
        module = module.to(d) if hasattr(module, "to") else module
        state = {k: digest(lib, v) for k, v in module.state_dict().items()}
        results = []
        for _ in range(2):
            results.append(passes(lib, module, tensors(lib, shapes, d), call and call(lib)))
        module.eval()
        results.append(passes(lib, module, tensors(lib, shapes, d), call and call(lib)))
        after = [digest(lib, x) for x in module.buffers()]
        return [repr(module), list(map(list, state.items())), results, after]

    given = "".join(f" {a}" for a in args) + "".join(f" {k}={v}" for k, v in options.items())
    label = f"{name}{given} of {' '.join(str(s) for s in shapes if not callable(s))} {dtype}"
    return label, run


def norms() -> Iterator[tuple[str, Case]]:
    """Norms by channel."""
    for dims in (1, 2, 3):
        shape = (2, 3, 2, 2, 3)[: 2 + dims]
        for kind in ("BatchNorm", "InstanceNorm"):
            yield layer(f"{kind}{dims}d", 3, shapes=[shape])
        yield layer(f"InstanceNorm{dims}d", 3, shapes=[shape[1:]])
    yield layer("BatchNorm1d", 3, shapes=[(4, 3)])
    yield layer("BatchNorm2d", 3, shapes=[(2, 3, 4, 4)], dtype="float32")
    yield layer("BatchNorm2d", 3, 0.1, None, shapes=[(2, 3, 2, 2)])
    yield layer("BatchNorm1d", 3, affine=False, momentum=0.3, shapes=[(2, 3, 4)])
    yield layer("BatchNorm1d", 3, track_running_stats=False, shapes=[(2, 3, 4)])
    yield layer("BatchNorm1d", 3, bias=False, shapes=[(2, 3, 4)])
    yield layer("InstanceNorm1d", 3, affine=True, track_running_stats=True, shapes=[(2, 3, 4)])
    yield layer("InstanceNorm2d", 3, affine=True, bias=False, shapes=[(2, 3, 4, 2)])
    yield layer("GroupNorm", 3, 6, shapes=[(2, 6, 4)])
    yield layer("GroupNorm", 1, 6, eps=0.1, shapes=[(2, 6, 4, 2)])
    yield layer("GroupNorm", 6, 6, affine=False, shapes=[(2, 6, 4)])
    yield layer("GroupNorm", 2, 6, bias=False, shapes=[(2, 6)])
    yield layer("GroupNorm", 2, 6, shapes=[(2, 6, 5, 5)], dtype="float32")
    yield layer("RMSNorm", 4, shapes=[(3, 4)])
    yield layer("RMSNorm", (3, 4), 0.1, shapes=[(2, 3, 4)])
    yield layer("RMSNorm", 4, elementwise_affine=False, shapes=[(2, 3, 4)], dtype="float32")
    for size in (1, 2, 3, 5):
        yield layer("LocalResponseNorm", size, 0.5, 0.7, 2.0, shapes=[(2, 4, 3)])


NUMBERS: dict[str, Case] = dict([*norms()])


def call(name: str, *shapes: Any, **options: Any) -> Case:
    """A function of ones."""
    return lambda lib: getattr(lib.nn.functional, name)(
        *[None if s is None else lib.ones(s) for s in shapes], **options
    )


def fed(name: str, *args: Any, shape: Any, **options: Any) -> Case:
    """A module on ones."""
    return lambda lib: getattr(lib.nn, name)(*args, **options)(lib.ones(shape))


ERRORS: dict[str, Case] = {
    "batch of one": call("batch_norm", (1, 3), 3, 3, training=True),
    "no running mean": call("batch_norm", (2, 3), None, None),
    "one running moment": call("batch_norm", (2, 3), 3, None, training=True),
    "running mean": call("batch_norm", (2, 3, 4), 2, 3),
    "running var": call("batch_norm", (2, 3, 4), 3, 2),
    "batch weight": call("batch_norm", (2, 3), None, None, 2, training=True),
    "batch bias": call("batch_norm", (2, 3), None, None, None, 2, training=True),
    "batch dims": call("batch_norm", (3,), None, None, training=True),
    "batch integers": lambda lib: lib.nn.functional.batch_norm(
        lib.ones(2, 3).long(), None, None, training=True
    ),
    "batch no tensor": lambda lib: lib.nn.functional.batch_norm(3, None, None),
    "batch dtype": lambda lib: lib.nn.functional.batch_norm(
        lib.ones(2, 3).double(), None, None, lib.ones(3), training=True
    ),
    "batch 1d": fed("BatchNorm1d", 3, shape=2),
    "batch 2d": fed("BatchNorm2d", 3, shape=(2, 3, 4)),
    "batch 3d": fed("BatchNorm3d", 3, shape=(2, 3, 4)),
    "groups": call("group_norm", (2, 3, 4), num_groups=2),
    "group of one": call("group_norm", (1, 2), num_groups=2),
    "group weight": lambda lib: lib.nn.functional.group_norm(lib.ones(2, 4), 2, lib.ones(3)),
    "group dims": call("group_norm", (4,), num_groups=2),
    "negative groups": call("group_norm", (2, 4), num_groups=-1),
    "no groups": call("group_norm", (2, 4), num_groups=0),
    "group module": lambda lib: lib.nn.GroupNorm(2, 3),
    "instance of one": call("instance_norm", (2, 3, 1)),
    "instance dims": call("instance_norm", (2, 3)),
    "instance moments": call("instance_norm", (2, 3, 4), use_input_stats=False),
    "instance features": fed("InstanceNorm1d", 3, affine=True, shape=(2, 4, 5)),
    "instance features unbatched": fed("InstanceNorm1d", 3, affine=True, shape=(2, 4)),
    "instance 1d": fed("InstanceNorm1d", 3, shape=2),
    "instance 2d": fed("InstanceNorm2d", 3, shape=(2, 3)),
    "instance 3d": fed("InstanceNorm3d", 3, shape=(2, 3)),
    "rms empty": call("rms_norm", (2, 3), normalized_shape=()),
    "rms weight": lambda lib: lib.nn.functional.rms_norm(lib.ones(2, 4), (4,), lib.ones(3)),
    "rms shape": call("rms_norm", (2, 3), normalized_shape=3),
    "rms integers": lambda lib: lib.nn.functional.rms_norm(lib.ones(2, 3).long(), (3,)),
    "response dims": call("local_response_norm", (2, 3), size=2),
    "response size": call("local_response_norm", (2, 3, 4), size=0),
}


def main() -> None:
    """Writes layers.json."""
    import torch

    warnings.simplefilter("ignore")
    write(
        GOLDEN,
        numbers={name: case(torch) for name, case in NUMBERS.items()},
        errors={name: failure(case, torch) for name, case in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
