"""A local HTTP server that keeps Tasks as an org of Salesforce does: behind OAuth, upserted by an external id, with the
errors that Salesforce's documents name.

Sources: REST API Developer Guide (Upsert Multiple Records with Fewer Round-Trips; Status Codes and Error Responses;
Search with Parameters; Query), Object Reference (Task), OAuth 2.0 client-credentials and refresh-token flows.
"""

import base64
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from tests.servers.local_http import Ending, LocalHandler, LocalServer

CLIENT_ID = "3MVG9.planted-client"
CLIENT_SECRET = "planted-salesforce-secret-41c2"
REFRESH_TOKEN = "planted-refresh-token-77e0"
USERNAME = "calls@example.org"
FIELD = "Callwise_Id__c"

# Object Reference, Task: the fields that may be written, the length of text, and what is taken only at first.
_TEXT = {"Subject": 255, "Description": 32_000, "CallDisposition": 255, "CallObject": 255, FIELD: 255}
_PICKLISTS = {
    "CallType": {"Inbound", "Outbound", "Internal"},
    "Status": {"Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"},
    "TaskSubtype": {"Task", "Email", "Call", "ListEmail", "Cadence"},
}
_NUMBERS = {"CallDurationInSeconds"}
_OTHERS = {"ActivityDate", "WhoId", "WhatId", "OwnerId"}
_ONLY_AT_FIRST = {"TaskSubtype"}


@dataclass(frozen=True)
class Trouble:
    """An answer to one request that is no success; `before_work` says whether the request was done all the same."""

    status: int
    errors: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = "whole"
    after_work: bool = False


@dataclass
class Org:
    """What is in the org."""

    # By external id; each with its Id.
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    # (Id, AccountId, digits of its numbers)
    contacts: list[tuple[str, str, str]] = field(default_factory=list)
    # (Id, Email)
    users: list[tuple[str, str]] = field(default_factory=list)
    # External ids that are locked by somebody else at the moment.
    locked: set[str] = field(default_factory=set)
    created_count: int = 0


class SalesforceServer(LocalServer):
    """What stands in for https://example.my.salesforce.com; `trouble` lets the next API requests fail."""

    def __init__(self, *, external_id_field: str | None = FIELD) -> None:
        super().__init__(_handler_of(self))
        self.org = Org()
        # (method, path) of every request, in order.
        self.asked: list[tuple[str, str]] = []
        self.batches: list[list[dict[str, Any]]] = []
        self._external_id_field = external_id_field
        # The public key of the app's certificate, for the JWT flow.
        self.app_key: RSAPublicKey | None = None
        self._tokens: list[str] = []
        self._valid: set[str] = set()
        self._troubles: deque[Trouble] = deque()

    def trouble(self, *troubles: Trouble) -> None:
        """Answer the next API requests so, one each, in this order."""
        self._troubles.extend(troubles)

    def end_sessions(self) -> None:
        """No token is known any more."""
        self._valid.clear()

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], Any, Ending]:
        """What is answered to a request."""
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append((method, url.path))
        if url.path == "/services/oauth2/token":
            return self._token(body)
        if headers.get("authorization", "").removeprefix("Bearer ") not in self._valid:
            return _failed(401, "INVALID_SESSION_ID", "Session expired or invalid")
        trouble = self._troubles.popleft() if self._troubles else None
        if trouble and not trouble.after_work:
            return trouble.status, trouble.headers, trouble.errors, trouble.ending
        answer = self._work(method, url.path.split("/")[4:], query, body)
        return (trouble.status, trouble.headers, trouble.errors, trouble.ending) if trouble else answer

    def _token(self, body: bytes) -> tuple[int, dict[str, str], Any, Ending]:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            if not self._is_mine(form.get("assertion", "")):
                return 400, {}, {"error": "invalid_grant", "error_description": "invalid assertion"}, "whole"
            return self._new_token()
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 400, {}, {"error": "invalid_client", "error_description": "invalid client credentials"}, "whole"
        is_fresh = form.get("grant_type") == "refresh_token" and form.get("refresh_token") == REFRESH_TOKEN
        if not is_fresh and form.get("grant_type") != "client_credentials":
            return 400, {}, {"error": "invalid_grant", "error_description": "expired access/refresh token"}, "whole"
        return self._new_token()

    def _is_mine(self, assertion: str) -> bool:
        """Whether the app's key signed it, for this org's user, for the next three minutes."""
        told, _, signature = assertion.rpartition(".")
        if self.app_key is None or not signature:
            return False
        try:
            self.app_key.verify(_bytes(signature), told.encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        claims = json.loads(_bytes(told.partition(".")[2]))
        wanted = {"iss": CLIENT_ID, "sub": USERNAME, "aud": "https://login.salesforce.com"}
        left_s = claims["exp"] - time.time()
        return 0 < left_s <= 180 and {name: claims[name] for name in wanted} == wanted

    def _new_token(self) -> tuple[int, dict[str, str], Any, Ending]:
        token = f"00D.token-{len(self._tokens)}"
        self._tokens.append(token)
        self._valid.add(token)
        told = {"access_token": token, "instance_url": self.url, "token_type": "Bearer", "issued_at": "1700000000000"}
        return 200, {}, told, "whole"

    def _work(
        self, method: str, path: list[str], query: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], Any, Ending]:
        match (method, path):
            case ("PATCH", ["composite", "sobjects", "Task", name]):
                if name != self._external_id_field:
                    return _failed(404, "NOT_FOUND", f"Provided external ID field does not exist: {name}")
                return 200, {}, self._upsert(json.loads(body)["records"]), "whole"
            case ("GET", ["parameterizedSearch", ""]):
                return 200, {}, {"searchRecords": self._search(query)}, "whole"
            case ("GET", ["query", ""]):
                found = [{"Id": user} for user, email in self.org.users if f"Email = '{email}'" in query["q"]]
                return 200, {}, {"totalSize": len(found), "done": True, "records": found}, "whole"
            case ("GET", ["sobjects", "Task", "describe", ""]):
                names = [{"name": "Subject", "externalId": False}]
                if self._external_id_field:
                    names.append({"name": self._external_id_field, "externalId": True})
                return 200, {}, {"name": "Task", "fields": names}, "whole"
        return _failed(404, "NOT_FOUND", "The requested resource does not exist")

    def _search(self, query: dict[str, str]) -> list[dict[str, str]]:
        digits = "".join(one for one in query["q"] if one.isdigit())
        found = [
            {"attributes": {"type": "Contact"}, "Id": contact, "AccountId": account}
            for contact, account, number in self.org.contacts
            # As somebody typed it, with the country's code or without.
            if number and (digits.endswith(number) or number.endswith(digits))
        ]
        return found[: int(query.get("limit", "200"))]

    def _upsert(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        assert len(records) <= 200
        self.batches.append(records)
        return [self._upsert_one(record) for record in records]

    def _upsert_one(self, record: dict[str, Any]) -> dict[str, Any]:
        key = record[FIELD]
        fields = {name: value for name, value in record.items() if name != "attributes"}
        known = self.org.tasks.get(key)
        if error := self._wrong(fields, is_new=known is None):
            return {"success": False, "errors": [error]}
        if known is None:
            self.org.created_count += 1
            known = self.org.tasks[key] = {"Id": f"00T{self.org.created_count:015}"}
            created = True
        else:
            created = False
        known.update(fields)
        return {"id": known["Id"], "success": True, "errors": [], "created": created}

    def _wrong(self, fields: dict[str, Any], *, is_new: bool) -> dict[str, Any] | None:
        if fields[FIELD] in self.org.locked:
            return _error("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        if not is_new and (late := sorted(_ONLY_AT_FIRST & set(fields))):
            return _error("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields", late)
        for name, value in fields.items():
            if name in _TEXT:
                if len(value) > _TEXT[name]:
                    return _error("STRING_TOO_LONG", f"{name}: data value too large: {value}", [name])
            elif name in _PICKLISTS:
                if value not in _PICKLISTS[name]:
                    return _error("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f"bad value: {value}", [name])
            elif name in _NUMBERS:
                if not isinstance(value, int):
                    return _error("JSON_PARSER_ERROR", f"{name}: no integer", [name])
            elif name not in _OTHERS:
                return _error("INVALID_FIELD", f"No such column '{name}' on sobject of type Task", [name])
        known = {contact for contact, _, _ in self.org.contacts}
        if fields.get("WhoId") and fields["WhoId"] not in known:
            return _error("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["WhoId"])
        if fields.get("OwnerId") and fields["OwnerId"] not in {user for user, _ in self.org.users}:
            return _error("INVALID_CROSS_REFERENCE_KEY", "Owner ID: id value of incorrect type", ["OwnerId"])
        return None


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _error(code: str, message: str, fields: list[str] | None = None) -> dict[str, Any]:
    return {"statusCode": code, "message": message, "fields": fields or []}


def _failed(status: int, code: str, message: str) -> tuple[int, dict[str, str], Any, Ending]:
    return status, {}, [{"errorCode": code, "message": message}], "whole"


def limit_reached() -> Trouble:
    """The org's API requests of the last 24 hours are used up."""
    return Trouble(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}])


def _handler_of(server: SalesforceServer) -> type[LocalHandler]:
    class Handler(LocalHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            told = {name.lower(): value for name, value in self.headers.items()}
            status, headers, document, ending = server.answer(self.command, self.path, told, body)
            self.send(status, {"content-type": "application/json", **headers}, json.dumps(document).encode(), ending)

    return Handler
