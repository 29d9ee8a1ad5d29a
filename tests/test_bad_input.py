"""Every public name, called wrongly in many ways: PyTorch's exception, our words.

A new name needs a row in golden/bad_input.txt, and golden/record_bad_input.py run where torch is.
"""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from golden.record_bad_input import Call, recorded, rows, run, written_lines, wrong_calls

import autodiff as ad
from autodiff import nn, optim
from autodiff.functions import FUNCTIONS
from autodiff.methods import METHODS

# Where we differ on purpose: the calls, what PyTorch does, what we do, and why.
DIFFERENCES: list[tuple[str, str, str, str]] = [
    (
        r"2\*\*(70|40)",
        "ValueError|TypeError",
        "IndexError|OverflowError|RuntimeError|TypeError|ValueError|ok",
        "an integer past 64 bits is out of range like any other; halves of size 2**70 are halves",
    ),
    (
        r"torch\.bool|bool",
        "RuntimeError|NotImplementedError",
        "ok",
        "arithmetic and activations take bools as the integers 0 and 1",
    ),
    (r"None", "TypeError|ValueError", "ok", "None is an argument left out"),
    (
        r"\.\w+\([a-z]?(dtype=torch\.float32)?\)$",
        "TypeError",
        "ok|RuntimeError",
        "no sizes are those of a tensor without dimensions, so f(*sizes) holds for every shape",
    ),
    (
        r"lerp\(.*torch\.float64|lerp\(x, torch\.ones\(2, 3, dtype",
        "RuntimeError",
        "ok",
        "lerp promotes as every other function does",
    ),
    (
        r"functional|nn\.\w+\(|torch\.split\(",
        "AttributeError",
        "TypeError",
        "what is no tensor is a TypeError, also where PyTorch asks it for an attribute first",
    ),
    (
        r"autograd|backward",
        "AssertionError|RuntimeError",
        "TypeError|RuntimeError",
        "what is no tensor is a TypeError",
    ),
    (
        r"torch\.Tensor\.__i\w+__\(",
        "ok",
        "TypeError",
        "a method called by its operator's name raises what the operator would",
    ),
    (
        r"[cC]ross_?[eE]ntropy|nll_loss|NLLLoss",
        "ValueError|RuntimeError|IndexError",
        "RuntimeError|ValueError",
        "which of several mistakes is named first: we look at dtypes before shapes",
    ),
    (
        r"torch\.ones\(2\)",
        "TypeError",
        "RuntimeError|ValueError",
        "a tensor of several values where a number belongs is refused as bool(tensor) refuses it",
    ),
    (
        r"(normal|uniform|cauchy)_?\(.*\"a\"",
        "TypeError",
        "ValueError",
        "a str that is no number is refused as float() refuses it",
    ),
    (
        r"gather\(",
        "IndexError|ok",
        "RuntimeError",
        "gather looks at dimensions before dim, and at the dtype also of an index without elements",
    ),
    (
        r"index_put_\(\[",
        "RuntimeError",
        "TypeError|IndexError",
        "indices that do not broadcast are an IndexError, as in x[i, j]",
    ),
    (
        r"new_tensor\(",
        "TypeError",
        "RuntimeError",
        "new_tensor refuses what tensor() refuses, with the same exception",
    ),
    (r"__setitem__\(j, \[1\]\)", "TypeError", "ok", "lists of numbers can be assigned"),
    (
        r"backward\(|autograd\.",
        "TypeError",
        "RuntimeError",
        "that there is nothing to differentiate, or how many gradients there are, is said first",
    ),
    (r"ropout3d", "ok", "RuntimeError", "dropout of channels needs a dimension of channels"),
    (
        r"(Module|Parameter)Dict\(\[x",
        "TypeError",
        "ValueError",
        "the pairs are refused as dict() refuses them",
    ),
    (
        r"randint_like\(x, 0, None\)",
        "TypeError",
        "RuntimeError",
        "None is an argument left out, and randint_like(x, 0) draws from nothing",
    ),
    (
        r"index_select\(",
        "RuntimeError",
        "IndexError",
        "an index out of range is an IndexError for matrices too, as it is for vectors",
    ),
    (r"x\.to\(5\)", "RuntimeError", "TypeError", "there are no devices with numbers"),
    (
        r"__[gs]etitem__\((\"a\"|b'x')",
        "TypeError",
        "IndexError",
        "a str is an index of the wrong kind, as a dict is in PyTorch",
    ),
]
# Messages that cannot name the value: Python's own, or a value that is right in itself.
UNSAID = [
    r"^x \* |\* x$",  # Python tries to repeat the sequence
    r"None",
    r"permute\(.*\(-3,\)|as_strided\(",  # the number of sizes is at fault first
    r"x\.narrow\(1, (1, )?1\.5",
    r"x\.to\(\"a\"\)",
    r"functional\.linear\(x, s, bias",
    r"init\.\w+\(x, |init\.dirac",  # Python's own, of arithmetic on what is no number
    r"(Module|Parameter)(List|Dict)\(",
    r"torch\.normal\(0, 1, ",
    r"kl_div|KLDiv",
    r"manual_seed\(\"a\"",
    r"autograd\.\w+\(.*\[1, \"a\"\]",
    r"index_put_\(\[\"a\"\]",
]


def permitted(line: str, wanted: str, got: str) -> bool:
    """Whether a difference is one of those on purpose."""
    return any(
        re.search(calls, line) and re.fullmatch(theirs, wanted) and re.fullmatch(ours, got)
        for calls, theirs, ours, _ in DIFFERENCES
    )


def judge(call: Call) -> str | None:
    """What is wrong with how a wrong call ends."""
    wanted = recorded().get(call.line, "not recorded: run golden/record_bad_input.py")
    failure = run(ad, call.line)
    got = ["ok"] if failure is None else [kind.__name__ for kind in type(failure).__mro__]
    # Whoever catches PyTorch's exception catches ours.
    if wanted not in got and not permitted(call.line, wanted, got[0]):
        return f"{call.line}: PyTorch {wanted}, we {got[0]} ({failure})"
    if failure is None or any(re.search(unsaid, call.line) for unsaid in UNSAID):
        return None
    if "internal error" in str(failure) or not re.search(call.words, str(failure)):
        return f"{call.line}: {call.words!r} is not said: {failure}"
    return None


def by_name() -> dict[str, list[Call]]:
    """The wrong calls of each name."""
    found: dict[str, list[Call]] = defaultdict(list)
    for row in rows():
        found[f"{row.section}.{row.name}"] += wrong_calls(row)
    return found | {"lines": list(written_lines())}


CALLS = by_name()


@pytest.mark.parametrize("name", CALLS)
def test_wrong_calls_raise_what_pytorch_raises_and_say_why(name: str) -> None:
    wrong = [text for call in CALLS[name] if (text := judge(call)) is not None]
    assert not wrong, "\n".join(wrong)


# Names that have no row, and why.
WITHOUT_ROW = {
    "Tensor": "__iter__ __repr__ __pos__ __abs__ __neg__ __invert__ __eq__ __ne__ alias "
    "isnan_ isinf_ isfinite_ maximum_ minimum_",  # which PyTorch has not
    "nn": "Module functional init utils Neuron MLP",
    "optim": "Optimizer lr_scheduler",
}


def public_names() -> dict[str, set[str]]:
    """The names of the public tables that can be called, by section."""
    return {
        "torch": set(FUNCTIONS),
        "Tensor": set(METHODS),
        "nn.functional": set(nn.functional.__all__),
        "nn": set(nn.__all__),
        "nn.init": set(nn.init.__all__),
        "optim": set(optim.__all__),
    }


@pytest.mark.parametrize("section", public_names())
def test_every_public_name_has_a_row(section: str) -> None:
    named = {row.name for row in rows() if row.section == section}
    without = set(WITHOUT_ROW.get(section, "").split())
    missing = public_names()[section] - named - without
    assert not missing, f"add rows under [{section}] in tests/golden/bad_input.txt: {missing}"
    assert not named - public_names()[section], "rows of names that are no more"
    assert not without - public_names()[section]
