"""Sessions: a signed cookie with a key, of which the database knows whose it is, and tokens that tie a form to it."""

import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from itsdangerous import BadData, URLSafeSerializer
from starlette.responses import Response

COOKIE = "callwise_session"
LIFETIME = timedelta(hours=12)


@dataclass(frozen=True)
class Session:
    """A session as its cookie tells it; `is_signed_in` is False before somebody has signed in. Who that is, and whether
    it still counts, stands in the database under `key_hash`.
    """

    nonce: str
    expires_at: int
    is_signed_in: bool = False

    @property
    def key_hash(self) -> str:
        """Under what the database keeps the session."""
        return sha256(self.nonce.encode()).hexdigest()


class Sessions:
    """Makes and reads session cookies under one secret."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        self._serializer = URLSafeSerializer(secret, salt="callwise session")
        self._secret = secret.encode()
        self._secure = secure

    def start(self, now: datetime, *, is_signed_in: bool = False) -> Session:
        """A new session, of nobody or of somebody who has just signed in."""
        return Session(secrets.token_urlsafe(32), int((now + LIFETIME).timestamp()), is_signed_in)

    def read(self, cookie: str | None, now: datetime) -> Session | None:
        """The session of a cookie; None when it is missing, not ours, or over."""
        if not cookie:
            return None
        try:
            given = self._serializer.loads(cookie)
            session = Session(given["n"], given["e"], given["s"])
        except (BadData, KeyError, TypeError):
            return None
        return session if now.timestamp() < session.expires_at else None

    def give(self, response: Response, session: Session) -> None:
        """Send the session to the browser."""
        told = {"n": session.nonce, "e": session.expires_at, "s": session.is_signed_in}
        response.set_cookie(
            COOKIE,
            str(self._serializer.dumps(told)),
            max_age=int(LIFETIME.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=self._secure,
        )

    def end(self, response: Response) -> None:
        """Take the session from the browser."""
        response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=self._secure)

    def serializer(self, purpose: str) -> URLSafeSerializer:
        """Signs something else that a browser keeps, under the same secret."""
        return URLSafeSerializer(self._secret, salt=purpose)

    def form_token(self, session: Session) -> str:
        """The token that a form of this session must carry."""
        return hmac.new(self._secret, f"form {session.nonce}".encode(), "sha256").hexdigest()

    def is_form_token(self, session: Session, token: str) -> bool:
        """Whether a form that was sent carries this session's token."""
        return hmac.compare_digest(self.form_token(session).encode(), token.encode())


def web_secret(configured: str, home: Path) -> str:
    """The secret that signs sessions: the configured one, else that of `web-secret` in the home, made at first use."""
    if configured:
        return configured
    path = home / "web-secret"
    home.mkdir(parents=True, exist_ok=True)
    # Written beside and linked into place: of two processes that start together, one makes it and both read it whole.
    draft = home / f".web-secret-{secrets.token_hex(8)}"
    if not path.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text().strip()
