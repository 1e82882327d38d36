"""Microsoft Entra ID tokens, in place of a key for Azure OpenAI: from `azure-identity`, or from the owner's command."""

import json
import shlex
import subprocess
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any

from calls.errors import EngineMisconfigured

SCOPE = "https://cognitiveservices.azure.com/.default"
IDENTITY = "azure-identity"
COMMAND_TIMEOUT_S = 60.0
# A token that says nothing of its end lives for an hour or more; one that ends soon is not used any more.
UNTOLD_LIFE_S = 300.0
SPARE_S = 120.0


def entra_token(how: str) -> Callable[[], str]:
    """What gives a token whenever one is asked for: `azure-identity` for its default credential, else a command.

    The command prints a token, or a JSON object with `accessToken` (`az account get-access-token --resource
    https://cognitiveservices.azure.com`). Raises EngineMisconfigured, here or when a token is asked for.
    """
    if how != IDENTITY:
        return CommandToken(shlex.split(how))
    try:
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    except ImportError:
        raise EngineMisconfigured(
            "entra_token is azure-identity, which is not installed: install callwise[azure], or set a command",
            code="missing_engine",
        ) from None
    return get_bearer_token_provider(DefaultAzureCredential(), SCOPE)  # type: ignore[no-any-return]


class CommandToken:
    """The token that a command prints, asked for anew when it is about to end."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._token, self._until = "", 0.0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """A token that is good for now. Raises EngineMisconfigured."""
        with self._lock:
            if time.time() >= self._until:
                self._token, self._until = read_token(self._printed())
            return self._token

    def _printed(self) -> str:
        try:
            ran = subprocess.run(
                self._command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=True
            )
            return ran.stdout.decode()
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
            # What it printed may hold a token: no word of it is passed on.
            raise EngineMisconfigured(
                f"the command of entra_token gave no token ({type(error).__name__}): run it by hand",
                code="no_entra_token",
            ) from error


def read_token(printed: str) -> tuple[str, float]:
    """The token that was printed, and until when to use it (seconds since 1970). Raises EngineMisconfigured."""
    token, ends_at = printed.strip(), None
    if token.startswith("{"):
        told = _json_object(token)
        token = str(told.get("accessToken") or told.get("access_token") or "")
        ends_at = told.get("expires_on")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise EngineMisconfigured("the command of entra_token printed no token: run it by hand", code="no_entra_token")
    if ends_at is None and token.count(".") == 2:
        ends_at = _json_object(_decoded(token.split(".")[1])).get("exp")
    try:
        return token, float(ends_at or "") - SPARE_S
    except (TypeError, ValueError):
        return token, time.time() + UNTOLD_LIFE_S


def _decoded(part: str) -> str:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
    except ValueError:
        return ""


def _json_object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
