"""Whose a run's tensors are: what its models, optimisers, samplers and batches hold, and the rest.

Owners say so where their tensors are made. A tensor without an owner is labelled by what is going
on: the ``activations`` are what is made between the beginning of a transformer's forward pass and
the end of its backward pass (or of the phase, if none follows), but for ``logits``, whose last
dimension is the vocabulary. In a backward pass a tensor of the shape of a trained matrix is a
gradient. All else is ``other_tensors``, also what autocast casts weights to.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bakeoff.training.accounting.accountant import Accountant
from bakeoff.training.learner import Learner
from bakeoff.training.masters import Master, rounded
from bakeoff.training.optimizer import trained
from bakeoff.training.sampling.cache import Slots
from bakeoff.types import Batch

if TYPE_CHECKING:
    from bakeoff.training.loop import Training

UPDATES = {"policy": "update_policy", "critic": "update_critic"}
"""The phase in which a model's gradients are made."""


class Labels:
    """Says what a tensor is that nobody has claimed."""

    def __init__(self, accountant: Accountant, learner: Learner) -> None:
        """Label what the accountant sees of a learner's work."""
        self.accountant, self._policy = accountant, learner.policy
        self.stepping: str | None = None
        self._passing = self._in_backward = False
        head_VH = learner.policy.get_output_embeddings().weight
        self._vocabulary, self._head_HV = len(head_VH), (head_VH.shape[1], len(head_VH))
        self._gradients = {
            (UPDATES[name], tuple(weight.shape)): f"{name}_grads"
            for name, optimizer in learner.optimizers().items()
            for weight in trained(optimizer)
            if weight.dim() > 1
        }

    def pass_begins(self, *_: object) -> None:
        """Know that a transformer begins a forward pass."""
        if not self._passing:  # a LoRA that is merged stands in the place of the policy's own
            self.accountant.claim("merged_weights", self._policy.parameters(), new=True)
        self._passing = True

    def phase_begins(self) -> None:
        """Know that no pass of the phase before goes on."""
        self._passing = self._in_backward = False

    def __call__(self, tensor: Tensor, operation: Any, arguments: tuple[Any, ...]) -> str:
        """Return the component of a new tensor."""
        if self.stepping is not None:
            return f"{self.stepping}_optimizer"
        if tensor.layout != torch.strided:
            return "sampler_weights"
        in_backward = torch._C._current_graph_task_id() != -1
        if self._in_backward and not in_backward:
            self._passing = False
        self._in_backward = in_backward
        shape = tuple(tensor.shape)
        if in_backward and (mine := self._gradients.get((self.accountant.phase, shape))):
            return mine
        if (
            len(shape) > 1
            and shape[-1] == self._vocabulary
            and shape != self._head_HV
            and tensor.is_floating_point()
        ):
            return "logits"
        if self._passing and not self._casts_a_weight(operation, arguments):
            return "activations"
        return "other_tensors"

    def _casts_a_weight(self, operation: Any, arguments: tuple[Any, ...]) -> bool:
        if getattr(operation, "_overloadpacket", None) is not torch.ops.aten._to_copy:
            return False
        owner = self.accountant.component(arguments[0])
        return owner is not None and owner.endswith("_weights")


@contextmanager
def owned(accountant: Accountant, training: Training) -> Iterator[Labels]:
    """Have what a run holds claimed by its owners, now and as it comes.

    What is alive already and has no owner are ``other_tensors``. The packed sampler's cache is
    claimed as it is reserved; of the padded one, transformers', after each pass.

    Args:
        accountant: is told; it need not be entered yet.
        training: set up and not begun.
    """
    learner = training.learner
    labels = Labels(accountant, learner)
    accountant.label = labels
    _claim_what_is_there(accountant, learner)
    with ExitStack() as stack:
        for model in _transformers(learner):
            begins = model.register_forward_pre_hook(labels.pass_begins)
            stack.callback(begins.remove)
        after = learner.policy.register_forward_hook(functools.partial(_claim_cache, accountant))
        stack.callback(after.remove)
        for name, optimizer in learner.optimizers().items():
            for handle in _watched(accountant, labels, name, optimizer):
                stack.callback(handle.remove)
        stack.enter_context(_slots_claimed(accountant))
        for name in ("annotate", "learn"):
            stack.callback(vars(learner).pop, name)
            vars(learner)[name] = _batch_claimed(accountant, getattr(learner, name))
        yield labels


def _claim_what_is_there(accountant: Accountant, learner: Learner) -> None:
    for name, held in learner.models.held().items():
        model = getattr(learner.models, name)
        buffers = model.buffers() if model is not None else ()
        accountant.claim(f"{name}_weights", [*held, *buffers])
    for name, optimizer in learner.optimizers().items():
        masters = [weight for weight in trained(optimizer) if isinstance(weight, Master)]
        accountant.claim(f"{name}_optimizer", [*masters, *_states(optimizer)])
    gc.collect()
    alive = [one for one in gc.get_objects() if issubclass(type(one), Tensor)]
    accountant.claim("other_tensors", alive, new=True)


def _transformers(learner: Learner) -> list[nn.Module]:
    """Return the transformers of a run, without their heads; each once."""
    found = [learner.policy.base_model]
    if learner.critic is not None:
        found.append(learner.critic.transformer())
    if learner.reference is not None:
        found.append(learner.reference.base_model)
    return list({id(model): model for model in found}.values())


def _watched(
    accountant: Accountant, labels: Labels, name: str, optimizer: Optimizer
) -> Iterator[Any]:
    """Watch a model's gradients as they are finished, and its optimiser's steps; yield handles."""

    def claim_gradient(weight: nn.Parameter, *_: object) -> None:
        accountant.claim(f"{name}_grads", [weight.grad])

    def begin(*_: object) -> None:
        labels.stepping = name

    def end(*_: object) -> None:
        labels.stepping = None
        accountant.claim(f"{name}_optimizer", _states(optimizer))

    for weight in trained(optimizer):  # a master has its gradient when its weight's is finished
        ready: Callable[..., Any] = functools.partial(claim_gradient, weight)
        yield rounded(weight).register_post_accumulate_grad_hook(ready)  # type: ignore[no-untyped-call]
    yield optimizer.register_step_pre_hook(begin)
    yield optimizer.register_step_post_hook(end)


def _states(optimizer: Optimizer) -> list[Tensor]:
    values = (value for state in optimizer.state.values() for value in state.values())
    return [value for value in values if isinstance(value, Tensor)]


@contextmanager
def _slots_claimed(accountant: Accountant) -> Iterator[None]:
    """Have the buffers of the packed sampler's cache claimed as they are made."""
    write, larger = Slots.write, Slots._larger

    def claimed_write(slots: Slots, layer: int, *written: Tensor) -> None:
        known = len(slots._layers)
        write(slots, layer, *written)
        for buffers in slots._layers[known:]:
            accountant.claim("kv_cache", buffers)

    def claimed_larger(slots: Slots, old_STKD: Tensor, used: int) -> Tensor:
        new_STKD = larger(slots, old_STKD, used)
        accountant.claim("kv_cache", [new_STKD])
        return new_STKD

    own: Mapping[str, Any] = {"write": claimed_write, "_larger": claimed_larger}
    for name, method in own.items():
        setattr(Slots, name, method)
    try:
        yield
    finally:
        Slots.write, Slots._larger = write, larger  # type: ignore[method-assign]


def _claim_cache(accountant: Accountant, model: nn.Module, inputs: Any, output: Any) -> None:
    """Claim what transformers' own cache holds, after a pass that gives one back."""
    cache = getattr(output, "past_key_values", None)
    for layer in getattr(cache, "layers", ()):
        accountant.claim("kv_cache", [layer.keys, layer.values])


def _batch_claimed(accountant: Accountant, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a learner's method whose batches, given and returned, are claimed."""

    def tensors(value: object) -> Iterable[Tensor | None]:
        return value if isinstance(value, Batch) else ()

    @functools.wraps(method)
    def claimed(batch: Batch, *rest: Any, **named: Any) -> Any:
        accountant.claim("rollout_buffer", tensors(batch))
        result = method(batch, *rest, **named)
        accountant.claim("rollout_buffer", tensors(result))
        return result

    return claimed
