"""What every route of the API does alike: reads answer with an ETag, writes bear an idempotency key.

Sources: RFC 9110 sections 8.8.3 and 13.1.2; the IETF draft "The Idempotency-Key HTTP Header Field" for the key.
"""

import re
from asyncio import wrap_future
from collections.abc import Callable, Coroutine, Mapping
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Header, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from crm.access import Viewer
from crm.kept_answers import KeptAnswer, claim, keep, release
from web.auth import Needs, find_api_viewer, token_in
from web.errors import WrongRequest
from web.site import Site, site_of
from web.token_reads import Asked, Read

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Printable, as a header carries it; long enough for two UUIDs.
_KEY = re.compile(r"[\x21-\x7e]{1,100}")
_PLAIN_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_REVISION = re.compile(r'(?:W/)?"(\d{1,9})\.[0-9a-f]+"')


def answer(document: Mapping[str, Any], status: int = 200, *, revision: int | None = None) -> Response:
    """A JSON answer; `revision` goes into its ETag, so that a correction can name it by If-Match."""
    return _tagged(JSONResponse(dict(document), status), revision)


def _tagged(response: Response, revision: int | None = None) -> Response:
    tag = sha256(response.body).hexdigest()[:24]
    response.headers["ETag"] = f'"{tag}"' if revision is None else f'"{revision}.{tag}"'
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _documented(
    idempotency_key: Annotated[
        str | None, Header(max_length=100, description="The same write with the same key is done once.")
    ] = None,
) -> str | None:
    # ApiRoute reads it before the body is; here it gets its place in the OpenAPI document.
    return idempotency_key


BEARS_KEY = Depends(_documented)


def revision_in(etag: str) -> int | None:
    """The revision that an ETag of `answer` names; None where it names none."""
    found = _REVISION.fullmatch(etag.strip())
    return int(found[1]) if found else None


class ApiRoute(APIRoute):
    """A route of the API."""

    def get_route_handler(self) -> Handler:
        """The handler, with what all of them do alike around it."""
        inner, taken = super().get_route_handler(), sorted(_query_of(self.dependant))

        async def handle(request: Request) -> Response:
            for name in request.query_params:
                if name not in taken:
                    # A filter that is not heeded would answer another question than was asked.
                    raise WrongRequest(f"{name[:100]!r} is no parameter here; there is {', '.join(taken) or 'none'}")
            key = request.headers.get("idempotency-key")
            if request.method in _WRITES and key is not None:
                return await _once(request, key, inner)
            response = await inner(request)
            if request.method != "GET" or response.status_code != 200:
                return response
            # What a route gives as a mapping comes from FastAPI as bytes, and is no JSONResponse.
            is_whole = response.media_type == "application/json" and isinstance(getattr(response, "body", None), bytes)
            if is_whole and "etag" not in response.headers:
                _tagged(response)
            return _unchanged(response) if is_known(request, response.headers.get("etag")) else response

        return handle


def _query_of(dependant: Dependant) -> set[str]:
    """The parameters of the query that a route, or what it depends on, reads."""
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_query_of(one) for one in dependant.dependencies))


class ReadOfOne(ApiRoute):
    """The route of a read that programs ask for all day: who asks, whether they may and what they get is found without
    the framework's way through the dependencies, which takes longer than asking the database, and by one thread for
    all who come with a token meanwhile (web.token_reads). It is declared like every other route, and guarded by the
    same `needs`; who names himself in another way, and what is no plain id or has a query, takes the usual way.
    """

    @staticmethod
    def read(connection: sa.Connection, site: Site, viewer: Viewer, wanted: UUID) -> Read:
        """The thing of that id. Raises what the usual way does."""
        raise NotImplementedError

    def get_route_handler(self) -> Handler:
        """The handler; without a guard there is none."""
        usual = super().get_route_handler()
        (name,) = self.param_convertors
        guards = [one.dependency for one in self.dependencies if isinstance(one.dependency, Needs)]
        permissions = [permission for guard in guards for permission in guard.permissions]
        if not permissions:
            raise ValueError(f"nothing says who may read {self.path}")

        async def handle(request: Request) -> Response:
            wanted, token = request.path_params[name], token_in(request)
            is_plain = request.method == "GET" and not request.scope["query_string"] and _PLAIN_ID.fullmatch(wanted)
            if token is None or not is_plain:
                return await usual(request)
            asked = Asked(self.read, UUID(wanted), token, permissions)
            response = await wrap_future(request.app.state.reading.ask(asked))
            return _unchanged(response) if is_known(request, response.headers.get("etag")) else response

        return handle


def is_known(request: Request, etag: str | None) -> bool:
    """Whether the caller has the answer of this ETag: compared weakly, as RFC 9110 has it for If-None-Match."""
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag is not None and (etag.removeprefix("W/") in known or known == ["*"])


def _unchanged(response: Response) -> Response:
    kept = {name: response.headers[name] for name in ("etag", "cache-control") if name in response.headers}
    return Response(status_code=304, headers=kept)


async def _once(request: Request, key: str, inner: Handler) -> Response:
    if not _KEY.fullmatch(key):
        raise WrongRequest("Idempotency-Key: 1 to 100 printable ASCII characters without blanks")
    viewer = await run_in_threadpool(find_api_viewer, request)
    caller = _caller(viewer)
    body = await request.body()
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + body
    site = site_of(request)
    database = site.wiring.database
    # Under the site's secret: a body may hold a password, which a plain hash would let somebody guess at leisure.
    signed = site.sessions.serializer("idempotency").dumps(sha256(asked).hexdigest())
    request_hash = sha256(str(signed).encode()).hexdigest()

    def claimed() -> KeptAnswer | None:
        with database.write() as connection:
            return claim(connection, caller, key, request_hash, now=site.clock())

    known = await run_in_threadpool(claimed)
    if known is not None:
        headers = {"Idempotency-Replayed": "true", "Cache-Control": "private, no-cache"}
        return Response(known.body, known.status, headers, media_type="application/json")
    response = None
    try:
        response = await inner(request)
    finally:
        # An answer that says that nothing was done is not kept: the caller mends the request and sends it again.
        has_done = response is not None and 200 <= response.status_code < 300

        def ended() -> None:
            with database.write() as connection:
                if response is not None and has_done:
                    keep(connection, caller, key, KeptAnswer(response.status_code, bytes(response.body).decode()))
                else:
                    release(connection, caller, key)

        await run_in_threadpool(ended)
    return response


def _caller(viewer: Viewer) -> str:
    # A token without scopes is less than a person without a token.
    scopes = None if viewer.scopes is None else sorted(viewer.scopes)
    rights = (viewer.name, viewer.user_id, viewer.role, viewer.agent_id)
    return sha256(repr((rights, sorted(viewer.team_ids), scopes)).encode()).hexdigest()
