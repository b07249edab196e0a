"""YAML files that a person wrote. What stands in them is told from what they meant to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bakeoff.errors import UsageError

MERGE = "tag:yaml.org,2002:merge"
"""The tag of the key ``<<``, which may stand in a mapping several times."""


class Loader(yaml.SafeLoader):
    """Refuses a key that stands in a mapping twice: the last one would count, without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the mapping, its keys looked at as they are written."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                problem = f"the key '{key.value}' stands in line {lines[name]} already"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[name] = line
        return node


def read_yaml(path: Path, kind: str) -> object:
    """Return what a YAML file holds.

    Args:
        path: the file.
        kind: what it is called where it cannot be read, such as ``"config file"``.

    Raises:
        UsageError: it is missing, cannot be read, is no YAML, or has a key twice; the text has the
            line.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader)
    except FileNotFoundError:
        raise UsageError(f"no such {kind}: {path}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error.reason} at {error.start}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a month 13
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        what = getattr(error, "problem", None) or str(error) or "not YAML"
        raise UsageError(f"{path} is broken YAML{where}: {what}") from None
