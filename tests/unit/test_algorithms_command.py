"""`bakeoff algorithms`: what it lists, shows and checks, and the starter that it writes."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.algorithms.arguments import PROBE, documented, general_arguments, own_arguments
from bakeoff.algorithms.checking import check
from bakeoff.algorithms.checking.checkup import LEARNS, MANIFEST
from bakeoff.algorithms.checking.claims import CLAIMS
from bakeoff.algorithms.elsewhere import ELSEWHERE, elsewhere
from bakeoff.algorithms.manifest import KEYS
from bakeoff.algorithms.options import with_options
from bakeoff.comparisons.cli import main
from bakeoff.comparisons.commands.algorithm_starter import ALGORITHM
from bakeoff.errors import UsageError
from bakeoff.plugins import Spec, import_object


def said(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert main(["algorithms", *argv]) == code
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["algorithms", *argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_without_an_action_it_lists_every_algorithm_with_its_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys)

    assert text == said(capsys, "list")
    for name, preset in ALGORITHMS.items():
        assert [name, *preset.summary.split()] in [line.split() for line in text.splitlines()]


def test_the_list_needs_no_torch() -> None:
    code = (
        "import sys; from bakeoff.comparisons.cli import main; main(['algorithms']); "
        "print('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_show_prints_the_manifest_the_file_and_every_argument(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = " ".join(said(capsys, "show", name).split())

    for value in make(name).semantics.values():
        assert " ".join(str(value).split()) in text
    module = ALGORITHMS[name].target.partition(":")[0].rpartition(".")[2]
    assert f"algorithms/{module}.py" in text
    for argument in inspect.signature(import_object(ALGORITHMS[name].target)).parameters:  # type: ignore[arg-type]
        assert f" {argument}=" in text


def test_show_prints_absolute_numbers_of_what_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "show", "grpo:clip=0.1")

    assert "clipped to [0.9, 1.1]" in text
    assert "  clip=0.1 " in text
    assert "(a number from 0 to 1; default 0.2)" in " ".join(text.split())


def test_show_prints_what_the_name_means_in_other_libraries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = " ".join(said(capsys, "show", "dr_grpo").split())

    assert "TRL 1.16.0 loss_type='dr_grpo' keeps the division by the std" in text
    assert "OpenRLHF 0.11.2 'dr_grpo' is only the advantage" in text


def test_show_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert "needs  a critic; a reference model\n" in said(capsys, "show", "ppo:kl_coef=0.1")
    assert "needs  the greedy reply to each item\n" in said(capsys, "show", "remax")
    assert "needs  gold replies\n" in said(capsys, "show", "sft")
    assert "needs  2 completions of each item, or more\n" in said(capsys, "show", "rloo")
    assert "needs  nothing but samples and their rewards\n" in said(capsys, "show", "reinforce")


def test_several_are_laid_side_by_side_and_what_agrees_is_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, "show", "grpo", "dr_grpo")

    different, alike = text.split("the same in all of them")
    for part in ("advantage\n  grpo     (reward", "\n  dr_grpo  reward - mean of the group\n"):
        assert part in different
    assert "clipped to [0.8, 1.2]" in alike
    assert "clipped" not in different


def test_show_as_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = json.loads(said(capsys, "show", "grpo", "ppo:lam=0.95", "--json"))

    assert list(one["semantics"]) == list(KEYS)
    assert one["elsewhere"] == elsewhere("grpo")
    assert [argument["name"] for argument in one["arguments"]][:2] == ["clip", "scale_by_std"]
    assert two["algorithm"] == "ppo:lam=0.95"
    assert {"name": "critic", "default": "separate", "value": "separate"}.items() <= two["options"][
        -3
    ].items()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["shwo"], "unknown action of bakeoff algorithms 'shwo'; did you mean 'show'?"),
        (["show", "gprpo"], "did you mean 'grpo'?"),
        (["show", "grpo:clop=1"], "did you mean 'clip'?"),
        (["show"], "the following arguments are required: SPEC"),
        (["check", "grpo", "--jsn"], "unknown flag --jsn of bakeoff algorithms check"),
        (["check", "grpo", "no.py:x"], "no such file: no.py"),
        (["new", "My-Own"], "'My-Own' is no name for a module"),
        (["new", "random"], "would hide another one"),
        (["new", "torch"], "would hide another one"),
    ],
)
def test_a_mistake_is_one_line(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, *argv)


def test_an_algorithm_whose_code_fails_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failing.py").write_text("def mine():\n    raise KeyError('x')\n")

    assert "cannot be made: KeyError: 'x'" in refused(
        capsys, "show", f"{tmp_path / 'failing.py'}:mine"
    )


def test_check_exits_with_0_where_nothing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "check", "grpo", "ppo")

    assert "grpo: nothing failed\n" in text and "ppo: nothing failed\n" in text
    assert "FAILED" not in text


FAULTY = """
from bakeoff.algorithms.grpo import grpo


def mine():
    sound = grpo()

    def policy_loss(batch, logp_BT):
        loss, sums = sound.policy_loss(batch, logp_BT)
        return -loss, sums

    return sound._replace(policy_loss=policy_loss)
"""


def test_check_exits_with_1_and_a_sentence_where_something_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faulty.py").write_text(FAULTY)
    spec = f"{tmp_path / 'faulty.py'}:mine"

    (line,) = [li for li in said(capsys, "check", spec, code=1).splitlines() if "FAILED" in li]
    (found,) = json.loads(said(capsys, "check", spec, "--json", code=1))

    assert line.split(None, 1)[1].startswith("better replies gain, worse ones do not")
    assert line.endswith("a step does not make every reply of reward 1 likelier, "
                         "beside others of reward 0")  # fmt: skip
    assert found["passed"] is False and found["algorithm"] == spec


def test_the_starter_is_short_passes_the_check_and_can_be_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    text = said(capsys, "new", "mine")

    assert len((tmp_path / "mine.py").read_text().splitlines()) < 30
    assert "bakeoff compare --algorithms grpo,mine.py:mine" in text
    assert main(["compare", "--algorithms", "grpo,mine.py:mine:cap=3", "--print-config"]) == 0
    checkup = check("mine.py:mine")
    assert [claim for claim in checkup.claims if claim.state != "passed"] == []
    assert make("mine.py:mine:cap=3").semantics["surrogate"] == "ratio up to 3 * advantage"


def test_the_starter_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("precious = True\n")

    assert "mine.py exists already; nothing was written" in refused(capsys, "new", "mine")
    assert (tmp_path / "mine.py").read_text() == "precious = True\n"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_argument_says_what_it_does_and_what_it_may_be(name: str) -> None:
    spec = Spec(name)

    for argument in [*own_arguments(spec), *general_arguments(spec, make(name))]:
        assert argument.says, argument.name
        assert argument.choices, argument.name


def test_what_an_argument_may_be_is_what_is_accepted() -> None:
    # the names that are shown for each argument that takes a function
    for name in ("grpo", "reinforce", "ppo"):
        for argument in own_arguments(Spec(name)):
            if argument.name in ("kl", "aggregate", "baseline"):
                needed = {"kl_coef": 0.1} if argument.name == "kl" else {}
                for choice in argument.choices.split(", "):
                    make(Spec(name, {argument.name: choice, **needed}))

    with pytest.raises(UsageError):
        make(Spec("grpo", {"clip": PROBE}))


def test_only_baselines_are_offered_as_baselines() -> None:
    (baseline, _) = own_arguments(Spec("reinforce"))

    assert baseline.choices == "batch_mean, group_mean, leave_one_out, no_baseline"
    said = "reward - mean of the group"
    assert make("reinforce:baseline=group_mean").semantics["advantage"] == said


def test_options_of_a_critic_are_shown_where_there_is_one() -> None:
    names = [argument.name for argument in general_arguments(Spec("grpo"), make("grpo"))]
    of_vapo = {a.name: a for a in general_arguments(Spec("vapo"), make("vapo"))}

    assert "critic" not in names and "epochs" in names
    assert of_vapo["critic_warmup"].default == 5  # vapo's own, which the option may change
    assert set(of_vapo) == set(documented(with_options)) - {"algorithm"}


def test_what_a_name_means_elsewhere_is_said_of_names_that_ship() -> None:
    assert set(ELSEWHERE) <= set(ALGORITHMS)
    assert elsewhere("mine") == {}


PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "your_own.md"


def test_the_page_on_ones_own_shows_the_starter_and_explains_every_claim() -> None:
    text = PAGE.read_text()

    assert f"```python\n{ALGORITHM.format(name='mine')}```" in text
    for claim in [*CLAIMS, LEARNS, MANIFEST]:
        assert f"| {claim} |" in text


def test_the_other_example_of_the_page_passes_the_check(tmp_path: Path) -> None:
    blocks = PAGE.read_text().split("```python\n")[1:]
    (tmp_path / "other.py").write_text(blocks[1].split("```")[0])

    assert check(f"{tmp_path / 'other.py'}:mine").passed


@pytest.mark.parametrize("name", ALGORITHMS)
def test_its_row_in_the_registry_says_what_it_needs(name: str) -> None:
    algorithm, preset = make(name), ALGORITHMS[name]

    assert preset.warmup == (algorithm.critic.warmup if algorithm.critic is not None else 0)
    assert preset.on_gold == algorithm.on_gold
