"""Laws of the owner's reasons.yaml."""

from pathlib import Path

import pytest

from calls.errors import SettingsError
from calls.reasons import AnswerKind
from calls.taxonomy_file import parse_taxonomy

BUNDLED = Path(__file__).parents[2] / "runtime" / "taxonomies" / "service_centre.yaml"
SMALL = """
reasons:
  - code: returns
    label: Returns
    definition: Sends goods back.
    examples: [I want to return this]
  - code: late_returns
    label: Late returns
    definition: Sends goods back late.
    parent: returns
    sales: yes
questions:
  - code: is_angry
    text: Was the customer angry?
    kind: yes_no
"""


def test_a_small_file_becomes_a_taxonomy():
    taxonomy = parse_taxonomy(SMALL)
    assert [reason.code for reason in taxonomy.reasons] == ["returns", "late_returns"]
    assert taxonomy.reason("returns").examples == ("I want to return this",)
    assert taxonomy.reason("late_returns").parent_code == "returns"
    assert taxonomy.reason("late_returns").is_sales
    assert taxonomy.questions[0].kind is AnswerKind.YES_NO


def test_the_bundled_taxonomy_is_valid_and_complete():
    taxonomy = parse_taxonomy(BUNDLED.read_text(encoding="utf-8"))
    assert len(taxonomy.reasons) == 13
    assert {reason.code for reason in taxonomy.reasons if reason.is_sales} == {"new_order", "protection_plan"}
    assert all(4 <= len(reason.examples) <= 8 for reason in taxonomy.reasons)
    assert {question.kind for question in taxonomy.questions} == {
        AnswerKind.CHOICE,
        AnswerKind.YES_NO,
        AnswerKind.NUMBER,
    }


def test_the_files_own_version_is_kept_as_it_was_written():
    assert parse_taxonomy("version: 1.10\n" + SMALL).version == "1.10"
    assert parse_taxonomy("version: 2026-11-01\n" + SMALL).version == "2026-11-01"


def test_without_a_version_the_content_is_the_version():
    first = parse_taxonomy(SMALL).version
    assert parse_taxonomy("# only a comment more\n" + SMALL).version == first
    assert parse_taxonomy(SMALL.replace("Sends goods back.", "Sends something back.")).version != first


def test_yes_and_no_are_choices_like_any_other():
    text = SMALL + "  - {code: agreed, text: 'Agreed?', kind: choice, choices: [yes, no, 10]}\n"
    assert parse_taxonomy(text).questions[1].choices == ("yes", "no", "10")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("- a\n- b", "mapping"),
        ("reasons: [", "line 1"),
        ("reasons: []", "at least one"),
        ("reasons: [returns]", "entry 1"),
        (SMALL.replace("label: Returns", "lable: Returns"), "`label`"),
        (SMALL.replace("    label: Returns\n", ""), "line 3: reason `returns` has no `label`"),
        (SMALL.replace("code: returns", "code: Returns-2"), "snake_case"),
        (SMALL.replace("code: late_returns", "code: returns"), "line 7: reason `returns` is already on line 3"),
        (SMALL.replace("code: late_returns", "code: other"), "remove it"),
        (SMALL.replace("parent: returns", "parent: return"), "`return`"),
        (SMALL.replace("parent: returns", "parent: late_returns"), "ancestor"),
        (SMALL.replace("sales: yes", "sales: perhaps"), "true or false"),
        (SMALL.replace("kind: yes_no", "kind: boolean"), "yes_no"),
        (SMALL.replace("kind: yes_no", "kind: choice"), "choices"),
        (SMALL.replace("kind: yes_no", "kind: text\n    choices: [a, b]"), "kind: choice"),
        (SMALL.replace("label: Returns", "label: Returns\n    label: Again"), "twice"),
        (SMALL.replace("[I want to return this]", "I want to return this"), "list of texts"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_entry_and_the_fix(text, named):
    with pytest.raises(SettingsError) as caught:
        parse_taxonomy(text)
    assert named in caught.value.detail
    assert "line" in caught.value.detail
    assert "\n" not in caught.value.detail
