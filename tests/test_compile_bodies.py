"""Steps drawn from what training loops do, with changes from outside between them: all as eager."""

from __future__ import annotations

import random
import warnings
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import nn

STEP = (
    "opt.zero_grad()",
    "opt.zero_grad(set_to_none=False)",
    "loss = model(x).square().mean()",
    "loss = (model(x) - 1).abs().mean()",
    "loss = loss * scale + 0.1 * h0",
    "loss.backward()",
    "loss.backward(retain_graph=True)",
    "opt.step()",
    "nn.utils.clip_grad_norm_(model.parameters(), 0.5)",
    "opt.param_groups[0]['lr'] = 0.05",
    "opt.param_groups[0]['lr'] *= 0.9",
    "sched.step()",
    "for p in model.parameters(): p.grad = None",
    "for p in model.parameters(): p.grad = None if p.grad is None else p.grad * 2",
    "model[0].weight.requires_grad_(False)",
    "model[0].weight.requires_grad_(True)",
    "model.eval()",
    "model.train()",
    "total = total + loss.detach()",
    "h = h * 0.9 + loss.detach()",
    "out.append(loss * 2)",
    "ema.update_parameters(model)",
)
UPDATE = (
    "opt.step()",
    "opt.zero_grad()",
    "opt.step(); opt.zero_grad()",
    "nn.utils.clip_grad_value_(model.parameters(), 0.1)",
    "opt.param_groups[0]['weight_decay'] = 0.5",
    "sched.step()",
)
OUTSIDE = (
    "opt.param_groups[0]['lr'] = 0.02 * (1 + i % 3)",
    "opt.zero_grad()",
    "opt.load_state_dict(opt.state_dict())",
    "model.train(not model.training)",
    "for p in model.parameters(): p.grad = ad.ones_like(p)",
    "model[0].weight.requires_grad_(not model[0].weight.requires_grad)",
    "scale = 1.0 + i",
    "h = ad.ones(()) * i",
    "h0 = ad.ones(()) * i",
    *["pass"] * 4,
)


def shown(value: Any) -> Any:
    """What can be compared: nan is nan."""
    if isinstance(value, ad.Tensor):
        return repr(value.tolist()), value.requires_grad
    return [shown(part) for part in value] if isinstance(value, (list, tuple)) else value


def session(step: list[str], update: list[str], compiled: bool, seed: int) -> list[Any]:
    """What 14 calls give and leave."""
    ad.manual_seed(0)
    drawn = random.Random(seed)
    model = nn.Sequential(nn.Linear(3, 4), [nn.Tanh(), nn.Dropout()][seed % 2], nn.Linear(4, 1))
    opt: Any = ad.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    if seed % 3 == 0:
        opt = ad.optim.Adam(model.parameters(), lr=0.01)
    scope: dict[str, Any] = {"ad": ad, "nn": nn, "model": model, "opt": opt, "scale": 2.0}
    scope |= {"total": ad.zeros(()), "h": ad.zeros(()), "h0": ad.ones(())}
    scope["sched"] = ad.optim.lr_scheduler.StepLR(opt, 3, 0.5)
    scope["ema"] = ad.optim.swa_utils.AveragedModel(model)
    lines = ["def step(x):", " global total, h", " out = []", " loss = model(x).mean()"]
    lines += [f" {part}" for part in step] + [" return loss, out"]
    exec("\n".join([*lines, "def update():", *[f" {part}" for part in [*update, "pass"]]]), scope)
    calls = [scope["step"], scope["update"]]
    if compiled:
        calls = [ad.compile(call) for call in calls]
    found: list[Any] = []
    for i in range(14):
        x = ad.linspace(-1, i, 6 + 3 * (i % 5 == 4)).view(-1, 3)
        try:
            found += [shown(calls[0](x)), calls[1]()]
        except RuntimeError as error:
            found.append(str(error)[:60])
        found.append(shown([[p, p.grad] for p in model.parameters()]))
        found.append(shown([scope["total"], scope["h"], *scope["ema"].parameters()]))
        found.append([model.training, opt.param_groups[0]["lr"]])
        scope["i"] = i
        exec(drawn.choice(OUTSIDE), scope)
    return found


@settings(max_examples=80)
@given(
    st.lists(st.sampled_from(STEP), min_size=1, max_size=6),
    st.lists(st.sampled_from(UPDATE), max_size=2),
    st.integers(0, 10**6),
)
@example(["opt.param_groups[0]['lr'] = 0.05"], [], 4)
def test_any_step_is_as_it_is_eagerly(step: list[str], update: list[str], seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert session(step, update, True, seed) == session(step, update, False, seed)
