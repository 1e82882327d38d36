"""Laws of the owner's reasons.yaml."""

from pathlib import Path

import pytest

from calls.errors import SettingsError
from calls.reasons import AnswerKind, Reason, Taxonomy, successors
from calls.taxonomy_file import parse_taxonomy
from calls.taxonomy_text import write_taxonomy

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
        ("reasons: " + "[" * 2000, "too deeply"),
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


def test_a_reason_may_replace_codes_of_earlier_versions():
    given = SMALL.replace(
        "definition: Sends goods back.", "definition: Sends goods back.\n    replaces: [send_back, rma]"
    )
    taxonomy = parse_taxonomy(given)
    assert taxonomy.reason("returns").replaces == ("send_back", "rma")
    # It is content like any other, and a file without it keeps the version that it had before there was such a key.
    assert taxonomy.version != parse_taxonomy(SMALL).version == "a96dae7599"


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        ("[late_returns]", "line 3: .*`late_returns`, which is still a reason .line 8.: remove one"),
        ("[other]", "`other`, which is always there"),
        ("[Send back]", "`Send back`, which is no code"),
        ("send_back", "`replaces` is no list"),
    ],
)
def test_what_cannot_be_replaced_is_told(replaced, told):
    given = SMALL.replace("definition: Sends goods back.", f"definition: Sends goods back.\n    replaces: {replaced}")
    with pytest.raises(SettingsError, match=told):
        parse_taxonomy(given)


def test_no_reason_is_called_as_calls_without_one_are():
    with pytest.raises(SettingsError, match="`unknown` is what calls without a reason have in trends: choose another"):
        parse_taxonomy(SMALL.replace("code: returns", "code: unknown"))
    # Where a version of before had it, its calls go on under the other one.
    assert parse_taxonomy(SMALL.replace("label: Returns", "label: Returns\n    replaces: [unknown]"))


def test_two_reasons_cannot_replace_one():
    both = SMALL.replace("definition: Sends", "replaces: [old]\n    definition: Sends")
    with pytest.raises(SettingsError, match=r"`old`, which `returns` replaces already: keep one.*reclassify"):
        parse_taxonomy(both)


@pytest.mark.parametrize("path", sorted(BUNDLED.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_ready_taxonomies_can_be_used_as_they_are(path):
    taxonomy = parse_taxonomy(path.read_text(encoding="utf-8"))
    assert taxonomy.title
    assert 10 <= len(taxonomy.reasons) <= 20
    # The offline engine needs as many sentences as customers say them.
    assert all(len(reason.examples) >= 5 for reason in taxonomy.reasons)
    sentences = [example.lower() for reason in taxonomy.reasons for example in reason.examples]
    assert len(set(sentences)) == len(sentences)
    assert len({reason.label for reason in taxonomy.reasons}) == len(taxonomy.reasons)
    assert 2 <= sum(reason.is_sales for reason in taxonomy.reasons) < len(taxonomy.reasons) / 2
    assert len(taxonomy.questions) == 3


CHAIN = {
    "v1": [("a", ()), ("b", ()), ("c", ())],
    "v2": [("a2", ("a",)), ("b", ()), ("d", ("c",))],
    "v3": [("a3", ("a2", "b")), ("c", ())],
}


def taxonomy_of(version):
    return Taxonomy(version, tuple(Reason(code, code, code, replaces=old) for code, old in CHAIN[version]))


@pytest.mark.parametrize(
    ("current", "others", "found"),
    [
        ("v2", ["v1"], {"a": "a2", "c": "d"}),
        # Over the version between, and two that became one.
        ("v3", ["v2", "v1"], {"a": "a3", "a2": "a3", "b": "a3"}),
        # What one version replaced is the reason's own again where the current one has it; nobody replaced `d`.
        ("v1", ["v3", "v2"], {}),
        ("v3", [], {"a2": "a3", "b": "a3"}),
    ],
)
def test_a_code_is_followed_through_all_versions_to_the_one_that_goes_on_in_its_place(current, others, found):
    assert successors(taxonomy_of(current), [taxonomy_of(other) for other in others]) == found


def test_codes_that_replace_each_other_lead_nowhere():
    circle = [
        Taxonomy("x", (Reason("a", "a", "a", replaces=("b",)),)),
        Taxonomy("y", (Reason("b", "b", "b", replaces=("a",)),)),
    ]
    assert successors(Taxonomy("z", (Reason("c", "c", "c"),)), circle) == {}


@pytest.mark.parametrize("path", sorted(BUNDLED.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_taxonomy_that_is_written_reads_as_the_same(path):
    given = parse_taxonomy(path.read_text(encoding="utf-8"))
    written = parse_taxonomy(write_taxonomy(given))
    assert (written.title, written.reasons, written.questions) == (given.title, given.reasons, given.questions)
    assert parse_taxonomy(write_taxonomy(written)).version == written.version


@pytest.mark.parametrize(
    "words", ["yes", "null", "1.10", "2026-11-01", "# no comment", "a: b", "- x", "'", '"', "ñ 中 😀", "*a"]
)
def test_words_that_yaml_takes_for_something_else_are_written_as_words(words):
    reason = Reason("some_code", words, words, examples=(words,), replaces=("older_code",), is_sales=True)
    written = parse_taxonomy(write_taxonomy(Taxonomy(version="", title=words, reasons=(reason,))))
    assert (written.title, written.reasons) == (words, (reason,))
