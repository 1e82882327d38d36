"""The local OpenAI server as a pytest fixture."""

import warnings
from collections.abc import Iterator

import pytest

from tests.servers.openai_server import OpenAIServer


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A server of the test's own. The test fails when a request or an answer was not as OpenAI describes its API."""
    with OpenAIServer() as server:
        if not server.is_checking:
            warnings.warn(
                "OpenAI's API description is not at hand (set CALLWISE_SHARED): requests are NOT checked against it",
                stacklevel=1,
            )
        yield server
        assert server.problems == []
