"""Facts about the machine and the software, as they stand in the tables. No torch is imported."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

PACKAGES = ("torch", "transformers")


def host_facts() -> dict[str, object]:
    """Return the columns of ``runs.csv`` that the machine and its software decide."""
    revision, dirty = git_state()
    return {
        "host_id": platform.node() or "unknown",
        "os": platform.platform(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "package_version": importlib.metadata.version("bakeoff"),
        "git_sha": revision,
        "git_dirty": dirty,
    }


def cpu_name() -> str:
    """Return the processor's name, as the operating system has it."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_state() -> tuple[str | None, bool | None]:
    """Return commit and dirtiness of the checkout this package runs from; None if it is none."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            run = subprocess.run(
                ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return run.stdout.strip() if run.returncode == 0 else None

    if git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None, None  # a site-packages folder that happens to lie in somebody's repository
    status = git("status", "--porcelain")
    return git("rev-parse", "HEAD"), None if status is None else bool(status)
