"""What tests share: Hypothesis's settings, and a fixture for tests that call whatever is public.

Hypothesis neither has deadlines nor minds slow examples on shared machines, and in CI has the same
examples on every run.

AUTODIFF_TEST_PROFILE names another profile: "few" is for builds that run slowly, as sanitized ones.
"""

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import autodiff as ad
from autodiff import overrides, torch_function

patient: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("here", **patient)
settings.register_profile("ci", **patient, derandomize=True, print_blob=True)
settings.register_profile("few", **patient, derandomize=True, max_examples=20)
settings.load_profile(
    os.environ.get("AUTODIFF_TEST_PROFILE") or ("ci" if os.environ.get("CI") else "here")
)


def pytest_collection_finish() -> None:
    """Spare collections of garbage the thousands of tests and modules, which stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def functions_that_do_not_look() -> Iterator[None]:
    """Where a test made a subclass of Tensor, functions are themselves again afterwards."""
    yield
    if torch_function.functions:
        overrides.uninstall()


@pytest.fixture
def settings_kept() -> Iterator[None]:
    """Whatever a test sets for the process is afterwards as it was."""
    options, threads, default = ad.get_printoptions(), ad.get_num_threads(), ad.get_default_dtype()
    with ad.random.fork_rng():
        yield
    ad.autograd.set_detect_anomaly(False)
    ad.set_printoptions(**options)
    ad.set_num_threads(threads)
    ad.set_default_dtype(default)
    ad.use_deterministic_algorithms(False)
    ad.set_float32_matmul_precision("highest")
