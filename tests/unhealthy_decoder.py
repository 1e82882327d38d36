"""A decoding server whose children do what a recording's last word says: what a hostile file may make of a decoder."""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

if __name__ == "__main__":
    sys.path += [sys.argv[1], str(Path(__file__).parents[1] / "engines")]
    import audio_child


def hang() -> None:
    """Compute and never end."""
    while True:
        pass


def sleep() -> None:
    """Wait for what never comes."""
    time.sleep(3600)


def crash() -> None:
    """Die as by a bad pointer."""
    os.kill(os.getpid(), signal.SIGSEGV)


def be_killed() -> None:
    """Die as by the kernel, when the machine is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    """End without a word."""
    os._exit(3)


def eat() -> None:
    """Take memory until there is none."""
    held = []
    while True:
        held.append(bytearray(64 << 20))


def read_recording(file: BinaryIO, samples: int, wanted: dict[str, Any]) -> dict[str, Any]:
    """Do the last word of `file`; a word that is none of the above is looked up as a file, or called as an address."""
    word = file.read().rpartition(b" ")[2].decode()
    if word == "flood":
        while True:
            os.pwrite(samples, bytes(1 << 20), os.fstat(samples).st_size)
    if word.startswith("/"):
        return {"code": "corrupt", "detail": Path(word).read_text()}
    if word.isdigit():
        socket.create_connection(("127.0.0.1", int(word)))
        return {"code": "corrupt", "detail": "connected"}
    DEEDS[word]()
    return {}


DEEDS = {"hang": hang, "sleep": sleep, "crash": crash, "killed": be_killed, "leave": leave, "eat": eat}

if __name__ == "__main__":
    audio_child.serve(socket.socket(fileno=0), read_recording)
