"""Where calls are handed over to: one protocol for CRMs and webhooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from calls.crm_payloads import Payload


@dataclass(frozen=True)
class Outgoing:
    """One call that is to be there: `key` is our id of it, `object_id` what it is called there, "" for a new one;
    `payload_sha256` tells two versions of it apart, `revision` says which is the later.
    """

    key: str
    payload: Payload
    payload_sha256: str
    revision: int
    object_id: str = ""
    # The customer's id there, for CRMs that keep it beside the call.
    contact_id: str = ""


@dataclass(frozen=True)
class Sent:
    """It is there now, under this id; "" where nobody tells one."""

    object_id: str


@dataclass(frozen=True)
class Refused:
    """This call was not taken. `again` says that the same may be taken later, `is_stale` that an id in it is of
    something that is not there any more; `detail` holds names and codes, nothing of the call.
    """

    code: str
    detail: str = ""
    again: bool = False
    is_stale: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody whom a CRM knows; `account_id` is a customer's company there, "" where there is none."""

    object_id: str
    account_id: str = ""


class Destination(Protocol):
    """Takes calls. To send one again, changed or not, makes no second one of it.

    Everything raises TransientError (`unreachable`, `timed_out`, `rate_limited`, `server_error`, `invalid_response`)
    with the wait that was asked for, and EngineMisconfigured (`wrong_credentials`, `no_permission`,
    `no_external_id_field`, `destination_gone`, `private_address`), and nothing else.
    """

    # How many calls one request may carry.
    batch_size: int

    def send(self, calls: Sequence[Outgoing]) -> list[Sent | Refused]:
        """Let these calls, at most `batch_size`, be there; what came of each, in order."""

    def find_contact(self, phone_e164: str) -> Person | None:
        """The one customer with that number; None where there is none, or more than one."""

    def find_owner(self, email: str) -> str | None:
        """The id of the active user with that address."""

    def check(self) -> None:
        """Ask whether calls would be taken, without sending one."""
