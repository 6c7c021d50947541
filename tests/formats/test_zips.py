"""Zips are read without being extracted, and refuse what leads out of them."""

import json
import stat
import zipfile

import pytest

from kl_core.errors import InputError
from kl_core.formats import limits

from .make import GOOD, load

BODY = json.dumps(GOOD)


def test_the_members_of_a_zip_are_entries(tmp_path):
    """Folders inside are kept in the names; a Mac's extras are set aside."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ["b/x.json", "a.json", "__MACOSX/._a.json", "notes.txt"]:
            archive.writestr(name, BODY)
    entries, rows = load(path)
    assert [e.file for e in entries] == ["a.json", "b/x.json"]
    assert len(rows) == 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["/etc/a.json", "../a.json", "x/../../a.json", "C:/a.json", "..\\a.json", "C:\\a.json"]
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    """Absolute names, `..` and drive letters: a row, and the others are read."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, BODY)
        archive.writestr("good.json", BODY)
    entries, rows = load(path)
    assert [e.file for e in entries] == ["good.json"]
    assert "lead out of it were refused" in rows[0].reason


def test_links_and_repeated_names_are_refused(tmp_path):
    """A link is never followed; of two members of one name the first is read."""
    path = tmp_path / "all.zip"
    link = zipfile.ZipInfo("link.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.json", BODY)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.json", "[]")
    entries, rows = load(path)
    assert [e.file for e in entries] == ["a.json"]
    assert sorted(row.file for row in rows) == ["a.json", "link.json"]


def test_an_encrypted_member_is_a_row(tmp_path):
    """The encryption flag is enough: it is not opened."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", BODY)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    data[data.index(b"PK\x03\x04") + 6] |= 1
    path.write_bytes(bytes(data))
    entries, rows = load(path)
    assert entries == []
    assert "encrypted" in rows[0].reason


def test_a_zip_bomb_is_stopped(tmp_path, monkeypatch):
    """A member that grows a thousandfold is a row, the others are read."""
    monkeypatch.setattr(limits, "RATIO_FROM_BYTES", 2**20)
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b" " * 2**23)
        archive.writestr("good.json", BODY)
    entries, rows = load(path)
    assert [e.file for e in entries] == ["good.json"]
    assert "bomb" in rows[0].file


def test_a_damaged_member_is_a_row(tmp_path):
    """A wrong checksum costs this member only."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", BODY)
        archive.writestr("b.json", BODY)
    data = bytearray(path.read_bytes())
    data[data.index(b"Say hi")] = ord("X")
    path.write_bytes(bytes(data))
    entries, rows = load(path)
    assert [e.file for e in entries] == ["b.json"]
    assert rows[0].file == "a.json"


def test_a_file_that_is_no_zip_is_an_input_error(tmp_path):
    """A .zip full of text is refused with its name."""
    path = tmp_path / "all.zip"
    path.write_text("no zip")
    with pytest.raises(InputError, match="not a zip"):
        load(path)
