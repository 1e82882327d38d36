"""What every kind of test shares."""

import importlib.util
import os

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers.fixtures"]
if importlib.util.find_spec("tests.servers.openai_fixture"):
    pytest_plugins.append("tests.servers.openai_fixture")

# A busy machine fails no test: no example has to come or be tried within a time.
settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # A change must not fail for an example that has nothing to do with it: CI asks for the same ones each time.
    derandomize="CALLWISE_SAME_EXAMPLES" in os.environ,
)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _logs_as_they_were():
    """A command that ran in this process has logged to a stream that is closed by now."""
    yield
    structlog.reset_defaults()
