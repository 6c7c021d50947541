"""Which folders the app may read, and what it keeps of an upload."""

import io
from pathlib import Path

import pytest

from kl_core.errors import InputError
from kl_core.ui import folders
from kl_core.ui.upload import arrival_line


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One allowed root, with a secret beside it."""
    allowed = tmp_path / "allowed"
    (allowed / "inside").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    monkeypatch.setenv("KL_DATA_ROOTS", str(allowed))
    monkeypatch.setenv("KL_RUNS_DIR", str(tmp_path / "runs"))
    return allowed


def test_a_folder_under_an_allowed_root_is_read(roots: Path) -> None:
    """KL_DATA_ROOTS opens its folders and all below them."""
    assert folders.allowed_folder(str(roots / "inside")) == (roots / "inside").resolve()


@pytest.mark.parametrize("way", ["../secret", "inside/../../secret", "link", "/etc", ""])
def test_no_way_leads_out_of_the_allowed_roots(roots: Path, way: str) -> None:
    """Dots, absolute paths and links are judged by where they end."""
    (roots / "link").symlink_to(roots.parent / "secret")
    with pytest.raises(InputError):
        folders.allowed_folder(str(roots / way) if way not in ("/etc", "") else way)


def test_a_neighbour_with_the_same_beginning_is_not_inside(roots: Path) -> None:
    """/data/allowed does not open /data/allowed-not."""
    (roots.parent / "allowed-not").mkdir()
    with pytest.raises(InputError):
        folders.allowed_folder(str(roots.parent / "allowed-not"))


@pytest.mark.parametrize("name", ["../x.json", "/x.json", "a/../../x.json", "C:\\x.json", "..\\x"])
def test_an_upload_cannot_write_outside_its_folder(tmp_path: Path, name: str) -> None:
    """A name that climbs is left out with a reason, and nothing is written."""
    kept, left_out = folders.keep(tmp_path / "up", [(name, io.BytesIO(b"{}"))])
    assert kept == 0 and len(left_out) == 1
    assert not list(tmp_path.rglob("*.json"))


def test_uploaded_folders_keep_their_shape(tmp_path: Path) -> None:
    """Relative folders stay, a repeated name is refused by name."""
    files = [
        ("a/x.json", io.BytesIO(b"1")),
        ("b/x.json", io.BytesIO(b"2")),
        ("a/x.json", io.BytesIO(b"3")),
    ]
    kept, left_out = folders.keep(tmp_path, files)
    assert kept == 2 and "a/x.json" in left_out[0]
    assert (tmp_path / "a/x.json").read_bytes() == b"1"


def test_the_count_that_arrived_is_held_against_the_count_announced() -> None:
    """Fewer files than announced, or more than a browser can send, is said."""
    assert arrival_line(3, 0, 3) == "3 files arrived."
    assert "not complete" in arrival_line(2, 0, 3)
    assert "zip" in arrival_line(501, 0, 0)


def test_a_folder_of_this_repository_is_shown_without_the_way_to_it(tmp_path):
    """The rest of the path says nothing; other folders are shown whole."""
    assert (
        folders.shown(folders.runs.REPOSITORY / "sample_data" / "results") == "sample_data/results"
    )
    assert folders.shown(str(tmp_path)) == str(tmp_path)
