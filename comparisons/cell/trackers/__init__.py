"""Trackers: TensorBoard, Weights & Biases and trackio are shown what a run's files hold."""
