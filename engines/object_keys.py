"""What a key of an object may be, in every store."""

from calls.errors import TerminalError

MAX_KEY_BYTES = 1024


def check_key(key: str) -> None:
    """Raise TerminalError (`bad_key`) unless `key` is 1 to 1,024 bytes of UTF-8 without a NUL (databases take none)."""
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise TerminalError("the object's key is not UTF-8", code="bad_key") from None
    if not 0 < length <= MAX_KEY_BYTES or "\0" in key:
        raise TerminalError(
            f"an object's key has 1 to {MAX_KEY_BYTES} bytes and no NUL, this one {length}", code="bad_key"
        )
