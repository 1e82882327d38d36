"""Laws of bodies that are too large: 413 before anybody is asked who they are, and never more than that in memory."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.api_callers import caller
from tests.web_client import PASSWORD, Hall, make_hall
from web.body_limit import MAX_BODY_BYTES


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    return make_hall(tmp_path / "home")


def chunks(count: int, size: int = 1 << 16) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    return (b"x" * size for _ in range(count))


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/v1/users"), ("PATCH", "/api/v1/calls/x"), ("POST", "/login"), ("POST", "/none")]
)
@pytest.mark.parametrize("keyed", [False, True])
def test_a_body_that_is_too_large_is_refused_whoever_sends_it(hall, method, path, keyed):
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": "k"} if keyed else {})
    told = hall.client.request(method, path, content=b"x" * (MAX_BODY_BYTES + 1), headers=headers)
    assert told.status_code == 413
    assert told.headers["x-content-type-options"] == "nosniff"
    if path.startswith("/api/"):
        assert (told.headers["content-type"], told.json()["code"]) == ("application/problem+json", "too_large")


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_a_body_that_does_not_say_how_long_it_is_is_read_no_further(hall, headers):
    admin = caller(hall)
    sent = iter(chunks(64))
    told = admin.post("/api/v1/tokens", content=sent, headers=headers | {"Content-Type": "application/json"})
    assert (told.status_code, told.json()["code"]) == (413, "too_large")
    short = admin.post("/api/v1/tokens", content=islice(chunks(64), 8), headers={"Content-Type": "application/json"})
    assert short.status_code == 422


def test_a_form_that_is_too_large_is_a_page_that_says_so(hall):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told = hall.client.post("/login", content=chunks(64), headers=form)
    assert (told.status_code, told.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert hall.sign_in("maria", PASSWORD).status_code == 303


def test_files_and_reasons_have_limits_of_their_own(hall):
    admin = caller(hall)
    sent = admin.post("/api/v1/calls", files={"file": ("call.txt", b"x" * (MAX_BODY_BYTES + 1))})
    assert sent.status_code != 413
    reasons = admin.post("/api/v1/reasons/plan", json={"text": "\N{EURO SIGN}" * 300_000})
    assert reasons.json()["code"] == "wrong_reasons_file"
    assert admin.post("/api/v1/reasons/plan", content=b"x" * (7 << 20)).status_code == 413
