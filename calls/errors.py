"""Failures, in two kinds: those that pass by themselves and those that a person has to look at."""


class CallwiseError(Exception):
    """Base of every error that Callwise raises on purpose.

    `code` is a stable snake_case word that is stored, counted and shown; `detail` is one sentence for an operator,
    without any text from a call.
    """

    code = "error"

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class TransientError(CallwiseError):
    """The same work may succeed later: it is tried again, after `retry_after_s` where the other side named a time."""

    code = "temporarily_unavailable"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


class TerminalError(CallwiseError):
    """Trying again cannot help: the call is parked with a code for a person."""

    code = "cannot_be_done"


class NotYet(TransientError):
    """Nothing is wrong: the work waits, uncounted, until `retry_after_s` have passed or somebody wakes it."""

    code = "not_yet"


class Paced(NotYet):
    """The minute's tokens or requests are used up: the work goes back to its turn."""

    code = "paced"


class InBatch(NotYet):
    """The question goes to the model in a batch: the work goes on when its answer has come."""

    code = "in_batch"


class BudgetSpent(NotYet):
    """What may be spent today is spent: the work goes on at the day's turn, or when the budget is raised."""

    code = "budget_spent"


class UndecodableAudio(TerminalError):
    """The object is no audio, or none that can be decoded (`not_audio`, `corrupt`, `empty`, `too_long`,
    `decoder_died`, `decoder_timed_out`).
    """

    code = "not_audio"


class ObjectGone(TerminalError):
    """The store no longer holds the object that the event named."""

    code = "object_gone"


class UnusableAnswer(TerminalError):
    """A language model answered, but not with an analysis (`refused`, `truncated`, `invalid_answer`, `empty_answer`,
    `too_long`).
    """

    code = "invalid_answer"


class SetupBroken(TransientError):
    """Something around the work is wrong, not the call: it waits, uncounted, until a person has mended the set-up."""

    code = "setup_broken"


class EngineMisconfigured(SetupBroken):
    """A wrong key, a missing model, an unknown deployment; the text names the setting and the fix."""

    code = "engine_misconfigured"


class DiskFull(SetupBroken):
    """There is no room to work in."""

    code = "disk_full"


class SettingsError(CallwiseError):
    """A setting is missing or wrong; the text names the setting and the fix."""

    code = "wrong_setting"
