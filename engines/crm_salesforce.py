"""Calls as Tasks of Salesforce, kept apart by an external id: sending one again makes no second one.

Source: Salesforce, REST API Developer Guide: Upsert Multiple Records with Fewer Round-Trips, Status Codes and Error
Responses, Search with Parameters; OAuth 2.0 client-credentials, refresh-token and JWT bearer flows (RFC 7523).
"""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import httpx2

from calls.crm_payloads import TASK_CREATE_ONLY
from calls.errors import CallwiseError, EngineMisconfigured, TransientError
from engines.crm_http import json_of, make_client, passing, translated, wait_of
from engines.crm_salesforce_key import SigningKey
from engines.handover import Outgoing, Person, Refused, Sent

_WHO = "Salesforce"
# The limit is over 24 hours, and moves with them: a quarter of an hour frees some.
_LIMIT_WAIT_S = 900.0
_SECRET_SETTING = "CALLWISE_HANDOVER__SALESFORCE__CLIENT_SECRET"  # noqa: S105 - a setting's name
# What the same record may be taken with a little later.
_PASSING = frozenset({"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG"})
_STALE = frozenset({"INVALID_CROSS_REFERENCE_KEY", "ENTITY_IS_DELETED", "INACTIVE_OWNER_OR_USER"})
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_NOT_WRITABLE = "INVALID_FIELD_FOR_INSERT_UPDATE"


class SalesforceCrm:
    """One org. Nothing is asked of it before the first call.

    `url` is the org's My Domain; with a `key` the JWT flow gives access, with a `refresh_token` that flow, else the
    client's own credentials.
    """

    batch_size = 200

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str = "",
        refresh_token: str = "",
        key: SigningKey | None = None,
        api_version: str = "62.0",
        external_id_field: str = "Callwise_Id__c",
        timeout_s: float = 30.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._refresh_token = refresh_token
        self._key = key
        self._base = f"/services/data/v{api_version}"
        self._field = external_id_field
        self._client = make_client(timeout_s)
        self._lock = Lock()
        self._access: tuple[str, str] | None = None

    def send(self, calls: Sequence[Outgoing]) -> list[Sent | Refused]:
        """See Destination."""
        results = self._upsert([(one, self._record(one, is_new=not one.object_id)) for one in calls])
        # One that was made by a worker who died before noting it: it takes what a known one takes.
        known = [place for place, result in enumerate(results) if isinstance(result, _OnlyAtFirst)]
        if known:
            again = self._upsert([(calls[place], self._record(calls[place], is_new=False)) for place in known])
            for place, result in zip(known, again, strict=True):
                results[place] = result
        return [Refused(_NOT_WRITABLE.lower(), one.fields) if isinstance(one, _OnlyAtFirst) else one for one in results]

    def find_contact(self, phone_e164: str) -> Person | None:
        """See Destination. Salesforce finds a number however somebody typed it."""
        query = {"q": phone_e164, "in": "PHONE", "sobject": "Contact", "Contact.fields": "Id,AccountId", "limit": "2"}
        found = self._ask("GET", f"{self._base}/parameterizedSearch/", params=query)
        records = found.get("searchRecords", []) if isinstance(found, dict) else []
        if len(records) != 1:
            return None
        return Person(str(records[0]["Id"]), str(records[0].get("AccountId") or ""))

    def find_owner(self, email: str) -> str | None:
        """See Destination."""
        quoted = email.replace("\\", "\\\\").replace("'", "\\'")
        query = f"SELECT Id FROM User WHERE Email = '{quoted}' AND IsActive = true LIMIT 2"  # noqa: S608 - SOQL
        found = self._ask("GET", f"{self._base}/query/", params={"q": query})
        records = found.get("records", []) if isinstance(found, dict) else []
        return str(records[0]["Id"]) if len(records) == 1 else None

    def check(self) -> None:
        """See Destination: the external id is there, and is one."""
        described = self._ask("GET", f"{self._base}/sobjects/Task/describe/")
        fields = {field["name"]: field for field in described.get("fields", ())}
        if not fields.get(self._field, {}).get("externalId"):
            raise self._no_field()

    def _record(self, call: Outgoing, *, is_new: bool) -> dict[str, Any]:
        fields = dict(call.payload.fields)
        if not is_new:
            fields = {name: value for name, value in fields.items() if name not in TASK_CREATE_ONLY}
        return {"attributes": {"type": call.payload.entity}, self._field: call.key, **fields}

    def _upsert(self, given: Sequence[tuple[Outgoing, Mapping[str, Any]]]) -> "list[Sent | Refused | _OnlyAtFirst]":
        entity = given[0][0].payload.entity
        body = {"allOrNone": False, "records": [record for _, record in given]}
        answers = self._ask("PATCH", f"{self._base}/composite/sobjects/{entity}/{self._field}", body=body)
        if not isinstance(answers, list) or len(answers) != len(given):
            raise TransientError("Salesforce's answer is not about what it was sent", code="invalid_response")
        return [_result(answer) for answer in answers]

    def _ask(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """What the org answers; with a new token where it does not know the old one any more."""
        for is_last in (False, True):
            instance, token = self._signed_in()
            with translated(_WHO):
                response = self._client.request(
                    method,
                    instance + path,
                    params=dict(params) if params else None,
                    json=body,
                    headers={"Authorization": f"Bearer {token}"},
                )
            if response.status_code == 401 and not is_last:
                self._sign_out(token)
                continue
            if response.status_code >= 300:
                raise self._failure(response)
            return json_of(response, _WHO)
        raise AssertionError("the last round either returns or raises")

    def _signed_in(self) -> tuple[str, str]:
        with self._lock:
            if self._access is None:
                self._access = self._sign_in()
            return self._access

    def _sign_out(self, token: str) -> None:
        with self._lock:
            if self._access is not None and self._access[1] == token:
                self._access = None

    def _sign_in(self) -> tuple[str, str]:
        if self._key is not None:
            form = {"grant_type": _JWT_BEARER, "assertion": self._key.assertion()}
        else:
            form = {"client_id": self._client_id, "client_secret": self._client_secret}
            if self._refresh_token:
                form |= {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
            else:
                form |= {"grant_type": "client_credentials"}
        with translated(_WHO):
            response = self._client.post(f"{self._url}/services/oauth2/token", data=form)
        if response.status_code in {400, 401, 403}:
            raise EngineMisconfigured(
                f"Salesforce refuses handover.salesforce.client_id with its secret or key ({_word(response, 'error')}):"
                f" correct {_SECRET_SETTING} or the key, or the app's OAuth policies",
                code="wrong_credentials",
            )
        if response.status_code != 200:
            raise passing(response, _WHO)
        told = json_of(response, _WHO)
        if not isinstance(told, dict) or not isinstance(told.get("access_token"), str):
            raise TransientError("Salesforce's token is none", code="invalid_response")
        return self._instance(str(told.get("instance_url") or self._url)), told["access_token"]

    def _instance(self, told: str) -> str:
        """Where the org's API is. Raises EngineMisconfigured for a place to which the token must not go."""
        wanted, own = urlsplit(told), urlsplit(self._url)
        is_own = (wanted.scheme, wanted.netloc) == (own.scheme, own.netloc)
        if not is_own and not (wanted.scheme == "https" and (wanted.hostname or "").endswith(".salesforce.com")):
            raise EngineMisconfigured("Salesforce's instance is not at Salesforce", code="wrong_credentials")
        return f"{wanted.scheme}://{wanted.netloc}"

    def _failure(self, response: httpx2.Response) -> CallwiseError:
        code = _error_code(response)
        if response.status_code == 401:
            return EngineMisconfigured(
                f"Salesforce refuses its own token ({code}): look at the app's policies", code="wrong_credentials"
            )
        if code == "REQUEST_LIMIT_EXCEEDED" or response.status_code == 429:
            wait_s = wait_of(response.headers, _LIMIT_WAIT_S)
            return TransientError("the org's API requests are used up", code="rate_limited", retry_after_s=wait_s)
        if response.status_code == 403:
            return EngineMisconfigured(
                f"Salesforce lets the app's user not do this ({code}): it needs API access and Task's fields",
                code="no_permission",
            )
        if response.status_code == 404 or code in {"INVALID_FIELD", "NOT_FOUND"}:
            return self._no_field()
        if 400 <= response.status_code < 500 and response.status_code != 408:
            return EngineMisconfigured(f"Salesforce refuses the request ({code})", code="refused_request")
        return passing(response, _WHO)

    def _no_field(self) -> EngineMisconfigured:
        return EngineMisconfigured(
            f"Task has no external id {self._field} that the app's user can see: make it (docs/handover.md), or correct"
            " CALLWISE_HANDOVER__SALESFORCE__EXTERNAL_ID_FIELD",
            code="no_external_id_field",
        )


class _OnlyAtFirst:
    """The record is there already, and had fields that are taken only when it is made."""

    def __init__(self, fields: str) -> None:
        self.fields = fields


def _result(answer: Any) -> "Sent | Refused | _OnlyAtFirst":
    if answer.get("success"):
        return Sent(str(answer.get("id") or ""))
    errors = answer.get("errors") or [{}]
    code = str(errors[0].get("statusCode") or "unknown")
    # The message may quote what was sent.
    fields = ", ".join(str(field) for field in errors[0].get("fields") or ())
    if code == _NOT_WRITABLE and TASK_CREATE_ONLY.intersection(errors[0].get("fields") or ()):
        return _OnlyAtFirst(fields)
    return Refused(code.lower(), fields, again=code in _PASSING, is_stale=code in _STALE)


def _error_code(response: httpx2.Response) -> str:
    try:
        told = response.json()
    except ValueError:
        return str(response.status_code)
    first = told[0] if isinstance(told, list) and told else told
    return str(first.get("errorCode", response.status_code)) if isinstance(first, dict) else str(response.status_code)


def _word(response: httpx2.Response, name: str) -> str:
    try:
        told = response.json()
    except ValueError:
        return str(response.status_code)
    return str(told.get(name, response.status_code))[:60] if isinstance(told, dict) else str(response.status_code)
