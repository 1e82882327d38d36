"""Calls of HubSpot, kept apart by a property with unique values: sending one again makes no second one.

Source: HubSpot, CRM API: batch upsert by a unique property, associations, search, owners; error handling and usage
limits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from calls.errors import CallwiseError, EngineMisconfigured, TransientError
from engines.crm_http import json_of, make_client, passing, translated, wait_of
from engines.handover import Outgoing, Person, Refused, Sent

API_URL = "https://api.hubapi.com"

_WHO = "HubSpot"
_TOKEN_SETTING = "CALLWISE_HANDOVER__HUBSPOT__TOKEN"  # noqa: S105 - a setting's name
# The limit for ten seconds, and the one of the day, which ends at midnight in the account's time zone.
_SHORT_WAIT_S = 10.0
_DAY_WAIT_S = 3600.0


class HubSpotCrm:
    """One account. Nothing is asked of it before the first call."""

    batch_size = 100

    def __init__(
        self, token: str, *, base_url: str = API_URL, id_property: str = "callwise_id", timeout_s: float = 30.0
    ) -> None:
        self._url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._property = id_property
        self._client = make_client(timeout_s)

    def send(self, calls: Sequence[Outgoing]) -> list[Sent | Refused]:
        """See Destination. One call that HubSpot refuses spoils its whole request: then each goes by itself."""
        response = self._request("POST", "/crm/v3/objects/calls/batch/upsert", body=self._inputs(calls))
        if response.status_code == 400:
            if self._lacks_property(response):
                raise self._no_property()
            if len(calls) > 1:
                return [result for one in calls for result in self.send([one])]
            return [Refused("validation_error", _properties_named(response))]
        if response.status_code not in {200, 201, 207}:
            raise self._failure(response)
        results = self._results(calls, json_of(response, _WHO))
        self._associate(calls, results)
        return results

    def find_contact(self, phone_e164: str) -> Person | None:
        """See Destination: by either of the two numbers of a contact, as they are written there."""
        filters = [
            {"filters": [{"propertyName": name, "operator": "EQ", "value": phone_e164}]}
            for name in ("phone", "mobilephone")
        ]
        body = {"filterGroups": filters, "properties": ["associatedcompanyid"], "limit": 2}
        found = self._ask("POST", "/crm/v3/objects/contacts/search", body=body)
        records = found.get("results", [])
        if len(records) != 1:
            return None
        company = (records[0].get("properties") or {}).get("associatedcompanyid")
        return Person(str(records[0]["id"]), str(company or ""))

    def find_owner(self, email: str) -> str | None:
        """See Destination."""
        records = self._ask("GET", "/crm/v3/owners/", params={"email": email, "limit": "2"}).get("results", [])
        active = [one for one in records if not one.get("archived")]
        return str(active[0]["id"]) if len(active) == 1 else None

    def check(self) -> None:
        """See Destination: the property is there, and its values are unique."""
        response = self._request("GET", f"/crm/v3/properties/calls/{self._property}")
        if response.status_code == 404:
            raise self._no_property()
        if response.status_code != 200:
            raise self._failure(response)
        if not json_of(response, _WHO).get("hasUniqueValue"):
            raise self._no_property()

    def _inputs(self, calls: Sequence[Outgoing]) -> dict[str, Any]:
        return {
            "inputs": [
                {
                    "idProperty": self._property,
                    "id": one.key,
                    "properties": {**one.payload.fields, self._property: one.key},
                }
                for one in calls
            ]
        }

    def _results(self, calls: Sequence[Outgoing], told: Mapping[str, Any]) -> list[Sent | Refused]:
        ids = {
            str((one.get("properties") or {}).get(self._property)): str(one.get("id"))
            for one in told.get("results", ())
        }
        refused: dict[str, Refused] = {}
        for error in told.get("errors", ()):
            code = str(error.get("category") or error.get("status") or "unknown").lower()
            for key in (error.get("context") or {}).get("ids", ()):
                refused[str(key)] = Refused(code)
        # What is in neither list may be there or not: it is sent again, which does no harm.
        lost = Refused("no_answer", again=True)
        return [Sent(ids[one.key]) if one.key in ids else refused.get(one.key, lost) for one in calls]

    def _associate(self, calls: Sequence[Outgoing], results: Sequence[Sent | Refused]) -> None:
        """Put the calls with their contacts; one that is there already stays."""
        pairs = [
            {"from": {"id": result.object_id}, "to": {"id": one.contact_id}}
            for one, result in zip(calls, results, strict=True)
            if isinstance(result, Sent) and one.contact_id
        ]
        if pairs:
            self._ask("POST", "/crm/v4/associations/calls/contacts/batch/associate/default", body={"inputs": pairs})

    def _ask(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        response = self._request(method, path, params=params, body=body)
        if response.status_code >= 300:
            raise self._failure(response)
        told = json_of(response, _WHO)
        if not isinstance(told, dict):
            raise TransientError("HubSpot's answer is none", code="invalid_response")
        return told

    def _request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> httpx2.Response:
        with translated(_WHO):
            return self._client.request(
                method, self._url + path, params=dict(params) if params else None, json=body, headers=self._headers
            )

    def _failure(self, response: httpx2.Response) -> CallwiseError:
        if response.status_code == 401:
            return EngineMisconfigured(
                f"HubSpot refuses handover.hubspot.token: correct {_TOKEN_SETTING}", code="wrong_credentials"
            )
        if response.status_code == 403:
            return EngineMisconfigured(
                "HubSpot lets the private app not do this: it needs the scopes of docs/handover.md",
                code="no_permission",
            )
        if response.status_code == 429:
            is_daily = "DAILY" in str(_document(response).get("policyName", ""))
            wait_s = wait_of(response.headers, _DAY_WAIT_S if is_daily else _SHORT_WAIT_S)
            return TransientError("HubSpot's limit of requests is reached", code="rate_limited", retry_after_s=wait_s)
        if 400 <= response.status_code < 500 and response.status_code not in {408, 423}:
            word = str(_document(response).get("category", response.status_code))[:60]
            return EngineMisconfigured(f"HubSpot refuses the request ({word})", code="refused_request")
        return passing(response, _WHO)

    def _lacks_property(self, response: httpx2.Response) -> bool:
        named = _properties_named(response).split(", ")
        codes = {str(error.get("code")) for error in _document(response).get("errors", ()) if isinstance(error, dict)}
        return self._property in named and bool(codes & {"PROPERTY_DOESNT_EXIST", "INVALID_ID_PROPERTY"})

    def _no_property(self) -> EngineMisconfigured:
        return EngineMisconfigured(
            f"calls have no property {self._property} with unique values: make it (docs/handover.md), or correct"
            " CALLWISE_HANDOVER__HUBSPOT__ID_PROPERTY",
            code="no_external_id_field",
        )


def _document(response: httpx2.Response) -> dict[str, Any]:
    try:
        told = response.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _properties_named(response: httpx2.Response) -> str:
    """The names of the properties that are wrong; the message beside them quotes values."""
    named: list[str] = []
    for error in _document(response).get("errors", ()):
        context = error.get("context") if isinstance(error, dict) else None
        for one in (context or {}).get("propertyName", ()):
            if str(one) not in named:
                named.append(str(one))
    return ", ".join(named)
