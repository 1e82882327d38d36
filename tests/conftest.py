"""What every kind of test shares."""

import importlib.util

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers.fixtures"]
if importlib.util.find_spec("tests.servers.openai_fixture"):
    pytest_plugins.append("tests.servers.openai_fixture")

# A busy machine fails no test: no example has to come or be tried within a time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
