"""Where a folder store keeps an object: any key to a path that is safe, and back.

A key that is a plain relative name keeps it, so that people can drop files into the folder and find them
again. Every other key (`../x`, `a//b`, a name of 300 bytes, one that begins with a dot) lies in the side folder
under the hexadecimal digits of its bytes, cut into folders. Those digits sort as the bytes do, so both halves
are listed in the order of the keys.
"""

from collections.abc import Iterator
from os import DirEntry, scandir
from pathlib import Path

import structlog

from engines.object_keys import MAX_KEY_BYTES

log = structlog.get_logger()

SIDE_FOLDER = ".callwise-store"
PART_SUFFIX = ".part"

_ESCAPED = "objects"
_MAX_PART_BYTES = 200
# File systems take no longer one.
_LONGEST_NAME = 255
_CHUNK = 200
_FILE_END = ".object"
_FOLDER_END = ".more"


def is_plain(key: str) -> bool:
    """Whether we write the key under its own name: a path below the root that every system takes."""
    return may_lie(key) and all(_is_plain_part(part) for part in key.split("/"))


def may_lie(key: str) -> bool:
    """Whether a file of the key's own name below the root is its object: whatever people and recorders call theirs, but
    for hidden and unfinished files.
    """
    return all(_may_be_named(part) for part in key.split("/")) and len(key.encode()) <= MAX_KEY_BYTES


def plain_path(root: Path, key: str) -> Path:
    """The path of a plain key."""
    return root.joinpath(*key.split("/"))


def escaped_path(root: Path, key: str, *, under: str = _ESCAPED) -> Path:
    """The path of any key in the side folder; `under` names the tree (objects, or what is noted about them)."""
    digits = key.encode().hex()
    chunks = [digits[start : start + _CHUNK] for start in range(0, len(digits), _CHUNK)]
    folders = [chunk + _FOLDER_END for chunk in chunks[:-1]]
    return root.joinpath(SIDE_FOLDER, under, *folders, chunks[-1] + _FILE_END)


def key_of(root: Path, path: Path) -> str | None:
    """The key of the object that lies at `path`, None where no object can lie (hidden and unfinished files)."""
    try:
        parts = path.relative_to(root).parts
        if parts[:2] == (SIDE_FOLDER, _ESCAPED):
            return _unescape(parts[2:])
        key = "/".join(parts)
        return key if parts and may_lie(key) else None
    except ValueError:
        # Not below the root, or a name that is no UTF-8 and so no key.
        return None


def prefix_of(root: Path, folder: Path) -> str | None:
    """The prefix of the keys below `folder`; empty where they may begin with anything, None where there are none."""
    if folder == root or folder.is_relative_to(root / SIDE_FOLDER / _ESCAPED):
        return ""
    key = key_of(root, folder)
    return None if key is None else f"{key}/"


def walk(root: Path, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, DirEntry[str]]]:
    """The files under their own names in order of key; memory is bounded by the largest folder. Links are left out."""
    yield from _walk_plain(root, b"", prefix, after)


def walk_escaped(root: Path, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, DirEntry[str]]]:
    """The files in the side folder, in order of key."""
    yield from _walk_escaped(root / SIDE_FOLDER / _ESCAPED, "", prefix, after)


def _is_plain_part(part: str) -> bool:
    return part.isprintable() and "\\" not in part and len(part.encode()) <= _MAX_PART_BYTES


def _may_be_named(part: str) -> bool:
    is_shown = part != "" and not part.startswith(".") and not part.endswith(PART_SUFFIX)
    return is_shown and "\0" not in part and len(part.encode()) <= _LONGEST_NAME


def _unescape(parts: tuple[str, ...]) -> str | None:
    if not parts or not parts[-1].endswith(_FILE_END):
        return None
    digits = "".join(part.removesuffix(_FOLDER_END) for part in parts[:-1]) + parts[-1].removesuffix(_FILE_END)
    return bytes.fromhex(digits).decode()


def _may_hold(folder_key: bytes, prefix: bytes, after: bytes) -> bool:
    """Whether a key that begins with `folder_key` can be asked for."""
    wanted = folder_key.startswith(prefix) or prefix.startswith(folder_key)
    return wanted and (folder_key > after or after.startswith(folder_key))


def _entries(folder: Path | str) -> list[DirEntry[str]]:
    try:
        with scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []
    except PermissionError:
        # Such as the lost+found of a file system: one folder must not keep all others from being read.
        log.warning("folder_not_readable", folder=str(folder))
        return []


def _walk_plain(folder: Path | str, above: bytes, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, DirEntry[str]]]:
    named: list[tuple[bytes, DirEntry[str]]] = []
    for entry in _entries(folder):
        try:
            if not _may_be_named(entry.name):
                continue
        except UnicodeEncodeError:
            # It can be no key: whoever wrote it has to rename it.
            log.warning("name_not_utf8", folder=str(folder), name=ascii(entry.name))
            continue
        if entry.is_dir(follow_symlinks=False):
            # With its slash, a folder stands among its neighbours where its keys do.
            named.append((above + entry.name.encode() + b"/", entry))
        elif entry.is_file(follow_symlinks=False):
            named.append((above + entry.name.encode(), entry))
    named.sort(key=lambda pair: pair[0])
    for key, entry in named:
        if key.endswith(b"/"):
            if _may_hold(key, prefix, after):
                yield from _walk_plain(entry.path, key, prefix, after)
        elif key.startswith(prefix) and key > after and len(key) <= MAX_KEY_BYTES:
            yield key, entry


def _walk_escaped(folder: Path | str, above: str, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, DirEntry[str]]]:
    named: list[tuple[str, bool, DirEntry[str]]] = []
    for entry in _entries(folder):
        if entry.name.endswith(_FILE_END) and entry.is_file(follow_symlinks=False):
            named.append((above + entry.name.removesuffix(_FILE_END), False, entry))
        elif entry.name.endswith(_FOLDER_END) and entry.is_dir(follow_symlinks=False):
            named.append((above + entry.name.removesuffix(_FOLDER_END), True, entry))
    named.sort(key=lambda triple: triple[:2])
    for digits, is_folder, entry in named:
        try:
            key = bytes.fromhex(digits)
        except ValueError:
            continue
        if is_folder:
            if _may_hold(key, prefix, after):
                yield from _walk_escaped(entry.path, digits, prefix, after)
        elif key.startswith(prefix) and key > after:
            yield key, entry
