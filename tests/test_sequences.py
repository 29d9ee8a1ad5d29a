"""Random programs, valid and not, against a naive model with gradients of its own."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sequences.state import MIXES, machines, warm_up

import autodiff as ad

if os.environ.get("AUTODIFF_TEST_PROFILE") == "few":
    EXAMPLES = 400
else:
    EXAMPLES = 10_000 if os.environ.get("CI") else 2_000
LONG = 50  # steps of a long sequence, one in 40
SHORT = 10
MACHINES = machines(ad)
CHECKS = list(HealthCheck)


def run(name: str, sequences: int, steps: int) -> None:
    warm_up(ad)
    options = settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=CHECKS,
    )
    run_state_machine_as_test(MACHINES[name], settings=options)


@pytest.mark.parametrize("name", MIXES)
def test_short_sequences(name: str) -> None:
    run(name, EXAMPLES * 39 // 40 // len(MIXES), SHORT)


@pytest.mark.parametrize("name", MIXES)
def test_long_sequences(name: str) -> None:
    run(name, EXAMPLES // 40 // len(MIXES), LONG)
