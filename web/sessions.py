"""Sessions: a signed cookie that says who signed in, and tokens that tie a form to it."""

import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer
from starlette.responses import Response

from crm.users import User

COOKIE = "callwise_session"
LIFETIME = timedelta(hours=12)


@dataclass(frozen=True)
class Session:
    """A session as its cookie tells it; `user_id` is None before somebody has signed in.

    `password_stamp` is that of the user's password at sign-in: another password ends the session.
    """

    nonce: str
    expires_at: int
    user_id: UUID | None = None
    password_stamp: str = ""


class Sessions:
    """Makes and reads session cookies under one secret."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        self._serializer = URLSafeSerializer(secret, salt="callwise session")
        self._secret = secret.encode()
        self._secure = secure

    def start(self, now: datetime, user: User | None = None) -> Session:
        """A new session, of nobody or of a user who has just signed in."""
        return Session(
            nonce=secrets.token_urlsafe(16),
            expires_at=int((now + LIFETIME).timestamp()),
            user_id=user.id if user else None,
            password_stamp=user.password_stamp if user else "",
        )

    def read(self, cookie: str | None, now: datetime) -> Session | None:
        """The session of a cookie; None when it is missing, not ours, or over."""
        if not cookie:
            return None
        try:
            given = self._serializer.loads(cookie)
            session = Session(given["n"], given["e"], UUID(given["u"]) if given["u"] else None, given["p"])
        except (BadData, KeyError, TypeError, ValueError):
            return None
        return session if now.timestamp() < session.expires_at else None

    def give(self, response: Response, session: Session) -> None:
        """Send the session to the browser."""
        told = {
            "n": session.nonce,
            "e": session.expires_at,
            "u": session.user_id.hex if session.user_id else None,
            "p": session.password_stamp,
        }
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
