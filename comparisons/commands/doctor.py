"""What ``bakeoff doctor`` says of a machine: versions, hardware, GPU, and which sandbox it has.

Nothing heavy is imported, so that it answers at once: whether torch could use a GPU is read from
torch's ``version.py`` and asked of the NVIDIA driver, by its own library.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running.host import host
from bakeoff.comparisons.wording import amount


def examine() -> dict[str, Any]:
    """Return everything that the table shows, as plain data.

    Raises:
        UsageError: the environment variable that chooses a sandbox names none that there is.

    Example:
        >>> sorted(examine())
        ['gpu', 'host', 'sandbox', 'usable_cores']
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"sandbox": sandbox(), "host": host(), "usable_cores": usable, "gpu": gpu()}


def sandbox() -> dict[str, Any]:
    """Return which sandbox programs get, and what there is, tried out.

    ``level`` is ``None`` where programs are refused for want of one, and ``why`` says why.
    ``contained`` is false then, and where the variable ``BAKEOFF_SANDBOX`` asks for none.

    Raises:
        UsageError: the variable names no level that there is.

    Example:
        >>> sorted(sandbox())
        ['contained', 'layers', 'level', 'variable', 'why']
    """
    from bakeoff.rewards.code.levels import VARIABLE, SandboxUnavailable, best_level, probe

    level, why = None, ""
    try:
        level = best_level()
    except SandboxUnavailable as error:
        why = " ".join(str(error).split())
    return {
        "level": level,
        "why": why,
        "contained": level not in (None, "none"),
        "variable": os.environ.get(VARIABLE, ""),
        "layers": [layer._asdict() for layer in probe()],
    }


def gpu() -> dict[str, Any]:
    """Return whether torch can use a GPU here, and the GPUs' names or why not.

    Example:
        >>> found = gpu()
        >>> found["usable"] in (True, False), isinstance(found["detail"], str)
        (True, True)
    """
    cuda = _cuda_of_torch()
    names, trouble = _gpus_of_driver()
    if trouble:
        return {"usable": False, "detail": trouble}
    listed = ", ".join(names)
    if cuda is None:
        return {"usable": False, "detail": f"{listed}, but torch is built without CUDA"}
    return {"usable": True, "detail": f"{listed}; torch is built with CUDA {cuda}"}


def table(found: dict[str, Any]) -> str:
    """Return what was found as a text table, one fact a line, and what follows from it.

    Args:
        found: what ``examine`` returns.
    """
    facts, box = found["host"], found["sandbox"]
    versions = facts["versions"]
    rows = [
        ("bakeoff", facts["package_version"]),
        ("python", facts["python"]),
        *((name, versions[name] or "not installed") for name in ("torch", "transformers")),
        ("system", facts["os"]),
        ("processor", facts["cpu_model"] or "unknown"),
        ("cores", f"{found['usable_cores']} of {facts['cores']} may be used"),
        ("memory", amount(facts["memory_bytes"], "bytes")),
        ("gpu", _answer(found["gpu"]["usable"], found["gpu"]["detail"])),
        ("sandbox", box["level"] if box["contained"] else "NONE"),
        *(
            (f"  {layer['name']}", _answer(layer["available"], layer["detail"]))
            for layer in box["layers"]
        ),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    return "\n".join([*lines, "", *_consequences(box)])


def _answer(yes: bool, detail: str) -> str:
    return f"{'yes' if yes else 'no'}: {detail}"


def _consequences(box: dict[str, Any]) -> list[str]:
    """Return what becomes of the programs that a reward runs."""
    programs = "Programs that a model wrote"
    if box["level"] is None:
        return [f"Rewards for code fail here: {box['why']}."]
    how = "in this sandbox" if box["contained"] else "WITHOUT isolation"
    if not box["variable"]:
        return [f"{programs} run {how}."]
    return [
        f"{programs} run {how}: BAKEOFF_SANDBOX={box['variable']} is set.",
        "In bakeoff compare and bakeoff train, --sandbox decides.",
    ]


def _cuda_of_torch() -> str | None:
    """Return the CUDA version that the installed torch is built with; reads, and runs nothing."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^cuda\b[^=\n]*= *['\"]([^'\"]+)", text, re.MULTILINE)
    return found[1] if found else None


def _gpus_of_driver() -> tuple[list[str], str]:
    """Return the names of the NVIDIA driver's GPUs, or why there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return [], "there is no NVIDIA driver"
    count, device = ctypes.c_int(), ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code:
        return [], f"the NVIDIA driver answers with error {code}"
    names = []
    for index in range(count.value):
        text = ctypes.create_string_buffer(100)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(text, len(text), device)
        names.append(text.value.decode(errors="replace"))
    return names, "" if names else "the NVIDIA driver has no GPU"
