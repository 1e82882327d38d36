"""The answers of the API's routes as its OpenAPI document tells them: what is given, and every error that may come."""

from typing import Any

from pydantic import BaseModel

from web.api_models import Problem

MEANINGS = {
    304: "What the caller has is current (If-None-Match).",
    400: "A filter, a key or a header cannot be read.",
    401: "Nobody is signed in, or the token is unknown, over or revoked.",
    403: "The caller may not do that at all.",
    404: "There is no such thing, or the caller may not see it: nobody can tell the two apart.",
    409: "The call has changed since it was looked at (`revision`, `by`), or is not in a state for it.",
    412: "If-Match names no revision, or another than the body.",
    413: "The body is larger than what is taken.",
    422: "The request is understood and cannot be done as it is.",
    428: "Neither `revision` nor If-Match says what was looked at.",
    429: "Too many requests: Retry-After says for how many seconds to wait.",
    503: "The database or the store cannot be reached at the moment: try again.",
}
_ALWAYS = (400, 401, 403, 422, 429, 503)
_WRITES = frozenset({"post", "put", "patch", "delete"})
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_WAIT = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}, "required": False}}


def answers(
    model: type[BaseModel] | None = None, *errors: int, status: int = 200, text: str = ""
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: `model` with `status`, and the errors named; those that every route may have are
    added by `with_problems`.
    """
    given: dict[int | str, dict[str, Any]] = {code: _error(code) for code in sorted(errors)}
    if model is not None:
        given[status] = {"model": model, "description": text or (model.__doc__ or "").split("\n")[0]}
    return given


def with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with every error as problem+json, as it is sent, whoever wrote the route."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation and path.startswith("/api/"):
                if method == "get":
                    operation["responses"]["304"] = _error(304)
                for status, response in operation["responses"].items():
                    if status >= "400":
                        response["content"] = _PROBLEM
                if method in _WRITES:
                    operation["responses"]["413"] = _error(413)
                # Whatever has an id of something may be asked for what is not there.
                for code in (*_ALWAYS, 404) if "{" in path else _ALWAYS:
                    operation["responses"][str(code)] = _error(code)
    return document


def _error(code: int) -> dict[str, Any]:
    given: dict[str, Any] = {"description": MEANINGS[code]}
    if code != 304:
        given["content"] = _PROBLEM
    if code in {429, 503}:
        given["headers"] = _WAIT
    return given
