"""What all tests share: how properties are tried, servers, and places for ledgers."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers.postgres", "tests.servers.kafka", "tests.places"]

settings.register_profile(
    "touchstone",
    deadline=None,  # the machine may be busy; a slow example is no failure
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("touchstone"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "touchstone")
