"""Random training steps, compiled beside eager: equal bits of everything, step after step."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twins import bits

import autodiff as ad
from autodiff import nn, optim
from autodiff.utils.checkpoint import checkpoint

STEPS = 20
WIDTH = 5
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "no bias": lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "prelu": nn.PReLU,
    "softmax": lambda: nn.Softmax(-1),
    "layer norm": lambda: nn.LayerNorm(WIDTH),
    "dropout": lambda: nn.Dropout(0.3),
    "alpha dropout": lambda: nn.AlphaDropout(0.2),
}
LOSSES: dict[str, Callable[[], nn.Module]] = {
    "mse": nn.MSELoss,
    "smooth": nn.SmoothL1Loss,
    "sum": lambda: nn.L1Loss(reduction="sum"),
    "classes": nn.CrossEntropyLoss,
}
OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "sgd": lambda ps: optim.SGD(ps, lr=0.05),
    "momentum": lambda ps: optim.SGD(ps, lr=0.02, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda ps: optim.Adam(ps, lr=0.01, amsgrad=True),
    "adamw": lambda ps: optim.AdamW(ps, lr=0.01),
    "rmsprop": lambda ps: optim.RMSprop(ps, lr=0.01, centered=True, momentum=0.5),
    "nadam": lambda ps: optim.NAdam(ps, lr=0.01),
    "adagrad": lambda ps: optim.Adagrad(ps, lr=0.05, lr_decay=0.1),
}
CLIPS: dict[str, Callable[[Any], object]] = {
    "none": lambda ps: None,
    "norm": lambda ps: nn.utils.clip_grad_norm_(ps, 0.5),
    "value": lambda ps: nn.utils.clip_grad_value_(ps, 0.1),
}


@dataclass(frozen=True)
class Plan:
    """What a step is made of, and what happens between steps."""

    layers: tuple[str, ...]
    loss: str
    optimizer: str
    clip: str
    zero: str  # first, last, never or zeros
    penalty: bool
    noise: bool
    parts: str  # what becomes of the layers: plain or checkpoints
    draws: str  # what the step does to generators: nothing, seed, state or fresh
    batches: tuple[int, ...]
    events: tuple[tuple[int, str], ...]
    threads: int


EVENTS = (
    "eval",
    "train",
    "lr",
    "freeze",
    "thaw",
    "load",
    "state",
    "seed",
    "group",
    "clear",
    "data",
)
plans = st.builds(
    Plan,
    layers=st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=4).map(tuple),
    loss=st.sampled_from(sorted(LOSSES)),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    clip=st.sampled_from(sorted(CLIPS)),
    zero=st.sampled_from(["first", "last", "never", "zeros"]),
    penalty=st.booleans(),
    noise=st.booleans(),
    parts=st.sampled_from(["plain", "checkpoints"]),
    draws=st.sampled_from(["nothing", "seed", "state", "fresh"]),
    batches=st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple),
    events=st.lists(st.tuples(st.integers(2, STEPS - 1), st.sampled_from(EVENTS)), max_size=4).map(
        tuple
    ),
    threads=st.integers(1, 2),
)


class Run:
    """One of the two runs of a plan."""

    def __init__(self, plan: Plan, compiled: bool) -> None:
        ad.manual_seed(1)
        self.plan = plan
        self.model = nn.Sequential(
            *(LAYERS[name]() for name in plan.layers), nn.Linear(WIDTH, WIDTH)
        )
        self.loss = LOSSES[plan.loss]()
        self.optimizer = OPTIMIZERS[plan.optimizer](self.model.parameters())
        self.generator = ad.Generator().manual_seed(4)
        self.step = ad.compile(self.eager_step) if compiled else self.eager_step
        self.rng = ad.get_rng_state()

    def eager_step(self, x: ad.Tensor, y: ad.Tensor, scale: float) -> Any:
        plan = self.plan
        if plan.zero in ("first", "zeros"):
            self.optimizer.zero_grad(set_to_none=plan.zero == "first")
        if plan.noise:
            x = x + 0.1 * ad.randn(*x.shape, generator=self.generator)
        if plan.draws == "fresh":
            x = x + ad.rand(x.shape[0], 1, generator=ad.Generator())
        if plan.draws == "seed":
            ad.manual_seed(3)
        state = ad.get_rng_state() if plan.draws == "state" else None
        out = x
        for layer in self.model:
            out = checkpoint(layer, out) if plan.parts == "checkpoints" else layer(out)
        if state is not None:
            ad.set_rng_state(state)
            out = out + ad.rand(out.shape[0], 1)
        loss = self.loss(out, y)
        if scale > 1:
            loss = loss * scale
        if plan.penalty:
            leaves = [p for p in self.model.parameters() if p.requires_grad]
            found = ad.autograd.grad(loss, leaves[-2:], create_graph=True)
            loss = loss + 0.01 * sum((g**2).sum() for g in found)
        loss.backward()
        norm = CLIPS[plan.clip](self.model.parameters())
        self.optimizer.step()
        if plan.zero == "last":
            self.optimizer.zero_grad()
        return {"loss": loss, "out": [out.detach(), x], "norm": norm}

    def happen(self, event: str) -> None:
        """Something changes between two steps."""
        first = next(iter(self.model.parameters()))
        if event in ("eval", "train"):
            self.model.train(event == "train")
        elif event == "lr":
            self.optimizer.param_groups[0]["lr"] *= 0.5
        elif event in ("freeze", "thaw"):
            first.requires_grad_(event == "thaw")
        elif event == "load":
            self.model.load_state_dict({k: v * 0.5 for k, v in self.model.state_dict().items()})
        elif event == "state":
            self.optimizer.load_state_dict(self.optimizer.state_dict())
        elif event == "seed":
            ad.manual_seed(7)
        elif event == "clear":
            self.optimizer.zero_grad()
        elif event == "data":
            first.data = first.data.clone()
        elif event == "group" and len(self.optimizer.param_groups) == 1:
            self.optimizer.add_param_group({"params": [nn.Parameter(ad.ones(2))], "lr": 0.1})

    def state(self) -> Any:
        """All that a step leaves behind, as bits."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        grads = [p.grad for p in self.model.parameters()]
        states = [v for s in self.optimizer.state.values() for v in s.values()]
        random = [ad.get_rng_state(), self.generator.get_state()]
        return [bits(x) for x in [*tensors, *grads, *states, *random]]


def check(plan: Plan) -> Run:
    ad.set_num_threads(plan.threads)
    eager, compiled = Run(plan, False), Run(plan, True)
    ad.manual_seed(5)
    data = ad.randn(STEPS, 3, WIDTH)
    classes = plan.loss == "classes"
    targets = ad.randint(0, WIDTH, (STEPS, 3)) if classes else ad.randn(STEPS, 3, WIDTH)
    eager.rng = compiled.rng = ad.get_rng_state()
    for step in range(STEPS):
        n = plan.batches[step % len(plan.batches)]
        found = []
        for run in (eager, compiled):
            ad.set_rng_state(run.rng)
            for at, event in plan.events:
                if at == step:
                    run.happen(event)
            result = run.step(data[step, :n], targets[step, :n], 1.0 if step % 3 else 2.0)
            found.append((bits(result), run.state()))
            run.rng = ad.get_rng_state()
        assert found[0] == found[1], f"step {step}"
    return compiled


@pytest.mark.filterwarnings("ignore:.*stays eager")
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(plans)
def test_compiled_steps_are_eager_steps(plan: Plan) -> None:
    threads = ad.get_num_threads()
    try:
        check(plan)
    finally:
        ad.set_num_threads(threads)


GENERATORS: dict[str, Callable[[ad.Tensor], Any]] = {
    "seeded": lambda x: x + ad.manual_seed(3).get_state()[:3] + ad.rand(3),
    "of its own": lambda x: x + ad.rand(3, generator=ad.Generator()),
    "a copy's": lambda x: x + ad.rand(3, generator=ad.default_generator.clone_state()),
    "drawn twice": lambda x: (ad.set_rng_state(s := ad.get_rng_state()), x + ad.randn(3), s)[1:],
    "given": lambda x: (ad.set_rng_state(x.new_tensor(STATE).byte()), x + ad.rand(3))[1],
}
STATE = ad.Generator().manual_seed(2).get_state().tolist()


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_are_what_they_are_in_eager_calls(name: str) -> None:
    step, x = GENERATORS[name], ad.zeros(3)
    compiled = ad.compile(step, fullgraph=True)
    found = []
    for call in (step, compiled):
        ad.manual_seed(5)
        found.append([(bits(call(x)), bits(ad.rand(2))) for _ in range(4)])
    assert found[0] == found[1]
    assert compiled.stats().runs == 3


@pytest.mark.parametrize("seed", [ad.seed, ad.initial_seed, lambda: ad.Generator().seed()])
def test_a_seed_that_may_be_another_is_asked_for_at_each_call(seed: Callable[[], int]) -> None:
    with pytest.raises(RuntimeError, match=r"`.*seed.*` asks for the seed of a generator"):
        ad.compile(lambda x: x * float(seed() % 1000), fullgraph=True)(ad.ones(1))


def test_a_state_that_is_none_is_refused_at_each_run() -> None:
    @ad.compile(fullgraph=True)
    def step(state: ad.Tensor) -> ad.Tensor:
        ad.set_rng_state(state)
        return ad.rand(3)

    state = ad.get_rng_state()
    assert ad.equal(step(state), step(state))
    with pytest.raises(RuntimeError, match=r"Invalid mt19937 state.*recorded at"):
        step(ad.zeros_like(state))
    assert step.stats().runs == 1


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: random.gauss(0, 1)])
def test_numbers_of_other_generators_are_drawn_at_each_call(draw: Any) -> None:
    def step(x: ad.Tensor) -> ad.Tensor:
        return x * draw()

    def drawn(call: Any) -> list[float]:
        random.seed(3)
        np.random.seed(3)
        return [call(ad.ones(1, dtype=ad.float64)).item() for _ in range(20)]

    compiled = ad.compile(step)
    with pytest.warns(UserWarning, match="draws from the generator of `random` or NumPy"):
        assert drawn(compiled) == drawn(step)
    with pytest.raises(RuntimeError, match="draws from"):
        ad.compile(step, fullgraph=True)(ad.ones(1))


def test_numpys_numbers_are_written_in_a_recording() -> None:
    @ad.compile(fullgraph=True)
    def step(x: ad.Tensor) -> ad.Tensor:
        y = x.clone()
        y[..., 0] = np.float64(0.5)
        y[..., 1] = np.float32(1.5)
        y[..., 2] = np.int64(2)
        return y

    assert [step(ad.zeros(3)).tolist() for _ in range(2)] == [[0.5, 1.5, 2.0]] * 2
    assert step.stats().runs == 1
