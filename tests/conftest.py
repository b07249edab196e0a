"""Settings for all tests."""

import torch

torch.set_num_threads(1)  # these tensors are tiny: more threads only wait for each other
