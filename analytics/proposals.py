"""What the taxonomy lacks: themes of the calls that no reason fits, as documents and as a draft of a taxonomy."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from analytics.themes import MIN_CALLS, Theme, ThemeCall, Themes
from analytics.trends import time_zone
from calls.errors import CallwiseError
from calls.reasons import Taxonomy
from calls.redaction import SensitiveFinder, find_sensitive
from calls.transcript import Speaker
from crm.access import Permission, Viewer
from crm.taxonomies import current_taxonomy
from crm.unfitting import MAX_CALLS, UnfittingCall, unfitting_calls

_NO_REASONS = Taxonomy(version="", reasons=())


class NoSuchTheme(CallwiseError):
    """No theme proposes a reason of that code."""

    code = "no_such_theme"


def proposed_themes(
    connection: sa.Connection,
    viewer: Viewer,
    *,
    since: date | None = None,
    until: date | None = None,
    find: SensitiveFinder = find_sensitive,
) -> Themes:
    """The themes of the newest calls whose reason is `other` or none, since <= the call's day at the site < until.

    Raises NotAllowed.
    """
    from analytics.theme_groups import find_themes

    viewer.require(Permission.EDIT_REASONS, Permission.READ_CALLS)
    zone = time_zone(connection)
    found = unfitting_calls(connection, viewer, zone=zone, since=since, until=until, find=find)
    return find_themes([_theme_call(one, ZoneInfo(zone)) for one in found], current_taxonomy(connection) or _NO_REASONS)


def draft_of(current: Taxonomy | None, themes: Themes, accepted: Collection[str] = ()) -> Taxonomy:
    """The current reasons and those that the themes propose, or of these the `accepted` codes. Raises NoSuchTheme."""
    proposed = {theme.reason.code: theme.reason for theme in themes.themes}
    unknown = [code for code in accepted if code not in proposed]
    if unknown:
        raise NoSuchTheme(f"no theme proposes {', '.join(unknown)}; there are: {', '.join(proposed) or 'none'}")
    added = tuple(reason for code, reason in proposed.items() if not accepted or code in accepted)
    base = current or _NO_REASONS
    return replace(base, version="", reasons=(*base.reasons, *added), reviewed_calls=())


def themes_document(found: Themes) -> dict[str, Any]:
    """The themes as the command and the API give them."""
    return {
        "looked_at": found.looked_at,
        "at_most": MAX_CALLS,
        "at_least": MIN_CALLS,
        "explained_by_reasons": found.explained,
        "themes": [_document(theme) for theme in found.themes],
    }


def _document(theme: Theme) -> dict[str, Any]:
    reason = theme.reason
    return {
        "calls": theme.calls,
        "share": round(theme.share, 4),
        "likeness": round(theme.likeness, 3),
        "lift": round(theme.lift, 1),
        "words": list(theme.words),
        "weeks": [
            {"starts_on": week.starts_on.isoformat(), "calls": week.calls, "of_calls": week.of_calls}
            for week in theme.weeks
        ],
        "example_calls": [{"id": str(one.call_id), "headline": one.headline} for one in theme.examples],
        "reason": {
            "code": reason.code,
            "label": reason.label,
            "definition": reason.definition,
            "examples": list(reason.examples),
        },
    }


def _theme_call(given: UnfittingCall, zone: ZoneInfo) -> ThemeCall:
    return ThemeCall(
        call_id=given.id,
        day=given.happened_at.astimezone(zone).date(),
        headline=given.headline,
        customer=tuple(turn.text for turn in given.turns if turn.speaker is not Speaker.AGENT),
        agent=tuple(turn.text for turn in given.turns if turn.speaker is Speaker.AGENT),
        summary=given.summary,
    )
