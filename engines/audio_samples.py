"""Samples that lie in a file instead of in memory, and look like any other array."""

import mmap
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from engines.speech import SPEECH_RATE_HZ

_SAMPLE_BYTES = 2
# What is looked at in one go, and let go of afterwards.
STRETCH_SAMPLES = 60 * SPEECH_RATE_HZ


def map_samples(file: BinaryIO, channel_count: int, sample_count: int, channel_bytes: int) -> NDArray[np.int16]:
    """The file's samples, int16 of shape [channel, sample], read-only; channel 1 begins at `channel_bytes`.

    The file may be closed and deleted: its content is there as long as the array is.
    """
    length = (channel_count - 1) * channel_bytes + sample_count * _SAMPLE_BYTES
    mapped = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ)
    return np.ndarray((channel_count, sample_count), np.int16, mapped, strides=(channel_bytes, _SAMPLE_BYTES))


def let_go(samples: NDArray[np.int16]) -> None:
    """Give back the memory that looking at mapped samples has taken; looking again reads the file again."""
    owner = samples
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
