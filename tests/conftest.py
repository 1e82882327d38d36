"""What every kind of test shares."""

import importlib.util

pytest_plugins = ["tests.servers.fixtures"]
if importlib.util.find_spec("tests.servers.openai_fixture"):
    pytest_plugins.append("tests.servers.openai_fixture")
