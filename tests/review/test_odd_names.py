"""Files and folders whose names are no UTF-8: each format shows the byte, and can be written and read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler.api.review import read_review
from reconciler.cli.review import ReviewFormat

from .specs import BASE, replaced
from .test_git_base import WIDER, Clone, review

ODD = os.fsdecode(b"x\xff")
#: as it is shown, and as it is in an address
SHOWN, IN_URI = r"x\xff", "x%5Cxff"
BROKEN = replaced(("[cart]", "[cartt]"))


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    monkeypatch.chdir(tmp_path)
    try:
        (tmp_path / ODD).mkdir()
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    return Clone(tmp_path, f"{ODD}/new.yaml")


def shown(form: ReviewFormat, text: str) -> str:
    """What a format shows of the folder, read as it is read elsewhere."""
    text.encode()
    if form is ReviewFormat.SARIF:
        (made,) = json.loads(text)["runs"]
        return str(made["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
    if form is ReviewFormat.GITLAB:
        return str(json.loads(text)[0]["location"]["path"])
    if form is ReviewFormat.JSON:
        made = json.loads(text)
        return str((made["findings"] or made["errors"])[0]["place"]["file"])
    return text


@pytest.mark.parametrize("form", list(ReviewFormat))
@pytest.mark.parametrize("saved", [False, True])
def test_a_spec_in_a_folder_whose_name_is_no_utf_8(
    clone: Clone, capsys: pytest.CaptureFixture[str], form: ReviewFormat, saved: bool
) -> None:
    clone.write(WIDER)
    out = ("--save", f"{form}=review.txt") if saved else ("--format", form)
    text = review(capsys, f"{ODD}/new.yaml", "--base", "main", *out)
    found = shown(form, Path("review.txt").read_text() if saved and form is not ReviewFormat.TEXT else text)
    assert f"{IN_URI if form is ReviewFormat.SARIF else SHOWN}/new.yaml" in found
    assert "udcff" not in found


@pytest.mark.parametrize("form", [form for form in ReviewFormat if form is not ReviewFormat.TEXT])
def test_one_that_can_t_be_read(clone: Clone, capsys: pytest.CaptureFixture[str], form: ReviewFormat) -> None:
    clone.write(BROKEN)
    review(capsys, f"{ODD}/new.yaml", "--base", "main", "--save", f"{form}=review.txt", code=1)
    assert f"{IN_URI if form is ReviewFormat.SARIF else SHOWN}/new.yaml" in shown(form, Path("review.txt").read_text())


@pytest.mark.parametrize("form", list(ReviewFormat))
@pytest.mark.parametrize("how", ["renamed", "elsewhere", "broken"])
def test_a_base_in_such_a_folder(
    clone: Clone, capsys: pytest.CaptureFixture[str], form: ReviewFormat, how: str
) -> None:
    if how == "broken":
        clone.git("checkout", "-q", "main")
        clone.write(BROKEN)
        clone.commit("broken")
        clone.git("checkout", "-q", "-B", "change")
    if how == "elsewhere":
        clone.write(WIDER, "other/new.yaml")
    else:
        clone.git("mv", f"{ODD}/new.yaml", "new.yaml")
        clone.write(replaced(("[alice, bob]", "[alice]")), "new.yaml")
    spec = "other/new.yaml" if how == "elsewhere" else "new.yaml"
    text = review(capsys, spec, "--base", "main", "--format", form, code=1 if how == "broken" else 0)
    text.encode()
    assert "udcff" not in text
    # of more than ten notices GitHub shows nine
    if form is ReviewFormat.TEXT or (form is ReviewFormat.GITHUB and how != "elsewhere"):
        assert f"{SHOWN}/new.yaml" in text


def test_a_saved_review_of_it_can_be_read(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("mv", f"{ODD}/new.yaml", "new.yaml")
    clone.write(replaced(("[alice, bob]", "[alice]")), "new.yaml")
    review(capsys, "new.yaml", "--base", "main", "--save", "json=review.json")
    found = read_review("review.json")
    assert found.findings[0].base is not None
    assert found.findings[0].base.file == f"{SHOWN}/new.yaml"
    assert found.warnings == (rf"new.yaml is {SHOWN}/new.yaml in main, and is compared with that",)


def test_an_error_names_it_in_the_same_way(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write(BASE)
    said = review(capsys, f"{ODD}/nope.yaml", "--base", "main", code=1)
    assert said.startswith(rf"Error: {SHOWN}/nope.yaml is not there; ")
