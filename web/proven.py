"""Passwords that were proven a moment ago: a program that sends one with each request pays for one check in a while."""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_bytes
from threading import Lock

from crm.users import User, is_password_of

PROVEN_FOR = timedelta(seconds=30)
_AT_MOST = 256


class ProvenPasswords:
    """Remembers, in this process alone, that a password opened an account, as a digest under a key of its
    own.

    The account's own row is read for each request, and its hash of the password is in the digest: with another
    password, or none, nothing that was proven before is found again, and whoever is let in no more is asked about
    first. What is wrong is never remembered: each guess costs a check, and counts.
    """

    def __init__(self, *, verify: Callable[[User | None, str], bool] = is_password_of) -> None:
        self._verify = verify
        self._key = token_bytes(32)
        self._ends_at: OrderedDict[bytes, datetime] = OrderedDict()
        self._lock = Lock()

    def is_password_of(self, user: User | None, password: str, now: datetime) -> bool:
        """As `crm.users.is_password_of`, for a user as she stands now."""
        if user is None or not user.is_active or not user.password_hash:
            return self._verify(user, password)
        # The hash says whose it is: it has a salt of its own.
        told = f"{user.password_hash}\0{password}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._key, told, sha256)
        with self._lock:
            ends_at = self._ends_at.get(digest)
        if ends_at is not None and now < ends_at:
            return True
        if not self._verify(user, password):
            return False
        with self._lock:
            self._ends_at[digest] = now + PROVEN_FOR
            self._ends_at.move_to_end(digest)
            if len(self._ends_at) > _AT_MOST:
                self._ends_at.popitem(last=False)
        return True
