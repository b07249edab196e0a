"""Whether everything that a comparison names exists, asked before anything is written or run."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bakeoff.comparisons.budgets import budget_of, check_tokens
from bakeoff.comparisons.cell.trackers.registry import require_trackers
from bakeoff.comparisons.running.grid import Experiment, config_of, normal_form
from bakeoff.comparisons.running.ranks import check_config
from bakeoff.comparisons.running.servers import check_server
from bakeoff.errors import UsageError
from bakeoff.plugins import Spec, making, parse_spec
from bakeoff.training.config import AUTO_SANDBOX, train_config
from bakeoff.training.devices.world import require_accelerate

CELL_MODULE = "bakeoff.comparisons.cell"
FETCHED_MODELS = ("smollm2",)


def check(experiment: Experiment) -> None:
    """Accept a comparison whose algorithms, environments and models all exist.

    Environments are built, so that an empty data folder shows now and not in every cell. Only
    algorithms with arguments, or of the user's own, need torch to be checked: that is done in a
    process of its own, since the driver must stay small.

    Raises:
        UsageError: something is missing or misspelled; the text is one line.
    """
    from bakeoff import algorithms

    for name in experiment.algorithms:
        algorithms.known(parse_spec(name).target)
    _check_models(experiment)
    check_server(experiment.config, experiment.max_parallel, experiment.launcher)
    require_trackers(experiment.trackers)
    check_processes(experiment)
    _check_launcher(experiment)
    _check_environments(experiment)
    _check_algorithms(experiment)


def _check_models(experiment: Experiment) -> None:
    """Accept models that exist, and what they are asked for whose packages are installed."""
    from bakeoff import models

    for name in experiment.models:
        models.check(name)
    if experiment.config.get("lora_rank"):
        models.require_peft("lora_rank")
    if experiment.config.get("optimizer_bits") == 8:
        models.require_bitsandbytes("optimizer_bits 8")
    if experiment.config.get("sampler") == "vllm":
        models.require_vllm("--sampler vllm")


def _check_launcher(experiment: Experiment) -> None:
    """Accept a launcher, and a limit of memory, that this machine has what it takes for."""
    if experiment.launcher == "ray" and importlib.util.find_spec("ray") is None:
        raise UsageError("--launcher ray needs ray: pip install 'bakeoff[ray]'")
    if experiment.launcher == "slurm" and not (experiment.write_only or shutil.which("sbatch")):
        raise UsageError(
            "--launcher slurm needs sbatch, which is not on this machine: start it on a login "
            "node, or add --write-only and submit the script there"
        )
    if experiment.memory_limit is not None and not Path("/proc/self/status").exists():
        raise UsageError("memory_limit needs /proc/<pid>/status, which only Linux has")


def _check_environments(experiment: Experiment) -> None:
    """Accept environments that can be built, contained, and evaluated on."""
    running_programs = [name for name in experiment.environments if builds(name)]
    if running_programs:
        check_sandbox(experiment.config.get("sandbox", AUTO_SANDBOX), running_programs)
    offset = experiment.config.get("eval_offset", 0)
    for name in experiment.environments if offset else ():
        if (size := held_out_items(name)) <= offset:
            raise UsageError(
                f"environment '{name}' has {size} held-out items: eval_offset {offset} leaves none"
            )


def _check_algorithms(experiment: Experiment) -> None:
    """Accept algorithms that can be made, with the groups, the updates and the items there are."""
    from bakeoff import algorithms

    presets = {
        name: algorithms.ALGORITHMS.get(parse_spec(name).target) for name in experiment.algorithms
    }
    on_gold = [name for name, preset in presets.items() if preset is not None and preset.on_gold]
    check_tokens(budget_of(experiment.config), on_gold)
    if on_gold:
        for name in experiment.environments:
            check_gold(name)
    in_need: dict[tuple[int, int], list[str]] = {}
    for name in experiment.algorithms:
        config = config_of(experiment, name)
        size, updates = config["group_size"], config["updates"]
        if size < 2 or _needs_torch(name) or updates <= algorithms.ALGORITHMS[name].warmup:
            in_need.setdefault((size, updates), []).append(name)
    for (size, updates), names in in_need.items():
        corrected = train_config(experiment.config).corrected
        _check_in_process(names, size, updates, corrected=corrected)


def check_processes(experiment: Experiment) -> None:
    """Accept a comparison whose launcher can start the processes of its runs.

    Raises:
        UsageError: it starts one for each run, or accelerate is not installed, or its configuration
            is for something else.
    """
    configs = [config_of(experiment, name) for name in experiment.algorithms]
    most = max(config.get("processes", 1) for config in configs)
    if experiment.launcher == "local" and most > 1:
        raise UsageError(
            f"the launcher local starts one process for each run, not {most}: "
            f"--launcher accelerate --num-processes {most}"
        )
    if experiment.launcher == "accelerate" or most > 1:
        require_accelerate(f"the launcher {experiment.launcher}")
    if experiment.accelerate_config is None:
        return
    if experiment.launcher != "accelerate":
        raise UsageError("accelerate_config is of no use without --launcher accelerate")
    if most == 1:
        raise UsageError("accelerate_config is of no use with one process: add --num-processes 2")
    for config in configs:
        check_config(Path(experiment.accelerate_config), train_config(config))


@functools.cache
def builds(environment: str) -> bool:
    """Build an environment, ask for one item of each split and drop it again; once is enough.

    Returns:
        Whether its rewards need a sandbox.

    Raises:
        UsageError: it does not exist, cannot be built with these arguments, or has no item.
    """
    from bakeoff import envs

    with making(f"environment '{environment}'"):
        built = envs.make(environment)
        for split in envs.SPLITS:
            built.item(0, split)  # says why, if there is none
            if built.size(split) < 1:
                raise UsageError(f"environment '{environment}' has no {split} items")
        built.close()
        return bool(built.needs_sandbox)


@functools.cache
def held_out_items(environment: str) -> int:
    """Return how many held-out items an environment has; it is built for that."""
    from bakeoff import envs

    built = envs.make(environment)
    built.close()
    return built.size("eval")


def check_gold(environment: str) -> None:
    """Accept an environment whose first item has a gold reply, to be learned from.

    Raises:
        UsageError: it has none.
    """
    from bakeoff import envs

    with making(f"environment '{environment}'"):
        built = envs.make(environment)
        gold = built.gold_reply(built.item(0, "train"), ())
        built.close()
    if not gold:
        raise UsageError(
            f"sft learns from gold replies, and environment '{environment}' has none; leave it out"
        )


def check_sandbox(level: str, environments: Iterable[str]) -> None:
    """Accept a sandbox level that can be had here.

    Args:
        level: as the setting ``sandbox`` names it.
        environments: those that need it.

    Raises:
        UsageError: it cannot be had; the text says why, and what to do without it.
    """
    if level == "none":
        return
    from bakeoff.rewards.code.cage import CageBroken
    from bakeoff.rewards.code.levels import SandboxUnavailable, opened

    try:
        opened(None if level == AUTO_SANDBOX else level).end()
    except (SandboxUnavailable, CageBroken) as error:
        needing = ", ".join(environments)
        raise UsageError(f"--sandbox {level}: {needing}: {error}; see bakeoff doctor") from error


def fetch_models(models: set[str]) -> None:
    """Download and convert the models that need it, in a process of its own, which says so.

    Raises:
        UsageError: one of them cannot be had.
    """
    for name in sorted(models.intersection(FETCHED_MODELS)):
        command = [sys.executable, "-m", "bakeoff", "models", "fetch", name]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise UsageError(last_line(done.stderr) or f"the model {name} cannot be fetched")


def with_data(environments: Iterable[str], data: str | None) -> tuple[str, ...]:
    """Return the environments, those that take ``data`` with this folder (as an absolute path).

    Raises:
        UsageError: none of them takes it, one has it already, or cannot be built with it.
    """
    names = tuple(environments)
    if data is None:
        return names
    if not data:  # an unset variable, most likely; it would mean the current folder
        raise UsageError("--data names no folder: it is empty")
    path = str(Path(data).expanduser().resolve())
    changed = tuple(_with_data(name, path) for name in names)
    if changed == names:
        raise UsageError(f"--data: none of these takes it: {', '.join(names)}")
    return changed


def _with_data(name: str, path: str) -> str:
    spec = parse_spec(name)
    if not environment_takes(spec.target, "data"):
        return name
    if "data" in spec.arguments:
        raise UsageError(f"--data: '{name}' names its data already")
    wanted = Spec(spec.target, {**spec.arguments, "data": path})
    if _read_back(str(wanted)) != wanted:
        raise UsageError(f"--data: '{path}' cannot stand in a name (':' or ' #' in it); link to it")
    changed = normal_form(str(wanted))
    builds(changed)
    return changed


def environment_takes(target: str, argument: str) -> bool:
    """Tell whether an environment has an argument, importing what it needs only now."""
    from bakeoff import envs

    return envs.takes(target, argument)


def _read_back(text: str) -> Spec | None:
    try:
        return parse_spec(text)
    except UsageError:
        return None


def _needs_torch(name: str) -> bool:
    from bakeoff.algorithms import ALGORITHMS

    spec = parse_spec(name)
    return bool(spec.arguments) or spec.target not in ALGORITHMS


def _check_in_process(names: list[str], group_size: int, updates: int, *, corrected: bool) -> None:
    command = [sys.executable, "-P", "-m", CELL_MODULE, "--group-size", str(group_size)]
    command += ["--updates", str(updates), *(["--corrected"] if corrected else [])]
    command += ["--check", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UsageError(last_line(done.stderr) or f"{', '.join(names)} cannot be checked")


def last_line(text: str) -> str:
    """Return the last line that is not blank, without the command's own prefix."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("bakeoff: error: ") if lines else ""
