"""The owner's reasons.yaml: read strictly, every complaint with its line and the fix."""

import difflib
import json
import re
from collections.abc import Hashable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import yaml

from calls.errors import SettingsError
from calls.reasons import INSUFFICIENT, NO_REASON, OTHER, AnswerKind, Question, Reason, Taxonomy

CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
# A strict answer schema of the OpenAI API holds at most 1,000 enum values, and people do not choose among hundreds.
MAX_REASON_COUNT = 200
MAX_QUESTION_COUNT = 20

_TOP_KEYS = ("title", "version", "reasons", "questions")
_REASON_KEYS = ("code", "label", "definition", "examples", "parent", "sales", "replaces")
_QUESTION_KEYS = ("code", "text", "kind", "choices")
_YES = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class _Entry:
    """One mapping of the file: its values, all of them text, lists or entries, and the line that it starts on."""

    line: int
    values: dict[str, Any]


class _Loader(yaml.BaseLoader):
    """Leaves every scalar as the text that was written: `version: 1.10` and the choice `no` mean just that."""


def _entry(loader: _Loader, node: yaml.MappingNode) -> _Entry:
    line = node.start_mark.line + 1
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key: Hashable = loader.construct_object(key_node, deep=True)
        where = key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise _wrong(where, "a key is not text", "write `key: value`")
        if key in values:
            raise _wrong(where, f"`{key}` is there twice", "keep one of them")
        values[key] = loader.construct_object(value_node, deep=True)
    return _Entry(line, values)


_Loader.add_constructor("tag:yaml.org,2002:map", _entry)


def parse_taxonomy(text: str) -> Taxonomy:
    """The taxonomy that the text of a reasons.yaml describes.

    Keys: `title`, `version` (where absent, ten hex digits of the content's SHA-256: other content is another version),
    `reasons` (`code`, `label`, `definition`, `examples`, `parent`, `sales`, `replaces`) and `questions` (`code`,
    `text`, `kind`, `choices`). Raises SettingsError with the line, the entry and the fix.
    """
    top = _load(text)
    _known_keys(top, _TOP_KEYS, "the file")
    reasons = [_reason(entry) for entry in _entries(top, "reasons")]
    if not reasons:
        raise _wrong(top.line, "there are no reasons", "list at least one under `reasons:`")
    if len(reasons) > MAX_REASON_COUNT:
        raise _wrong(top.line, f"{len(reasons)} reasons", f"keep at most {MAX_REASON_COUNT}")
    questions = [_question(entry) for entry in _entries(top, "questions")]
    if len(questions) > MAX_QUESTION_COUNT:
        raise _wrong(top.line, f"{len(questions)} questions", f"keep at most {MAX_QUESTION_COUNT}")
    _distinct("reason", ((line, reason.code) for line, reason in reasons))
    _distinct("question", ((line, question.code) for line, question in questions))
    _check_parents(reasons)
    _check_replaced(reasons)
    taxonomy = Taxonomy(
        version="",
        title=_text(top, "title", "the file", default=""),
        reasons=tuple(reason for _, reason in reasons),
        questions=tuple(question for _, question in questions),
    )
    version = _text(top, "version", "the file", default="") or _content_hash(taxonomy)
    return Taxonomy(version, taxonomy.reasons, taxonomy.questions, taxonomy.title)


def _load(text: str) -> _Entry:
    try:
        top = yaml.load(text, Loader=_Loader)  # noqa: S506 - a BaseLoader makes nothing but text, lists and _Entry
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _wrong(line, f"this is not YAML ({error.problem})", "mend the indentation or the quotes there") from None
    except yaml.YAMLError:
        raise _wrong(1, "this is not YAML", "save it as plain UTF-8 text") from None
    except RecursionError:
        raise _wrong(1, "lists stand in lists too deeply", "begin with `reasons:` and a list of reasons") from None
    if not isinstance(top, _Entry):
        raise _wrong(1, "the file is empty or no mapping", "begin with `reasons:` and a list of reasons")
    return top


def _entries(top: _Entry, key: str) -> list[_Entry]:
    listed = top.values.get(key, "")
    if listed == "":
        return []
    if not isinstance(listed, list):
        raise _wrong(top.line, f"`{key}` is no list", f"write each entry of `{key}` as `- code: ...`")
    for number, entry in enumerate(listed, 1):
        if not isinstance(entry, _Entry):
            raise _wrong(top.line, f"entry {number} of `{key}` is no mapping", "write it as `- code: ...`")
    return listed


def _reason(entry: _Entry) -> tuple[int, Reason]:
    what = f"reason `{entry.values.get('code', '?')}`"
    _known_keys(entry, _REASON_KEYS, what)
    code = _code(entry, what)
    if code in {OTHER, INSUFFICIENT}:
        raise _wrong(entry.line, f"{what} is always there", "remove it from the list")
    if code == NO_REASON:
        raise _wrong(entry.line, f"{what} is what calls without a reason have in trends", "choose another code")
    sales = _text(entry, "sales", what, default="false").lower()
    if sales not in _YES:
        raise _wrong(entry.line, f"{what}: `sales` is `{sales}`", "write true or false")
    return entry.line, Reason(
        code=code,
        label=_text(entry, "label", what),
        definition=_text(entry, "definition", what),
        examples=_texts(entry, "examples", what),
        parent_code=_text(entry, "parent", what, default="") or None,
        is_sales=_YES[sales],
        replaces=_replaced(entry, what),
    )


def _replaced(entry: _Entry, what: str) -> tuple[str, ...]:
    codes = _texts(entry, "replaces", what)
    for code in codes:
        if not CODE.fullmatch(code):
            raise _wrong(entry.line, f"{what}: `replaces` names `{code}`, which is no code", "write codes as `[a, b]`")
        if code in {OTHER, INSUFFICIENT}:
            fix = "leave it off, and let `callwise reasons reclassify --only` ask about those calls anew"
            raise _wrong(entry.line, f"{what}: `replaces` names `{code}`, which is always there", fix)
    return codes


def _question(entry: _Entry) -> tuple[int, Question]:
    what = f"question `{entry.values.get('code', '?')}`"
    _known_keys(entry, _QUESTION_KEYS, what)
    kind = _text(entry, "kind", what)
    if kind not in set(AnswerKind):
        raise _wrong(entry.line, f"{what}: `kind` is `{kind}`", f"write one of {', '.join(AnswerKind)}")
    choices = _texts(entry, "choices", what)
    if kind == AnswerKind.CHOICE and len(set(choices)) < 2:
        raise _wrong(entry.line, f"{what} has fewer than two choices", "list them under `choices:`")
    if len(set(choices)) < len(choices):
        raise _wrong(entry.line, f"{what} has a choice twice", "keep one of them")
    if kind != AnswerKind.CHOICE and choices:
        raise _wrong(entry.line, f"{what} has choices but is of kind `{kind}`", "set `kind: choice` or remove them")
    return entry.line, Question(_code(entry, what), _text(entry, "text", what), AnswerKind(kind), choices)


def _code(entry: _Entry, what: str) -> str:
    code = _text(entry, "code", what)
    if not CODE.fullmatch(code):
        fix = "use up to 64 small letters, digits and underscores, a letter first"
        raise _wrong(entry.line, f"{what}: its code is not snake_case", fix)
    return code


def _text(entry: _Entry, key: str, what: str, default: str | None = None) -> str:
    value = entry.values.get(key, "" if default is None else default)
    if not isinstance(value, str):
        raise _wrong(entry.line, f"{what}: `{key}` is no text", f"write `{key}: ...` on one line, or a quoted text")
    value = " ".join(value.split())
    if default is None and not value:
        raise _wrong(entry.line, f"{what} has no `{key}`", f"add `{key}: ...`")
    return value


def _texts(entry: _Entry, key: str, what: str) -> tuple[str, ...]:
    values = entry.values.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) and value.strip() for value in values):
        fix = "write one sentence a line, each as `- ...`, in quotes where it holds `: `"
        raise _wrong(entry.line, f"{what}: `{key}` is no list of texts", fix)
    return tuple(" ".join(value.split()) for value in values)


def _known_keys(entry: _Entry, known: tuple[str, ...], what: str) -> None:
    for key in entry.values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            fix = f"did you mean `{near[0]}`?" if near else f"the keys are {', '.join(known)}"
            raise _wrong(entry.line, f"{what} has an unknown key `{key}`", fix)


def _distinct(what: str, codes: Iterable[tuple[int, str]]) -> None:
    seen: dict[str, int] = {}
    for line, code in codes:
        if code in seen:
            raise _wrong(line, f"{what} `{code}` is already on line {seen[code]}", "give one of them another code")
        seen[code] = line


def _check_parents(reasons: list[tuple[int, Reason]]) -> None:
    parents = {reason.code: reason.parent_code for _, reason in reasons}
    for line, reason in reasons:
        above, seen = reason.parent_code, {reason.code}
        while above is not None:
            if above not in parents:
                raise _wrong(line, f"reason `{reason.code}`: no reason has the code `{above}`", "mend `parent`")
            if above in seen:
                raise _wrong(line, f"reason `{reason.code}` is its own ancestor", "mend `parent`")
            seen.add(above)
            above = parents[above]


def _check_replaced(reasons: list[tuple[int, Reason]]) -> None:
    lines = {reason.code: line for line, reason in reasons}
    replaced: dict[str, str] = {}
    for line, reason in reasons:
        for code in reason.replaces:
            what = f"reason `{reason.code}`: `replaces` names `{code}`"
            if code in lines:
                fix = "remove one of them; to split a reason, leave `replaces` off and reclassify its calls"
                raise _wrong(line, f"{what}, which is still a reason (line {lines[code]})", fix)
            if code in replaced:
                fix = "keep one of them; to split a reason, leave `replaces` off both and reclassify its calls"
                raise _wrong(line, f"{what}, which `{replaced[code]}` replaces already", fix)
            replaced[code] = reason.code


def _content_hash(taxonomy: Taxonomy) -> str:
    content = [taxonomy.title, [_plain(r) for r in taxonomy.reasons], [_plain(q) for q in taxonomy.questions]]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


def _plain(entry: Reason | Question) -> dict[str, Any]:
    plain = asdict(entry)
    if not plain.get("replaces"):
        # A file that says nothing of it keeps the version that it had before there was such a key.
        plain.pop("replaces", None)
    return plain


def _wrong(line: int, what: str, fix: str) -> SettingsError:
    return SettingsError(f"reasons file, line {line}: {what}: {fix}", code="wrong_reasons_file")
