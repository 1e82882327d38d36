"""`callwise doctor`: everything that can be wrong with a set-up, each with its fix."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from kombu import Connection
from kombu.exceptions import KombuError
from sqlalchemy.exc import SQLAlchemyError

from calls.errors import CallwiseError, ObjectGone
from calls.pipeline import Lane
from calls.recording import OWN_PREFIX
from crm.batches import batch_counts
from crm.destinations import destinations_document
from crm.money import parked_counts
from crm.schema import versions
from crm.status import beats
from crm.taxonomies import current_taxonomy
from crm.vector_index import is_ready
from crm.vectors import dimension_of, vector_counts
from runtime.budgets import SERVICES
from runtime.choice import Choice, choose_language, choose_redaction, choose_speech
from runtime.listening import http_tokens, make_all_listeners
from runtime.settings import Settings, settings_by_source
from runtime.wiring import Wiring

LEAST_FREE_BYTES = 500_000_000
ALIVE_FOR = timedelta(seconds=30)
_AS_IT_SAYS = "do what the detail says"
_DATABASE_FIRST = "mend the database first; then do what the detail says"


@dataclass(frozen=True)
class Check:
    """One finding: `ok`, `note` (works, but an operator should know) or `wrong` (with the fix)."""

    name: str
    status: Literal["ok", "note", "wrong"]
    detail: str
    fix: str = ""


def examine(wired: Wiring) -> list[Check]:
    """Look at everything; nothing is changed, nothing is paid for."""
    looks: list[tuple[str, Callable[[Wiring], Check]]] = [
        ("settings", _settings),
        ("disk", _disk),
        ("database", _database),
        ("broker", _broker),
        ("objects", _objects),
        ("events", _events),
        ("twilio", _twilio),
        ("reasons", _reasons),
        ("speech", _speech),
        ("language", _language),
        ("similar", _similar),
        ("redaction", _redaction),
        ("budgets", _budgets),
        ("batches", _batches),
        ("handover", _handover),
        ("processes", _processes),
    ]
    found = [_looked(name, look, wired) for name, look in looks]
    if any((one.name, one.status) == ("database", "wrong") for one in found):
        return [replace(one, fix=_DATABASE_FIRST) if one.fix == _AS_IT_SAYS else one for one in found]
    return found


def _looked(name: str, look: Callable[[Wiring], Check], wired: Wiring) -> Check:
    try:
        return look(wired)
    except CallwiseError as error:
        return Check(name, "wrong", error.detail, _AS_IT_SAYS)
    except Exception as error:  # noqa: BLE001 - whatever one look meets, the others shall be had
        return Check(name, "wrong", f"{type(error).__name__}: {error}", "nobody foresaw this: please report it")


def _settings(wired: Wiring) -> Check:
    unknown = sorted(name for name in os.environ if name.startswith("CALLWISE_") and not _is_setting(name))
    if unknown:
        return Check("settings", "note", f"no such setting: {', '.join(unknown)}", "correct or remove it")
    changed = _changed(wired.settings)
    by_source = [f"{source}: {', '.join(names)}" for source, names in changed.items() if names]
    return Check("settings", "ok", "; ".join(by_source) or "all defaults")


def _is_setting(variable: str) -> bool:
    return variable.removeprefix("CALLWISE_").partition("__")[0].lower() in Settings.model_fields


def _changed(settings: Settings) -> dict[str, list[str]]:
    """The settings that are no defaults, by the source that won."""
    sources = settings_by_source()
    changed: dict[str, list[str]] = {source: [] for source in ("command line", *sources)}
    for name in sorted(settings.model_fields_set):
        value = getattr(settings, name)
        parts = sorted(getattr(value, "model_fields_set", ())) if not isinstance(value, tuple) else []
        for part in parts:
            won = next((one for one, said in sources.items() if part in said.get(name, ())), "command line")
            changed[won].append(f"{name}.{part}")
        if not parts:
            is_list = isinstance(value, tuple | dict)
            saying = [one for one, said in sources.items() if name in said and (is_list or said[name] == str(value))]
            changed[saying[0] if saying else "command line"].append(name)
    return changed


def _disk(wired: Wiring) -> Check:
    home = wired.settings.home_path
    place: Path = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free / 1e9:.1f} GB free at {home}"
    if free < LEAST_FREE_BYTES:
        return Check("disk", "wrong", detail, "free some space: transcripts and audio cannot be written")
    return Check("disk", "ok", detail)


def _database(wired: Wiring) -> Check:
    shown = wired.database.url.render_as_string(hide_password=True)
    found, wanted = versions(wired.database)
    if found != wanted:
        return Check(
            "database",
            "wrong",
            f"{shown} is at version {found or 'none'}, this code needs {wanted}",
            "run `callwise db upgrade`",
        )
    return Check("database", "ok", f"{shown} at version {found}")


def _broker(wired: Wiring) -> Check:
    if wired.settings.is_embedded:
        return Check("broker", "ok", "embedded: workers find their work in the database")
    with Connection(wired.settings.broker.url, connect_timeout=4) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
        except (*connection.connection_errors, KombuError, OSError) as error:
            return Check(
                "broker",
                "wrong",
                f"{connection.as_uri()} cannot be reached ({type(error).__name__})",
                "start the broker or correct CALLWISE_BROKER__URL; calls wait in the database meanwhile",
            )
        return Check("broker", "ok", connection.as_uri())


def _objects(wired: Wiring) -> Check:
    with suppress(ObjectGone):
        wired.objects.head(f"{OWN_PREFIX}doctor")
    return Check("objects", "ok", f"{wired.settings.objects.kind}: {wired.objects.bucket}")


def _events(wired: Wiring) -> Check:
    names = [*(listener.name for listener in make_all_listeners(wired)), *http_tokens(wired.settings)]
    return Check("events", "ok", ", ".join(names) or "none")


def _twilio(wired: Wiring) -> Check:
    account, public_url = wired.settings.telephony.twilio, wired.settings.web.public_url
    token = account.auth_token.get_secret_value()
    if not account.account_sid and not token:
        return Check("twilio", "ok", "not configured")
    if not account.is_configured:
        missing = "auth_token" if account.account_sid else "account_sid"
        fix = f"set CALLWISE_TELEPHONY__TWILIO__{missing.upper()}"
        return Check("twilio", "wrong", f"telephony.twilio.{missing} is empty", fix)
    if not public_url:
        detail = "callbacks cannot be checked: Twilio signs the address that it calls, and web.public_url is empty"
        return Check("twilio", "wrong", detail, "set CALLWISE_WEB__PUBLIC_URL, such as https://calls.example.org")
    return Check("twilio", "ok", f"callbacks come to {public_url}/webhooks/twilio")


def _handover(wired: Wiring) -> Check:
    # Whether they would take calls, `callwise handover check` asks them: nothing leaves from here.
    if not wired.settings.handover.is_configured:
        return Check("handover", "ok", "not configured")
    names = ", ".join(wired.handovers.places)
    with wired.database.read() as connection:
        known = [one for one in destinations_document(connection) if one["name"] in wired.handovers.places]
    paused = [one["name"] for one in known if one["is_paused"]]
    if paused:
        why = next(one["last_detail"] or one["last_code"] for one in known if one["is_paused"])
        fix = f"mend it, then `callwise handover resume {paused[0]}`"
        return Check("handover", "wrong", f"paused after failures: {', '.join(paused)} ({why})", fix)
    failed = sum(one["calls"]["failed"] for one in known)
    if failed:
        return Check("handover", "note", f"{failed} calls were not taken", "see `callwise handover status`")
    if not wired.settings.web.public_url:
        detail = f"{names}; what is sent has no link to the call's page: web.public_url is empty"
        return Check("handover", "note", detail, "set CALLWISE_WEB__PUBLIC_URL, such as https://calls.example.org")
    return Check("handover", "ok", names)


def _reasons(wired: Wiring) -> Check:
    taxonomy = wired.taxonomy_from_file()
    of_file = f"{len(taxonomy.reasons)} reasons, version {taxonomy.version}"
    current = None
    # What is wrong with the database, its own check tells.
    with suppress(CallwiseError, SQLAlchemyError), wired.database.read() as connection:
        current = current_taxonomy(connection)
    if current is None or current.version == taxonomy.version:
        return Check("reasons", "ok", of_file)
    loaded = f"{len(current.reasons)} reasons, version {current.version}, loaded into the database"
    return Check("reasons", "ok", f"{loaded}; the reasons file has {of_file}")


def _speech(wired: Wiring) -> Check:
    choice = choose_speech(wired.settings)
    wired.speech.check()
    return _chosen("speech", choice, "CALLWISE_SPEECH__ENGINE=faster-whisper (extra `whisper`) or openai")


def _language(wired: Wiring) -> Check:
    choice = choose_language(wired.settings)
    wired.language.check()
    return _chosen("language", choice, "CALLWISE_LANGUAGE__ENGINE=openai with CALLWISE_LANGUAGE__API_KEY")


def _similar(wired: Wiring) -> Check:
    given = wired.settings.similar
    if not given.is_on:
        return Check("similar", "ok", "not used")
    from runtime.similar import embedder_by_api, kept_model

    embedder = embedder_by_api(wired.settings, lambda: wired.meters) if given.is_paid else kept_model(wired.objects)
    if embedder is None:
        return Check("similar", "note", "local: no model yet", "it is fitted once a few dozen calls have a summary")
    embedder.check()
    with wired.database.read() as connection:
        counts = vector_counts(connection)
        by = "pgvector" if is_ready(connection, dimension_of(connection, embedder.name)) else "one by one"
    others = sum(counts.values()) - counts.get(embedder.name, 0)
    detail = f"{embedder.name}: {counts.get(embedder.name, 0)} calls have a vector, compared {by}"
    if others:
        fix = "the workers replace them by and by; `callwise similar build` does so at once"
        return Check("similar", "note", f"{detail}; {others} have one of another model", fix)
    return Check("similar", "ok", detail)


def _redaction(wired: Wiring) -> Check:
    choose_redaction(wired.settings)
    presidio = " and Presidio's recognisers" if wired.settings.redaction.presidio else ""
    return Check("redaction", "ok", f"own rules{presidio}")


def _budgets(wired: Wiring) -> Check:
    now = datetime.now(UTC)
    with wired.database.read() as connection:
        days = [day for day in (wired.budgets.spent(connection, service, now) for service in SERVICES) if day]
        parked = sum(parked_counts(connection, now=now).values())
    if not days:
        return Check("budgets", "ok", "nothing is bounded")
    unpriced = [model for day in days for model in day.unpriced_models]
    if unpriced:
        detail = f"no price counts today for {', '.join(unpriced)}: a budget cannot be kept to, and work waits"
        return Check("budgets", "wrong", detail, f'add [prices."{unpriced[0]}"] to callwise.toml')
    detail = "; ".join(
        f"{day.service}: {day.spent_microusd / 1e6:.2f} of {day.budget.usd_per_day:g} dollars today" for day in days
    )
    if parked or any(day.room_microusd(Lane.LIVE) == 0 for day in days):
        fix = "raise the budget and start the workers anew; otherwise it goes on at the day's turn"
        return Check("budgets", "note", f"{detail}; {parked} calls wait (budget_spent)", fix)
    return Check("budgets", "ok", detail)


def _batches(wired: Wiring) -> Check:
    wanted, lane = wired.settings.language.batch, wired.batches
    with wired.database.read() as connection:
        counts = batch_counts(connection)
    if wanted and not lane.is_possible:
        detail = "language.batch is set, and no deployment of OpenAI or Azure is there to take batches"
        fix = "old recordings are asked about directly; set CALLWISE_LANGUAGE__ENGINE"
        return Check("batches", "note", detail, fix)
    if not wanted and not counts["under_way"]:
        return Check("batches", "ok", "not used")
    detail = (
        f"{counts['under_way']} under way, {counts['unanswered_questions']} questions unanswered,"
        f" {counts['unsent_questions']} unsent"
    )
    if counts["last_failed_code"]:
        detail = f"{detail}; the latest trouble: {counts['last_failed_code']}"
        return Check("batches", "note", detail, "it is tried again by itself; docs/costs.md says what the codes mean")
    return Check("batches", "ok", detail)


def _chosen(name: str, choice: Choice[object] | Choice, better: str) -> Check:  # type: ignore[type-arg]
    detail = f"{choice.name}: {choice.why}"
    return Check(name, "note", detail, f"for real use set {better}") if choice.is_demo else Check(name, "ok", detail)


def _processes(wired: Wiring) -> Check:
    with wired.database.read() as connection:
        alive = [row.kind for row in beats(connection, datetime.now(UTC) - ALIVE_FOR) if row.state == "running"]
    if not alive:
        return Check("processes", "note", "none is running", "start `callwise up`, or worker, listen, web and beat")
    return Check("processes", "ok", ", ".join(f"{kind} x{alive.count(kind)}" for kind in sorted(set(alive))))
