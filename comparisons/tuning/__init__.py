"""Tuning fairly: the same number of trials for every algorithm, on seeds and items of their own."""
