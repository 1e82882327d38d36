"""The OpenAPI document of the API, and its reference page: rendered from the document, with nothing from elsewhere."""

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from starlette.responses import Response

from web.auth import Needs, PageVisitor, needs
from web.errors import REFERENCE
from web.problems import with_problems
from web.site import OurSite

router = APIRouter(include_in_schema=False)
METHODS = ("get", "put", "post", "patch", "delete")
TAGS = {
    "calls": "Calls: lists by key, one in full, its sound, corrections, approval, another attempt, new recordings.",
    "reviews": "Calls that wait for a person's look.",
    "search": "Words and phrases in transcripts and summaries; calls that are alike.",
    "ask": "Questions that are answered from the calls alone.",
    "customers": "Customers, and what they call about.",
    "reasons": "The reasons by which calls are classified, and their versions.",
    "trends": "Measures by period.",
    "hand-over": "What goes to CRMs, and what came of it.",
    "exports": "Files for BI tools.",
    "privacy": "Erasing calls and people.",
    "operations": "What stands where, what went wrong, what it costs.",
    "users": "Who may sign in.",
    "tokens": "Tokens of programs.",
    "audit": "Who read and changed what.",
}
_DESCRIPTION = """\
Everything that the pages show and do, for programs. Docs: `docs/api.md`.

Send a token (`Authorization: Bearer TOKEN`), or name and password. Lists are paged by key: send `next` of one page as
`after` of the following one. Reads answer with an ETag. Writes bear an `Idempotency-Key`. Errors are problem+json.
"""
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of `callwise tokens create` or the page."},
    "password": {"type": "http", "scheme": "basic", "description": "A user's name and password."},
    "session": {"type": "apiKey", "in": "cookie", "name": "callwise_session", "description": "Of a signed-in browser."},
}


def describe(app: FastAPI) -> None:
    """Let the app's OpenAPI document tell everything: tags, security, permissions, and every error."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


@router.get(REFERENCE, dependencies=[Depends(needs())])
def reference(request: Request, site: OurSite, visitor: PageVisitor) -> Response:
    """Every operation of the API, for people."""
    document = request.app.openapi()
    groups: dict[str, list[dict[str, Any]]] = {tag: [] for tag in TAGS}
    for operation in operations_of(document):
        groups.setdefault(operation["tag"], []).append(operation)
    context = {
        "visitor": visitor,
        "groups": {tag: found for tag, found in groups.items() if found},
        "tags": TAGS,
        "schemas": document["components"]["schemas"],
    }
    return site.templates.TemplateResponse(request, "api_reference.html", context)


def operations_of(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The operations of an OpenAPI document: method, path, tag, id, text, permissions, parameters, responses, and the
    schemas of body and answer, with their names.
    """
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                yield {
                    "method": method.upper(),
                    "path": path,
                    "tag": (operation.get("tags") or ["other"])[0],
                    "id": operation["operationId"],
                    "text": operation.get("description") or operation.get("summary") or "",
                    "permissions": operation.get("x-permissions", []),
                    "parameters": operation.get("parameters", []),
                    "responses": operation["responses"],
                    "body": _body(operation, document),
                    "answer": _answer(operation, document),
                }


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=_version(),
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    document["components"]["securitySchemes"] = _SECURITY
    needed = dict(_permissions(app))
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item and path.startswith("/api/"):
                item[method]["security"] = [{name: []} for name in _SECURITY]
                item[method]["x-permissions"] = needed.get((method.upper(), path), [])
    return with_problems(document)


def _permissions(app: FastAPI) -> Iterator[tuple[tuple[str, str], list[str]]]:
    for route in iter_route_contexts(app.routes):
        guards = [one.dependency for one in getattr(route, "dependencies", None) or ()]
        names = [str(name) for guard in guards if isinstance(guard, Needs) for name in guard.permissions]
        for method in route.methods or ():
            yield (method, str(route.path).replace(":path}", "}")), names


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any] | None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        return _resolved(content.get("schema", {}), document)
    return None


def _answer(operation: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any] | None:
    for code, response in operation["responses"].items():
        if code.startswith("2"):
            for content in response.get("content", {}).values():
                return _resolved(content.get("schema", {}), document)
    return None


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found = document["components"]["schemas"].get(name, {}) if name else {}
    return {"name": name} | dict(schema) | dict(found)


def _version() -> str:
    try:
        return version("callwise")
    except PackageNotFoundError:
        return "0"
