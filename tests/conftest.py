"""Hypothesis: no deadlines on shared machines, and in CI the same examples on every run.

AUTODIFF_TEST_PROFILE names another profile: "few" is for builds that run slowly, as sanitized ones.
"""

import os

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("few", deadline=None, derandomize=True, max_examples=20)
settings.load_profile(
    os.environ.get("AUTODIFF_TEST_PROFILE") or ("ci" if os.environ.get("CI") else "here")
)
