"""A local HTTP server that keeps calls as an account of HubSpot does: behind a private app's token, upserted by a
property with unique values, with the errors that HubSpot's documents name.

Sources: HubSpot, CRM API (calls; batch upsert by unique property values; search; owners; associations v4; properties),
API usage guidelines and error handling.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.local_http import Ending, LocalHandler, LocalServer

TOKEN = "pat-planted-hubspot-9b1d"
PROPERTY = "callwise_id"

_PROPERTIES = {
    *("hs_timestamp", "hs_call_title", "hs_call_body", "hs_call_duration", "hs_call_direction", "hs_call_disposition"),
    *("hs_call_status", "hs_call_from_number", "hs_call_to_number", "hs_call_recording_url", "hubspot_owner_id"),
}
_CHOICES = {"hs_call_direction": {"INBOUND", "OUTBOUND"}, "hs_call_status": {"COMPLETED", "NO_ANSWER", "FAILED"}}
_MOST = 65_536

Answer = tuple[int, dict[str, str], Any, Ending]


@dataclass(frozen=True)
class Trouble:
    """An answer to one request that is no success."""

    status: int
    document: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = "whole"
    after_work: bool = False


@dataclass
class Portal:
    """What is in the account."""

    # By our id; each with its id.
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    # (id, phone, mobilephone)
    contacts: list[tuple[str, str, str]] = field(default_factory=list)
    # (id, email)
    owners: list[tuple[str, str]] = field(default_factory=list)
    # (call's id, contact's id)
    associations: set[tuple[str, str]] = field(default_factory=set)
    created_count: int = 0


class HubSpotServer(LocalServer):
    """What stands in for https://api.hubapi.com; `trouble` lets the next requests fail."""

    def __init__(self, *, has_property: bool = True) -> None:
        super().__init__(_handler_of(self))
        self.portal = Portal()
        self.asked: list[tuple[str, str]] = []
        self.batches: list[list[dict[str, Any]]] = []
        self._has_property = has_property
        self._troubles: deque[Trouble] = deque()

    def trouble(self, *troubles: Trouble) -> None:
        """Answer the next requests so, one each, in this order."""
        self._troubles.extend(troubles)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """What is answered to a request."""
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append((method, url.path))
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {}, {"status": "error", "category": "INVALID_AUTHENTICATION", "message": "no"}, "whole"
        trouble = self._troubles.popleft() if self._troubles else None
        if trouble and not trouble.after_work:
            return trouble.status, trouble.headers, trouble.document, trouble.ending
        answer = self._work(method, url.path, query, json.loads(body) if body else {})
        return (trouble.status, trouble.headers, trouble.document, trouble.ending) if trouble else answer

    def _work(self, method: str, path: str, query: dict[str, str], given: dict[str, Any]) -> Answer:
        match (method, path):
            case ("POST", "/crm/v3/objects/calls/batch/upsert"):
                return self._upsert(given["inputs"])
            case ("POST", "/crm/v3/objects/contacts/search"):
                return 200, {}, self._search(given), "whole"
            case ("GET", "/crm/v3/owners/"):
                found = [
                    {"id": owner, "archived": False} for owner, email in self.portal.owners if email == query["email"]
                ]
                return 200, {}, {"results": found}, "whole"
            case ("POST", "/crm/v4/associations/calls/contacts/batch/associate/default"):
                self.portal.associations |= {(one["from"]["id"], one["to"]["id"]) for one in given["inputs"]}
                return 200, {}, {"status": "COMPLETE", "results": []}, "whole"
            case ("GET", "/crm/v3/properties/calls/callwise_id") if self._has_property:
                return 200, {}, {"name": PROPERTY, "type": "string", "hasUniqueValue": True}, "whole"
        return 404, {}, {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "resource not found"}, "whole"

    def _search(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = {one["filters"][0]["propertyName"]: one["filters"][0]["value"] for one in given["filterGroups"]}
        found = [
            {"id": contact, "properties": {"associatedcompanyid": None}}
            for contact, phone, mobile in self.portal.contacts
            if phone == wanted.get("phone") or mobile == wanted.get("mobilephone")
        ]
        return {"total": len(found), "results": found[: given.get("limit", 10)]}

    def _upsert(self, inputs: list[dict[str, Any]]) -> Answer:
        assert len(inputs) <= 100
        self.batches.append(inputs)
        errors = [error for one in inputs for error in self._wrong(one)]
        if errors:
            # One that is wrong spoils all of them.
            document = {"status": "error", "category": "VALIDATION_ERROR", "message": "wrong", "errors": errors}
            return 400, {}, document, "whole"
        results = []
        for one in inputs:
            known = self.portal.calls.get(one["id"])
            is_new = known is None
            if known is None:
                self.portal.created_count += 1
                known = self.portal.calls[one["id"]] = {"id": str(5000 + self.portal.created_count)}
            known.update(one["properties"])
            results.append({"id": known["id"], "new": is_new, "properties": {PROPERTY: one["id"]}})
        return 200, {}, {"status": "COMPLETE", "results": results}, "whole"

    def _wrong(self, one: dict[str, Any]) -> list[dict[str, Any]]:
        assert one["idProperty"] == PROPERTY
        assert one["properties"][PROPERTY] == one["id"]
        known = _PROPERTIES | ({PROPERTY} if self._has_property else set())
        wrong = []
        for name, value in one["properties"].items():
            if name not in known:
                wrong.append(_error("PROPERTY_DOESNT_EXIST", name))
            elif not isinstance(value, str) or len(value) > _MOST:
                wrong.append(_error("INVALID_STRING", name))
            elif name in _CHOICES and value not in _CHOICES[name]:
                wrong.append(_error("INVALID_OPTION", name))
            elif name == "hs_call_duration" and not value.isdigit():
                wrong.append(_error("INVALID_INTEGER", name))
            elif name == "hubspot_owner_id" and value not in {owner for owner, _ in self.portal.owners}:
                wrong.append(_error("INVALID_OWNER_ID", name))
        if "hs_timestamp" not in one["properties"]:
            wrong.append(_error("REQUIRED_FIELD", "hs_timestamp"))
        return wrong


def limit_reached(wait_s: int | None = None) -> Trouble:
    """Too many requests in ten seconds."""
    document = {"status": "error", "errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING", "message": "limit"}
    return Trouble(429, document, {} if wait_s is None else {"retry-after": str(wait_s)})


def _error(code: str, name: str) -> dict[str, Any]:
    return {"code": code, "message": f"{name} was refused", "context": {"propertyName": [name]}}


def _handler_of(server: HubSpotServer) -> type[LocalHandler]:
    class Handler(LocalHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            told = {name.lower(): value for name, value in self.headers.items()}
            status, headers, document, ending = server.answer(self.command, self.path, told, body)
            self.send(status, {"content-type": "application/json", **headers}, json.dumps(document).encode(), ending)

    return Handler
