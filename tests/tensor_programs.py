"""Random tensor programs, compiled beside eager: `python tests/tensor_programs.py 10000 --seed 1`.

A program is a function of two tensors, and of a buffer and a parameter that it finds outside. Its
lines are drawn, and kept where eager runs them: operations, views, writes in place, draws,
gradients inside. It is called on arguments that are leaves, parts of graphs, views of each other,
or what the function has from outside; between calls something changes, and backward goes back from
some results.
"""

from __future__ import annotations

import argparse
import linecache
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that the package need not be installed

import autodiff as ad
from autodiff.utils.checkpoint import checkpoint

NUMBERS = ("0.5", "2", "-1.5", "3")
# fmt: off
OF_ONE = (
    "{a}.exp()", "{a}.tanh()", "-{a}", "{a}.relu()", "{a}.abs().sqrt()", "{a}.cumsum(-1)",
    "{a}.sort(-1)[0]", "{a}.softmax(-1)", "{a}.log_softmax(0)", "{a}.sum()", "{a}.sum(0)",
    "{a}.mean(-1, keepdim=True)", "{a}.var(-1, unbiased=False)", "{a}.amax(0)", "{a}.flip(0)",
    "{a}.roll(1, -1)", "{a}.t()", "{a}[0]", "{a}[:, 1:]", "{a}[..., :2]", "{a}[::2]",
    "{a}.reshape(-1)", "{a}.view(-1)", "{a}.unsqueeze(0)", "{a}.squeeze(0)", "{a}.clone()",
    "{a}.contiguous()", "{a}.detach()", "{a}.diagonal()", "{a}.unfold(0, 2, 1)", "{a}.float()",
    "{a}.double()", "{a}.to(ad.bfloat16)", "{a}.topk(2)[0]", "{a}.argsort(-1).double()", "{a} > 0",
    "{a}.expand(2, *{a}.shape)", "{a}.triu()", "{a}.cumprod(0)", "{a}.logsumexp(-1)",
    "{a}.max(-1)[0]", "{a}.prod(-1)", "{a}.std(0)", "{a}.norm()", "{a}.split(2, -1)[0]",
    "{a}.unbind(0)[-1]", "{a}.chunk(2)[1]", "ad.nn.functional.dropout({a}, 0.4)",
    "ad.rand_like({a})", "ad.randn(3, 4, dtype=ad.float64) * {a}", "{a}.bernoulli(0.5)",
    "ad.nn.functional.layer_norm({a}, {a}.shape[-1:])", "ad.nn.functional.gelu({a})",
    "{a}[ad.tensor([1, 0])]", "{a}.index_select(-1, ad.tensor([1, 1, 0]))",
    "{a}.gather(-1, {a}.argsort(-1))", "{a}.masked_fill({a} > 0.3, 2.0)", "{a}.repeat(2, 1)",
    "ad.where({a} > 0, {a}, 0.25)", "{a}.pow(2)", "{a}.clamp(-0.5, 0.5)", "{a} * {n}", "{a} + {n}",
    "{n} / ({a}.abs() + 1)", "{a}.lerp({a} * 2, 0.3)", "ad.nn.functional.pad({a}, (1, 1))",
    "checkpoint(lambda t: (t.exp() * 2).tanh(), {a})", "ad.zeros_like({a})", "ad.arange(4.0)",
    "{a}.as_strided((2, 2), (1, 1))", "ad.nn.functional.mse_loss({a}, {a}.detach() * 0.5)",
)
OF_TWO = (
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / ({b}.abs() + 0.5)", "ad.maximum({a}, {b})",
    "ad.where({a} > 0, {a}, {b})", "{a} @ {b}", "{a} @ {b}.t()", "ad.cat([{a}, {b}])",
    "ad.stack([{a}, {b}])", "ad.outer({a}.reshape(-1), {b}.reshape(-1))", "{a}.expand_as({b})",
    "{a}.reshape({b}.shape)", "{a} ** {b}.abs()", "ad.addcmul({a}, {b}, {b}, value=0.5)",
    "{a} < {b}", "ad.hypot({a}, {b})", "ad.einsum('ij,kj->ik', {a}, {b})", "{a}.sum() * {b}",
    "{a}.mean(-1, keepdim=True) + {b}", "ad.nn.functional.linear({a}, {b})",
)
IN_PLACE = (
    "{a}.add_({b})", "{a}.mul_({b})", "{a}.sub_({n})", "{a}.copy_({b})", "{a}.zero_()",
    "{a}.clamp_(-1, 1)", "{a}.exp_()", "{a}.masked_fill_({a} > 0, 0.5)", "{a}[0] = {b}",
    "{a}[..., 0] = {n}", "{a}[:, 1] = {b}[:, 0]", "{a}[0].mul_(2)", "{a}[ad.tensor([0, 1])] = {b}",
    "{a}[{a} > 0] = 0.25", "{a}.index_add_(0, ad.tensor([0, 1, 0]), {b})", "{a}.uniform_()",
    "{a}.normal_()", "{a}.t_()", "{a}.addcmul_({b}, {b})", "{a}.lerp_({b}, 0.25)", "{a} += {b}",
    "{a}.scatter_(-1, {a}.argsort(-1), {b})", "{a} *= {n}", "{a}.cumsum_(-1)", "{a}.squeeze_()",
    "ad.nn.functional.relu({a}, inplace=True)", "{a}.unsqueeze_(0)", "{a}.detach_()",
)
OUTSIDE = (
    "buffer.add_({a}.detach().sum())", "buffer.copy_({a}.detach())", "buffer[1].mul_(0.5)",
    "buffer.uniform_()", "weight.grad = None", "({a}.sum() * weight).sum().backward()",
    "({a} * weight).mean().backward()", "(weight * buffer).sum().backward()",
    "weight.data.sub_(0.1 * weight.grad) if weight.grad is not None else None",
    "weight.grad.zero_() if weight.grad is not None else None", "{r} = weight.grad",
    "{r} = weight * 2", "{r} = buffer", "{r} = buffer[1:]", "{r} = weight.t()",
    "{r} = ad.autograd.grad(({a} * weight).exp().sum(), weight)[0]",
    "{r} = ad.autograd.grad(({a} * weight).exp().sum(), weight, create_graph=True)[0]",
    "{r} = ad.autograd.grad({a}.sum(), {b})[0]", "ad.manual_seed(3)",
    "ad.set_rng_state(ad.get_rng_state())",
)
# fmt: on
CALLS = 6
ERRORS = RuntimeError, IndexError, TypeError, ValueError, AttributeError
State = dict[str, Any]


def new(*shape: int) -> ad.Tensor:
    return ad.randn(*shape, dtype=ad.float64)


def outside(seed: int) -> State:
    """What a program finds."""
    ad.manual_seed(seed)
    found = {"buffer": new(3, 4), "weight": new(3, 4).requires_grad_()}
    return {"ad": ad, "checkpoint": checkpoint, **found}


def halves() -> tuple[ad.Tensor, ad.Tensor]:
    both = new(6, 4)
    return both[:3], both[3:]


def twice(x: ad.Tensor, call: Callable[[ad.Tensor], ad.Tensor]) -> tuple[ad.Tensor, ad.Tensor]:
    return x, call(x)


ARGUMENTS: list[Callable[[State], tuple[ad.Tensor, ad.Tensor]]] = [
    lambda s: (new(3, 4), new(3, 4)),
    lambda s: (new(4, 3).t(), new(3, 4)),
    lambda s: twice(new(3, 4), lambda x: x),
    lambda s: twice(new(3, 4), lambda x: x[:]),
    lambda s: twice(new(3, 4), lambda x: x.t()),
    lambda s: halves(),
    lambda s: (new(3, 4).requires_grad_(), new(3, 4)),
    lambda s: (new(3, 4).requires_grad_(), new(3, 4).requires_grad_()),
    lambda s: (new(3, 4).requires_grad_() * 2, new(3, 4)),
    lambda s: (new(3, 4), new(4)),
    lambda s: (new(3, 4).float(), new(3, 4)),
    lambda s: (new(3, 4), s["buffer"]),
    lambda s: (s["weight"], new(3, 4)),
]
BETWEEN: list[Callable[[State], object]] = [
    *[lambda s: None] * 6,
    lambda s: s["buffer"].mul_(0.5),
    lambda s: s.update(buffer=s["buffer"].clone()),
    lambda s: s["weight"].requires_grad_(not s["weight"].requires_grad),
    lambda s: setattr(s["weight"], "data", s["weight"].data * 0.5),
    lambda s: setattr(s["weight"], "grad", None),
    lambda s: setattr(s["weight"], "grad", ad.ones_like(s["weight"]).detach()),
]


def draw_line(rng: random.Random, names: list[str], made: str) -> str:
    kind = rng.random()
    names_of = {"a": rng.choice(names[-6:]), "b": rng.choice(names), "n": rng.choice(NUMBERS)}
    if kind < 0.66:
        return f"{made} = " + rng.choice(OF_ONE if kind < 0.42 else OF_TWO).format(**names_of)
    return rng.choice(IN_PLACE if kind < 0.86 else OUTSIDE).format(r=made, **names_of)


def program(rng: random.Random, kind: int, seed: int) -> str:
    """A function's text, each line of which eager runs."""
    state = outside(seed)
    x, y = ARGUMENTS[kind](state)
    own: State = {"x": x, "y": y}
    names, lines, most = ["x", "y"], [], rng.randint(2, 14)
    for _ in range(100):
        made = f"r{len(lines)}"
        line = draw_line(rng, names, made)
        try:
            exec(line, state, own)
        except ERRORS:
            continue
        if made in own and not (isinstance(own[made], ad.Tensor) and 0 < own[made].numel() < 400):
            del own[made]
            continue
        names += [made] if made in own else []
        lines.append(line)
        if len(lines) == most:
            break
    results = ", ".join(rng.sample(names, min(len(names), rng.randint(1, 4))))
    return "\n    ".join(["def f(x, y):", *lines, f"return [{results}]\n"])


def bits(x: Any) -> Any:
    """All there is to see of tensors."""
    if isinstance(x, list):
        return [bits(each) for each in x]
    if x is None:
        return None
    kept = x.detach().float() if x.dtype is ad.bfloat16 else x.detach()
    elements = kept.contiguous().numpy().tobytes()
    return x.shape, x.dtype, x.requires_grad, x.is_leaf, elements


def go_back(rng: random.Random, given: list[Any], results: list[ad.Tensor]) -> None:
    """Backward from some of what was made, or a write to a result."""
    apart = [y for y in results if y.requires_grad and all(y is not x for x in given)]
    some = [y for y in apart if rng.random() < 0.7]
    rng.shuffle(some)
    if some and rng.random() < 0.7:
        gs = [
            ad.ones_like(y).cumsum(-1) * (i + 1.25) if y.ndim else None for i, y in enumerate(some)
        ]
        ad.autograd.backward(some, gs)
    elif results[0].is_floating_point() and not results[0].requires_grad:
        results[0].mul_(1.5)


def run(text: str, kinds: list[int], seed: int, compiled: bool) -> tuple[list[Any], Any]:
    """What the calls leave behind, and the function."""
    rng, state = random.Random(seed), outside(seed)
    file = f"<program {seed}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    exec(compile(text, file, "exec"), state)
    call = ad.compile(state["f"]) if compiled else state["f"]
    found: list[Any] = []
    for i, kind in enumerate(kinds):
        ad.manual_seed(seed + i)
        x, y = ARGUMENTS[kind](state)
        given = [x, y, state["weight"]]
        mode = (
            ad.enable_grad if rng.random() < 0.85 else rng.choice([ad.no_grad, ad.inference_mode])
        )
        try:
            with mode():
                results = call(x, y)
            found.append(bits(results))
        except ERRORS as failure:
            found.append(type(failure).__name__)
        else:
            try:
                go_back(rng, given, results)
            except RuntimeError:  # whatever came to leaves by then
                for z in given:
                    z.grad = None
        grads = [z.grad for z in given if z.is_leaf]
        found.append(bits([x, y, state["buffer"], state["weight"], *grads, ad.rand(2)]))
        with ad.no_grad():
            rng.choice(BETWEEN)(state)
    return found, call


def check(seed: int) -> Any:
    """The statistics of a compiled program. AssertionError where it differs from eager."""
    rng = random.Random(seed)
    kind = rng.randrange(len(ARGUMENTS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = program(rng, kind, seed)
        kinds = [
            kind if rng.random() < 0.8 else rng.randrange(len(ARGUMENTS)) for _ in range(CALLS)
        ]
        want, _ = run(text, kinds, seed, False)
        got, call = run(text, kinds, seed, True)
    at = [i for i, (a, b) in enumerate(zip(want, got, strict=True)) if a != b]
    assert not at, f"program {seed}, call {at[0] // 2} of arguments {kinds}:\n{text}"
    return call.stats()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    runs = 0
    for seed in range(args.seed, args.seed + args.programs):
        runs += bool(check(seed).runs)
    print(f"{args.programs} programs, {runs} of them replayed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
