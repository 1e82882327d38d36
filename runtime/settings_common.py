"""What the parts of the settings share: their base, and checks of what is written in them."""

from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

# Standard Webhooks asks for 24 bytes at least.
MIN_SECRET_CHARS = 24


def known_zone(name: str) -> str:
    """The IANA time zone's name, unchanged. Raises ValueError where there is none of it."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no IANA time zone; write one like Europe/Berlin") from None
    return name


def http_url(url: str) -> str:
    """An address of http or https without query and sign-in, its last slash cut off; empty stays empty. Raises
    ValueError.
    """
    parts = urlsplit(url)
    is_plain = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
    if url and (not is_plain or "@" in parts.netloc):
        raise ValueError(f"{url!r} is no such address; write one like https://calls.example.org")
    return url.rstrip("/")


def fits_a_header(text: str) -> bool:
    """Whether it can be sent as part of an HTTP header as it is."""
    return text.isascii() and text.isprintable() and " " not in text


class Part(BaseModel):
    """A frozen group of settings; an unknown name in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
