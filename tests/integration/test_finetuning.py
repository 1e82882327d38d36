"""Laws of fine-tuning: what is sent is redacted and what people left, a job is started once, its name is told."""

import json
from uuid import UUID, uuid5

import pytest
import typer
from typer.testing import CliRunner, Result

from calls.analysis import NextStep
from calls.answers import read_answer
from calls.checking import check_analysis
from calls.corrections import Changes
from calls.errors import EngineMisconfigured, TransientError
from calls.transcript import Speaker, Turn
from cli import finetune as commands
from crm.access import Role, Viewer
from crm.corrections import correct
from crm.reviews import correct_reason
from engines.finetuning import FineTuning
from engines.reason_trials import is_held_out
from tests.seeds import NOW, SAID, TAXONOMY, seed_call
from tests.servers.openai_answers import cuts, fails
from tests.servers.openai_finetuning import TuningDesk
from tests.servers.openai_server import API_KEY
from tests.web_client import Hall, make_hall

_NAMES = UUID("6b9c9d2a-0000-4000-8000-000000000002")
# Both reasons have words that speak for them.
SPOKEN = (*SAID[:2], (0, "customer", 7.0, 9.0, "And something has to be repaired at the door."))
CARD = "4111 1111 1111 1111"
EXAMPLES = b"".join(
    json.dumps({"messages": [{"role": role, "content": f"{n}"} for role in ("system", "user", "assistant")]}).encode()
    + b"\n"
    for n in range(12)
)


@pytest.fixture
def hall(tmp_path) -> Hall:
    return make_hall(tmp_path / "home")


@pytest.fixture
def desk(openai_server) -> TuningDesk:
    desk = TuningDesk()
    openai_server.reply_always(desk)
    return desk


@pytest.fixture
def api(openai_server, desk) -> FineTuning:
    return FineTuning("openai", api_key=API_KEY, base_url=openai_server.base_url)


def quoted(*fields: str) -> list[dict[str, object]]:
    """The customer's first words as what these fields rest on."""
    return [{"field": field, "turn": 1, "quote": "My dishwasher has not arrived"} for field in fields]


def seed_reviewed(hall: Hall, count: int, *, codes=("repair_booking", "delivery_status"), said=SPOKEN, **analysis):
    """Calls that a person reviewed, one code after the other: the engine had said `delivery_status` of all."""
    facts = {"evidence": quoted("reason", "summary", "outcome", "next_steps.0")} | analysis
    ids = []
    with hall.wiring.database.write() as connection:
        for number in range(count):
            call_id = seed_call(connection, id=uuid5(_NAMES, str(number)), said=said, analysis=facts)
            correct_reason(connection, call_id, codes[number % len(codes)], by="Ada", now=NOW)
            ids.append(call_id)
    return ids


def run(hall: Hall, openai_server, *arguments: str, answer: str = "") -> Result:
    app = typer.Typer()
    commands.register(app)
    home = str(hall.wiring.settings.home_path)
    env = {
        "COLUMNS": "160",
        "NO_COLOR": "1",
        "CALLWISE_LANGUAGE__ENGINE": "openai",
        "CALLWISE_LANGUAGE__API_KEY": API_KEY,
        "CALLWISE_LANGUAGE__BASE_URL": openai_server.base_url,
    }
    return CliRunner().invoke(app, ["finetune", *arguments, "--home", home], env=env, input=answer)


class TestFiles:
    def test_an_example_is_the_real_prompt_and_an_answer_that_passes_the_check(self, hall, openai_server, tmp_path):
        ids = seed_reviewed(hall, 12)
        ended = run(hall, openai_server, "export", "--out", str(tmp_path / "out"), "--json")
        assert ended.exit_code == 0, ended.output
        told = json.loads(ended.stdout)
        held_out = sum(is_held_out(one) for one in ids)
        assert (told["training_count"], told["validation_count"], told["left_out_count"]) == (
            12 - held_out,
            held_out,
            0,
        )
        lines = [
            json.loads(line)
            for name in ("training.jsonl", "validation.jsonl")
            for line in (tmp_path / "out" / name).read_text(encoding="utf-8").splitlines()
        ]
        found = set()
        for line in lines:
            system, user, assistant = (message["content"] for message in line["messages"])
            assert "Reasons, one a line:" in system
            turns = [
                Turn(turn["turn"], Speaker(turn["speaker"]), 0.0, 0.0, turn["text"])
                for turn in json.loads(user)["call"]["turns"]
            ]
            analysis = read_answer(assistant, TAXONOMY)
            checked = check_analysis(analysis, turns, TAXONOMY)
            assert checked.reason_code == analysis.reason_code
            assert not {(item.feature, item.code) for item in checked.skipped} & {("reason", "unsupported")}
            assert (
                checked.summary
                == "The customer's dishwasher was due on Monday and has not arrived. The agent looks it up."
            )
            found.add(checked.reason_code)
        assert found == {"delivery_status", "repair_booking"}

    def test_what_a_person_wrote_is_taught_with_the_turns_that_are_nearest_to_it(self, hall, openai_server, tmp_path):
        with hall.wiring.database.write() as connection:
            call_id = seed_call(connection, said=SPOKEN, analysis={"evidence": quoted("reason", "summary")})
            steps = (NextStep("Tell the customer why the dishwasher has not arrived", "agent"),)
            said = Changes(summary="Nobody knows where the dishwasher is.", next_steps=steps)
            correct(connection, Viewer("Ada", Role.REVIEWER), call_id, 2, said, now=NOW)
        told = json.loads(run(hall, openai_server, "export", "--out", str(tmp_path), "--json").stdout)
        assert (told["training_count"] + told["validation_count"], told["left_out_count"]) == (1, 0)
        [line] = [
            json.loads(line)
            for name in ("training.jsonl", "validation.jsonl")
            for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()
        ]
        analysis = read_answer(line["messages"][2]["content"], TAXONOMY)
        assert "Nobody knows where the dishwasher is." in analysis.summary
        assert [step.text for step in analysis.next_steps] == [steps[0].text]

    def test_nothing_unredacted_leaves_also_not_what_was_written_before(self, hall, openai_server, tmp_path):
        said = (SAID[0], (0, "customer", 3.0, 8.0, f"My dishwasher has not arrived and my card is {CARD}."))
        written = {"summary": f"The dishwasher has not arrived; card {CARD}.", "headline": f"Card {CARD}"}
        steps = [{"text": f"Charge {CARD}", "owner": "agent", "due_on": None}]
        ids = seed_reviewed(hall, 4, codes=["delivery_status"], said=said, next_steps=steps, subject=CARD, **written)
        ended = run(hall, openai_server, "export", "--out", str(tmp_path / "out"), "--json")
        told = json.loads(ended.stdout)
        assert told["training_count"] + told["validation_count"] == len(ids)
        sent = b"".join((tmp_path / "out" / f"{name}.jsonl").read_bytes() for name in ("training", "validation"))
        assert b"[CARD]" in sent
        assert b"4111" not in sent

    def test_demo_summaries_and_unreviewed_calls_teach_nothing(self, hall, openai_server, tmp_path):
        with hall.wiring.database.write() as connection:
            seed_call(connection)
        seed_reviewed(hall, 2, is_demo=True, summary_kind="excerpts")
        told = json.loads(run(hall, openai_server, "export", "--out", str(tmp_path), "--json").stdout)
        assert (told["training_count"], told["validation_count"]) == (0, 0)


class TestCommand:
    def test_a_job_is_started_once_and_its_models_name_is_told(self, hall, openai_server, desk):
        seed_reviewed(hall, 24)
        first = run(hall, openai_server, "start", "--suffix", "calls", "--yes", "--json")
        assert first.exit_code == 0, first.output
        job = json.loads(first.stdout)["job"]
        again = json.loads(run(hall, openai_server, "start", "--suffix", "calls", "--yes", "--json").stdout)
        assert again["job"]["id"] == job["id"]
        assert len(desk.jobs) == 1
        [stored] = desk.jobs.values()
        assert len(desk.examples(stored["training_file"])) == json.loads(first.stdout)["training_count"]
        assert len(desk.examples(stored["validation_file"])) == json.loads(first.stdout)["validation_count"]
        stored |= {"status": "succeeded", "fine_tuned_model": "ft:gpt-5.4-mini:org::1", "trained_tokens": 4321}
        told = json.loads(run(hall, openai_server, "status", "--json").stdout)
        assert told["jobs"] == [
            {
                "id": job["id"],
                "status": "succeeded",
                "base_model": "gpt-5.4-mini",
                "model": "ft:gpt-5.4-mini:org::1",
                "trained_tokens": 4321,
                "error_code": None,
            }
        ]
        assert "ft:gpt-5.4-mini:org::1" in run(hall, openai_server, "status", job["id"]).output

    def test_without_a_yes_nothing_is_sent(self, hall, openai_server, desk):
        seed_reviewed(hall, 24)
        assert run(hall, openai_server, "start", answer="n\n").exit_code == 1
        assert run(hall, openai_server, "start", "--dry-run", "--json").exit_code == 0
        assert desk.files == {}
        assert desk.jobs == {}

    def test_too_few_examples_are_told_before_anything_is_sent(self, hall, openai_server, desk):
        seed_reviewed(hall, 4)
        ended = run(hall, openai_server, "start", "--yes")
        assert ended.exit_code == 1
        assert "callwise call ID --reason CODE" in ended.stderr
        assert desk.files == {}

    def test_the_offline_engine_cannot_be_tuned(self, hall):
        app = typer.Typer()
        commands.register(app)
        home = str(hall.wiring.settings.home_path)
        ended = CliRunner().invoke(app, ["finetune", "status", "--home", home])
        assert ended.exit_code == 1
        assert "CALLWISE_LANGUAGE__ENGINE" in ended.stderr


class TestJob:
    def test_a_lost_answer_starts_no_second_job(self, api, desk):
        desk.fates.append(cuts())
        job = api.start("gpt-5.4-mini", EXAMPLES, EXAMPLES)
        assert list(desk.jobs) == [job.id]
        assert api.start("gpt-5.4-mini", EXAMPLES, EXAMPLES).id == job.id
        assert len(desk.files) == 2

    def test_files_of_a_refused_job_are_removed(self, api, desk):
        desk.refusals.append(fails(403, "no_permission"))
        with pytest.raises(EngineMisconfigured):
            api.start("gpt-5.4-mini", EXAMPLES, EXAMPLES)
        assert desk.files == {}

    def test_files_stay_where_nobody_can_say_whether_there_is_a_job(self, api, desk, openai_server):
        desk.fates.append(cuts())
        seen = []

        def lists_once(request):
            seen.append((request.method, request.operation))
            is_second_list = seen.count(("GET", "/fine_tuning/jobs")) == 2
            return fails(500, "server_error")(request) if is_second_list else desk(request)

        openai_server.reply_always(lists_once)
        with pytest.raises(TransientError):
            api.start("gpt-5.4-mini", EXAMPLES, b"")
        assert len(desk.files) == 1
        assert api.start("gpt-5.4-mini", EXAMPLES, b"").id == next(iter(desk.jobs))
        assert len(desk.files) == 1

    def test_a_failed_job_is_told_with_its_code_and_may_be_started_again(self, api, desk):
        job = api.start("gpt-5.4-mini", EXAMPLES, b"")
        desk.jobs[job.id] |= {"status": "failed", "error": {"code": "bad_file", "message": "secret", "param": None}}
        stands = api.look(job.id)
        assert (stands.status, stands.error_code, stands.is_over) == ("failed", "bad_file", True)
        assert api.start("gpt-5.4-mini", EXAMPLES, b"").id != job.id

    def test_another_base_model_is_another_job(self, api, desk):
        assert api.start("gpt-5.4-mini", EXAMPLES, b"").id != api.start("gpt-5.4-nano", EXAMPLES, b"").id
        assert [job.base_model for job in api.jobs()] == ["gpt-5.4-nano", "gpt-5.4-mini"]
