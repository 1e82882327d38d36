"""The private key by which an app signs in to Salesforce: the OAuth 2.0 JWT bearer flow (RFC 7523, RS256)."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calls.errors import EngineMisconfigured

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

# Salesforce takes no assertion that is good for longer than three minutes.
_ASSERTION_S = 180


class SigningKey:
    """The app's private key, for the JWT flow: it signs who asks, for whom, and until when."""

    def __init__(
        self,
        path: Path,
        *,
        issuer: str,
        subject: str,
        audience: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = path
        self._claims = {"iss": issuer, "sub": subject, "aud": audience}
        self._clock = clock

    def assertion(self) -> str:
        """A token for the next minutes. Raises EngineMisconfigured (`wrong_credentials`)."""
        try:
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError:
            raise EngineMisconfigured(
                "the JWT flow of Salesforce needs cryptography: pip install 'callwise[salesforce]'",
                code="wrong_credentials",
            ) from None
        try:
            key = load_pem_private_key(self._path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise EngineMisconfigured(
                f"handover.salesforce.private_key_file cannot be read as a PEM key ({type(error).__name__}): correct"
                " CALLWISE_HANDOVER__SALESFORCE__PRIVATE_KEY_FILE",
                code="wrong_credentials",
            ) from None
        if not isinstance(key, RSAPrivateKey):
            raise EngineMisconfigured(
                "handover.salesforce.private_key_file is no RSA key: Salesforce takes RS256", code="wrong_credentials"
            )
        claims = self._claims | {"exp": int(self._clock().timestamp()) + _ASSERTION_S}
        told = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        return f"{told}.{_base64url(_rs256(key, told.encode()))}"


def _rs256(key: "RSAPrivateKey", told: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return key.sign(told, PKCS1v15(), SHA256())


def _part(document: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(document, separators=(",", ":")).encode())


def _base64url(told: bytes) -> str:
    return base64.urlsafe_b64encode(told).rstrip(b"=").decode()
