"""Models: by hub id or folder, and two that need no network."""
