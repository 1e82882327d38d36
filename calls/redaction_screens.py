"""What the patterns of redaction cannot do without, which is looked for first: most texts need no pattern then.

A screen may let through what no pattern fits. It must never hold back what one does.
"""

import re
from collections.abc import Iterable

# What patterns that do not heed the case take for i and s, and lower() does not.
_LOOK_ALIKES = str.maketrans("\u0130\u0131\u017f", "iis")
_FIGURE = re.compile(r"\d")


def in_small(text: str) -> str:
    """The text in small letters, sign by sign: a pattern in small letters fits it where, heeding no case, it fits
    `text`.
    """
    return text.lower() if text.isascii() else text.translate(_LOOK_ALIKES).lower()


def has_any(said: str, parts: Iterable[str]) -> bool:
    """Whether any of the parts stands in what `in_small` gave."""
    for part in parts:  # noqa: SIM110 (any() takes twice the time, and this is asked of every turn)
        if part in said:
            return True
    return False


def has_figures(text: str) -> bool:
    """Whether a figure stands in the text, of any script."""
    return _FIGURE.search(text) is not None
