"""Signing in at an OpenID Connect provider: the authorization code flow with PKCE, state and nonce.

Sources: OpenID Connect Core 1.0 sections 3.1 and 5.3, OpenID Connect Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (`iss` in
the answer).
"""

import hmac
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from calls.errors import TransientError
from engines.identity import Begun, SignInRefused

# Signatures that only the provider can make. With HMAC its public key, or the client's secret, would make them, too.
SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_KNOWN_FOR = timedelta(hours=1)
# Clocks of two machines differ.
_LEEWAY_S = 120


class OidcProvider:
    """One provider by its issuer's URL. What it publishes about itself is asked for once an hour, its keys as well."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: str, *, scopes: Sequence[str], timeout_s: float = 10.0
    ) -> None:
        self.issuer = issuer.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = " ".join(dict.fromkeys(("openid", *scopes)))
        self._timeout_s = timeout_s
        self._lock = Lock()
        self._published: tuple[datetime, dict[str, Any]] | None = None
        self._keys: tuple[datetime, KeySet] | None = None

    def begin(self, redirect_uri: str, now: datetime) -> tuple[str, Begun]:
        """See IdentityProvider."""
        begun = Begun(*(secrets.token_urlsafe(32) for _ in range(3)))
        with _translated(), self._client(redirect_uri, now) as client:
            url, _ = client.create_authorization_url(
                self._metadata(now)["authorization_endpoint"],
                state=begun.state,
                nonce=begun.nonce,
                code_verifier=begun.verifier,
            )
        return str(url), begun

    def finish(self, begun: Begun, answer: Mapping[str, str], redirect_uri: str, now: datetime) -> dict[str, Any]:
        """See IdentityProvider: the ID token's claims, and those of the user-info."""
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise SignInRefused("The answer does not belong to this sign-in: begin again.")
        if answer.get("iss", self.issuer).rstrip("/") != self.issuer:
            raise SignInRefused("The answer comes from another provider.")
        if "error" in answer:
            raise SignInRefused(f"The provider refused: {answer['error'][:100]}.")
        with _translated(), self._client(redirect_uri, now) as client:
            token = client.fetch_token(
                self._metadata(now)["token_endpoint"], code=answer.get("code", ""), code_verifier=begun.verifier
            )
            claims = self._claims(dict(token), begun.nonce, now)
        return self._told_more(str(token.get("access_token", "")), now, str(claims["sub"])) | claims

    def _told_more(self, access_token: str, now: datetime, subject: str) -> dict[str, Any]:
        endpoint = self._metadata(now).get("userinfo_endpoint")
        if not endpoint or not access_token:
            return {}
        with _translated(), httpx2.Client(timeout=self._timeout_s) as client:
            said = client.get(endpoint, headers={"Authorization": f"Bearer {access_token}"})
            more = said.json() if said.status_code == 200 else None
        # Section 5.3.2: what is said of another subject must not be used.
        return more if isinstance(more, dict) and more.get("sub") == subject else {}

    def _claims(self, token: Mapping[str, Any], nonce: str, now: datetime) -> dict[str, Any]:
        text = token.get("id_token")
        if not isinstance(text, str):
            raise SignInRefused("The provider sent no ID token.")
        offered = self._metadata(now).get("id_token_signing_alg_values_supported") or ["RS256"]
        taken = [one for one in offered if one in SIGNATURES]
        if not taken:
            # To joserfc no algorithms are all that it recommends, HMAC among them.
            raise SignInRefused("The provider signs its ID tokens in no way that only it can.")
        registry = JWSRegistry(algorithms=taken, strict_check_header=False)
        try:
            read = jwt.decode(text, self._key_set(now), registry=registry)
        except InvalidKeyIdError:
            # Providers change their keys: one that is not known is looked for once.
            read = jwt.decode(text, self._key_set(now, fresh=True), registry=registry)
        options = {
            "iss": {"essential": True, "value": self._metadata(now)["issuer"]},
            "aud": {"essential": True, "value": self._client_id},
        }
        told = {"nonce": nonce, "client_id": self._client_id, "access_token": token.get("access_token")}
        claims = CodeIDToken(read.claims, read.header, options, told)
        claims.validate(now=int(now.timestamp()), leeway=_LEEWAY_S)
        return dict(claims)

    def _client(self, redirect_uri: str, now: datetime) -> OAuth2Client:
        methods = self._metadata(now).get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return OAuth2Client(
            self._client_id,
            self._client_secret or None,
            token_endpoint_auth_method=method if self._client_secret else "none",
            scope=self._scope,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=self._timeout_s,
        )

    def _metadata(self, now: datetime) -> dict[str, Any]:
        with self._lock:
            if self._published is None or now - self._published[0] >= _KNOWN_FOR:
                found = self._get(f"{self.issuer}/.well-known/openid-configuration")
                if str(found.get("issuer", "")).rstrip("/") != self.issuer:
                    raise SignInRefused("The provider calls itself by another name than web.oidc.issuer.")
                self._published = (now, found)
            return self._published[1]

    def _key_set(self, now: datetime, *, fresh: bool = False) -> KeySet:
        uri = self._metadata(now)["jwks_uri"]
        with self._lock:
            if fresh or self._keys is None or now - self._keys[0] >= _KNOWN_FOR:
                self._keys = (now, KeySet.import_key_set(self._get(uri)))
            return self._keys[1]

    def _get(self, url: str) -> Any:
        with _translated(), httpx2.Client(timeout=self._timeout_s) as client:
            return client.get(url).raise_for_status().json()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPStatusError as error:
        raise TransientError(
            f"the sign-in provider answers {error.response.status_code}", code="provider_unreachable"
        ) from error
    except httpx2.HTTPError as error:
        raise TransientError("the sign-in provider cannot be reached", code="provider_unreachable") from error
    except OAuthError as error:
        raise SignInRefused(f"The provider refused: {error.error}.") from error
    except JoseError as error:
        raise SignInRefused(f"The provider's ID token does not hold: {error.error}.") from error
    except (KeyError, ValueError) as error:
        raise SignInRefused("The provider's answer cannot be read.") from error
