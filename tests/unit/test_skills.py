"""Skills by name, a project's own first."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.errors import UsageError
from lib.project.skills import read_skills
from lib.project.templates import shipped


def test_a_projects_own_comes_before_one_that_ships(tmp_path: Path) -> None:
    assert "a test before the code" in read_skills(["tests-first"], tmp_path / "none")[0]["text"]
    (tmp_path / "tests-first.md").write_text("Our way.\n")
    assert read_skills(["tests-first"], tmp_path) == [{"name": "tests-first", "text": "Our way."}]


def test_all_that_ship_can_be_read(tmp_path: Path) -> None:
    names = sorted(file.stem for file in shipped("skills").iterdir())
    assert [skill["name"] for skill in read_skills(names, tmp_path)] == names


def test_one_that_is_missing_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "house-style.md").write_text("Tabs.")
    with pytest.raises(UsageError, match="did you mean house-style") as caught:
        read_skills(["house-stile"], tmp_path)
    assert caught.value.code == "no_skill"
    assert "house-stile.md" in caught.value.remedy


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"x" * 50_000, "limit"), (b"\xff\xfe", "read")])
def test_one_that_no_prompt_can_bear_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.md").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read_skills(["bad"], tmp_path)
