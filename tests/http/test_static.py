"""Static files: found at start, cached for ever by name, and nothing else of the disk is seen."""

import gzip
import os
from email.utils import formatdate

import brotli
import pytest

from mainspring.app import App, UndeclaredPolicy
from mainspring.auth import anyone
from mainspring.http import Router, StaticError
from mainspring.http._content import PIECE_BYTES
from mainspring.settings import Settings

CSS = b"body { color: black }\n" * 100
BIG = bytes(range(256)) * 4096  # 1 MiB, which is not held in memory


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "static"
    (root / "img").mkdir(parents=True)
    (root / "app.css").write_bytes(CSS)
    (root / "tiny.js").write_bytes(b"1")
    (root / "big.bin").write_bytes(BIG)
    (root / "empty.txt").write_bytes(b"")
    (root / "img" / "a b.svg").write_bytes(b"<svg/>")
    (root / ".env").write_bytes(b"SECRET")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_bytes(b"SECRET")
    (tmp_path / "static2").mkdir()
    (tmp_path / "static2" / "secret.txt").write_bytes(b"SECRET")
    (tmp_path / "secret.txt").write_bytes(b"SECRET")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "outside").symlink_to(tmp_path / "static2")
    (root / "hidden.txt").symlink_to(root / ".git" / "config")
    (root / "dangling.txt").symlink_to(root / "nowhere")
    (root / "link.css").symlink_to(root / "app.css")
    return root


def serving(folder, **settings) -> App:
    app = App("test", settings=Settings(log_level="error", **settings))
    app.static("/static", folder, allow=anyone)
    return app


async def test_a_file_under_its_own_name_is_revalidated(folder, serve) -> None:
    peer = await serve(serving(folder))
    answer = await peer.ask("GET", "/static/app.css")
    assert (answer.status, answer.body) == (200, CSS)
    assert answer.header("content-type") == "text/css; charset=utf-8"
    assert answer.header("cache-control") == "no-cache"
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("vary") == "accept-encoding"
    for headers in (
        {"If-None-Match": answer.header("etag")},
        {"If-None-Match": f'"other", W/{answer.header("etag")}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": answer.header("last-modified")},
        {"If-None-Match": answer.header("etag"), "If-Modified-Since": formatdate(0, usegmt=True)},
    ):
        again = await peer.ask("GET", "/static/app.css", headers=headers)
        assert (again.status, again.body) == (304, b""), headers
        assert again.header("etag") == answer.header("etag")
        assert again.header("content-type") is None
        assert again.header("content-length") is None
    for headers in (
        {"If-None-Match": '"other"'},
        {"If-Modified-Since": formatdate(0, usegmt=True)},
        {"If-Modified-Since": "yesterday"},
        {"If-None-Match": '"other"', "If-Modified-Since": answer.header("last-modified")},
        {"If-None-Match": '"x",' * 2000},
    ):
        again = await peer.ask("GET", "/static/app.css", headers=headers)
        assert again.status == 200, headers
    changed = await peer.ask("GET", "/static/app.css", headers={"If-Match": '"other"'})
    assert changed.status == 412


async def test_a_file_under_the_name_of_its_content_is_kept_for_ever(folder, serve) -> None:
    app = serving(folder)
    peer = await serve(app)
    url = app.static_url("app.css")
    assert url.startswith("/static/app.")
    assert len(url) == len("/static/app.css") + 13
    answer = await peer.ask("GET", url)
    assert (answer.status, answer.body) == (200, CSS)
    assert answer.header("cache-control") == "public, max-age=31536000, immutable"
    spaced = app.static_url("img/a b.svg")
    assert (await peer.ask("GET", spaced)).body == b"<svg/>"


async def test_head_is_answered_with_the_length_and_no_body(folder, serve) -> None:
    peer = await serve(serving(folder))
    for name, size in (("tiny.js", 1), ("big.bin", len(BIG)), ("empty.txt", 0)):
        answer = await peer.ask("HEAD", f"/static/{name}")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("content-length") == str(size)


async def test_a_large_file_comes_whole(folder, serve) -> None:
    peer = await serve(serving(folder))
    answer = await peer.ask("GET", "/static/big.bin")
    assert answer.body == BIG
    assert answer.header("content-length") == str(len(BIG))
    assert answer.header("accept-ranges") == "bytes"


@pytest.mark.parametrize(
    "target",
    [
        "/static/", "/static/.env", "/static/.git/config", "/static/../secret.txt",
        "/static/%2e%2e/secret.txt", "/static/..%2fsecret.txt", "/static/..%5csecret.txt",
        "/static/%2e%2e%2fsecret.txt", "/static/..\\secret.txt", "/static//etc/passwd",
        "/static/%2fetc/passwd", "/static//app.css", "/static/./app.css", "/static/app.css/",
        "/static2/secret.txt", "/static/../static2/secret.txt", "/static/out.txt",
        "/static/outside/secret.txt", "/static/hidden.txt", "/static/dangling.txt",
        "/static/img", "/static/img/", "/static/APP.CSS", "/static/app.css%00",
        "/static/app.css%00.png",
        "/static/%252e%252e/secret.txt", "/static/img/../app.css", "/static/nothing.css",
        "/static/app.000000000000.css", "/static/%c0%ae%c0%ae/secret.txt", "/static/app.css::$DATA",
    ],
)  # fmt: skip
async def test_nothing_but_the_files_that_were_found_is_seen(folder, serve, target) -> None:
    peer = await serve(serving(folder))
    answer = await peer.ask("GET", target)
    assert answer.status in {400, 404}
    assert b"SECRET" not in answer.body


async def test_a_link_within_the_folder_is_a_file_like_others(folder, serve) -> None:
    peer = await serve(serving(folder))
    assert (await peer.ask("GET", "/static/link.css")).body == CSS


async def test_only_get_and_head_are_taken(folder, serve) -> None:
    peer = await serve(serving(folder))
    assert (await peer.ask("POST", "/static/app.css")).status == 405


async def test_a_policy_is_needed_here_too(folder) -> None:
    app = App("test", settings=Settings())
    app.static("/static", folder)
    with pytest.raises(UndeclaredPolicy, match=r"/static/\{path:path\}"):
        app.compile()


async def test_a_part_of_an_application_may_have_files_of_its_own(folder, serve) -> None:
    router = Router("/shop", allow=anyone)
    files = router.static("/files", folder)
    app = App("test", settings=Settings(log_level="error"))
    app.include(router, prefix="/v1")
    peer = await serve(app)
    assert files.url("app.css").startswith("/v1/shop/files/app.")
    assert (await peer.ask("GET", files.url("app.css"))).body == CSS


def test_a_missing_folder_stops_the_start(tmp_path) -> None:
    with pytest.raises(StaticError, match="is not a folder"):
        serving(tmp_path / "nowhere").compile()


def test_a_misspelt_name_suggests_the_right_one(folder) -> None:
    app = serving(folder)
    files = app.static("/more", folder, allow=anyone)
    app.compile()
    with pytest.raises(StaticError) as caught:
        files.url("ap.css")
    assert "did you mean 'app.css'?" in caught.value.fix
    with pytest.raises(StaticError):
        app.static_url("nothing.css")


async def test_in_development_a_change_is_seen_at_once(folder, serve) -> None:
    app = serving(folder, debug=True)
    peer = await serve(app)
    before = app.static_url("app.css")
    (folder / "app.css").write_bytes(b"new")
    (folder / "more.css").write_bytes(b"more")
    (folder / "tiny.js").unlink()
    assert (await peer.ask("GET", "/static/app.css")).body == b"new"
    assert (await peer.ask("GET", "/static/more.css")).body == b"more"
    assert (await peer.ask("GET", "/static/tiny.js")).status == 404
    assert app.static_url("app.css") != before


async def test_in_production_it_is_not_until_the_next_start(folder, serve) -> None:
    peer = await serve(serving(folder))
    (folder / "app.css").write_bytes(b"new")
    (folder / "more.css").write_bytes(b"more")
    assert (await peer.ask("GET", "/static/app.css")).body == CSS
    assert (await peer.ask("GET", "/static/more.css")).status == 404


async def test_a_large_file_that_changed_is_not_mixed_with_what_it_was(folder, serve) -> None:
    peer = await serve(serving(folder))
    (folder / "big.bin").write_bytes(BIG[::-1])
    answer = await peer.ask("GET", "/static/big.bin")
    assert answer.body == b""


async def test_a_compressed_file_beside_it_is_preferred(folder, serve) -> None:
    (folder / "big.svg").write_bytes(b"<svg>" * 30_000)
    (folder / "big.svg.br").write_bytes(brotli.compress(b"<svg>" * 30_000))
    (folder / "app.css.br").write_bytes(brotli.compress(CSS + b"stale"))
    os.utime(folder / "app.css.br", (1, 1))
    peer = await serve(serving(folder))
    answer = await peer.ask("GET", "/static/big.svg", headers={"Accept-Encoding": "gzip, br"})
    assert answer.header("content-encoding") == "br"
    assert answer.header("content-type") == "image/svg+xml"
    assert brotli.decompress(answer.body) == b"<svg>" * 30_000
    plain = await peer.ask("GET", "/static/big.svg")
    assert plain.header("etag") != answer.header("etag")
    assert plain.header("vary") == answer.header("vary") == "accept-encoding"
    same = {"Accept-Encoding": "br", "If-None-Match": answer.header("etag")}
    assert (await peer.ask("GET", "/static/big.svg", headers=same)).status == 304
    # One that is older than the file was made from another state of it.
    stale = await peer.ask("GET", "/static/app.css", headers={"Accept-Encoding": "br, gzip"})
    assert stale.header("content-encoding") == "gzip"
    assert gzip.decompress(stale.body) == CSS


async def test_a_small_text_is_compressed_once_and_kept(folder, serve) -> None:
    app = serving(folder)
    peer = await serve(app)
    headers = {"Accept-Encoding": "gzip"}
    first = await peer.ask("GET", "/static/app.css", headers=headers)
    second = await peer.ask("GET", "/static/app.css", headers=headers)
    assert gzip.decompress(first.body) == CSS
    assert first.body == second.body
    tiny = await peer.ask("GET", "/static/tiny.js", headers=headers)
    assert tiny.header("content-encoding") is None


async def test_a_large_text_without_one_is_compressed_as_it_is_sent(folder, serve) -> None:
    text = b"words and words\n" * 20_000
    (folder / "big.txt").write_bytes(text)
    peer = await serve(serving(folder))
    plain = await peer.ask("GET", "/static/big.txt")
    coded = await peer.ask("GET", "/static/big.txt", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(coded.body) == text
    assert coded.header("etag") == f"W/{plain.header('etag')}"
    again = {"Accept-Encoding": "gzip", "If-None-Match": coded.header("etag")}
    assert (await peer.ask("GET", "/static/big.txt", headers=again)).status == 304


@pytest.mark.parametrize("name", ["app.css", "big.bin"])
@pytest.mark.parametrize(
    ("sent", "start", "stop"),
    [
        ("bytes=0-0", 0, 1), ("bytes=0-99", 0, 100), ("bytes=100-", 100, None),
        ("bytes=-10", -10, None), ("bytes=-99999999", 0, None), ("bytes=5-99999999", 5, None),
        ("Bytes = 1-2", 1, 3), ("bytes=0-", 0, None),
    ],
)  # fmt: skip
async def test_a_part_of_a_file_is_sent(folder, serve, name, sent, start, stop) -> None:
    whole = (folder / name).read_bytes()
    peer = await serve(serving(folder))
    answer = await peer.ask(
        "GET", f"/static/{name}", headers={"Range": sent, "Accept-Encoding": "gzip"}
    )
    assert answer.status == 206
    assert answer.body == whole[start:stop]
    first = start if start >= 0 else len(whole) + start
    assert (
        answer.header("content-range")
        == f"bytes {first}-{first + len(answer.body) - 1}/{len(whole)}"
    )
    assert answer.header("content-encoding") is None


async def test_several_parts_are_sent_in_one_answer(folder, serve) -> None:
    peer = await serve(serving(folder))
    for name in ("app.css", "big.bin"):
        whole = (folder / name).read_bytes()
        answer = await peer.ask("GET", f"/static/{name}", headers={"Range": "bytes=0-3,10-13,-4"})
        assert answer.status == 206
        boundary = answer.header("content-type").removeprefix("multipart/byteranges; boundary=")
        assert int(answer.header("content-length")) == len(answer.body)
        parts = answer.body.split(f"--{boundary}".encode())
        assert parts[0] == b""
        assert parts[-1] == b"--\r\n"
        bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
        assert bodies == [whole[0:4], whole[10:14], whole[-4:]]
        assert f"content-range: bytes 10-13/{len(whole)}".encode() in parts[2]


@pytest.mark.parametrize(
    "sent",
    [
        "bytes=" + ",".join(f"{n}-{n}" for n in range(10_000))[:15_000],
        "bytes=" + ",".join(["0-"] * 9),
        "bytes=0-10,5-15",
        "bytes=0-,0-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=-",
        "bytes=",
        "bytes",
        "lines=0-1",
        "bytes=0-1,x",
        "bytes=\u0661-\u0662",
        "bytes=" + "9" * 100 + "-",
        "bytes=+1-2",
    ],
)
async def test_what_asks_for_too_much_or_makes_no_sense_gets_the_whole(folder, serve, sent) -> None:
    peer = await serve(serving(folder))
    raw = {"Range": sent.encode().decode("latin-1")}
    answer = await peer.ask("GET", "/static/app.css", headers=raw)
    assert (answer.status, answer.body) == (200, CSS)


async def test_a_part_that_does_not_exist_is_refused_with_the_size(folder, serve) -> None:
    peer = await serve(serving(folder))
    for sent in ("bytes=99999999-", "bytes=-0", f"bytes={len(CSS)}-"):
        answer = await peer.ask("GET", "/static/app.css", headers={"Range": sent})
        assert answer.status == 416
        assert answer.header("content-range") == f"bytes */{len(CSS)}"
    empty = await peer.ask("GET", "/static/empty.txt", headers={"Range": "bytes=0-0"})
    assert empty.status == 416


async def test_a_part_is_sent_only_of_the_state_that_the_client_knows(folder, serve) -> None:
    peer = await serve(serving(folder))
    plain = await peer.ask("GET", "/static/app.css")
    for state, status in (
        (plain.header("etag"), 206), (plain.header("last-modified"), 206), ('"other"', 200),
        (f"W/{plain.header('etag')}", 200), (formatdate(0, usegmt=True), 200),
    ):  # fmt: skip
        headers = {"Range": "bytes=0-9", "If-Range": state}
        answer = await peer.ask("GET", "/static/app.css", headers=headers)
        assert answer.status == status, state


async def test_a_head_ignores_ranges(folder, serve) -> None:
    peer = await serve(serving(folder))
    answer = await peer.ask("HEAD", "/static/app.css", headers={"Range": "bytes=0-1"})
    assert (answer.status, answer.header("content-length")) == (200, str(len(CSS)))


def test_pieces_are_smaller_than_the_large_file_of_these_tests() -> None:
    assert len(BIG) > 2 * PIECE_BYTES
