"""Laws of `learn`: a classifier serves when it does better on calls that it never saw, and every worker finds it."""

import json
import random
from typing import Any
from uuid import UUID, uuid5

import pytest
import typer
from typer.testing import CliRunner, Result

from calls.money import Charge
from calls.reasons import Taxonomy
from calls.transcript import Speaker, Turn
from cli import learn as commands
from crm.labels import labels_by_models, labels_by_people
from crm.reviews import correct_reason
from crm.schema import upgrade
from engines.language import Conversation
from engines.objects_memory import MemoryStore
from engines.reason_trials import is_held_out
from engines.trained_reasons import LabelledCall, Said, train
from runtime.learned import LOOK_AGAIN_S, LearnedReasons, learned_key
from runtime.settings import Settings
from runtime.settings_models import LanguageSettings
from runtime.wiring import Wiring
from tests.seeds import NOW, TAXONOMY, seed_call
from tests.servers.openai_server import API_KEY
from tests.web_client import Hall, make_hall

# Words of the company's own, in which the taxonomy's do not occur.
_WORDS = {
    "repair_booking": ("the zorbomat blinks red", "my zorbomat hums at night", "it hums and leaks since easter"),
    "delivery_status": ("the slot was missed by you", "nobody rang the bell in may", "the slot passed and nobody rang"),
    "new_order": ("which quendel fits a small flat", "is the large quendel in stock", "a quendel in blue for us"),
}
_NAMES = UUID("6b9c9d2a-0000-4000-8000-000000000001")


@pytest.fixture
def hall(tmp_path) -> Hall:
    return make_hall(tmp_path / "home")


def seed_labelled(hall: Hall, count: int, *, wrong: float = 0.0, **analysis: Any) -> list[UUID]:
    """Calls that tell their reason in the company's words, labelled by a model that is wrong in a share of them."""
    drawn = random.Random(1)
    ids = []
    with hall.wiring.database.write() as connection:
        for number in range(count):
            code = list(_WORDS)[number % 3]
            said = [(0, "customer", 3.0 * i, 3.0 * i + 2, text) for i, text in enumerate(drawn.sample(_WORDS[code], 2))]
            label = drawn.choice(list(_WORDS)) if drawn.random() < wrong else code
            facts = {"reason_code": label, "reason_confidence": 0.95} | analysis
            ids.append(seed_call(connection, id=uuid5(_NAMES, str(number)), said=said, analysis=facts))
    return ids


def run(hall: Hall, *arguments: str) -> Result:
    app = typer.Typer()
    commands.register(app)
    app.command("other")(lambda: None)
    home = str(hall.wiring.settings.home_path)
    return CliRunner().invoke(app, ["learn", *arguments, "--home", home], env={"COLUMNS": "160", "NO_COLOR": "1"})


def in_use(hall: Hall):
    return LearnedReasons(lambda: hall.wiring.objects)(TAXONOMY)


def test_a_better_classifier_serves_and_says_how_much_better_it_is(hall):
    seed_labelled(hall, 120)
    ended = run(hall, "--json")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert told["is_in_use"]
    assert told["candidate"]["accuracy"]["value"] == 1.0 > told["serving"]["accuracy"]["value"]
    assert told["serving"]["version"] == "untrained"
    assert sum(told["taught"].values()) + sum(told["tried"].values()) == 120
    assert in_use(hall).version == told["version"]


def test_what_is_no_better_is_refused_and_the_old_one_goes_on(hall):
    seed_labelled(hall, 120)
    assert run(hall).exit_code == 0
    serving = in_use(hall).version
    ended = run(hall, "--json")
    assert ended.exit_code == 1
    assert "refused" in ended.stderr
    assert not json.loads(ended.stdout)["is_in_use"]
    assert in_use(hall).version == serving


def test_a_dry_run_keeps_nothing_and_forgetting_takes_it_out_of_use(hall):
    seed_labelled(hall, 120)
    assert run(hall, "--dry-run").exit_code == 0
    assert in_use(hall) is None
    assert run(hall).exit_code == 0
    assert in_use(hall) is not None
    assert run(hall, "--forget", "--dry-run").exit_code == 0
    assert in_use(hall) is not None
    assert run(hall, "--forget").exit_code == 0
    assert in_use(hall) is None


def test_too_few_labels_are_told_with_the_way_to_more(hall):
    seed_labelled(hall, 30)
    ended = run(hall)
    assert ended.exit_code == 1
    assert "callwise call ID --reason CODE" in ended.stderr


def test_demo_engines_unsure_models_and_failed_checks_teach_nothing(hall):
    marks = [{"feature": "reason", "code": "unsupported"}]
    seed_labelled(hall, 6, is_demo=True)
    with hall.wiring.database.write() as connection:
        seed_call(connection, analysis={"reason_confidence": 0.5})
        seed_call(connection, analysis={"reason_confidence": 0.95, "skipped": marks})
        sure = seed_call(connection, analysis={"reason_confidence": 0.95})
    with hall.wiring.database.read() as connection:
        labels = labels_by_models(connection, TAXONOMY, sure_from=0.9, limit=100)
        assert [(one.call_id, one.source) for one in labels] == [(sure, "model")]
        assert labels_by_models(connection, TAXONOMY, sure_from=0.9, limit=100, without=[sure]) == []


def test_peoples_word_is_a_label_and_outranks_the_models(hall):
    [call_id, *_] = seed_labelled(hall, 3)
    with hall.wiring.database.write() as connection:
        correct_reason(connection, call_id, "new_order", by="Ada", now=NOW)
    with hall.wiring.database.read() as connection:
        [label] = labels_by_people(connection)
        assert (label.call_id, label.reason_code, label.source) == (call_id, "new_order", "person")
        others = labels_by_models(connection, TAXONOMY, sure_from=0.9, limit=100, without=[call_id])
        assert call_id not in {one.call_id for one in others}


def test_where_people_reviewed_enough_their_word_is_what_both_are_tried_on(hall):
    ids = seed_labelled(hall, 240, wrong=0.3)
    tried = [(number, one) for number, one in enumerate(ids) if is_held_out(one)]
    with hall.wiring.database.write() as connection:
        for number, call_id in tried[:30]:
            correct_reason(connection, call_id, list(_WORDS)[number % 3], by="Ada", now=NOW)
    told = json.loads(run(hall, "--json", "--dry-run").stdout)
    assert told["tried"] == {"people": 30, "models": 0}
    # Labels of which three in ten are wrong still taught what people say.
    assert told["candidate"]["accuracy"]["value"] >= 0.9


def test_the_words_of_calls_are_redacted_before_they_teach(hall):
    seed_labelled(hall, 120)
    with hall.wiring.database.write() as connection:
        for number in range(8):
            said = [(0, "customer", 0.0, 9.0, "my zorbomat hums mail me at planted.token@example.com please it leaks")]
            facts = {"reason_code": "repair_booking", "reason_confidence": 0.95}
            seed_call(connection, id=uuid5(_NAMES, f"planted {number}"), said=said, analysis=facts)
    assert run(hall).exit_code == 0
    words = {word for side in in_use(hall)._taught.words for word in side}
    assert "zorbomat" in words
    assert not any("planted" in word or "token" in word for word in words)


class TestStore:
    CALLS = tuple(LabelledCall(Said("\n".join(_WORDS[code]), ""), code) for code in _WORDS for _ in range(15))

    def test_a_worker_takes_another_training_over_without_a_restart(self):
        store, now = MemoryStore("recordings"), [0.0]
        worker = LearnedReasons(lambda: store, clock=lambda: now[0])
        assert worker(TAXONOMY) is None
        model = train(self.CALLS, TAXONOMY)
        LearnedReasons(lambda: store).keep(model)
        assert worker(TAXONOMY) is None
        now[0] += LOOK_AGAIN_S
        assert worker(TAXONOMY).version == model.version
        assert worker(Taxonomy("other", TAXONOMY.reasons)) is None

    def test_what_cannot_be_read_serves_nobody_and_stops_nobody(self):
        store = MemoryStore("recordings")
        store.put(learned_key(TAXONOMY.version), b"no model")
        assert LearnedReasons(lambda: store)(TAXONOMY) is None

    def test_a_model_in_another_taxonomys_place_serves_nobody(self):
        store = MemoryStore("recordings")
        store.put(learned_key("other"), train(self.CALLS, TAXONOMY).to_bytes())
        assert LearnedReasons(lambda: store)(Taxonomy("other", TAXONOMY.reasons)) is None


class TestFirstTier:
    """With language.learned_first a paid model is asked about nothing that the classifier is sure of."""

    @pytest.fixture
    def wired(self, tmp_path, openai_server) -> Wiring:
        language = LanguageSettings(
            engine="openai", api_key=API_KEY, base_url=openai_server.base_url, learned_first=True, deployments=()
        )
        wired = Wiring(Settings(home=tmp_path, language=language))
        upgrade(wired.database)
        return wired

    def ask(self, wired: Wiring, *said: str):
        turns = [Turn(i, Speaker.CUSTOMER, 3.0 * i, 3.0 * i + 2, text) for i, text in enumerate(said)]
        charges: list[Charge] = []
        return wired.language.analyse(Conversation(turns), TAXONOMY, charges.append), charges

    def test_sure_calls_cost_nothing_and_the_others_go_on(self, wired, openai_server):
        sure = ("Hello there.", "The zorbomat blinks red and hums.", "My zorbomat leaks since easter.")
        before, charges = self.ask(wired, *sure)
        assert (before.answered_by.tier, before.answered_by.escalated_for) == (1, "not_trained")
        assert len(charges) == 1

        wired.learned.keep(train(TestStore.CALLS, TAXONOMY))
        analysis, charges = self.ask(wired, *sure)
        assert charges == []
        assert (analysis.reason_code, analysis.summary_kind) == ("repair_booking", "excerpts")
        assert (analysis.answered_by.tier, analysis.answered_by.is_demo) == (0, True)

        asked, charges = self.ask(wired, "Well you know, it is about what my mother in law said.")
        assert (asked.answered_by.tier, asked.answered_by.escalated_for) == (1, "unsure")
        assert len(charges) == 1
