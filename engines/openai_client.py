"""The openai SDK's client for OpenAI, Azure OpenAI and compatible servers, and its errors in our two kinds."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Literal

import httpx2
import openai

from calls.errors import (
    CallwiseError,
    EngineMisconfigured,
    TerminalError,
    TransientError,
    UndecodableAudio,
    UnusableAnswer,
)
from calls.meter import Told

Provider = Literal["openai", "azure", "compatible"]
Purpose = Literal["speech", "language", "similar"]

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_TIMEOUT_S = 10.0

_TERMINAL: Mapping[Purpose, type[TerminalError]] = {
    "speech": UndecodableAudio,
    "language": UnusableAnswer,
    "similar": UnusableAnswer,
}
# 400s about the way we ask, not about what we ask: every other call would fail the same way until a setting is mended.
_WRONG_SETTING_CODES = frozenset(
    {
        "model_not_found",
        "invalid_model",
        "unsupported_model",
        "unsupported_parameter",
        "unsupported_value",
        "unknown_parameter",
        "OperationNotSupported",
        "DeploymentNotFound",
        "InvalidApiVersionParameter",
    }
)
_TERMINAL_CODES = {
    "content_filter": "refused",
    "content_policy_violation": "refused",
    "context_length_exceeded": "too_long",
    "string_above_max_length": "too_long",
    "audio_too_short": "empty",
}
# "1s", "6m0s", "20ms", "1h2m3s": how OpenAI writes when a limit is whole again. Azure writes bare seconds.
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_PLAIN_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")


def build_client(
    provider: Provider,
    *,
    api_key: str | Callable[[], str] = "",
    base_url: str = "",
    api_version: str = "",
    timeout_s: float = 120.0,
) -> openai.OpenAI:
    """A client that never retries by itself: the pipeline's back-off is the only retry layer.

    `azure` takes the resource's endpoint as `base_url`: with `api_version` it speaks the deployments paths; an endpoint
    that ends in `/openai/v1` is spoken to without one. An empty key means OPENAI_API_KEY or AZURE_OPENAI_API_KEY, and
    these go to OpenAI or Azure only: any other server gets the key it was configured with, or none. For Azure, an
    `api_key` to call gives an Entra token whenever a request leaves.
    Raises EngineMisconfigured.
    """
    # At debug the SDK logs whole requests, and with them what people said.
    logging.getLogger("openai").setLevel(logging.INFO)
    timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
    http_client = openai.DefaultHttpxClient(timeout=timeout, event_hooks={"response": [_refuse_other_than_json]})
    base_url = base_url.rstrip("/")
    if provider != "openai" and not base_url:
        raise EngineMisconfigured(f"the {provider} engine has no address: set its base_url", code="missing_base_url")
    try:
        if provider == "azure" and not base_url.endswith("/openai/v1"):
            return openai.AzureOpenAI(
                azure_endpoint=base_url,
                api_version=api_version or None,
                api_key=None if callable(api_key) else api_key or None,
                azure_ad_token_provider=api_key if callable(api_key) else None,
                timeout=timeout,
                max_retries=0,
                http_client=http_client,
            )
        if provider == "compatible" or (provider == "openai" and base_url not in {"", OPENAI_URL}):
            api_key = api_key or "none"
        return openai.OpenAI(
            base_url=base_url or OPENAI_URL,
            api_key=api_key or None,
            timeout=timeout,
            max_retries=0,
            http_client=http_client,
        )
    except (openai.OpenAIError, ValueError):
        variable = "AZURE_OPENAI_API_KEY" if provider == "azure" else "OPENAI_API_KEY"
        raise EngineMisconfigured(
            f"the {provider} engine has no API key: set its api_key or {variable}"
            + (", and its api_version" if provider == "azure" and not api_version else ""),
            code="missing_api_key",
        ) from None


def check_client(client: openai.OpenAI, provider: Provider, model: str, what: Purpose) -> None:
    """Ask the server for its models: free, and proof of the address and the key; at OpenAI of the model too.

    Azure lists what could be deployed, not the deployments, and some compatible servers list nothing.
    Raises what `translated_errors` raises.
    """
    with translated_errors(what):
        if provider == "openai" and str(client.base_url).rstrip("/") == OPENAI_URL:
            client.models.retrieve(model)
            return
        try:
            client.models.list()
        except openai.NotFoundError:
            if provider == "azure":
                raise


@dataclass(frozen=True)
class ModelServer:
    """A model where it is served, as build_client takes it; the client is made when it is first asked for."""

    provider: Provider
    model: str
    api_key: str | Callable[[], str] = field(default="", repr=False)
    base_url: str = ""
    api_version: str = ""
    timeout_s: float = 120.0

    @cached_property
    def client(self) -> openai.OpenAI:
        """See build_client."""
        return build_client(
            self.provider,
            api_key=self.api_key,
            base_url=self.base_url,
            api_version=self.api_version,
            timeout_s=self.timeout_s,
        )

    def check(self, what: Purpose) -> None:
        """See check_client."""
        check_client(self.client, self.provider, self.model, what)


@contextmanager
def translated_errors(what: Purpose) -> Iterator[None]:
    """Turn the SDK's errors into ours; `what` names the settings that a person has to look at.

    Only the request belongs inside. Raises TransientError (`rate_limited`, `timed_out`, `unreachable`, `server_error`,
    `invalid_response`) with the wait that the server asked for, EngineMisconfigured (`wrong_api_key`, `no_permission`,
    `model_not_found`, `quota_exhausted`, `unsupported_request`), and UndecodableAudio or UnusableAnswer (`refused`,
    `truncated`, `too_long`, `empty`, `rejected_request`) where no repetition helps. What is unknown passes as it is.
    """
    try:
        yield
    except openai.APITimeoutError as error:
        raise TransientError("the server did not answer in time", code="timed_out") from error
    except openai.APIConnectionError as error:
        if isinstance(error.__cause__, TransientError):
            raise error.__cause__ from error
        raise TransientError("the connection failed or was cut", code="unreachable") from error
    except (openai.APIResponseValidationError, json.JSONDecodeError) as error:
        raise TransientError("the server's answer was no valid JSON", code="invalid_response") from error
    except openai.LengthFinishReasonError as error:
        raise _TERMINAL[what]("the answer was cut off at its upper bound", code="truncated") from error
    except openai.ContentFilterFinishReasonError as error:
        raise _TERMINAL[what]("the vendor's content filter stopped the answer", code="refused") from error
    except openai.APIStatusError as error:
        translated = _translate_status(error, what)
        if translated is None:
            raise
        raise translated from error


def _refuse_other_than_json(response: httpx2.Response) -> None:
    """A proxy's page with status 200 would else come out of the SDK as plain text in place of an answer."""
    if not response.is_success or response.headers.get("content-type", "").split(";")[0].endswith("json"):
        return
    response.read()
    try:
        response.json()
    except ValueError:
        raise TransientError("the server's answer was no JSON", code="invalid_response") from None


def _translate_status(error: openai.APIStatusError, what: Purpose) -> TransientError | TerminalError | None:
    status = error.status_code
    said = _said_by_server(error)
    prefix = f"CALLWISE_{what.upper()}__"
    if status == 401:
        return EngineMisconfigured(f"{said}: the key is wrong; set {prefix}API_KEY", code="wrong_api_key")
    if status == 403:
        return EngineMisconfigured(
            f"{said}: the key may not use this; look at {prefix}API_KEY and {prefix}MODEL", code="no_permission"
        )
    if status == 404:
        return EngineMisconfigured(
            f"{said}: no such model or deployment; look at {prefix}MODEL and {prefix}BASE_URL", code="model_not_found"
        )
    if status == 429 and error.code == "insufficient_quota":
        return EngineMisconfigured(
            f"{said}: the account behind {prefix}API_KEY has no credit left", code="quota_exhausted"
        )
    if status == 429:
        return TransientError(said, code="rate_limited", retry_after_s=retry_after_s(error.response.headers))
    if status in {408, 409, 425} or status >= 500:
        return TransientError(said, code="server_error", retry_after_s=retry_after_s(error.response.headers))
    if status in {400, 422} and (error.code in _WRONG_SETTING_CODES or error.param == "model"):
        return EngineMisconfigured(
            f"{said}: the model does not take such a request; look at {prefix}MODEL", code="unsupported_request"
        )
    if status == 413:
        return _TERMINAL[what](said, code="too_long")
    if status in {400, 422}:
        return _TERMINAL[what](said, code=_TERMINAL_CODES.get(error.code or "", "rejected_request"))
    return None


def plain_code(told: object) -> str:
    """A code or an id as a server tells it, empty where it could be text."""
    return told if isinstance(told, str) and _PLAIN_CODE.fullmatch(told) else ""


def _said_by_server(error: openai.APIStatusError) -> str:
    """Status, code and request id; never the vendor's message, which may repeat the key or the call's words."""
    code, request_id = plain_code(error.code), plain_code(error.request_id)
    return (
        f"HTTP {error.status_code}" + (f" {code}" if code else "") + (f" (request {request_id})" if request_id else "")
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wait a server asks for; None if it names none.

    `retry-after-ms`, `retry-after` in seconds or as a date, or else when a limit is whole of which nothing is left.
    """
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            seconds = float(value) / per_second
        except ValueError:
            continue
        # NaN and infinity are no waits.
        return seconds if 0 <= seconds < float("inf") else None
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        spent = [what for what in ("tokens", "requests") if _count(headers, f"x-ratelimit-remaining-{what}") == 0]
        resets = [_duration_s(headers.get(f"x-ratelimit-reset-{what}", "")) for what in spent]
        return max((reset for reset in resets if reset is not None), default=None)
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def told_by(headers: Mapping[str, str]) -> Told:
    """What an answer's headers say of the server's limits.

    Sources: OpenAI, "Rate limits", "Rate limits in headers"; Azure OpenAI, "Provisioned throughput", where a deployment
    whose answers state its utilization takes back what a request reserved and did not use.
    """
    return Told(
        tokens_limit=_count(headers, "x-ratelimit-limit-tokens"),
        tokens_left=_count(headers, "x-ratelimit-remaining-tokens"),
        tokens_reset_s=_duration_s(headers.get("x-ratelimit-reset-tokens", "")),
        requests_limit=_count(headers, "x-ratelimit-limit-requests"),
        returns_unused=True if "azure-openai-deployment-utilization" in headers else None,
    )


def told_with(error: CallwiseError) -> Told:
    """What the refusal behind one of our errors says of the server's limits."""
    cause = error.__cause__
    return told_by(cause.response.headers) if isinstance(cause, openai.APIStatusError) else Told()


def _count(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) < 2**53 else None


def _duration_s(text: str) -> float | None:
    try:
        return float(text) if 0 <= float(text) < float("inf") else None
    except ValueError:
        found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    return sum(float(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1, 0.001), strict=True))
