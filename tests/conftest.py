"""How property tests run: without a deadline, and repeatable in CI."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "touchstone",
    deadline=None,  # the machine may be busy; a slow example is no failure
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("touchstone"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "touchstone")
