"""``python -m bakeoff`` is the ``bakeoff`` command."""

from bakeoff.comparisons.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
