"""``bakeoff export``: write an environment's questions for other trainers."""

from __future__ import annotations

import argparse

from bakeoff.comparisons.commands.subcommands import whole_number
from bakeoff.errors import UsageError, unknown
from bakeoff.plugins import see_current_folder

FORMATS = ("jsonl", "verl")


def add_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags of ``bakeoff export`` to its parser."""
    command.add_argument("--env", metavar="SPEC", help="environment, with arguments if any")
    command.add_argument("--to", metavar="|".join(FORMATS), help="for which trainer")
    command.add_argument(
        "--out",
        metavar="PATH",
        help="a folder for verl; for jsonl NAME writes NAME.train.jsonl and NAME.eval.jsonl",
    )
    command.add_argument("-n", default="1000", metavar="N", help="train items (default: 1000)")
    command.add_argument("--n-eval", default="200", metavar="N", help="eval items (default: 200)")


def run(args: argparse.Namespace) -> int:
    """Write the files and print where they are, or the settings that go with them.

    Raises:
        UsageError: something is missing or cannot be exported.
    """
    for flag in ("env", "to", "out"):
        if getattr(args, flag, None) is None:
            raise UsageError(f"bakeoff export needs --{flag}; see bakeoff export --help")
    if args.to == "trl":
        raise UsageError("TRL takes functions, not files: bakeoff.envs.exports.export_trl(env)")
    if args.to not in FORMATS:
        raise unknown("trainer to export to", args.to, FORMATS)
    see_current_folder()
    from bakeoff.envs import SPLITS, make
    from bakeoff.envs.exports import export_jsonl, export_verl

    env = make(args.env)
    sizes = {"train": whole_number("-n", args.n), "eval": whole_number("--n-eval", args.n_eval)}
    if args.to == "verl":
        for key, value in export_verl(
            env, args.out, n=sizes["train"], n_eval=sizes["eval"]
        ).items():
            print(f"{key}={value}")
        return 0
    stem = args.out.removesuffix(".jsonl")
    for split in SPLITS:
        path = f"{stem}.{split}.jsonl"
        rows = export_jsonl(env, path, split=split, n=sizes[split])
        print(f"{path}: {len(rows)} rows")
    return 0
