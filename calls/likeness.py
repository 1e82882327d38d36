"""What a call is compared by: the text that stands for what it was about."""

# What a summary is asked to keep to; more is no summary, and costs.
LONGEST = 4000


def text_of(headline: str, summary: str, reason_label: str | None, subject: str) -> str:
    """The words of an analysis that say what the call was about, a line each; "" where it says nothing."""
    if not summary.strip():
        # A reason alone is what lists are filtered by.
        return ""
    lines = (headline.strip(), (reason_label or "").strip(), subject.strip(), summary.strip())
    return "\n".join(line for line in lines if line)[:LONGEST]
