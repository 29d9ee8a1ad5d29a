"""Records what PyTorch's losses compute and say, as loss.json (see recording.py).

Each case is a function of the library, torch or autodiff: the test runs the same text on both.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("loss.json")
Case = Callable[[Any], Any]
DTYPES = ("float32", "float64")
REDUCTIONS = ("mean", "sum", "none")
INF = math.inf

ERRORS_X = [-2.0, -1.0, -0.5, -0.2, 0.0, 0.3, 0.5, 1.0, 3.0, 1e4, 1e30]
PROBABILITIES = [0.0, 1.0, 0.25, 1e-30, 0.5, 0.9, 1.0, 0.0]
LABELS = [0.0, 1.0, 0.3, 1.0, 0.2, 0.0, 0.0, 1.0]
LOGITS = [0.0, 0.3, -0.3, 40.0, -40.0, 1e4, -1e4, 1e30, -1e30, 2.0, -2.0]
LOGIT_LABELS = [0.0, 0.5, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.25, 0.0]
WEIGHTS = [0.5, 1.0, 2.0, 0.0, 3.0, 0.25, 1.5, 1.0, 0.75, 2.0, 1.0]
LOGS = [-0.1, -0.7, -2.0, -30.0, 0.0, -1.0]
MASSES = [0.5, 1.0, 0.2, 0.0, 0.3, 2.0]

# name, positional tensors, those that want a gradient, options (lists become tensors)
Loss = tuple[str, tuple[Any, ...], tuple[int, ...], dict[str, Any]]
LOSSES: list[Loss] = [
    *[
        ("smooth_l1_loss", (ERRORS_X, [0.0] * 11), (0, 1), {"beta": beta})
        for beta in (1.0, 0.5, 0.0, 2)
    ],
    *[("huber_loss", (ERRORS_X, [0.0] * 11), (0, 1), {"delta": delta}) for delta in (1.0, 0.5, 2)],
    ("huber_loss", (ERRORS_X[:9], [0.0] * 9), (0, 1), {"weight": WEIGHTS[:9]}),
    ("binary_cross_entropy", (PROBABILITIES, LABELS), (0,), {}),
    ("binary_cross_entropy", (PROBABILITIES, LABELS), (0,), {"weight": WEIGHTS[:8]}),
    ("binary_cross_entropy", (PROBABILITIES, LABELS), (0,), {"weight": [2.0]}),
    ("binary_cross_entropy", (PROBABILITIES[2:6], LABELS[2:6]), (0, 1), {}),
    ("binary_cross_entropy_with_logits", (LOGITS, LOGIT_LABELS), (0, 1), {}),
    ("binary_cross_entropy_with_logits", (LOGITS, LOGIT_LABELS), (0, 1), {"weight": WEIGHTS}),
    ("binary_cross_entropy_with_logits", (LOGITS, LOGIT_LABELS), (0, 1), {"pos_weight": WEIGHTS}),
    (
        "binary_cross_entropy_with_logits",
        (LOGITS, LOGIT_LABELS),
        (0, 1),
        {"weight": WEIGHTS, "pos_weight": [3.0]},
    ),
    ("kl_div", (LOGS, MASSES), (0, 1), {}),
    ("soft_margin_loss", ([0.0, -0.3, -2.0, 40.0, -40.0], [1.0, -1.0, 1.0, 1.0, 1.0]), (0,), {}),
    *[
        (
            "hinge_embedding_loss",
            ([0.0, -0.3, 2.0, 1.0, 0.5, 3.0], [1.0, -1.0, -1.0, -1.0, 0.0, 0.5]),
            (0,),
            options,
        )
        for options in ({}, {"margin": 0.5})
    ],
    *[
        (
            "margin_ranking_loss",
            ([0.0, -0.3, 2.0, 1.0], [1.0, -1.0, 1.5, 0.0], [1.0, 1.0, -1.0, 1.0]),
            (0, 1, 2),
            options,
        )
        for options in ({}, {"margin": 1.0})
    ],
    ("kl_div", (LOGS, [-1.0, 0.0, -2.0, 0.5, -40.0, -3.0]), (0, 1), {"log_target": True}),
]


def values(*tensors: Any) -> list[Any]:
    """Tensors as nested lists."""
    return [None if x is None else x.detach().tolist() for x in tensors]


def derivatives(lib: Any, function: Callable[..., Any], inputs: list[Any]) -> list[Any]:
    """The value, its first derivatives, and those of their sum: the second counts twice."""
    y = function()
    first = lib.autograd.grad(y.sum(), inputs, create_graph=True)
    rest = [k * g.sum() for k, g in enumerate(first, start=1) if g.requires_grad]
    second: list[Any] = [None] * len(inputs)
    if rest:
        second = lib.autograd.grad(sum(rest), inputs, allow_unused=True)
    # A derivative that is zero everywhere: no gradient or zeros, as the implementation has it.
    zeros = [lib.zeros_like(x) for x in inputs]
    filled = [z if h is None else z + h for z, h in zip(zeros, second, strict=True)]
    return values(y, *first, *filled)


def loss_case(loss: Loss, reduction: str, dtype: str) -> Case:
    """A loss and its derivatives."""
    name, args, wanted, options = loss

    def run(lib: Any) -> Any:
        d = getattr(lib, dtype)
        xs = [lib.tensor(x, dtype=d) for x in args]
        for i in wanted:
            xs[i].requires_grad_()
        given = {
            key: lib.tensor(x, dtype=d) if isinstance(x, list) else x for key, x in options.items()
        }
        function = getattr(lib.nn.functional, name)
        return derivatives(
            lib, lambda: function(*xs, reduction=reduction, **given), [xs[i] for i in wanted]
        )

    return run


def loss_cases() -> Iterator[tuple[str, Case]]:
    """Losses, by name."""
    for (i, loss), dtype in itertools.product(enumerate(LOSSES), DTYPES):
        options = "".join(f"-{key}" for key in loss[3])
        kinds = [*REDUCTIONS, *(["batchmean"] if loss[0] == "kl_div" else [])]
        for reduction in kinds:
            yield (
                f"{i}-{loss[0]}{options}-{reduction}-{dtype}",
                loss_case(loss, reduction, dtype),
            )


# targets of (2, 3) and options: a weight of 0 makes nan of what is infinite, or alone in a mean
CLASSES: list[tuple[Any, dict[str, Any]]] = [
    ([0, 2], {"weight": [0.0, 1.0, 0.5]}),
    ([0, 2], {"weight": [0.0, 1.0, 0.0]}),
    ([1, 0], {"weight": [0.0, 1.0, 0.0]}),
    ([1, 1], {"ignore_index": 1}),
    ([1, 1], {"ignore_index": 1, "weight": [1.0, 0.0, 1.0]}),
]


def class_case(name: str, target: Any, options: dict[str, Any], reduction: str) -> Case:
    """A loss of classes, of rows or of images, and its first derivative."""

    def run(lib: Any) -> Any:
        x = lib.tensor([[0.5, -1.0, INF], [-INF, 0.0, 2.0]])
        t = lib.tensor(target)
        found = []
        for rows, at in ((x, t), (x.unsqueeze(2), t.unsqueeze(1))):
            leaf = rows.clone().requires_grad_()
            given = {k: lib.tensor(v) if k == "weight" else v for k, v in options.items()}
            y = getattr(lib.nn.functional, name)(leaf, at, reduction=reduction, **given)
            found += values(y, *lib.autograd.grad(y.sum(), leaf))
        return found

    return run


def _leaf(lib: Any, x: list[float]) -> Any:
    return lib.tensor(x, dtype=lib.float64, requires_grad=True)


NUMBERS: dict[str, Case] = {
    **dict(loss_cases()),
    **{
        f"{name}-classes{i}-{reduction}-float32": class_case(name, *given, reduction)
        for name in ("nll_loss", "cross_entropy")
        for (i, given), reduction in itertools.product(enumerate(CLASSES), REDUCTIONS)
    },
    "gaussian_nll_loss of an infinite variance-float64": lambda lib: derivatives(
        lib,
        lambda: lib.nn.functional.gaussian_nll_loss(x, lib.zeros(4), var, reduction="none"),
        [x := _leaf(lib, [1.0, 2.0, 0.5, 3.0]), var := _leaf(lib, [INF, 2.0, 0.0, 1e-9])],
    ),
    "multilabel_soft_margin_loss of more weights-float32": lambda lib: (
        lib.nn.functional.multilabel_soft_margin_loss(
            lib.ones(2, 1), lib.ones(2, 1), lib.tensor([1.0, 3.0])
        ).item()
    ),
    "multi_margin_loss of a float-float32": lambda lib: lib.nn.functional.multi_margin_loss(
        lib.tensor([[0.1, 0.2, 0.8]]), lib.tensor([2]), p=2.0
    ).item(),
    "cross_entropy of probabilities of another dtype-float64": lambda lib: (
        lib.nn.functional.cross_entropy(
            lib.tensor([[0.5, -1.0]], dtype=lib.float64),
            lib.tensor([[0.25, 0.5]]),
            lib.tensor([1, 2]),
        ).item()
    ),
}


def call(name: str, *args: Any, **options: Any) -> Case:
    """A function of losses; a tuple of sizes stands for ones, a (sizes, dtype) for other ones."""

    def made(lib: Any, x: Any) -> Any:
        if isinstance(x, tuple):
            return lib.ones(*x)
        if isinstance(x, dict):
            return lib.ones(*x["shape"], dtype=getattr(lib, x["dtype"]))
        return lib.tensor(x) if isinstance(x, list) else x

    return lambda lib: getattr(lib.nn.functional, name)(
        *[made(lib, x) for x in args], **{key: made(lib, x) for key, x in options.items()}
    )


INTS = {"shape": (2,), "dtype": "int64"}
DOUBLES = {"shape": (2,), "dtype": "float64"}
BCE, LOGIT = "binary_cross_entropy", "binary_cross_entropy_with_logits"
ERRORS: dict[str, Case] = {
    "reduction": call("smooth_l1_loss", (2,), (2,), reduction="x"),
    "beta": call("smooth_l1_loss", (2,), (2,), beta=-1.0),
    "smooth integers": call("smooth_l1_loss", INTS, INTS),
    "margin weight": call("multi_margin_loss", (2, 2), [0, 1], weight=DOUBLES),
    "beta nan": call("smooth_l1_loss", (2,), (2,), beta=math.nan),
    "delta": call("huber_loss", (2,), (2,), delta=0.0),
    "delta nan": call("huber_loss", (2,), (2,), delta=math.nan),
    "huber integers": call("huber_loss", INTS, INTS),
    "huber weight": call("huber_loss", (2,), (2,), weight=(3,)),
    "HuberLoss": lambda lib: lib.nn.HuberLoss(delta="x"),
    "soft margin of a number": lambda lib: lib.nn.functional.multilabel_soft_margin_loss(
        lib.tensor(1.0), lib.tensor(1.0)
    ),
    "bce shape": call(BCE, (2,), (3,)),
    "bce input": call(BCE, [1.5, 0.5], (2,)),
    "bce nan": call(BCE, [math.nan, 0.5], (2,)),
    "bce target": call(BCE, (2,), [2.0, 0.5]),
    "bce dtype": call(BCE, (2,), DOUBLES),
    "bce integers": call(BCE, INTS, INTS),
    "bce weight": lambda lib: lib.nn.functional.binary_cross_entropy(
        lib.ones(2), lib.ones(2), lib.ones(2, requires_grad=True)
    ),
    "bce reduction": call(BCE, (2,), (2,), reduction="x"),
    "logits shape": call(LOGIT, (2,), (3,)),
    "logits integers": call(LOGIT, INTS, INTS),
    "logits weight": lambda lib: lib.nn.functional.binary_cross_entropy_with_logits(
        lib.ones(2), lib.ones(2), lib.ones(2, requires_grad=True)
    ),
    "logits pos_weight": lambda lib: lib.nn.functional.binary_cross_entropy_with_logits(
        lib.ones(2), lib.ones(2), pos_weight=lib.ones(2, requires_grad=True)
    ),
    "soft margin target": lambda lib: lib.nn.functional.soft_margin_loss(
        lib.ones(2), lib.ones(2, requires_grad=True)
    ),
    "hinge tensor": call("hinge_embedding_loss", (2,), 3),
    "margin ranking sizes": call("margin_ranking_loss", (3,), (3,), (2, 3)),
    "kl reduction": call("kl_div", (2,), (2,), reduction="x"),
    "kl tensor": call("kl_div", (2,), 3),
}
# Errors whose type alone is PyTorch's: (their texts name internals of its broadcasting).
TYPES: dict[str, Case] = {
    "smooth sizes": call("smooth_l1_loss", (2,), (3,)),
    "bce weight size": call(BCE, (2,), (2,), weight=(3,)),
    "bce weight larger": call(BCE, (2,), (2,), weight=(3, 2)),
    "logits weight size": call(LOGIT, (2,), (2,), weight=(3,)),
    "logits pos_weight size": call(LOGIT, (2,), (2,), pos_weight=(3,)),
    "logits target integers": call(LOGIT, (2,), INTS),
    "kl integers": call("kl_div", (2,), INTS),
    "kl sizes": call("kl_div", (2,), (3,)),
}
WARNINGS: dict[str, Case] = {
    "kl mean": call("kl_div", (2,), (2,)),
    "size_average": call("mse_loss", (2,), (2,), size_average=False),
    "reduce": call("cross_entropy", (2, 2), [0, 1], reduce=False),
    "both": call("nll_loss", (2, 2), [0, 1], size_average=True, reduce=True),
    "kl both": call("kl_div", (2,), (2,), size_average=False, reduce=True),
    "broadcast": call("smooth_l1_loss", (2,), (1,)),
    "huber broadcast": call("huber_loss", (2,), (1,)),
    "module": lambda lib: lib.nn.KLDivLoss(size_average=False)(lib.ones(2), lib.ones(2)),
}


def _names(lib: Any, loss: Loss, reduction: str) -> list[str]:
    name, args, wanted, options = loss
    xs = [lib.tensor(x) for x in args]
    for i in wanted:
        xs[i].requires_grad_()
    given = {key: lib.tensor(x) if isinstance(x, list) else x for key, x in options.items()}
    y = getattr(lib.nn.functional, name)(*xs, reduction=reduction, **given)
    return [y.grad_fn.name(), str(y.dtype).split(".")[-1], list(y.shape)]


TEXTS: dict[str, Case] = {
    **{
        f"{i}-{loss[0]}-{reduction}": lambda lib, x=loss, r=reduction: _names(lib, x, r)
        for (i, loss), reduction in itertools.product(enumerate(LOSSES), REDUCTIONS)
    },
    "row of nll_loss": lambda lib: lib.nn.functional.nll_loss(
        lib.ones(2, requires_grad=True), lib.tensor(1), reduction="none"
    ).grad_fn.name(),
    "promoted": lambda lib: [
        str(lib.nn.functional.smooth_l1_loss(lib.ones(2), lib.ones(2, dtype=lib.float64)).dtype)[
            -7:
        ],
        str(lib.nn.functional.huber_loss(lib.ones(2), lib.ones(2, dtype=lib.int64)).dtype)[-7:],
        str(call(LOGIT, DOUBLES, (2,))(lib).dtype)[-7:],
        str(call(LOGIT, (2,), DOUBLES)(lib).dtype)[-7:],
    ],
    "modules": lambda lib: repr(
        lib.nn.Sequential(
            lib.nn.SmoothL1Loss(beta=0.5),
            lib.nn.HuberLoss(delta=2.0),
            lib.nn.BCELoss(lib.ones(2)),
            lib.nn.BCEWithLogitsLoss(pos_weight=lib.ones(2)),
            lib.nn.KLDivLoss(log_target=True),
            lib.nn.SoftMarginLoss(),
            lib.nn.HingeEmbeddingLoss(0.5),
            lib.nn.MarginRankingLoss(),
        )
    ),
    "state": lambda lib: list(
        lib.nn.BCEWithLogitsLoss(lib.ones(2), pos_weight=lib.ones(2)).state_dict()
    ),
}


def warned(case: Case, lib: Any) -> list[Any]:
    """The first warning of a case, and its value."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = case(lib).tolist()
    return [caught[0].category.__name__, str(caught[0].message), value]


def main() -> None:
    """Writes loss.json."""
    import torch

    warnings.simplefilter("ignore")
    write(
        GOLDEN,
        numbers={name: case(torch) for name, case in NUMBERS.items()},
        texts={name: case(torch) for name, case in TEXTS.items()},
        errors={name: failure(case, torch) for name, case in ERRORS.items()},
        types={name: failure(case, torch)[0] for name, case in TYPES.items()},
        warnings={name: warned(case, torch) for name, case in WARNINGS.items()},
    )


if __name__ == "__main__":
    main()
