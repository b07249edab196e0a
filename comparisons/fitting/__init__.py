"""What fits in memory: the largest size of a run that a budget affords, by formula."""
