"""What tests share: Hypothesis's settings, and a fixture for tests that call whatever is public.

Hypothesis has no deadlines on shared machines, and in CI the same examples on every run.

AUTODIFF_TEST_PROFILE names another profile: "few" is for builds that run slowly, as sanitized ones.
"""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

import autodiff as ad
from autodiff import overrides, torch_function

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("few", deadline=None, derandomize=True, max_examples=20)
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
