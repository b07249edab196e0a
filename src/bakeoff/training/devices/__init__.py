"""Several processes that make one run: who is one of them, and how they share its work."""
