"""A password that was proven is not checked again for a while, and for nobody else, and no longer than it is right."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from crm.access import Role
from crm.users import User
from web.proven import PROVEN_FOR, ProvenPasswords

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MARIA = User(uuid4(), "maria", Role.ADMIN, NOW, is_active=True, password_hash="$argon2id$salt$of$right")


class Checks:
    """Checks as the hash says, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, user: User | None, password: str) -> bool:
        self.count += 1
        return user is not None and user.is_active and user.password_hash.endswith(f"${password}")


def test_what_was_right_is_checked_again_only_when_its_time_is_over() -> None:
    checks = Checks()
    proven = ProvenPasswords(verify=checks)
    assert [proven.is_password_of(MARIA, "right", NOW) for _ in range(3)] == [True] * 3
    assert checks.count == 1
    assert proven.is_password_of(MARIA, "right", NOW + PROVEN_FOR)
    assert checks.count == 2


def test_what_is_wrong_is_checked_each_time_and_opens_nothing() -> None:
    checks = Checks()
    proven = ProvenPasswords(verify=checks)
    assert proven.is_password_of(MARIA, "right", NOW)
    assert not any(proven.is_password_of(one, "wrong", NOW) for one in (MARIA, MARIA, None))
    assert checks.count == 4


def test_another_password_and_an_account_that_is_closed_end_it_at_once() -> None:
    proven = ProvenPasswords(verify=Checks())
    assert proven.is_password_of(MARIA, "right", NOW)
    closed = (
        replace(MARIA, password_hash="$argon2id$salt$of$other"),
        replace(MARIA, is_active=False),
        replace(MARIA, password_hash=""),
        replace(MARIA, name="ben", password_hash="$argon2id$another$of$other"),
        None,
    )
    assert not any(proven.is_password_of(one, "right", NOW) for one in closed)


def test_only_the_latest_are_remembered() -> None:
    checks = Checks()
    proven = ProvenPasswords(verify=checks)
    for number in range(300):
        proven.is_password_of(replace(MARIA, password_hash=f"{number}$right"), "right", NOW)
    proven.is_password_of(replace(MARIA, password_hash="0$right"), "right", NOW)
    proven.is_password_of(replace(MARIA, password_hash="299$right"), "right", NOW)
    assert checks.count == 301
