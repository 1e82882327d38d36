"""Laws of the pages: what a person finds on them, and that text from a call is only ever text."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy as sa

from analytics.rollup import refresh
from calls.money import Charge
from crm.jobs import first_job
from crm.money import note_charge
from crm.status import beat
from crm.tables import call, job, unreadable_event, utterance
from tests.seeds import NOW, seed_call, seed_failed_call
from tests.web_client import Hall, make_hall
from tests.xss import XSS

# Whatever does not begin with a path, a query or a fragment of this site.
EXTERNAL = re.compile(r'(?:src|href|action|srcset|poster)="(?!/(?!/)|#|\?)[^"]*"')


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    made = make_hall(tmp_path)
    made.sign_in()
    return made


class _Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def shown(page: str) -> str:
    """The page's words, with blanks evened out."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_list_shows_calls_newest_first_with_what_they_were_about(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection, happened_at=NOW - timedelta(days=1), analysis={"headline": "The older one"})
        seed_call(connection, happened_at=NOW, analysis={"headline": "The newer one"})
    page = hall.client.get("/calls").text
    assert page.index("The newer one") < page.index("The older one")
    assert "Delivery status" in shown(page)
    assert "Follow-up agreed" in shown(page)


def test_the_next_page_keeps_the_filters(hall):
    with hall.wiring.database.write() as connection:
        for n in range(52):
            seed_call(connection, happened_at=NOW - timedelta(minutes=n), said=None)
    page = hall.client.get("/calls?agent=Andrew+K").text
    found = re.search(r'rel="next" href="([^"]+)"', page)
    assert found is not None
    address = found[1].replace("&amp;", "&")
    assert "agent=Andrew+K" in address
    assert hall.client.get(address).text.count('class="headline"') == 2


def test_a_filter_that_the_list_does_not_offer_is_not_lost_with_the_next_one(hall):
    page = hall.client.get("/calls?reason=gone&agent=ann+who&outcome=resolved").text
    assert '<option value="gone" selected>gone</option>' in page
    assert '<option value="ann who" selected>ann who</option>' in page
    assert page.count('<option value="resolved"') == 1


def test_filters_stay_filled_in_and_an_empty_result_says_so(hall):
    page = hall.client.get("/calls?text=%22quoted%22&stage=failed&since=2026-03-01").text
    assert 'value="&#34;quoted&#34;"' in page
    assert '<option value="failed" selected>' in page
    assert "No call fits these filters" in page


@pytest.mark.parametrize("query", ["stage=nowhere", "since=yesterday", "after=nonsense"])
def test_a_filter_that_cannot_be_read_is_a_page_that_says_so(hall, query):
    answer = hall.client.get(f"/calls?{query}")
    assert answer.status_code == 400
    assert "That cannot be read" in answer.text


def test_a_call_shows_its_point_its_reason_and_the_turns_it_rests_on(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
        note_charge(connection, call_id, Charge("openai", "m", "understand", cost_microusd=1500), now=NOW)
    page = hall.client.get(f"/calls/{call_id}").text
    words = shown(page)
    assert "Dishwasher has not arrived" in words
    assert "87% sure" in words
    assert "Call the customer back" in words
    assert 'href="#turn-1"' in page
    assert 'id="turn-1"' in page
    assert 'href="?t=3.1#turn-1"' in page
    assert "$0.0015" in words
    assert f'src="/api/v1/calls/{call_id}/audio"' in page


def test_each_part_of_the_analysis_leads_to_what_it_rests_on(hall):
    evidence = [
        {"field": "reason", "turn": 1, "quote": "has not arrived"},
        {"field": "summary", "turn": 2, "quote": "look that up"},
        {"field": "summary", "turn": 2, "quote": "for you"},
        {"field": "outcome", "turn": 99, "quote": "nobody said this"},
    ]
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, analysis={"evidence": evidence})
    page = hall.client.get(f"/calls/{call_id}").text
    assert page.count("<blockquote>") == 1
    assert "Heard at 0:07 (summary)" in shown(page)
    assert "nobody said this" not in page


def test_what_of_an_analysis_is_missing_or_doubtful_is_said_in_plain_words(hall):
    skipped = [{"feature": feature, "code": "unsupported"} for feature in ("summary", "next_steps")]
    skipped += [{"feature": "second_opinion", "code": "a_new_code"}]
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, analysis={"skipped": skipped})
    page = shown(hall.client.get(f"/calls/{call_id}").text)
    assert "Summary, next steps: no words of the call bear it out." in page
    assert "Second opinion: a new code." in page
    assert "gives orders" not in page


def test_orders_to_the_program_that_reads_a_call_are_told_with_their_turn(hall):
    marks = [{"feature": "reason", "code": "suspicious_instruction"}]
    order = [{"field": "addressed_to_model", "turn": 1, "quote": "has not arrived"}]
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, analysis={"skipped": marks, "evidence": order, "reason_confidence": None})
    page = shown(hall.client.get(f"/calls/{call_id}").text)
    assert "gives orders to the program that reads it, at 0:03" in page


def test_excerpts_are_not_called_a_summary(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, analysis={"summary_kind": "excerpts", "is_demo": True})
    page = hall.client.get(f"/calls/{call_id}").text
    assert "<h2>Verbatim excerpts</h2>" in page
    assert "<h2>Summary</h2>" not in page
    assert "Demo engine" in page


def test_what_limits_a_call_is_said_in_plain_words(hall):
    with hall.wiring.database.write() as connection:
        cut = seed_call(
            connection, transcript={"skipped": [{"feature": "recording", "code": "truncated"}]}, profile=None
        )
        sample = seed_call(connection, is_sample=True, said=None)
        skipped = seed_call(connection, stage="skipped", skip_reason="voicemail", with_analysis=False)
        mono = seed_call(connection, transcript={"talk_time_agent_s": None, "talk_time_customer_s": None})
    assert "breaks off before it should" in hall.client.get(f"/calls/{cut}").text
    assert "No telephony profile could read" in hall.client.get(f"/calls/{cut}").text
    assert "generated sample history" in hall.client.get(f"/calls/{sample}").text
    assert "<audio" not in hall.client.get(f"/calls/{sample}").text
    assert "it is a voicemail" in hall.client.get(f"/calls/{skipped}").text
    assert "speakers cannot be told apart" in hall.client.get(f"/calls/{mono}").text


def test_a_call_on_its_way_says_what_it_waits_for(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, stage="received", said=None, with_analysis=False)
        waiting = first_job(call_id, NOW) | {"attempt_count": 2, "last_code": "rate_limited"}
        connection.execute(sa.insert(job).values(**waiting))
    assert "rate limit was reached" in shown(hall.client.get(f"/calls/{call_id}").text)


def test_retrying_a_failed_call_puts_it_back_to_work(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_failed_call(connection)
    assert "Try again" in hall.client.get(f"/calls/{call_id}").text
    answer = hall.post(f"/calls/{call_id}/retry")
    assert answer.headers["location"] == f"/calls/{call_id}"
    with hall.wiring.database.read() as connection:
        assert connection.execute(sa.select(call.c.stage).where(call.c.id == call_id)).scalar_one() == "received"
        assert (
            connection.execute(sa.select(job.c.step).where(job.c.call_id == call_id)).scalar_one() == "call.transcribe"
        )


def test_operations_retries_one_cause_and_leaves_the_others(hall):
    with hall.wiring.database.write() as connection:
        seed_failed_call(connection)
        other = seed_failed_call(connection, failed_code="object_gone")
    answer = hall.post("/operations/retry", code="not_audio")
    assert answer.headers["location"] == "/operations?retried=1"
    assert "1 call gets another attempt" in shown(hall.client.get(answer.headers["location"]).text)
    with hall.wiring.database.read() as connection:
        assert connection.execute(sa.select(call.c.stage).where(call.c.id == other)).scalar_one() == "failed"


def test_operations_shows_what_failed_what_waits_who_is_alive_and_the_cost_of_today(hall):
    with hall.wiring.database.write() as connection:
        seed_failed_call(connection)
        waits = seed_call(connection, stage="received", said=None, with_analysis=False)
        connection.execute(sa.insert(job).values(**first_job(waits, NOW) | {"last_code": "store_unreachable"}))
        beat(connection, "worker@here:1", "worker", now=NOW)
        beat(connection, "listen@here:2", "listen", now=NOW - timedelta(hours=2))
        note_charge(connection, waits, Charge("openai", "m", "x", cost_microusd=2_500_000), now=NOW)
        note_charge(connection, waits, Charge("openai", "m", "x", cost_microusd=9_000_000), now=NOW - timedelta(days=1))
    words = shown(hall.client.get("/operations").text)
    for expected in (
        "The file is no audio recording",
        "The object store could not be reached",
        "worker@here:1 running",
        "listen@here:2 silent",
        "$2.50 for 1 request",
        "$11.50 for 2 requests",
        f"Folder {hall.wiring.settings.objects_folder}",
    ):
        assert expected in words
    # A folder has no queue.
    assert "callwise-events" not in words


def test_trends_say_when_there_is_nothing_yet(hall):
    assert "Nothing to show for this time" in hall.client.get("/trends").text


def test_trends_say_what_their_figures_leave_out(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection, acw_time_s=30.0)
        seed_call(connection, acw_time_s=None)
        seed_failed_call(connection)
    refresh(hall.wiring.database, "UTC", NOW)
    page = hall.client.get("/trends").text
    assert "Of 1 of 2 calls telephony did not tell the after-call work" in page
    without_reason = re.search(r"<tr><td>(?:<a [^>]*>)?No reason(?:</a>)?</td>(.*?)</tr>", page)
    assert without_reason is not None
    assert "0%" not in without_reason[1]
    assert "skipped or have failed, too: of the 2 that were handled, 0 have no reason" in page


def test_generated_history_does_not_claim_a_recording_in_which_nobody_speaks(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, is_sample=True, said=[])
    page = hall.client.get(f"/calls/{call_id}").text
    assert "generated sample history" in page
    assert "Nobody speaks" not in page
    assert "reason=delivery_status&amp;samples=1" in page


def test_an_unknown_call_is_a_page_that_says_so(hall):
    answer = hall.client.get("/calls/7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1")
    assert answer.status_code == 404
    assert "Not found" in answer.text
    no_id = hall.client.get("/calls/7b0f1d0e")
    assert (no_id.status_code, "There is no such page." in no_id.text) == (404, True)


@pytest.mark.parametrize("hostile", XSS)
def test_text_from_a_call_is_only_ever_text(hall, hostile):
    with hall.wiring.database.write() as connection:
        analysis = {
            "headline": hostile,
            "summary": hostile,
            "next_steps": [{"text": hostile, "owner": hostile, "due_on": hostile}],
            "evidence": [{"field": hostile, "turn": 0, "quote": hostile}],
            "answers": {hostile: hostile},
            "model": hostile,
        }
        call_id = seed_call(
            connection,
            analysis=analysis,
            said=[(0, "customer", 0.0, 1.0, hostile)],
            agent=hostile,
            queue=hostile,
            customer_name=hostile,
            from_number_e164=hostile,
            external_call_id=hostile,
            recording={"object_key": hostile, "codec": hostile},
        )
        seed_failed_call(connection, failed_detail=hostile, failed_code=hostile, external_call_id=hostile + "2")
        event = {"received_at": NOW, "source": hostile, "code": hostile, "body": hostile}
        connection.execute(sa.insert(unreadable_event).values(id=call_id, **event))
    for path in ("/calls", f"/calls/{call_id}", "/operations", "/trends"):
        page = hall.client.get(path, params={"text": "", "agent": ""} if path == "/calls" else None).text
        tags = _Tags(page)
        assert not tags.tags & {"iframe", "object", "embed", "base", "style", "math"}, path
        assert not {name for name in tags.attributes if name.startswith("on") or name == "style"}, path
        assert not EXTERNAL.findall(page), path
        assert "<script>" not in page.replace('<script type="application/json"', ""), path


@pytest.mark.parametrize("hostile", XSS)
def test_words_in_the_address_are_only_ever_text(hall, hostile):
    for name in ("text", "customer", "agent", "reason"):
        page = hall.client.get("/calls", params={name: hostile[:200]}).text
        assert not {a for a in _Tags(page).attributes if a.startswith("on")}
        assert not EXTERNAL.findall(page)


def test_no_page_refers_to_another_site(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
    others = ("/customers", "/review", "/reasons", "/upload", "/search?text=dishwasher", "/users", "/audit")
    for path in ("/calls", f"/calls/{call_id}", "/operations", "/trends", "/login", *others):
        assert not EXTERNAL.findall(hall.client.get(path).text), path


def test_times_are_shown_in_the_sites_zone(tmp_path):
    hall = make_hall(tmp_path, zone="Asia/Tokyo")
    hall.sign_in()
    with hall.wiring.database.write() as connection:
        seed_call(connection)
    page = hall.client.get("/calls").text
    assert "20 Mar 2026, 21:00" in page
    assert "Asia/Tokyo" in page


def by_channel(**more):
    return {"agent_channel": 1, "word_agent_count": 18, "word_customer_count": 12, "conversation_s": 13.7} | more


def test_who_is_who_is_corrected_by_a_button_and_pressed_twice_it_is_said_once(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, transcript=by_channel())
    assert "Swap agent and customer" in hall.client.get(f"/calls/{call_id}").text
    for revision, said in (("2", "corrected"), ("3", "same")):
        answer = hall.post(f"/calls/{call_id}/corrections", agent_channel="0", revision=revision)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/calls/{call_id}?said={said}")
    page = shown(hall.client.get(f"/calls/{call_id}").text)
    assert "Customer Thank you for calling, how can I help?" in page
    assert "Transcribed, waiting for its summary" in page
    document = hall.client.get(f"/api/v1/calls/{call_id}").json()
    assert (document["transcript"]["revision"], document["transcript"]["agent_channel"]) == (2, 0)


def test_a_button_pressed_on_another_site_swaps_nobody(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, transcript=by_channel())
    path = f"/calls/{call_id}/corrections"
    stolen = {"agent_channel": "0", "revision": "2", "form_token": "stolen"}
    assert hall.client.post(path, data=stolen).status_code == 403
    assert hall.post(path, agent_channel="2", revision="2").status_code == 400
    assert hall.client.get(f"/api/v1/calls/{call_id}").json()["transcript"]["revision"] == 1


def test_speakers_without_channels_have_no_button_and_say_why(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
    assert "Swap agent and customer" not in hall.client.get(f"/calls/{call_id}").text
    answer = hall.post(f"/calls/{call_id}/corrections", agent_channel="0", revision="2")
    assert (answer.status_code, "not told apart by channel" in answer.text) == (400, True)


def test_a_call_whose_speakers_may_be_swapped_says_so(hall):
    with hall.wiring.database.write() as connection:
        doubt = [{"feature": "channels", "code": "maybe_swapped"}]
        doubted = seed_call(connection, transcript=by_channel(skipped=doubt))
        clear = seed_call(connection, transcript=by_channel())
    words = "Agent and customer may be swapped"
    assert words in hall.client.get(f"/calls/{doubted}").text
    assert words not in hall.client.get(f"/calls/{clear}").text


def test_the_page_says_who_interrupts_who_goes_on_and_how_fast(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(
            connection,
            transcript=by_channel(
                interruption_count=3,
                interruption_agent_count=1,
                interruption_customer_count=2,
                interruption_time_agent_s=1.5,
                interruption_time_customer_s=62.0,
                longest_monologue_agent_s=75.0,
                longest_monologue_customer_s=9.0,
            ),
        )
    page = shown(hall.client.get(f"/calls/{call_id}").text)
    for words in (
        "Interruptions 3 (agent 1, 0:01; customer 2, 1:02)",
        "Longest monologue agent 1:15, customer 0:09",
        "Words per minute agent 225, customer 160",
        "(52% of the talk)",
    ):
        assert words in page, page


def test_words_that_the_engine_is_unsure_of_are_marked_and_kept(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, said=[(0, "customer", 0.0, 2.0, "My name is <Quill> Quill")])
        sure = [["My", 0.0, 0.4, 0.9], ["name", 0.4, 0.8, 0.5], ["is", 0.8, 1.0, 0.8]]
        words = [*sure, ["<Quill>", 1.0, 1.5, 0.49], ["Quill", 1.5, 2.0, 0.9]]
        connection.execute(sa.update(utterance).values(words=words))
    page = hall.client.get(f"/calls/{call_id}").text
    assert re.search(r'My name is <span class="unsure"[^>]*>&lt;Quill&gt;</span> Quill', page)


def test_a_translation_is_shown_below_what_was_said(hall):
    translated = [[1, 0.0, 2.0, "Good day"], [0, 3.1, 5.0, "Where is my parcel?"]]
    with hall.wiring.database.write() as connection:
        with_one = seed_call(connection, transcript={"translation": translated})
        without = seed_call(connection)
    words = shown(hall.client.get(f"/calls/{with_one}").text)
    assert "The same in English" in words
    assert "Where is my parcel?" in words
    assert "The same in English" not in hall.client.get(f"/calls/{without}").text
