"""What two sets of items share: the same prompt, nearly the same one, or a long run of words.

*Exact* and *normalised* overlaps are the same question twice. Runs of 13 words (*13-grams*, as in
Brown et al. 2020, https://arxiv.org/abs/2005.14165, appendix C) are reported besides, and prove
nothing: questions made from one template share its words and differ in their numbers. A run that,
but for its numbers, stands in more than ten prompts of the training side, or in a tenth of them, is
such a template's and does not count. A prompt of fewer than 13 words has no run; it is compared as
a whole.
"""

from __future__ import annotations

import itertools
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bakeoff.types import Environment, Item

N = 13
COMMON, COMMON_SHARE = 10, 0.1  # of the training prompts; what more of them have is a template's

_NUMBER = re.compile(r"[0-9]+")
_TRAILING = re.compile(r"[.,;:?]+(?= |$)")
_QUOTES = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'"})  # noqa: RUF001


@dataclass(frozen=True)
class Overlap:
    """How many of the eval items stand in the training items.

    Attributes:
        train, evaluation: what was compared, as "environment/split".
        train_items, eval_items: how many items of each.
        exact: eval items whose prompt is that of a training item.
        normalised: those whose prompt is, but for case, spaces, quotes and closing punctuation;
            the exact ones are among them.
        ngram: those that share a run of 13 words with a training item, and are not normalised.
        short: those with fewer than 13 words, which share no run with anything.
        eval_prompts: how many different prompts the eval items have, compared in the same way.
        examples: ids of an eval item and of a training item, the worst cases first.
    """

    train: str
    evaluation: str
    train_items: int
    eval_items: int
    exact: int = 0
    normalised: int = 0
    ngram: int = 0
    short: int = 0
    eval_prompts: int = 0
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def clean(self) -> bool:
        """Whether no question is asked in both."""
        return self.normalised == 0

    def __str__(self) -> str:
        asked = f"{self.train_items} train, {self.eval_items} eval"
        if not (self.train_items and self.eval_items):
            return f"nothing to compare: {asked}"
        found = f"{self.exact} exact, {self.normalised} normalised, {self.ngram} by 13-grams"
        like = f"; {self.examples[0][0]} is like {self.examples[0][1]}" if self.examples else ""
        return f"{found} ({asked}{like})"


def contamination(
    train: Environment | str,
    evaluation: Environment | str,
    *,
    splits: tuple[str, str] = ("train", "eval"),
    items: int = 1000,
    seconds: float | None = None,
) -> Overlap:
    """Compare the items of two environments, or of two splits of one.

    Args:
        train: an environment or its spec.
        evaluation: another, or the same.
        splits: which split of each.
        items: how many items of each, from the first on.
        seconds: stop reading items after so long; how many were read is in the result.

    Raises:
        UsageError: there is no such environment or split.

    Example:
        >>> found = contamination("bakeoff/Arithmetic-v0", "bakeoff/Arithmetic-v0", items=200)
        >>> found.clean, found.ngram, found.short
        (True, 0, 200)
    """
    from bakeoff.envs import make  # it offers this module's functions itself

    first = make(train) if isinstance(train, str) else train
    second = first if evaluation == train else evaluation
    second = make(second) if isinstance(second, str) else second
    share = None if seconds is None else seconds / 2
    asked = [
        list(first_items(env, split, range(items), share))
        for env, split in zip((second, first), reversed(splits), strict=True)
    ]
    found = overlap(asked[1], asked[0])
    return replace(found, train=f"{first.id}/{splits[0]}", evaluation=f"{second.id}/{splits[1]}")


def first_items(
    env: Environment, split: str, indices: Iterable[int], seconds: float | None = None
) -> Iterator[Item]:
    """Yield items by their indices, up to the first that there is not, for so many seconds.

    Example:
        >>> from bakeoff.envs import make
        >>> [item.id for item in first_items(make("bakeoff/Arithmetic-v0"), "eval", [0, 99_999])]
        ['bakeoff/Arithmetic-v0/eval/0']
    """
    size, started = env.size(split), time.monotonic()
    for index in indices:
        if seconds is not None and time.monotonic() - started > seconds:
            return
        if index >= size:
            return
        yield env.item(index, split)


def overlap(train: Sequence[Item], evaluation: Sequence[Item]) -> Overlap:
    """Count the eval items that stand in the training items.

    Example:
        >>> asked = [Item("a/train/0", "Name a prime."), Item("a/train/1", "What is 1 + 2?")]
        >>> found = overlap(asked, [Item("a/eval/0", "what is  1 + 2"), Item("a/eval/1", "1 - 2?")])
        >>> found.exact, found.normalised, found.examples
        (0, 1, (('a/eval/0', 'a/train/1'),))
        >>> found.eval_prompts
        2
    """
    exact = {item.prompt: item.id for item in reversed(train)}
    same = {normalised(item.prompt): item.id for item in reversed(train)}
    runs = _telling_runs(same)
    counts: Counter[str] = Counter()
    examples: dict[str, list[tuple[str, str]]] = {"exact": [], "normalised": [], "ngram": []}
    for item in evaluation:
        text = normalised(item.prompt)
        shared = next((runs[run] for run in word_runs(text) if run in runs), None)
        for kind, other in (
            ("exact", exact.get(item.prompt)),
            ("normalised", same.get(text)),
            ("ngram", None if text in same else shared),
        ):
            if other is not None:
                counts[kind] += 1
                examples[kind].append((item.id, other))
        counts["short"] += len(text.split()) < N
    shown = [pair for kind in examples for pair in examples[kind]]
    return Overlap(
        "train",
        "eval",
        len(train),
        len(evaluation),
        **{kind: counts[kind] for kind in (*examples, "short")},
        eval_prompts=len({normalised(item.prompt) for item in evaluation}),
        examples=tuple(dict.fromkeys(shown))[:5],
    )


def normalised(prompt: str) -> str:
    """Return a prompt without case, runs of spaces, kinds of quotes and closing punctuation.

    Signs and digits are kept: they are what makes one calculation another.

    Example:
        >>> normalised("What  is 3 - 5 ?"), normalised("what is 3 + 5?")
        ('what is 3 - 5', 'what is 3 + 5')
    """
    text = unicodedata.normalize("NFC", prompt).casefold().translate(_QUOTES)
    return " ".join(_TRAILING.sub("", " ".join(text.split())).split())


def word_runs(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the runs of 13 words of a normalised text.

    Example:
        >>> len(list(word_runs("a b c d e f g h i j k l m n"))), len(list(word_runs("too short")))
        (2, 0)
    """
    words = text.split()
    yield from zip(*(itertools.islice(words, start, None) for start in range(N)), strict=False)


def _telling_runs(prompts: dict[str, str]) -> dict[tuple[str, ...], str]:
    """Return the runs that are no template's, each with the id of an item that has it."""
    owners: dict[tuple[str, ...], str] = {}
    counts: Counter[str] = Counter()
    for text, id in prompts.items():
        runs = set(word_runs(text))
        owners.update(dict.fromkeys(runs, id))
        counts.update({_template(run) for run in runs})
    most = min(COMMON, max(1, int(COMMON_SHARE * len(prompts))))
    return {run: id for run, id in owners.items() if counts[_template(run)] <= most}


def _template(run: tuple[str, ...]) -> str:
    return _NUMBER.sub("0", " ".join(run))
