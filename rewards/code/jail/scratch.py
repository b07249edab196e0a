"""The folder that programs may write to, where it is one of the machine's: how to empty it."""

from __future__ import annotations

import os
from itertools import islice

_AT_ONCE = 10_000  # names; a folder may have millions


def empty(folder: str) -> None:
    """Delete all that is in a folder, whatever its permissions and however deep it is nested.

    What is in a folder is moved up and deleted from there: no path gets long, no link is followed.
    """
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while names := _some(root):
            for name in names:
                if _is_folder(name, root):
                    _move_up(name, root)
                    os.rmdir(name, dir_fd=root)
                else:
                    os.unlink(name, dir_fd=root)
    finally:
        os.close(root)


def _some(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, _AT_ONCE)]


def _is_folder(name: str, parent: int) -> bool:
    """Tell whether a name is a folder's, and if it is, let it be entered.

    Its mode is changed by way of a descriptor: what has the name may become a link at any time.
    """
    try:
        folder = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except NotADirectoryError:
        return False
    try:
        os.chmod(f"/proc/self/fd/{folder}", 0o700)
    finally:
        os.close(folder)
    return True


def _move_up(name: str, root: int) -> None:
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    try:
        while names := _some(folder):
            for child in names:
                _is_folder(child, folder)
                os.rename(child, os.urandom(16).hex(), src_dir_fd=folder, dst_dir_fd=root)
    finally:
        os.close(folder)
