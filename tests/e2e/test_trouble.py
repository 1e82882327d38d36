"""Wrong settings and missing servers: one line that names the fix, and nothing is lost."""

import json
import shutil
import subprocess
import sys

import pytest

from crm.database import Database
from crm.taxonomies import current_taxonomy
from tests.e2e.processes import callwise, callwise_json, environment
from tests.servers.process import free_port


def ended(*arguments, environment):
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr.strip()


def checks(asked, code):
    document = callwise_json("doctor", environment=asked, code=code)
    return {check["name"]: check for check in document["checks"]}


@pytest.fixture(scope="module")
def fresh_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("fresh") / "home"
    callwise("db", "upgrade", environment=environment(home))
    return home


@pytest.fixture
def home(fresh_home, tmp_path):
    return shutil.copytree(fresh_home, tmp_path / "home")


def test_a_wrong_setting_is_one_line_that_names_it_and_the_fix(home):
    code, said = ended("status", environment=environment(home, CALLWISE_WORK__LEASE_S="soon"))
    assert code == 1
    assert len(said.splitlines()) == 1
    assert "CALLWISE_WORK__LEASE_S" in said


def test_a_database_behind_the_code_stops_each_process_with_the_command_that_mends_it(tmp_path):
    asked = environment(tmp_path / "new home")
    (tmp_path / "new home").mkdir()
    for process in ("worker", "listen", "web", "beat", "status"):
        code, said = ended(process, environment=asked)
        assert code == 1, process
        assert "callwise db upgrade" in said.splitlines()[-1], process
    assert checks(asked, 1)["database"]["fix"] == "run `callwise db upgrade`"


def test_doctor_finds_nothing_wrong_with_a_fresh_embedded_home_but_says_that_its_engines_are_for_demos(home):
    found = checks(environment(home), 0)
    assert {check["status"] for check in found.values()} <= {"ok", "note"}
    assert found["speech"]["status"] == found["language"]["status"] == "note"


def test_doctor_names_a_broker_that_cannot_be_reached(home):
    asked = environment(
        home,
        CALLWISE_BROKER__URL=f"amqp://guest:secret-word@127.0.0.1:{free_port()}//",
        CALLWISE_LANGUAGE__ENGINE="offline",
    )
    broker = checks(asked, 1)["broker"]
    assert broker["status"] == "wrong"
    assert "CALLWISE_BROKER__URL" in broker["fix"]
    assert "secret-word" not in json.dumps(broker)


def test_doctor_names_a_profile_that_does_not_exist_and_a_setting_that_does_not_either(home):
    found = checks(environment(home, CALLWISE_TELEPHONY__PROFILES='["nope"]', CALLWISE_SPEACH__ENGINE="x"), 1)
    assert "telephony.profiles" in found["events"]["detail"]
    assert "CALLWISE_SPEACH__ENGINE" in found["settings"]["detail"]


def test_doctor_names_a_database_that_is_none_and_looks_at_everything_else(home, tmp_path):
    (tmp_path / "notes.db").write_text("no database, but a text of some length " * 10)
    found = checks(environment(home, CALLWISE_DATABASE__URL=f"sqlite:///{tmp_path / 'notes.db'}"), 1)
    assert "not a database" in found["database"]["detail"]
    assert found["objects"]["status"] == "ok"
    found = checks(environment(home, CALLWISE_DATABASE__URL="mysql://u@h/n"), 1)
    assert "mysql" in found["database"]["detail"]


def test_a_mistyped_date_is_wrong_usage(home):
    code, said = ended("calls", "--since", "soon", environment=environment(home))
    assert (code, len(said.splitlines())) == (2, 1)


def test_doctor_names_a_database_that_cannot_be_reached(home):
    asked = environment(home, CALLWISE_DATABASE__URL=f"postgresql://u:secret-word@127.0.0.1:{free_port()}/callwise")
    database = checks(asked, 1)["database"]
    assert database["status"] == "wrong"
    assert "secret-word" not in json.dumps(database)


def test_doctor_names_a_model_that_is_not_there(home):
    asked = environment(home, CALLWISE_SPEECH__ENGINE="faster-whisper", CALLWISE_SPEECH__MODEL="/nowhere/model")
    speech = checks(asked, 1)["speech"]
    assert speech["status"] == "wrong"


def test_doctor_names_a_key_that_the_server_refuses(home, openai_server):
    asked = environment(
        home,
        CALLWISE_LANGUAGE__ENGINE="openai",
        CALLWISE_LANGUAGE__BASE_URL=openai_server.base_url,
        CALLWISE_LANGUAGE__API_KEY="sk-wrong",
    )
    language = checks(asked, 1)["language"]
    assert language["status"] == "wrong"
    assert "CALLWISE_LANGUAGE__API_KEY" in language["detail"]
    assert "sk-wrong" not in json.dumps(language)


def test_no_traceback_without_debug_and_one_with_it(home):
    asked = environment(home, CALLWISE_SITE__REASONS_FILE="/nowhere/reasons.yaml")
    code, said = ended("work", "--until-idle", environment=asked)
    assert code == 1
    assert "Traceback" not in said
    assert "reasons_file" in said.lower()
    code, said = ended("--debug", "work", "--until-idle", environment=asked)
    assert "Traceback" in said


def test_db_upgrade_takes_a_changed_reasons_file_over(home, tmp_path):
    reasons = tmp_path / "reasons.yaml"
    reasons.write_text(
        "title: Pine Bank\nreasons:\n  - {code: card, label: Card, definition: About a card., examples: []}\n"
    )
    callwise("db", "upgrade", environment=environment(home, CALLWISE_SITE__REASONS_FILE=str(reasons)))
    database = Database(f"sqlite:///{home / 'callwise.db'}")
    with database.read() as connection:
        assert current_taxonomy(connection).title == "Pine Bank"
    database.dispose()
