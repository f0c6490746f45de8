# ruff: noqa: E501  # a line of a table is a case
"""Whatever a body is made of, it is bounded in every dimension, and refused with a 4xx.

Sources: CVE-2024-47874, CVE-2023-25577, CVE-2025-69228, CVE-2023-46136, CVE-2026-40347,
CVE-2026-42561, CVE-2024-53981, CVE-2024-24762, CVE-2026-53539, CVE-2026-33034.
"""

import asyncio
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from mainspring.auth import anyone
from mainspring.http import Email, Form, Request, Upload

LIMIT = 60_000
MULTIPART = "multipart/form-data; boundary=cut"
URLENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"
MSGPACK = "application/msgpack"


class Leaf(Struct):
    text: str = ""
    numbers: Annotated[list[int], Meta(max_length=100)] = []
    ratio: float = 0.0
    email: Email | None = None
    inner: "Leaf | None" = None


class Fields(Struct):
    text: str = ""
    many: list[str] = []


class Files(Struct):
    text: str = ""
    file: Upload | None = None
    many: list[Upload] = []


@pytest.fixture
def peer(app, serve):
    bounded: dict[str, Any] = {"allow": anyone, "body_limit_bytes": LIMIT}
    limits = {"fields": 20, "files": 4, "value_bytes": 2000, "file_bytes": 20_000}

    @app.post("/struct", **bounded)
    async def struct(leaf: Leaf) -> int:
        return len(leaf.text)

    @app.post("/any", **bounded)
    async def anything(value: dict) -> int:
        return len(value)

    @app.post("/fields", **bounded)
    async def fields(form: Annotated[Fields, Form(**limits)]) -> int:
        return len(form.many)

    @app.post("/files", **bounded)
    async def files(form: Annotated[Files, Form(**limits)]) -> int:
        return len(form.many)

    @app.post("/raw", **bounded)
    async def raw(request: Request) -> int:
        return len(await request.read())

    @app.post("/stream", **bounded)
    async def stream(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    return serve(app)


def field(name: str, data: bytes = b"x", *, filename: str = "", more: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    head = f'--cut\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{more}\r\n'
    return head.encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--cut--\r\n"


def nested(depth: int) -> bytes:
    return b'{"unknown":' + b"[" * depth + b"]" * depth + b"}"


def chain(depth: int) -> bytes:
    return b'{"inner":' * depth + b"{}" + b"}" * depth


# path, kind, body that is fine, body that is not, what it gets
MATRIX = {
    ("json", "bytes"): ("/struct", JSON, b'{"text":"x"}', b'{"text":"%b"}' % (b"x" * LIMIT), 413),
    ("json", "count"): ("/struct", JSON, b'{"numbers":[1]}', b'{"numbers":[%b1]}' % (b"1," * 200), 422),
    ("json", "count of unknown"): ("/any", JSON, b"{}", b"{%b}" % b",".join(b'"%d":1' % n for n in range(LIMIT // 7)), 413),
    ("json", "name size"): ("/any", JSON, b'{"a":1}', b'{"%b":1}' % (b"x" * LIMIT), 413),
    ("json", "nesting"): ("/struct", JSON, nested(50), nested(20_000), 400),
    ("json", "nesting of the type"): ("/struct", JSON, chain(50), chain(5_000), 400),
    ("json", "nesting that only the decoder can follow"): ("/struct", JSON, chain(50), chain(450), 400),
    ("json", "nesting above a control character"): ("/any", JSON, nested(50), b'{"a":' + b"[" * 5_000 + b'"\\u0000"' + b"]" * 5_000 + b"}", 400),
    ("json", "nesting of anything"): ("/any", JSON, nested(50), nested(20_000), 400),
    ("json", "total"): ("/struct", JSON, b" " * 100 + b"{}", b" " * LIMIT + b"{}", 413),
    ("msgpack", "bytes"): ("/struct", MSGPACK, msgspec.msgpack.encode({"text": "x"}), msgspec.msgpack.encode({"text": "x" * LIMIT}), 413),
    ("msgpack", "count"): ("/struct", MSGPACK, msgspec.msgpack.encode({"numbers": [1]}), msgspec.msgpack.encode({"numbers": [1] * 200}), 422),
    ("msgpack", "count that is a lie"): ("/any", MSGPACK, b"\x80", b"\xdf\xff\xff\xff\xff", 400),
    ("msgpack", "length that is a lie"): ("/struct", MSGPACK, b"\x80", b"\x81\xa4text\xdb\xff\xff\xff\xffx", 400),
    ("msgpack", "name size"): ("/any", MSGPACK, b"\x80", msgspec.msgpack.encode({"x" * LIMIT: 1}), 413),
    ("msgpack", "nesting"): ("/struct", MSGPACK, b"\x81\xa1u\xc0", b"\x81\xa1u" + b"\x91" * 50_000 + b"\xc0", 400),
    ("msgpack", "extension"): ("/struct", MSGPACK, b"\x80", b"\x81\xa4text\xc7\x04\x05abcd", 422),
    ("msgpack", "timestamp"): ("/any", MSGPACK, b"\x80", b"\x81\xa1t\xd7\xff" + b"\xff" * 8, 422),
    ("msgpack", "total"): ("/struct", MSGPACK, b"\x80", b"\x80" * (LIMIT + 1), 413),
    ("urlencoded", "bytes"): ("/fields", URLENCODED, b"text=x", b"text=" + b"x" * 3000, 413),
    ("urlencoded", "count"): ("/fields", URLENCODED, b"many=x&" * 19, b"many=x&" * 21, 400),
    ("urlencoded", "count of separators"): ("/fields", URLENCODED, b"&" * 19, b"&" * 10_000, 400),
    ("urlencoded", "name size"): ("/fields", URLENCODED, b"n" * 256 + b"=1", b"n" * 257 + b"=1", 413),
    ("urlencoded", "nesting"): ("/fields", URLENCODED, b"many[a][b]=1", b"many" + b"[a]" * 90 + b"=1", 413),
    ("urlencoded", "total"): ("/fields", URLENCODED, b"text=x", b"&".join([b"many=" + b"x" * 1990] * 19 + [b"x=" + b"y" * 30_000]), 413),
    ("multipart field", "bytes"): ("/fields", MULTIPART, form(field("text")), form(field("text", b"x" * 2001)), 413),
    ("multipart field", "count"): ("/fields", MULTIPART, form(field("many") * 20), form(field("many") * 21), 413),
    ("multipart field", "name size"): ("/fields", MULTIPART, form(field("n" * 256)), form(field("n" * 257)), 413),
    ("multipart field", "nesting"): ("/fields", MULTIPART, form(field("many[a][b]")), form(field("many" + "[a]" * 90)), 413),
    ("multipart field", "total"): ("/fields", MULTIPART, form(field("many", b"x" * 1000) * 9), form(field("x", b"x" * 1999) * 19 + field("y", b"y" * 30_000)), 413),
    ("multipart field", "headers"): ("/fields", MULTIPART, form(field("text", more="A: b\r\n" * 7)), form(field("text", more="A: b\r\n" * 8)), 413),
    ("multipart field", "header size"): ("/fields", MULTIPART, form(field("text", more=f"A: {'b' * 2000}\r\n")), form(field("text", more=f"A: {'b' * 2100}\r\n")), 413),
    ("multipart field", "10^4 headers"): ("/fields", MULTIPART, form(field("text")), form(field("text", more="A: b\r\n" * 9000)), 413),
    ("multipart file", "bytes"): ("/files", MULTIPART, form(field("file", b"x" * 20_000, filename="f")), form(field("file", b"x" * 20_001, filename="f")), 413),
    ("multipart file", "count"): ("/files", MULTIPART, form(field("many", filename="f") * 4), form(field("many", filename="f") * 5), 413),
    ("multipart file", "name size"): ("/files", MULTIPART, form(field("n" * 256, filename="f")), form(field("n" * 257, filename="f")), 413),
    ("multipart file", "file name size"): ("/files", MULTIPART, form(field("file", filename="f" * 1900)), form(field("file", filename="f" * 2100)), 413),
    ("multipart file", "total"): ("/files", MULTIPART, form(field("many", b"x" * 9_000, filename="f") * 4), form(field("many", b"x" * 19_999, filename="f") * 4), 413),
    ("raw", "total"): ("/raw", "", b"x" * LIMIT, b"x" * (LIMIT + 1), 413),
    ("stream", "total"): ("/stream", "", b"x" * LIMIT, b"x" * (LIMIT + 1), 413),
}  # fmt: skip


@pytest.mark.parametrize("case", MATRIX, ids=", ".join)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_every_dimension_of_every_kind_of_body_is_bounded(peer, case, framing) -> None:
    served = await peer
    path, kind, fine, wrong, status = MATRIX[case]
    for body, wanted in ((fine, 200), (wrong, status)):
        answer = await served.exchange(request(path, kind, body, framing))
        assert answer.status == wanted, answer.body


def request(path: str, kind: str, body: bytes, framing: str) -> list[bytes]:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind or 'text/plain'}\r\n"
    if framing == "length":
        return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), body]
    parts = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    return [f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *chunks, b"0\r\n\r\n"]


@pytest.mark.parametrize("path", ["/struct", "/fields", "/files", "/raw", "/stream"])
async def test_a_body_without_an_end_is_refused_at_the_limit(peer, path) -> None:
    served = await peer
    kind = {"/fields": URLENCODED, "/files": MULTIPART}.get(path, JSON)
    sent = 0

    def endless():
        nonlocal sent
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        yield f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        first = b'--cut\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        if kind == MULTIPART:
            yield b"%x\r\n%b\r\n" % (len(first), first)
        while sent < 100 * LIMIT:
            sent += 5000
            yield b"1388\r\n" + b"x" * 5000 + b"\r\n"

    answer = await served.exchange(endless())
    assert answer.status == 413
    # What is in flight when it is refused fills the buffers of two sockets, and no more.
    assert sent < 100 * LIMIT


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", form(field("text"))),
        ("multipart/form-data; boundary=", form(field("text"))),
        ("multipart/form-data; boundary=" + "b" * 71, b"--" + b"b" * 71 + b"--\r\n"),
        ("multipart/form-data; boundary=" + "b" * 300, b"--" + b"b" * 300 + b"--\r\n"),
        ('multipart/form-data; boundary="' + "b" * 60_000, b""),
        ("multipart/form-data" + ";" * 50_000, b""),
        ("multipart/form-data; " + "a=\\\\" * 10_000 + "; boundary=cut", form(field("text"))),
        ('multipart/form-data; a="' + '\\"' * 20_000 + "; boundary=cut", form(field("text"))),
        (MULTIPART, b""),
        (MULTIPART, b"--cut"),
        (MULTIPART, b"--cut\r\n"),
        (MULTIPART, b"no boundary at all" * 1000),
        (MULTIPART, form(field("text"))[:-8]),
        (MULTIPART, b"preamble--cut\r\n" + form(field("text"))),
        (MULTIPART, form(field("text")).replace(b"\r\n", b"\n")),
        (MULTIPART, b"--cut\r\nContent-Disposition: form-data\r\nno colon\r\n\r\nx\r\n--cut--\r\n"),
        (MULTIPART, b"--cut\r\nContent-Disposition: attachment; name=text\r\n\r\nx\r\n--cut--\r\n"),
        (MULTIPART, b"--cut\r\n\r\nx\r\n--cut--\r\n"),
        (MULTIPART, form(field("text", b"\xff\xfe"))),
        (MULTIPART, form(field("text", b"x", more="Content-Length: 99\r\n"))),
        (MULTIPART, form(field("text", b"x", more="Content-Length: -1\r\n"))),
        (MULTIPART, b'--cut\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--cut--\r\n'),
        (URLENCODED, b"text=%ff"),
        (URLENCODED, b"text=\xff"),
    ],
)  # fmt: skip
async def test_what_is_no_form_is_refused(peer, kind, body) -> None:
    served = await peer
    answer = await served.ask("POST", "/fields", kind=kind, body=body)
    assert answer.status in {400, 413, 415, 431}, answer.body


@pytest.mark.parametrize(
    "body",
    [
        form(field("file", b"\r" + b"x" * 19_000, filename="f")),
        form(field("file", b"\n" + b"x" * 19_000, filename="f")),
        form(field("file", b"\r\n" * 9_000, filename="f")),
        form(field("file", b"\r\n--cu" * 3_000, filename="f")),
        form(field("file", b"\r\n--cut-"[:-2] * 3_000, filename="f")),
        b"\r\n" * 20_000 + form(field("file", b"x", filename="f")),
        form(field("file", b"x", filename="f")) + b"epilogue" * 5_000,
        form(field("text")) + form(field("text")) * 100,
    ],
    ids=["CR", "LF", "CRLF", "almost", "nearly", "preamble", "epilogue", "after the end"],
)  # fmt: skip
async def test_odd_forms_are_read_in_linear_time(peer, body) -> None:
    """Every one of these took some parser quadratic time; the bound is that of every test."""
    served = await peer
    # One byte in a chunk is the worst way to send anything.
    chunks = [
        b"%x\r\n%b\r\n" % (len(body[i : i + 9]), body[i : i + 9]) for i in range(0, len(body), 9)
    ]
    head = f"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MULTIPART}\r\n".encode()
    raw = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"
    answer = await served.exchange(raw)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    "value",
    ["; a=b" * 400, "; a" * 600, ';"' * 900, '; a="\\' * 300, '; a="' + "\\\\" * 900, ";" * 1900],
)
async def test_parameters_of_a_part_are_read_in_linear_time(peer, value) -> None:
    part = f'--cut\r\nContent-Disposition: form-data; name="many"{value}\r\n\r\nx\r\n'.encode()
    served = await peer
    answer = await served.ask("POST", "/fields", kind=MULTIPART, body=form(part * 19))
    assert answer.status in {200, 400}


async def test_semicolons_in_a_form_are_read_in_linear_time(peer) -> None:
    served = await peer
    answer = await served.ask("POST", "/fields", kind=URLENCODED, body=b"a;" * 29_000)
    assert answer.status == 413  # one long name


BAD_JSON = {
    "no JSON": b"{",
    "a body that is empty": b"",
    "two values": b"{}{}",
    "deep arrays": b'{"unknown":' + b"[" * 30_000,
    "deep objects": b'{"a":' * 10_000,
    "NaN": b'{"ratio":NaN}',
    "Infinity": b'{"ratio":Infinity}',
    "minus Infinity": b'{"ratio":-Infinity}',
    "a lone high surrogate": b'{"text":"\\ud800"}',
    "a lone low surrogate": b'{"text":"\\udc00"}',
    "half a surrogate pair": b'{"text":"\\ud800\\u0041"}',
    "an encoded surrogate": b'{"text":"\xed\xa0\x80"}',
    "no UTF-8": b'{"text":"\xff"}',
    "no UTF-8 in what is unknown": b'{"unknown":"\xff"}',
    "an overlong slash": b'{"text":"\xc0\xaf"}',
    "UTF-16": '{"text":"x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a control character": b'{"text":"\x01"}',
    "single quotes": b"{'text':'x'}",
    "a comma too many": b'{"text":"x",}',
    "a comment": b'{"text":"x"/**/}',
    "a leading zero": b'{"ratio":01}',
    "hexadecimal": b'{"ratio":0x1}',
    "duplicate names": b'{"text":"a","text":"b"}',
}
BAD_VALUES = {
    "1e999": b'{"ratio":1e999}',
    "a long integer": b'{"numbers":[%b]}' % (b"9" * 50_000),
    "an integer of 5000 digits": b'{"numbers":[%b]}' % (b"9" * 5000),
    "an integer that is a float": b'{"numbers":[1.5]}',
    "a long address": b'{"email":"a@%b"}' % (b"b." * 20_000),
    "null": b'{"text":null}',
}


@pytest.mark.parametrize("name", BAD_JSON)
async def test_what_is_not_well_formed_is_a_bad_request(peer, name) -> None:
    served = await peer
    assert (await served.post_json("/struct", BAD_JSON[name])).status == 400


@pytest.mark.parametrize("name", BAD_VALUES)
async def test_what_is_well_formed_and_wrong_is_named(peer, name) -> None:
    served = await peer
    answer = await served.post_json("/struct", BAD_VALUES[name])
    assert answer.status == 422
    assert len(answer.body) < 1000


@pytest.mark.parametrize(
    "number", [b"\xcb\x7f\xf8" + b"\0" * 6, b"\xcb\x7f\xf0" + b"\0" * 6, b"\xca\xff\x80\0\0"]
)
async def test_msgpack_brings_in_no_number_that_is_not_finite(peer, number) -> None:
    served = await peer
    answer = await served.ask("POST", "/struct", kind=MSGPACK, body=b"\x81\xa5ratio" + number)
    assert answer.errors == [("#/ratio", "must be a finite number")]
    text = msgspec.msgpack.encode({"text": b"\xcb\x7f\xf8".decode("latin-1")})
    assert (await served.ask("POST", "/struct", kind=MSGPACK, body=text)).status == 200


async def test_ten_megabytes_of_digits_are_refused_before_they_are_a_number(app, serve) -> None:
    @app.post("/big", allow=anyone, body_limit_bytes=20_000_000)
    async def big(leaf: Leaf) -> None: ...

    peer = await serve(app)
    answer = await peer.post_json("/big", b'{"numbers":[' + b"9" * 10_000_000 + b"]}")
    assert answer.status == 422


async def test_others_are_answered_while_a_large_form_is_read(app, serve) -> None:
    @app.post("/files", allow=anyone, body_limit_bytes=50_000_000)
    async def files(form: Annotated[Files, Form()]) -> int:
        return form.file.size

    @app.get("/quick", allow=anyone)
    async def quick() -> None: ...

    peer = await serve(app)
    body = form(field("file", b"x" * 30_000_000, filename="f"))
    upload = asyncio.ensure_future(peer.ask("POST", "/files", kind=MULTIPART, body=body))
    answered = 0
    while not upload.done():
        assert (await peer.ask("GET", "/quick")).status == 204
        answered += 1
    assert (await upload).json() == 30_000_000
    assert answered > 3
