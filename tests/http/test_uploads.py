"""Uploaded files: where they are kept, what they are called, and that they are gone afterwards."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Struct

from mainspring.auth import anyone
from mainspring.http import Form, Upload, UploadClosed

MULTIPART = "multipart/form-data; boundary=cut"


class Picture(Struct):
    title: str
    image: Upload
    more: list[Upload] = []
    cover: Upload | None = None


def part(name: str, data: bytes = b"", *, filename: str | None = None, kind: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    kind = f"\r\nContent-Type: {kind}" if kind else ""
    head = f'--cut\r\nContent-Disposition: form-data; name="{name}"{file}{kind}\r\n\r\n'
    return head.encode() + data + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--cut--\r\n"


def temporary_files() -> set[str]:
    """The open files of this process that no folder lists any more."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            if "(deleted)" in target or "mainspring-" in target:
                found.add(target)
    return found


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # nothing tells when a file of the process is closed
            await asyncio.sleep(0.01)


async def gone(files: set[str]) -> None:
    """Wait until there are no more temporary files than before."""
    await until(lambda: not temporary_files() - files)


async def test_a_file_arrives_with_its_facts_and_its_bytes(app, serve) -> None:
    seen = []

    @app.post("/pictures", allow=anyone)
    async def add(picture: Annotated[Picture, Form()]) -> list[int]:
        pieces = [piece async for piece in picture.image.stream(piece_bytes=4)]
        seen.append((picture.image, pieces, await picture.image.read()))
        return [picture.image.size, len(picture.more)]

    peer = await serve(app)
    body = whole(
        part("title", b"Sea"),
        part("image", b"0123456789", filename="Sea side.PNG", kind="image/png; x=y"),
        part("more", b"a", filename="a"), part("more", b"b", filename="b"),
        part("cover", b"", filename=""),
    )  # fmt: skip
    answer = await peer.ask("POST", "/pictures", kind=MULTIPART, body=body)
    assert answer.json() == [10, 2]
    image, pieces, data = seen[0]
    assert (image.filename, image.content_type, image.field) == (
        "Sea side.PNG", "image/png", "image",
    )  # fmt: skip
    assert pieces == [b"0123", b"4567", b"89"]
    assert data == b"0123456789"
    assert len(image.stored_name) == 36
    assert image.stored_name.endswith(".png")


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
async def test_a_file_of_any_size_is_saved_whole(app, serve, tmp_path, size) -> None:
    data = os.urandom(size)
    before = temporary_files()

    @app.post("/pictures", allow=anyone, body_limit_bytes=4_000_000)
    async def add(picture: Annotated[Picture, Form()]) -> str:
        path = await picture.image.save(tmp_path)
        assert await picture.image.read() == data
        assert b"".join([piece async for piece in picture.image.stream()]) == data
        return path.name

    peer = await serve(app)
    body = whole(part("title", b"x"), part("image", data, filename="x.bin"))
    answer = await peer.ask("POST", "/pictures", kind=MULTIPART, body=body)
    assert answer.status == 200
    assert [file.name for file in tmp_path.iterdir()] == [answer.body.decode()]
    assert (tmp_path / answer.body.decode()).read_bytes() == data
    await gone(before)


async def test_a_file_is_closed_when_its_handler_has_returned(app, serve) -> None:
    kept = []

    @app.post("/pictures", allow=anyone, body_limit_bytes=4_000_000)
    async def add(picture: Annotated[Picture, Form()]) -> None:
        kept.extend([picture.image, picture.more[0]])

    before = temporary_files()
    peer = await serve(app)
    body = whole(
        part("title", b"x"),
        part("image", b"a" * 1_000_000, filename="big"), part("more", b"b", filename="small"),
    )  # fmt: skip
    assert (await peer.ask("POST", "/pictures", kind=MULTIPART, body=body)).status == 204
    await gone(before)
    for upload in kept:
        with pytest.raises(UploadClosed):
            await upload.read()


async def test_files_are_gone_after_an_error_and_after_a_client_that_left(app, serve) -> None:
    entered = asyncio.Event()
    cancelled = asyncio.Event()

    @app.post("/pictures", allow=anyone, body_limit_bytes=4_000_000)
    async def add(picture: Annotated[Picture, Form()]) -> None:
        entered.set()
        if picture.title == "bad":
            raise ValueError(picture.title)
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    before = temporary_files()
    peer = await serve(app)
    big = part("image", b"a" * 1_000_000, filename="big")
    failed = await peer.ask(
        "POST", "/pictures", kind=MULTIPART, body=whole(part("title", b"bad"), big)
    )
    assert failed.status == 500
    await gone(before)

    # One client leaves in the middle of its file, another while the handler is at work.
    for body in (part("title", b"x") + big[:600_000], whole(part("title", b"x"), big)):
        entered.clear()
        _, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        head = f"POST /pictures HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MULTIPART}\r\n"
        length = 1_000_200 if body.endswith(b"a") else len(body)
        writer.write(f"{head}Content-Length: {length}\r\n\r\n".encode() + body)
        if body.endswith(b"a"):
            await until(lambda: temporary_files() - before)
        else:
            await entered.wait()
        writer.transport.abort()
        await gone(before)
    async with asyncio.timeout(5):
        await cancelled.wait()


@pytest.mark.parametrize(
    "filename",
    [
        "../../etc/passwd", "/etc/passwd", "C:\\Windows\\x.dll", "CON", "a\0b.php", "x.php", "..",
        "a/b.html", "x.svg", "x.png/", "é" * 200,
    ],
)  # fmt: skip
async def test_no_name_of_a_client_reaches_the_disk(app, serve, tmp_path, filename) -> None:
    @app.post("/pictures", allow=anyone)
    async def add(picture: Annotated[Picture, Form()]) -> str:
        return str(await picture.image.save(tmp_path))

    peer = await serve(app)
    body = whole(part("title", b"x"), part("image", b"data", filename=filename))
    answer = await peer.ask("POST", "/pictures", kind=MULTIPART, body=body)
    path = Path(answer.body.decode())
    assert path.parent == tmp_path
    assert path.name.isalnum()
    assert len(path.name) == 32
    assert list(tmp_path.iterdir()) == [path]


async def test_two_names_in_one_part_make_no_difference(app, serve) -> None:
    @app.post("/pictures", allow=anyone)
    async def add(picture: Annotated[Picture, Form()]) -> str:
        return picture.image.stored_name

    peer = await serve(app)
    head = 'form-data; name="image"; filename="a.png"; filename*=UTF-8\'\'..%2f..%2fb.php'
    body = whole(part("title", b"x"), f"--cut\r\nContent-Disposition: {head}\r\n\r\nx\r\n".encode())
    answer = await peer.ask("POST", "/pictures", kind=MULTIPART, body=body)
    assert answer.status == 200
    assert "/" not in answer.body.decode()
    assert ".php" not in answer.body.decode()


async def test_a_missing_file_and_a_file_in_a_text_field_are_both_named(app, serve) -> None:
    @app.post("/pictures", allow=anyone)
    async def add(picture: Annotated[Picture, Form()]) -> None: ...

    peer = await serve(app)
    answer = await peer.ask(
        "POST", "/pictures", kind=MULTIPART, body=whole(part("title", b"x", filename="x"))
    )
    assert answer.status == 422
    assert sorted(answer.errors) == [
        ("#/image", "is required"), ("#/title", "is not a file field"),
    ]  # fmt: skip


async def test_an_urlencoded_form_is_refused_where_a_file_is_wanted(app, serve) -> None:
    @app.post("/pictures", allow=anyone)
    async def add(picture: Annotated[Picture, Form()]) -> None: ...

    peer = await serve(app)
    answer = await peer.ask(
        "POST", "/pictures", kind="application/x-www-form-urlencoded", body=b"title=x&image=y"
    )
    assert answer.status == 415
