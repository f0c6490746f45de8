"""A file as a handler's result: its name cannot do harm, and no other file can be had."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from mainspring.auth import anyone
from mainspring.http import File, Request
from mainspring.security import content_disposition


class Note(Struct):
    text: str


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "reports"
    root.mkdir()
    (root / "a.pdf").write_bytes(b"%PDF" * 1000)
    (root / "page.html").write_bytes(b"<script>alert(1)</script>")
    (root / "folder").mkdir()
    (tmp_path / "secret").write_bytes(b"SECRET")
    (root / "out").symlink_to(tmp_path / "secret")
    return root


@pytest.fixture
def peer(app, serve, folder):
    @app.get("/named/{name}", allow=anyone)
    async def named(name: str) -> File:
        return File(folder / "a.pdf", name=name)

    @app.get("/files/{path:path}", allow=anyone)
    def from_thread(path: str) -> File:
        return File(folder / path, within=folder)

    @app.get("/shown/{path:path}", allow=anyone)
    async def shown(path: str) -> File | Note:
        return Note("none") if path == "none" else File(folder / path, inline=True)

    @app.get("/unsaid", allow=anyone)
    async def unsaid(_request: Request):  # no annotation
        return File(folder / "a.pdf")

    return serve(app)


async def test_a_file_is_saved_under_the_name_that_the_handler_gives(peer) -> None:
    served = await peer
    answer = await served.ask("GET", "/named/r%C3%A9sum%C3%A9.pdf")
    assert answer.body == b"%PDF" * 1000
    assert answer.header("content-type") == "application/pdf"
    assert answer.header("content-disposition") == (
        "attachment; filename=\"resume.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf"
    )
    assert answer.header("cache-control") == "private, no-cache"
    assert answer.header("x-content-type-options") == "nosniff"


async def test_it_is_revalidated_and_sent_in_parts(peer) -> None:
    served = await peer
    answer = await served.ask("GET", "/files/a.pdf")
    known = {"If-None-Match": answer.header("etag")}
    assert (await served.ask("GET", "/files/a.pdf", headers=known)).status == 304
    part = await served.ask("GET", "/files/a.pdf", headers={"Range": "bytes=1-3"})
    assert (part.status, part.body) == (206, b"PDF")


@pytest.mark.parametrize(
    "path",
    ["nothing", "folder", "", "../secret", "%2e%2e/secret", "..%2fsecret", "/etc/passwd",
     "%2fetc%2fpasswd", "out", "a.pdf%00", "x" * 300],
)  # fmt: skip
async def test_what_is_not_a_file_within_the_folder_is_not_found(peer, path) -> None:
    served = await peer
    answer = await served.ask("GET", f"/files/{path}")
    assert answer.status in {400, 404}
    assert b"SECRET" not in answer.body


async def test_what_is_shown_cannot_act_as_a_page_of_the_site(peer) -> None:
    served = await peer
    answer = await served.ask("GET", "/shown/page.html")
    assert answer.header("content-disposition") == 'inline; filename="page.html"'
    assert answer.header("content-security-policy") == "sandbox; default-src 'none'"
    assert (await served.ask("GET", "/shown/none")).json() == {"text": "none"}


async def test_a_handler_that_does_not_say_that_it_gives_files_fails_clearly(peer, caplog) -> None:
    served = await peer
    assert (await served.ask("GET", "/unsaid")).status == 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plain.txt", 'attachment; filename="plain.txt"'),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("a\r\nSet-Cookie: x=y", 'attachment; filename="aSet-Cookie: x=y"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\x\\y.txt", 'attachment; filename="y.txt"'),
        ("a;b.txt", "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%3Bb.txt"),
        ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
        ("", 'attachment; filename="download"'),
        ("..", 'attachment; filename="download"'),
        ("文書.pdf", "attachment; filename=\".pdf\"; filename*=UTF-8''%E6%96%87%E6%9B%B8.pdf"),
    ],
)  # fmt: skip
def test_names_are_written_so_that_they_cannot_break_out(name: str, value: str) -> None:
    assert content_disposition(name) == value


@given(st.text())
def test_any_name_is_one_safe_header_value(name: str) -> None:
    value = content_disposition(name)
    assert value.isascii()
    assert value.isprintable()
    found = re.fullmatch(r"attachment; filename=\"([^\"%;]+)\"(; filename\*=UTF-8''(\S+))?", value)
    assert found is not None
    exact = unquote(found[3]) if found[3] else found[1]
    assert "/" not in exact
    assert "\\" not in exact
