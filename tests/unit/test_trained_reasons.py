"""Laws of the trained classifier: it learns, it knows what it does not know, and a file of it runs nothing."""

import io
import json
import random
import zipfile

import numpy as np
import pytest

from calls.errors import UnusableAnswer
from calls.reason_scores import Judged, macro_f1, score, share
from calls.reasons import INSUFFICIENT, OTHER, Reason, Taxonomy
from calls.transcript import Speaker, Turn
from engines.array_file import UnreadableModel
from engines.language import Conversation
from engines.language_offline import UNSURE, LearnedLanguage, OfflineLanguage
from engines.offline_reasons import ReasonMatcher
from engines.reason_trials import judge, try_both
from engines.trained_reasons import MIN_LABELS, LabelledCall, Said, TrainedReasons, train

TAXONOMY = Taxonomy(
    "t-1",
    (
        Reason("repair", "Repair", "Something is broken."),
        Reason("invoice", "Invoice", "A question about a bill."),
        Reason("moving", "Moving", "The customer gets a new address."),
    ),
)
# What customers of this company say of each matter: none of the taxonomy's own words.
_WORDS = {
    "repair": (
        "the zorbomat blinks red",
        "my zorbomat hums at night",
        "the blinking does not stop",
        "it hums and leaks",
    ),
    "invoice": (
        "the amount in may was twice",
        "you took forty twice",
        "the may sum is too high",
        "a sum was taken twice",
    ),
    "moving": ("we leave the flat in june", "the flat is given up", "we go to the coast in june", "our flat changes"),
}
_FILLING = ("well you know", "hello there", "so as i said", "it is about this", "my mother in law said")


def made(count: int, seed: int = 0) -> list[LabelledCall]:
    """Calls whose words tell their reason, and some small talk that does not."""
    drawn = random.Random(seed)
    calls = []
    for number in range(count):
        code = list(_WORDS)[number % 3]
        customer = "\n".join([drawn.choice(_FILLING), *drawn.sample(_WORDS[code], 2), drawn.choice(_FILLING)])
        calls.append(LabelledCall(Said(customer, f"thank you for calling\n{drawn.choice(_FILLING)}"), code))
    return calls


@pytest.fixture(scope="module")
def trained() -> TrainedReasons:
    return train(made(90), TAXONOMY)


def right(classifier, calls) -> float:
    return sum(one.is_right for one in judge(classifier, calls)) / len(calls)


class TestTraining:
    def test_labels_teach_what_the_taxonomys_words_do_not_tell(self, trained):
        new = made(60, seed=1)
        assert right(ReasonMatcher(TAXONOMY), new) < 0.6
        assert right(trained, new) == 1.0
        assert try_both(trained, ReasonMatcher(TAXONOMY), new).is_better

    def test_labels_that_mean_nothing_are_no_better_than_what_serves(self):
        calls = made(120)
        mixed = random.Random(5).sample([one.reason_code for one in calls], len(calls))
        noise = [LabelledCall(one.said, code) for one, code in zip(calls, mixed, strict=True)]
        serving = train(made(90), TAXONOMY)
        assert not try_both(train(noise, TAXONOMY), serving, made(60, seed=1)).is_better

    def test_the_same_is_no_better(self, trained):
        assert not try_both(trained, trained, made(60, seed=1)).is_better

    def test_the_same_calls_teach_the_same(self, trained):
        assert train(made(90), TAXONOMY).to_bytes() == trained.to_bytes()
        assert train(made(91), TAXONOMY).version != trained.version

    def test_a_reason_without_a_label_is_known_by_its_own_words(self):
        calls = [one for one in made(120) if one.reason_code != "moving"]
        match = train(calls, TAXONOMY).match(["hello there i get a new address as i am moving"], [""])
        assert match.code == "moving"

    def test_labels_outside_the_taxonomy_and_too_few_are_refused(self):
        other = [LabelledCall(one.said, "gone") for one in made(200)]
        with pytest.raises(ValueError, match="labels"):
            train(other, TAXONOMY)
        with pytest.raises(ValueError, match=str(MIN_LABELS)):
            train(made(MIN_LABELS - 1), TAXONOMY)
        with pytest.raises(ValueError, match="two reasons"):
            train([one for one in made(180) if one.reason_code == "repair"], TAXONOMY)

    def test_two_reasons_are_enough_and_each_can_win(self):
        taxonomy = Taxonomy("t-2", TAXONOMY.reasons[:2])
        calls = [one for one in made(120) if one.reason_code != "moving"]
        model = train(calls, taxonomy)
        assert {one.found for one in judge(model, calls)} == {"repair", "invoice"}
        assert right(model, calls) == 1.0

    def test_general_codes_are_learned_like_any_other(self):
        calls = [*made(90), *(LabelledCall(Said("wrong number sorry\nwrong number", ""), OTHER) for _ in range(20))]
        assert train(calls, TAXONOMY).match(["oh sorry this is a wrong number"], [""]).code == OTHER


class TestConfidence:
    def test_a_guess_is_called_unsure_and_a_clear_call_is_not(self, trained):
        clear = trained.match(list(made(1)[0].said.customer.split("\n")), ["thank you for calling"])
        vague = trained.match(["well you know it is about this as i said"], ["thank you for calling"])
        assert not clear.is_unsure
        assert vague.is_unsure
        assert clear.confidence > vague.confidence

    def test_confidence_is_the_share_of_right_answers_as_far_as_it_was_tried(self):
        calls = made(300)
        drawn = random.Random(2)
        wrong = [LabelledCall(one.said, drawn.choice(list(_WORDS))) if drawn.random() < 0.4 else one for one in calls]
        tried = [
            LabelledCall(one.said, drawn.choice(list(_WORDS))) if drawn.random() < 0.4 else one
            for one in made(300, seed=3)
        ]
        judged = judge(train(wrong, TAXONOMY), tried)
        stated = sum(one.confidence for one in judged) / len(judged)
        assert abs(stated - sum(one.is_right for one in judged) / len(judged)) < 0.1

    def test_unknown_words_are_other_and_unsure_and_few_are_insufficient(self, trained):
        nothing = trained.match(["xylophone quartz jumping vortex basilisk"], [""])
        assert (nothing.code, nothing.is_unsure) == (OTHER, True)
        assert trained.match(["hello"], ["zorbomat"]).code == INSUFFICIENT

    def test_numbers_of_a_call_are_not_learned(self):
        calls = [
            LabelledCall(Said(f"{one.said.customer}\nmy number is 4711x", ""), one.reason_code) for one in made(90)
        ]
        with zipfile.ZipFile(io.BytesIO(train(calls, TAXONOMY).to_bytes())) as parts:
            assert b"4711" not in b"".join(parts.read(name) for name in parts.namelist())


class TestFile:
    def test_a_file_gives_the_same_answers(self, trained):
        read = TrainedReasons.from_bytes(trained.to_bytes())
        assert (read.version, read.taxonomy_version, read.label_count) == (trained.version, "t-1", 90)
        assert judge(read, made(60, seed=4)) == judge(trained, made(60, seed=4))

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"{}", b"\x80\x04N."])
    def test_what_is_no_model_is_refused(self, content):
        with pytest.raises(UnreadableModel):
            TrainedReasons.from_bytes(content)

    def test_a_pickle_in_a_models_clothes_is_not_run(self, trained):
        arrays = dict(np.load(io.BytesIO(trained.to_bytes())))
        arrays["weights"] = np.array([{"a": "pickle"}], dtype=object)
        file = io.BytesIO()
        np.savez(file, **arrays)
        with pytest.raises(UnreadableModel):
            TrainedReasons.from_bytes(file.getvalue())

    @pytest.mark.parametrize("part", ["weights", "offsets", "customer_idf", "agent_idf"])
    def test_parts_that_do_not_fit_are_refused(self, trained, part):
        arrays = dict(np.load(io.BytesIO(trained.to_bytes())))
        arrays[part] = arrays[part][:-1]
        file = io.BytesIO()
        np.savez(file, **arrays)
        with pytest.raises(UnreadableModel):
            TrainedReasons.from_bytes(file.getvalue())

    def test_another_format_is_refused(self, trained):
        arrays = dict(np.load(io.BytesIO(trained.to_bytes())))
        about = json.loads(arrays["about"].tobytes()) | {"format": 99}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        file = io.BytesIO()
        np.savez(file, **arrays)
        with pytest.raises(UnreadableModel):
            TrainedReasons.from_bytes(file.getvalue())


class TestEngine:
    def conversation(self, *said: str) -> Conversation:
        return Conversation([Turn(i, Speaker.CUSTOMER, 3.0 * i, 3.0 * i + 2, text) for i, text in enumerate(said)])

    def test_the_offline_engine_asks_it_and_says_so_and_quotes_what_spoke_for_the_reason(self, trained):
        call = self.conversation("Hello there.", "My zorbomat hums at night.", "It blinks red, too.")
        analysis = OfflineLanguage(lambda _: trained).analyse(call, TAXONOMY, lambda _: None)
        assert analysis.reason_code == "repair"
        assert analysis.answered_by is not None
        assert (analysis.answered_by.prompt_version, analysis.answered_by.is_demo) == (
            f"labels-{trained.version}",
            True,
        )
        assert next(item.turn for item in analysis.evidence if item.field == "reason") in {1, 2}
        untrained = OfflineLanguage(lambda _: None).analyse(call, TAXONOMY, lambda _: None)
        assert untrained.answered_by is None
        assert untrained.reason_code != "repair"

    def test_as_a_first_tier_it_leaves_what_it_is_unsure_of_to_the_next(self, trained):
        engine = LearnedLanguage(lambda _: trained)
        sure = self.conversation("Hello there.", "My zorbomat hums at night.", "It blinks red, the zorbomat.")
        assert engine.analyse(sure, TAXONOMY, lambda _: None).reason_code == "repair"
        with pytest.raises(UnusableAnswer) as unsure:
            engine.analyse(self.conversation("Well you know, it is about this, as I said."), TAXONOMY, lambda _: None)
        assert unsure.value.code == UNSURE
        with pytest.raises(UnusableAnswer) as missing:
            LearnedLanguage(lambda _: None).analyse(sure, TAXONOMY, lambda _: None)
        assert missing.value.code == "not_trained"


class TestScores:
    JUDGED = (
        Judged("a", "a", 0.9),
        Judged("a", "b", 0.2, is_unsure=True),
        Judged("b", "b", 0.8),
        Judged("b", None, 0.0, is_unsure=True),
    )

    def test_known_answers_give_the_known_figures(self):
        found = score(self.JUDGED)
        # a: precision 1, recall 1/2; b: precision 1/2, recall 1/2.
        assert found["accuracy"]["value"] == 0.5
        assert found["macro_f1"]["value"] == round((2 / 3 + 1 / 2) / 2, 4)
        assert found["surest_half"]["value"] == 1.0
        assert found["sure"] == {"share": 0.5, "accuracy": share(2, 2)}
        assert {(row["truth"], row["found"], row["calls"]) for row in found["confusion"]} == {
            ("a", "b", 1),
            ("b", None, 1),
        }
        assert found["coverage"][-1] == {"share": 1.0, "confidence": 0.0, "accuracy": 0.5}

    def test_intervals_hold_the_value_and_nothing_counted_says_nothing(self):
        found = score(self.JUDGED)
        assert found["accuracy"]["low"] < 0.5 < found["accuracy"]["high"]
        assert found["macro_f1"]["low"] <= found["macro_f1"]["value"] <= found["macro_f1"]["high"]
        assert score([])["accuracy"] == {"value": 0.0, "low": 0.0, "high": 1.0}
        assert macro_f1([]) == 0.0
