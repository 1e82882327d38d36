"""What a process that stays does with its own program, once it is loaded."""

import gc


def spare_the_program() -> None:
    """Leave what is there by now, the program above all, out of what the garbage collector looks through: now and then
    it looks through everything, for which a request waits 60 ms, and which costs as much as a batch of roll-ups or of
    events.
    """
    gc.freeze()
