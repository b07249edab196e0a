"""Whether a results folder is what its cells left behind: hashes, rows, sums, specs."""
