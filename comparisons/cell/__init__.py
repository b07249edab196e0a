"""One cell of a comparison: a fresh process that trains one algorithm and writes what it saw."""
