"""Settings that all tests share."""

import os

from hypothesis import settings

# Examples are drawn the same way each time, so that a red run can be seen again by running it
# again. HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
