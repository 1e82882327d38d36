"""The reasons as JSON documents with stable keys: the command line's and the API's."""

from dataclasses import asdict
from typing import Any

from calls.reasons import Taxonomy
from crm.taxonomies import TaxonomyVersion


def taxonomy_document(found: Taxonomy, *, is_current: bool) -> dict[str, Any]:
    """One version of the reasons, with the owner's questions."""
    return {
        "version": found.version,
        "title": found.title,
        "is_current": is_current,
        "reasons": [
            {
                "code": reason.code,
                "label": reason.label,
                "definition": reason.definition,
                "examples": list(reason.examples),
                "parent": reason.parent_code,
                "sales": reason.is_sales,
                "replaces": list(reason.replaces),
            }
            for reason in found.reasons
        ],
        "questions": [
            {
                "code": question.code,
                "text": question.text,
                "kind": question.kind.value,
                "choices": list(question.choices),
            }
            for question in found.questions
        ],
    }


def version_document(version: TaxonomyVersion) -> dict[str, Any]:
    """One stored version in short."""
    return {**asdict(version), "loaded_at": version.loaded_at.isoformat()}
