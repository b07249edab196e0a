"""Facts about the machine and the software, as they stand in the tables. No torch is imported."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import bakeoff

PACKAGES = ("torch", "transformers", "gymnasium", "datasets", "sympy", "numpy", "pandas", "scipy")


def host() -> dict[str, Any]:
    """Return facts about this machine and this software; what is not known is ``None``.

    ``host_id`` is a hash of the machine's name, processor and memory: equal for two runs on one
    machine, and no name that a published table should not hold.

    Example:
        >>> host()["cores"] == os.cpu_count()
        True
    """
    cpu, cores, memory = _cpu_model(), os.cpu_count(), _memory_bytes()
    identity = f"{platform.node()}|{cpu}|{cores}|{memory}"
    sha, dirty = git_state()
    return {
        "host_id": hashlib.sha256(identity.encode()).hexdigest()[:12],
        "cpu_model": cpu,
        "cores": cores,
        "memory_bytes": memory,
        "os": platform.platform(),
        "python": platform.python_version(),
        "package_version": bakeoff.__version__,
        "git_sha": sha,
        "git_dirty": dirty,
        "load_avg": list(os.getloadavg()),
        "versions": {name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str | None:
    """Return the installed version of a package without importing it, or ``None``."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_state() -> tuple[str | None, bool | None]:
    """Return the commit of the checkout that bakeoff runs from and whether files differ from it.

    Both are ``None`` if bakeoff was installed otherwise: a virtual environment inside somebody
    else's repository does not make that repository's commit ours.
    """
    source = Path(bakeoff.__file__).resolve()
    top = _git(source.parent, "rev-parse", "--show-toplevel")
    if top is None or Path(top, "src", "bakeoff", "__init__.py").resolve() != source:
        return None, None
    changes = _git(source.parent, "status", "--porcelain")
    return _git(source.parent, "rev-parse", "HEAD"), None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None
