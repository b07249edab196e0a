"""Comparisons: cells, measurements, statistics, tables, reports, the command line."""
