"""`eval reasons` and `eval summary`: known answers give the known figures, through real files."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from calls.analysis import Analysis, Evidence, SkippedFeature
from calls.errors import EngineMisconfigured, TransientError
from calls.money import Charge
from calls.reasons import Reason, Taxonomy
from calls.rouge import rouge_1, rouge_2, rouge_l
from calls.transcript import Speaker
from cli import evaluate
from cli.dialogue_data import as_code, read_dialogues, taxonomy_for
from cli.evaluation_data import BadData
from cli.language_evaluation import Bill, ask, judge_reasons, judge_summaries, lead

TAXONOMY = Taxonomy("t", (Reason("refund", "Refund", "Wants money back."), Reason("repair", "Repair", "Is broken.")))
TURNS = [
    {"speaker": "agent", "text": "Good morning, this is Ann."},
    {"speaker": "customer", "text": "My oven is broken and cold."},
    {"speaker": "agent", "text": "We will repair it on Monday."},
]


def data_in(folder: Path, *rows: dict[str, Any], name: str = "dialogues.jsonl") -> Path:
    lines = [json.dumps({"id": str(number), "turns": TURNS} | row) for number, row in enumerate(rows)]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


class Answering:
    """An engine with one answer for every call, or an error in its place."""

    name, prompt_version, is_demo = "test/answering", "1", False

    def __init__(self, *answers: Analysis | Exception) -> None:
        self._answers = list(answers)

    def analyse(self, conversation, taxonomy, pay):
        pay(Charge("test", "m", "analysis", input_tokens=100, cached_tokens=40, output_tokens=10, cost_microusd=7))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def check(self) -> None:
        """Nothing to check."""


def found(code: str | None, confidence: float = 0.9, summary: str = "", *, quote: str = "oven is broken", **more: Any):
    evidence = (Evidence("reason", 1, quote), Evidence("summary", 1, quote))
    return Analysis("", summary, code, confidence, evidence=evidence, **more)


def test_known_answers_give_the_known_accuracy_confusion_and_cost(tmp_path):
    dialogues = read_dialogues(
        data_in(tmp_path, *({"reason": code} for code in ("repair", "repair", "refund", "refund")))
    )
    engine = Answering(
        found("repair"),
        found("refund", 0.2, skipped=(SkippedFeature("reason", "unsure"),)),
        found("refund", 0.8),
        TransientError("gone", code="timed_out"),
    )
    bill = Bill()
    figures = judge_reasons(ask(dialogues, engine, TAXONOMY, bill), TAXONOMY)
    assert (figures["call_count"], figures["accuracy"]["value"]) == (4, 0.5)
    assert figures["sure"]["share"] == 0.5
    assert figures["sure"]["accuracy"]["value"] == 1.0
    assert {(row["truth"], row["found"]) for row in figures["confusion"]} == {("repair", "refund"), ("refund", None)}
    assert figures["failed"] == {"timed_out": 1}
    # Both repairs share a word with their call; of the refunds nobody says anything.
    assert figures["keyword_accuracy"]["value"] == 0.5
    assert bill.document() == {
        "request_count": 4,
        "input_tokens": 400,
        "cached_tokens": 160,
        "output_tokens": 40,
        "cost_microusd": 28,
    }


def test_an_engine_that_cannot_work_ends_the_run(tmp_path):
    dialogues = read_dialogues(data_in(tmp_path, {"reason": "repair"}))
    with pytest.raises(EngineMisconfigured):
        ask(dialogues, Answering(EngineMisconfigured("no key", code="missing_api_key")), TAXONOMY, Bill())


def test_summaries_are_compared_with_peoples_and_their_quotes_with_the_call(tmp_path):
    rows = ({"summary": ["the oven is broken", "a repair"]}, {"summary": "my oven is cold"}, {})
    dialogues = read_dialogues(data_in(tmp_path, *rows))
    engine = Answering(
        found("repair", summary="The oven is broken."),
        found("repair", summary="Nothing.", quote="never said by anybody"),
        found("repair", summary="A third one."),
    )
    figures = judge_summaries(ask(dialogues, engine, TAXONOMY, Bill()))
    assert (figures["call_count"], figures["with_reference_count"]) == (3, 2)
    assert figures["systems"]["engine"]["rouge_1"]["value"] == 0.5
    expected = [rouge_1(lead(one.turns), one.summaries) for one in dialogues[:2]]
    assert figures["systems"]["lead_3"]["rouge_1"]["value"] == round(sum(expected) / 2, 4)
    assert figures["over_lead_3"]["value"] == round(0.5 - sum(expected) / 2, 4)
    assert (figures["quotes"]["quote_count"], figures["quotes"]["found"]["value"]) == (3, round(2 / 3, 4))
    assert figures["quotes"]["supported"]["value"] == round(2 / 3, 4)


def test_rouge_is_that_of_the_paper():
    # Lin (2004): "police killed the gunman" against "police kill the gunman": 3 of 4 words, 1 of 3 pairs, 3 in order.
    reference = ["police killed the gunman"]
    assert rouge_1("police kill the gunman", reference) == 0.75
    assert rouge_2("police kill the gunman", reference) == pytest.approx(1 / 3)
    assert rouge_l("police kill the gunman", reference) == 0.75
    assert rouge_l("the gunman kill police", reference) == 0.5
    assert rouge_2("the gunman kill police", reference) == pytest.approx(1 / 3)
    assert rouge_1("gunman gunman gunman", reference) == pytest.approx(2 * (1 / 3) * (1 / 4) / (1 / 3 + 1 / 4))
    assert rouge_1("", reference) == rouge_1("police", []) == 0.0


class TestData:
    def test_segments_tasks_and_neighbouring_words_are_read_and_redacted(self, tmp_path):
        segments = [
            {"speaker": "caller", "start_ms": 2000, "text": "[noise]", "text_clean": ""},
            {"speaker": "caller", "start_ms": 3000, "text": "my card is 4111 1111 1111 1111"},
            {"speaker": "agent", "start_ms": 0, "text": "hello"},
            {"speaker": "caller", "start_ms": 4000, "text": "it was refused"},
        ]
        [one] = read_dialogues(
            data_in(tmp_path, {"turns": None, "segments": segments, "task": "Replace card"}, name="calls.jsonl")
        )
        assert [(turn.index, turn.speaker) for turn in one.turns] == [(0, Speaker.AGENT), (1, Speaker.CUSTOMER)]
        assert one.turns[1].text == "my card is [CARD] it was refused"
        assert one.reason_code == "replace_card"

    def test_summaries_may_lie_beside(self, tmp_path):
        data_in(tmp_path, {})
        (tmp_path / "summaries.jsonl").write_text('{"id": "0", "summary": "An oven."}\n', encoding="utf-8")
        assert read_dialogues(tmp_path)[0].summaries == ("An oven.",)

    @pytest.mark.parametrize(
        "line", ["{", '{"turns": []}', '{"id": 1, "turns": [{"text": "x"}]}', '{"id": 1, "summary": [1], "turns": []}']
    )
    def test_a_wrong_line_is_named(self, tmp_path, line):
        (tmp_path / "dialogues.jsonl").write_text(f"\n{line}\n", encoding="utf-8")
        with pytest.raises(BadData, match="line 2"):
            read_dialogues(tmp_path)

    def test_no_data_and_no_conversations_are_told(self, tmp_path):
        with pytest.raises(BadData, match=r"dialogues\.jsonl"):
            read_dialogues(tmp_path)
        with pytest.raises(BadData, match="no conversations"):
            read_dialogues(data_in(tmp_path, {"turns": []}))

    def test_the_taxonomy_is_the_files_then_the_folders_then_the_configured_then_names(self, tmp_path):
        assert taxonomy_for(["refund"], tmp_path, None, TAXONOMY) == (TAXONOMY, "the configured reasons")
        named, whence = taxonomy_for(["bank_balance", "other"], tmp_path, None, TAXONOMY)
        assert ([(one.code, one.label) for one in named.reasons], whence) == (
            [("bank_balance", "Bank balance")],
            "the names of the labels",
        )
        text = "reasons: [{code: refund, label: Refund, definition: Money back.}]"
        (tmp_path / "reasons.yaml").write_text(text, encoding="utf-8")
        assert taxonomy_for(["x"], tmp_path, None, TAXONOMY)[1] == str(tmp_path / "reasons.yaml")
        assert as_code("Check balance!") == "check_balance"


class TestCommands:
    def run(self, home: Path, *arguments: str) -> Result:
        app = typer.Typer()
        evaluate.register(app)
        return CliRunner().invoke(
            app, ["eval", *arguments, "--home", str(home), "--engine", "offline"], env={"NO_COLOR": "1"}
        )

    def rows(self, count: int) -> list[dict[str, Any]]:
        said = {"repair": "my oven is broken and must be repaired", "refund": "i want my money back for the kettle"}
        return [
            {"reason": code, "summary": text, "turns": [{"speaker": "customer", "text": f"hello there {text}"}]}
            for code, text in (list(said.items())[number % 2] for number in range(count))
        ]

    def test_reasons_untrained_and_from_labels(self, tmp_path):
        folder = data_in(tmp_path, *self.rows(100))
        ended = self.run(tmp_path, "reasons", str(folder), "--json")
        assert ended.exit_code == 0, ended.output
        told = json.loads(ended.stdout)
        assert (told["call_count"], told["label_count"], told["is_demo"]) == (100, 0, True)
        assert told["cost"]["request_count"] == 0
        taught = json.loads(self.run(tmp_path, "reasons", str(folder), "--labels", "50", "--json").stdout)
        assert (taught["call_count"], taught["label_count"]) == (50, 50)
        assert taught["accuracy"]["value"] == 1.0
        assert "macro-F1" in self.run(tmp_path, "reasons", str(folder), "--limit", "4").output

    def test_too_few_labels_and_no_labels_are_told(self, tmp_path):
        folder = data_in(tmp_path, *self.rows(10))
        ended = self.run(tmp_path, "reasons", str(folder), "--labels", "5")
        assert (ended.exit_code, "labels" in ended.stderr) == (1, True)
        bare = data_in(tmp_path, {})
        assert self.run(tmp_path, "reasons", str(bare)).exit_code == 1

    def test_summary_prints_every_system(self, tmp_path):
        folder = data_in(tmp_path, *self.rows(4))
        told = json.loads(self.run(tmp_path, "summary", str(folder), "--json").stdout)
        assert list(told["systems"]) == ["engine", "lead_3", "lexrank"]
        assert told["quotes"]["supported"]["value"] == 1.0
        assert "lead-3" in self.run(tmp_path, "summary", str(folder)).output
