"""A taxonomy as the text of a reasons file, to be edited and loaded as another version."""

from typing import Any

import yaml

from calls.reasons import AnswerKind, Taxonomy


def write_taxonomy(given: Taxonomy) -> str:
    """The YAML that `calls.taxonomy_file.parse_taxonomy` reads as the same reasons and questions.

    Without a `version`: what is changed in it becomes a version of its own.
    """
    document: dict[str, Any] = {"title": given.title} if given.title else {}
    document["reasons"] = [
        {"code": reason.code, "label": reason.label, "definition": reason.definition}
        | ({"examples": list(reason.examples)} if reason.examples else {})
        | ({"parent": reason.parent_code} if reason.parent_code else {})
        | ({"sales": True} if reason.is_sales else {})
        | ({"replaces": list(reason.replaces)} if reason.replaces else {})
        for reason in given.reasons
    ]
    if given.questions:
        document["questions"] = [
            {"code": question.code, "text": question.text, "kind": question.kind.value}
            | ({"choices": list(question.choices)} if question.kind is AnswerKind.CHOICE else {})
            for question in given.questions
        ]
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110))
