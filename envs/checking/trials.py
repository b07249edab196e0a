"""The trials of a check: replies, how they were judged, and what counts as paid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bakeoff.envs.checking import episodes, probes
from bakeoff.envs.checking.episodes import Question, Verdict
from bakeoff.envs.checking.workplace import CallFailed, TookTooLong, Workplace
from bakeoff.envs.text_env import TextEnv

MAX_LATE = 2  # after so many replies that were waited for in vain, no more are tried
BIG_ITEMS, PAIRED_ITEMS = 2, 6  # items that are tried with huge replies, and with pairs
CANDIDATES = 4  # other items that are looked at for a wrong answer
REPEATED = 60  # replies that are judged a second time
ROUNDING = 1e-9


class Trial(NamedTuple):
    """A reply and how it was judged; ``kind`` is what it is for."""

    kind: str
    name: str
    question: Question
    said: tuple[str, ...]
    verdict: Verdict


class Both(NamedTuple):
    """A right and a wrong answer in one reply, in both orders."""

    right_first: Trial
    wrong_first: Trial


class GivenUp(Exception):
    """Too many replies took too long."""


class Examiner:
    """Tries replies on an environment, and keeps what became of them.

    Attributes:
        trials: all of them, in order.
        both: those with a right and a wrong answer.
        again: what became of replies that were judged twice.
    """

    def __init__(self, env: TextEnv, place: Workplace, report: Callable[[str], None]) -> None:
        self.env = env
        self.trials: list[Trial] = []
        self.both: list[Both] = []
        self.again: list[tuple[Trial, Verdict]] = []
        self.gave_up = False
        self._place = place
        self._report = report
        self._late = 0
        self._known: dict[tuple[str, int, tuple[str, ...]], Verdict] = {}
        self._gold: dict[tuple[str, int], Verdict] = {}

    def examine(self, questions: Sequence[Question]) -> None:
        """Try everything, until too many replies take too long."""
        try:
            for item in questions:
                tried = self._try("gold", "the gold reply", item, item.gold)
                self._gold[item.split, item.index] = tried.verdict
            for item in questions:
                self._try_without_answer(item)
            for item in questions[:BIG_ITEMS]:
                for name, text in probes.BIG.items():
                    self._say("big", name, item, text(item.prompt))
                twice = "\n".join(item.gold[-1:] * 2)
                self._try("repeated", "the gold reply twice", item, _last(item, twice))
            for item in questions[:PAIRED_ITEMS]:
                self._try_mutations(item, questions)
            judged = [trial for trial in self.trials if not math.isnan(trial.verdict.seconds)]
            for trial in judged[:: max(1, len(judged) // REPEATED)]:
                self.again.append((trial, self._verdict(trial.question, trial.said)))
        except GivenUp:
            self.gave_up = True

    def of(self, *kinds: str) -> list[Trial]:
        """Return the trials of some kinds."""
        return [trial for trial in self.trials if trial.kind in kinds]

    def paid(self, trial: Trial) -> bool:
        """Tell whether a reply earned more than half of what the item's gold reply earns."""
        gold = self._gold[trial.question.split, trial.question.index].value
        value, low = trial.verdict.value, least(self.env)
        return value is not None and gold is not None and value - low > (gold - low) / 2 + ROUNDING

    def _try_without_answer(self, item: Question) -> None:
        for name, text in probes.NOTHING.items():
            self._say("nothing", name, item, text)
        prompts = {"the prompt": item.prompt, "its first line": item.prompt.partition("\n")[0]}
        for name, text in {**prompts, **probes.JUNK, **probes.tricks(item.gold[-1])}.items():
            if text.strip() not in (item.answer.strip(), item.gold[-1].strip()):
                self._say("junk", name, item, text)

    def _try_mutations(self, item: Question, others: Sequence[Question]) -> None:
        cut = probes.half(item.gold[-1], item.answer)
        if cut is not None:
            self._try("half", "half of the gold reply", item, _last(item, cut))
        for order in (1, -1):
            text = " ".join(probes.NUMBERS.split()[::order])
            self._say("numbers", "the numbers 0 to 999", item, text)
        self.both.append(Both(*self.trials[-2:]))
        other = self._wrong(item, others)
        if other is None:
            return
        for form in probes.FORMS:
            of = [one.answer if form.of_answer else one.gold[-1] for one in (item, other)]
            right = of[0].strip()
            wrong = probes.competing(of[1].strip(), right)
            if right and wrong and right != wrong:
                self._try_pairs(item, form, right, wrong)

    def _wrong(self, item: Question, others: Sequence[Question]) -> Question | None:
        """Return an item of another answer, whose gold reply is not paid here."""
        at = others.index(item)
        following = (others[(at + step) % len(others)] for step in range(1, len(others)))
        differ = (one for one in following if _differs(one, item))
        for other in itertools.islice(differ, CANDIDATES):
            text = probes.competing(other.gold[-1], item.gold[-1])
            if text is None:
                continue
            trial = self._try("other", "another item's gold reply", item, _last(item, text))
            if not self.paid(trial):
                return other
        return None

    def _try_pairs(self, item: Question, form: probes.Form, right: str, wrong: str) -> None:
        """Try two answers in one reply, if this form of reply is one that counts here."""
        alone = [
            self._try("alone", f"one of {form.name}", item, _last(item, form.text % text))
            for text in (right, wrong)
        ]
        if not self.paid(alone[0]) or self.paid(alone[1]):
            return
        for name, *orders in probes.pairs(form, right, wrong):
            tried = [self._try("pair", name, item, _last(item, text)) for text in orders]
            self.both.append(Both(*tried))

    def _say(self, kind: str, name: str, item: Question, text: str) -> None:
        """Try one who says the same in every turn."""
        said: tuple[str, ...] = (text,)
        if self.env.turns > 1:
            try:
                said = self._place.call(episodes.replies, item.split, item.index, text)
            except CallFailed as error:
                self._keep(Trial(kind, name, item, said, _not_judged(error)))
                return
        self._try(kind, name, item, said)

    def _try(self, kind: str, name: str, item: Question, said: tuple[str, ...]) -> Trial:
        known = self._known.get((item.split, item.index, said))
        verdict = known or self._verdict(item, said)
        self._known[item.split, item.index, said] = verdict
        return self._keep(Trial(kind, name, item, said, verdict))

    def _keep(self, trial: Trial) -> Trial:
        self.trials.append(trial)
        self._report(f"{len(self.trials)} replies judged")
        if self._late >= MAX_LATE:
            raise GivenUp
        return trial

    def _verdict(self, item: Question, said: tuple[str, ...]) -> Verdict:
        try:
            return self._place.call(episodes.verdict, item.split, item.index, said)
        except CallFailed as error:
            self._late += isinstance(error, TookTooLong)
            return _not_judged(error)


def ranges(env: TextEnv) -> Mapping[str, tuple[float, float]]:
    """Return the declared range of every part."""
    return {name: env.ranges.get(name, (0.0, 1.0)) for name in env.rewards}


def least(env: TextEnv) -> float:
    """Return what is earned where every part that counts in favour of a reply is at its lowest."""
    low = ranges(env)
    return sum(weight * low[name][0] for name, (weight, _) in env.rewards.items() if weight > 0)


def _differs(one: Question, other: Question) -> bool:
    return one.gold[-1] != other.gold[-1] and (
        not one.answer or one.answer.split() != other.answer.split()
    )


def _last(item: Question, text: str) -> tuple[str, ...]:
    """Return the gold episode with another last reply."""
    return (*item.gold[:-1], text)


def _not_judged(error: CallFailed) -> Verdict:
    return Verdict(None, {}, str(error), math.nan)
