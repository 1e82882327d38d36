"""What an embedder is: texts in, vectors out, of which those of texts about the same thing lie side by side."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calls.money import Charge

Vectors = NDArray[np.float32]
# With fewer texts there is hardly anything that several of them have, to fit a model of one's own on.
MIN_TEXTS = 20


class Embedder(Protocol):
    """Gives texts their places in one space.

    `name` ("engine/model", with whatever else tells two spaces apart) is kept beside every vector: vectors of two names
    are never compared. `at_once` is how many texts it takes best.
    """

    name: str
    at_once: int

    def embed(self, texts: Sequence[str], pay: Callable[[Charge], None]) -> Vectors:
        """A row of length 1 for each text, or a row of zeros for one that nothing can be said of.

        `pay` is called once per paid request, as soon as its answer is there, usable or not. Raises UnusableAnswer
        (terminal: these texts together will not do), or TransientError (EngineMisconfigured and Paced among them).
        """

    def check(self) -> None:
        """Find out whether it could work: configured, key accepted, model known. Costs nothing.

        Raises EngineMisconfigured, or TransientError when a server does not answer.
        """


def unit_rows(rows: NDArray[np.float64] | Vectors) -> Vectors:
    """The rows with the length 1; those without a length stay as they are."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
