"""What image names stand for."""

from pathlib import Path

import pytest

from podling.launcher.images import ImageError, ImageTable
from podling.launcher.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.at(tmp_path)


def test_there_are_none_at_first(layout: Layout) -> None:
    assert dict(ImageTable(layout)) == {}


def test_what_one_process_adds_another_one_sees(layout: Layout) -> None:
    reader = ImageTable(layout)
    assert "web:1" not in reader
    ImageTable(layout).add("web:1", ["serve", "-v"])
    assert list(reader["web:1"]) == ["serve", "-v"]
    ImageTable(layout).add("web:1", ["serve"])
    assert list(reader["web:1"]) == ["serve"]
    ImageTable(layout).remove("web:1")
    assert "web:1" not in reader


def test_an_unknown_image_cannot_be_removed(layout: Layout) -> None:
    with pytest.raises(ImageError, match="podling image list"):
        ImageTable(layout).remove("web:1")


@pytest.mark.parametrize("content", ["[", "- a", "web: serve", "web: []"])
def test_a_damaged_table_is_named(layout: Layout, content: str) -> None:
    layout.images.write_text(content)
    with pytest.raises(ImageError, match=r"images\.yaml is damaged"):
        len(ImageTable(layout))
    assert layout.images.read_text() == content
