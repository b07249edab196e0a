"""A grid of cells: which there are, what was asked of a folder, and the driver that runs them."""
