"""A local OpenID Connect provider: discovery, authorization with PKCE, tokens signed with a real RSA key, user-info.

It checks what a provider checks (client, redirect address, one use of a code, the verifier) and can be told to answer
wrongly in one way at a time.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.servers.local_http import LocalHandler, LocalServer

CLIENT_ID = "callwise"
CLIENT_SECRET = "planted-oidc-secret-9a41"


@dataclass
class Person:
    """Who is signed in at the provider."""

    subject: str = "u-1001"
    claims: dict[str, Any] = field(default_factory=dict)
    # Claims that only the user-info tells.
    more: dict[str, Any] = field(default_factory=dict)


class OidcServer(LocalServer):
    """The provider, from `with` until its end. `now` is its clock (seconds since 1970); `lie` is one of:

    `nonce`, `audience`, `issuer`, `expired`, `key` (a stranger's key under the known id), `none` (no signature), `hmac`
    (signed with the public key as a secret), `userinfo` (of another subject), or "" for the truth.
    """

    def __init__(self, now: float) -> None:
        super().__init__(_handler_of(self))
        self.now = now
        self.person = Person()
        self.lie = ""
        self.refuses = ""
        self.signs_with = ["RS256", "HS256", "none"]
        self.asked: list[str] = []
        self.token_requests: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._access: dict[str, str] = {}
        self.change_key()

    def change_key(self) -> None:
        """Sign with another key from now on, under another id."""
        self.key = RSAKey.generate_key(2048, {"kid": token_urlsafe(6), "use": "sig"}, private=True)

    def authorize(self, url: str) -> str:
        """What a browser does that is sent there: the address to which the provider sends it back."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        back = {"state": asked["state"], "iss": self.url}
        if self.refuses:
            return f"{asked['redirect_uri']}?{urlencode(back | {'error': self.refuses})}"
        code = token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode(back | {'code': code})}"

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: str) -> tuple[int, dict[str, Any]]:
        """Status and document for one request."""
        self.asked.append(f"{method} {path}")
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/keys",
                "id_token_signing_alg_values_supported": self.signs_with,
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if path == "/userinfo":
            subject = self._access.get(headers.get("authorization", "").removeprefix("Bearer "))
            if subject is None:
                return 401, {"error": "invalid_token"}
            return 200, {"sub": "somebody-else" if self.lie == "userinfo" else subject} | self.person.more
        if path == "/token" and method == "POST":
            return self._token(headers, {name: values[0] for name, values in parse_qs(body).items()})
        return 404, {}

    def _token(self, headers: Mapping[str, str], sent: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.token_requests.append(sent)
        pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if headers.get("authorization") != f"Basic {pair}":
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(sent.get("code", ""), None)
        challenge = _encoded(sha256(sent.get("code_verifier", "").encode()).digest())
        if asked is None or sent.get("redirect_uri") != asked["redirect_uri"] or challenge != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        access = token_urlsafe(16)
        self._access[access] = self.person.subject
        return 200, {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self._id_token(asked["nonce"]),
        }

    def _id_token(self, nonce: str) -> str:
        age_s = 3600 if self.lie == "expired" else 0
        claims = {
            "iss": "https://elsewhere.example" if self.lie == "issuer" else self.url,
            "sub": self.person.subject,
            "aud": "another-client" if self.lie == "audience" else CLIENT_ID,
            "iat": int(self.now) - age_s,
            "exp": int(self.now) - age_s + 300,
            "nonce": "another" if self.lie == "nonce" else nonce,
        } | self.person.claims
        kid = str(self.key.kid)
        if self.lie in {"none", "hmac"}:
            head = {"alg": "none" if self.lie == "none" else "HS256", "kid": kid}
            signed = ".".join(_encoded(json.dumps(one).encode()) for one in (head, claims))
            public = self.key.as_pem(private=False)
            return f"{signed}.{'' if self.lie == 'none' else _encoded(hmac.digest(public, signed.encode(), 'sha256'))}"
        key = RSAKey.generate_key(2048, {"kid": kid}, private=True) if self.lie == "key" else self.key
        return jwt.encode({"alg": "RS256", "kid": kid}, claims, key)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _handler_of(server: OidcServer) -> type[LocalHandler]:
    class Handler(LocalHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document = server.answer(self.command, urlsplit(self.path).path, headers, body)
            self.send(status, {"content-type": "application/json"}, json.dumps(document).encode(), "whole")

    return Handler
