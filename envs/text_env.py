"""A text environment: a `gymnasium.Env` that also offers its items by index and split.

The prompt is the observation and the reply the action. A subclass says what is asked (``size``,
``item``) and which named, weighted functions judge a reply (``rewards``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium.error import CustomSpaceError, ResetNeeded
from gymnasium.spaces import Text
from gymnasium.vector.utils import create_shared_memory

from bakeoff.envs.remote import scored
from bakeoff.envs.scoring import judged, may_overlap
from bakeoff.errors import UsageError, unknown
from bakeoff.rewards import RewardFunction
from bakeoff.streams import stream_seed
from bakeoff.types import Item, Score

SPLITS = ("train", "eval")


class AnyText(Text):
    """The space of all strings up to a length: unicode, newlines and the empty one included.

    `gymnasium.spaces.Text` lists its characters, which for all of unicode takes seconds and
    megabytes; this one only checks the length. Its samples are printable ASCII.

    Example:
        >>> "¿Cuánto es 2 + 2? 🙂" in AnyText(100), "x" * 101 in AnyText(100)
        (True, False)
    """

    def __init__(self, max_length: int = 2**20, *, seed: int | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=" ", seed=seed)

    def contains(self, x: Any) -> bool:
        """Return whether ``x`` is a string that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return a random string of at most 256 printable characters; masks have no meaning."""
        length = int(self.np_random.integers(min(self.max_length, 256) + 1))
        return "".join(map(chr, self.np_random.integers(32, 127, size=length)))

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText) and other.max_length == self.max_length

    __hash__ = None  # type: ignore[assignment]


@create_shared_memory.register(AnyText)
def _no_shared_memory(space: AnyText, n: int = 1, ctx: Any = None) -> Any:
    """Refuse: gymnasium 1.4 hands out constant filler in place of text kept in shared memory."""
    raise CustomSpaceError("text cannot be kept in shared memory")


class TextEnv(gymnasium.Env[str, str]):
    """One question, one reply, one score; or several turns, and one score at the end.

    A subclass sets ``id`` and ``rewards`` and defines ``size`` and ``item``. Items are addressed by
    index and split, so that a group of replies shares one item and train and eval stay apart.

    An environment of several turns sets ``turns`` and defines ``turn`` and ``gold_reply``. It keeps
    no state of its own: what it says is a function of the item and the replies so far.

    Attributes:
        id: the name it is registered under; every random stream is keyed by it.
        reply_tokens: how many new tokens a reply needs, as a default for the sampler.
        rewards: ``{name: (weight, function)}``; a weight of 0 makes a metric that is only logged.
            A function may be async, or ``batched``, and may raise ``Malformed``.
        ranges: the least and the largest value of a part, where they are not 0 and 1.
        deadline_s: if given, replies are scored in a process that is killed when one takes longer;
            the reply is then not scored. The environment must be one that ``spec_text`` rebuilds.
        spec_text: what ``bakeoff.envs.make`` builds the same environment of.
        needs_sandbox: whether its rewards run programs that a model wrote; it is asked before a
            comparison starts, so that a missing sandbox shows then and not in every run.
        turns: how many replies an episode has at most.
        split: where ``reset`` takes its items from.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012
    id: str = ""
    reply_tokens: int = 128
    rewards: Mapping[str, tuple[float, RewardFunction]] = {}
    ranges: Mapping[str, tuple[float, float]] = {}
    deadline_s: float | None = None
    needs_sandbox: bool = False
    turns: int = 1

    def __init__(self, *, split: str = "train", render_mode: str | None = None) -> None:
        self.spec_text = self.id
        self.split = checked_split(split)
        self.render_mode = render_mode
        self.observation_space = AnyText()
        self.action_space = AnyText()
        self._asked: Item | None = None
        self._replies: list[str] = []
        self._answered = True

    @property
    def overlaps(self) -> bool:
        """Whether training may have replies judged while others are still being sampled.

        So it is where all of it is done elsewhere, and for each reply by itself: in the processes
        of ``deadline_s``, or by functions that are async or marked ``bakeoff.rewards.overlapping``.
        """
        functions = [function for _, function in self.rewards.values()]
        return self.deadline_s is not None or (bool(functions) and all(map(may_overlap, functions)))

    def size(self, split: str) -> int:
        """Return how many items the split ("train" or "eval") has."""
        raise NotImplementedError

    def item(self, index: int, split: str = "train") -> Item:
        """Return one item; the same index and split give the same item, always."""
        raise NotImplementedError

    def turn(self, item: Item, replies: Sequence[str]) -> str | None:
        """Return what is said after some replies, or ``None`` if the episode is over."""
        return None

    def gold_reply(self, item: Item, replies: Sequence[str]) -> str:
        """Return what to reply next to earn the highest score: after no replies, ``item.gold``."""
        return item.gold

    def score(self, item: Item, reply: str | Sequence[str]) -> Score:
        """Judge a reply: the weighted sum of the parts, or no value if a part fails.

        In an environment of several turns the reward functions get all replies, as a tuple. A
        reward function that raises, or returns what is not a finite number, makes the reply *not
        scored*, with its name and the error as the reason; it is never a silent 0.
        """
        return self.score_many([item], [reply])[0]

    def score_many(
        self, items: Sequence[Item], replies: Sequence[str | Sequence[str]]
    ) -> list[Score]:
        """Judge many replies, one for each item; async and batched functions run together."""
        if self.deadline_s is None:
            return judged(self.rewards, items, replies)
        return scored(self.spec_text, self.deadline_s, items, replies)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Ask a random item, or the one that ``options={"index": i, "split": s}`` names.

        Returns:
            The prompt, and the item's index and split.

        Raises:
            UsageError: unknown option or split, or there is no such item.
        """
        super().reset(seed=seed)
        options = options or {}
        for key in options:
            if key not in ("index", "split"):
                raise unknown("option of reset", key, ("index", "split"))
        split = checked_split(options.get("split", self.split))
        index = options.get("index")
        if index is None:  # of a split without items, the first: `item` says why there is none
            index = self.np_random.integers(max(1, self.size(split)))
        index = int(index)
        self._asked, self._replies, self._answered = self.item(index, split), [], False
        return self._asked.prompt, {"index": index, "split": split}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take a reply; score it if the episode is over.

        Returns:
            What the environment says, the reward, terminated, truncated (the turns are used up and
            the environment would have gone on), and at the end the parts. A reply that could not be
            scored has the reward 0.0, and ``info["scored"]`` is false.
        """
        if self._asked is None or self._answered:
            raise ResetNeeded("nothing is asked; call reset() before step()")
        self._replies.append(action)
        replies = tuple(self._replies)
        said = self.turn(self._asked, replies) if self.turns > 1 else None
        if said is not None and len(replies) < self.turns:
            return said, 0.0, False, False, {}
        self._answered = True
        score = self.score(self._asked, replies if self.turns > 1 else action)
        info = {
            "scored": score.value is not None,
            "reason": score.reason,
            "parts": dict(score.parts),
        }
        reward = 0.0 if score.value is None else float(score.value)
        return "", reward, said is None, said is not None, info

    def render(self) -> str | None:
        """Return the prompt, in render mode "ansi"."""
        return self._asked.prompt if self.render_mode == "ansi" and self._asked else None

    def _checked_index(self, index: int, split: str) -> int:
        size = self.size(checked_split(split))
        if size < 1:
            raise UsageError(f"{self.id} has no {split} items")
        if not 0 <= index < size:
            raise UsageError(f"{self.id} has no {split} item {index}: they are 0 to {size - 1}")
        return index


def checked_split(split: str) -> str:
    """Return the split if there is one of that name.

    Raises:
        UsageError: there is none.
    """
    if split not in SPLITS:
        raise unknown("split", str(split), SPLITS)
    return split


def split_of(env_id: str, content: str) -> str:
    """Return the split that a piece of content belongs to: one in eight is for eval.

    A generator that draws again until the content is of the split it is asked for cannot ask in
    eval what it asks in train, however often the content comes up.

    Example:
        >>> [split_of("me/Add-v0", f"{n}+{n}") for n in range(4)]
        ['train', 'train', 'train', 'train']
    """
    return "eval" if stream_seed("split", env_id, content) % 8 == 0 else "train"
