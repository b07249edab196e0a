"""The subcommands of `bakeoff`: their flags and what they do."""
