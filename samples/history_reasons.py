"""The change of the taxonomy that is planted in the generated history: by which reasons its first weeks were
classified.
"""

from dataclasses import replace

from calls.reasons import Reason, Taxonomy
from samples.history_plan import PLANTED


def earlier_versions(given: Taxonomy) -> tuple[Taxonomy, ...]:
    """The version of the first weeks, and the one that says which of its reasons goes on under another name.

    None where `given` has not the reasons that are planted: then it is the only one.
    """
    codes = {reason.code for reason in given.reasons}
    needed = {PLANTED.renamed_reason, PLANTED.split_reason, PLANTED.split_from}
    if not needed <= codes or PLANTED.renamed_from in codes:
        return ()
    before = tuple(_before(reason) for reason in given.reasons if reason.code != PLANTED.split_reason)
    changed = tuple(
        replace(reason, replaces=(*reason.replaces, PLANTED.renamed_from))
        if reason.code == PLANTED.renamed_reason
        else reason
        for reason in given.reasons
    )
    return (
        replace(given, version=f"before-{given.version}", title="Generated history, first weeks", reasons=before),
        replace(given, version=f"change-to-{given.version}", title="Generated history, the change", reasons=changed),
    )


def code_before(code: str | None) -> str | None:
    """What the version of the first weeks calls a reason."""
    return {PLANTED.renamed_reason: PLANTED.renamed_from, PLANTED.split_reason: PLANTED.split_from}.get(
        code or "", code
    )


def _before(reason: Reason) -> Reason:
    if reason.code == PLANTED.renamed_reason:
        return replace(reason, code=PLANTED.renamed_from, label=PLANTED.renamed_label)
    return replace(reason, label=PLANTED.split_label) if reason.code == PLANTED.split_from else reason
