"""Templates: HTML that is escaped by default, and how times, lengths and codes are written in it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup
from starlette.templating import Jinja2Templates

from calls import words

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def make_templates(site_name: str, zone: ZoneInfo, clock: Callable[[], datetime]) -> Jinja2Templates:
    """The templates of one site; `zone` is that in which times are shown."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {"site_name": site_name, "zone_name": zone.key, "asset": asset_url}
    environment.filters |= {
        "moment": lambda at: moment_element(at, zone),
        "ago": lambda at: words_since(at, clock()),
        "clock": words.clock,
        "seconds": lambda seconds: timedelta(seconds=seconds),
        "dollars": dollars,
        "share": lambda share: f"{share:.0%}",
        # Never "-0.0": what is that small has no direction.
        "signed": lambda value, digits: f"{value:+z.{digits}f}",
        "sentence": lambda text: text[:1].upper() + text[1:],
        "stage_words": lambda line: words.stage_words(line.stage, line.skip_reason, line.failed_code),
        "cause_words": words.cause_words,
        "handover_words": words.handover_words,
        "doubt_words": words.doubt_words,
        "outcome_words": words.outcome_words,
        "sentiment_words": words.sentiment_words,
        "step_words": words.step_words,
        "readable": words.readable,
        # What a list of choices is made of: (value, words).
        "pair": lambda value, capital=False: (value, value.capitalize() if capital else value),
        "outcome_pair": lambda value: (value, words.outcome_words(value) or "Not known"),
    }
    return Jinja2Templates(env=environment)


def moment_element(at: datetime, zone: ZoneInfo) -> Markup:
    """A moment in the site's zone, as a <time> element."""
    local = at.astimezone(zone)
    shown = f"{local.day} {local:%b %Y, %H:%M}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.astimezone(UTC).isoformat(), f"{local:%A, %H:%M:%S %Z}", shown
    )


def words_since(at: datetime, now: datetime) -> str:
    """How long ago a moment was, roughly."""
    passed = max(now - at, timedelta())
    if passed < timedelta(minutes=2):
        return f"{passed.total_seconds():.0f} s ago"
    if passed < timedelta(hours=2):
        return f"{passed / timedelta(minutes=1):.0f} min ago"
    if passed < timedelta(days=2):
        return f"{passed / timedelta(hours=1):.0f} h ago"
    return f"{passed.days} days ago"


def dollars(microusd: int | None) -> str:
    """Millionths of a dollar as an amount; small ones keep the digits that matter."""
    if microusd is None:
        return "unknown"
    return f"${microusd / 1e6:,.2f}" if microusd >= 1_000_000 or microusd == 0 else f"${microusd / 1e6:.4f}"


def asset_url(name: str) -> str:
    """The address of a file of `static`, with its content's hash: a changed file is fetched anew."""
    if name not in _asset_versions:
        _asset_versions[name] = sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={_asset_versions[name]}"


_asset_versions: dict[str, str] = {}
