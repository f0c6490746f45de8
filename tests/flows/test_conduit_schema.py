"""Every operation of Conduit's published description, answered to its schema whatever is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import ROOT

DESCRIPTION = ROOT.parent / "shared" / "conduit" / "openapi.yml"


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    not DESCRIPTION.exists(), reason="Conduit's description is not beside the repository"
)
def test_schemathesis_finds_no_5xx_and_no_broken_schema(conduit: str, tmp_path: Path) -> None:
    new = {"username": "fuzz", "email": "fuzz@example.com", "password": "password1"}
    token = httpx.post(f"{conduit}/users", json={"user": new}).json()["user"]["token"]
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", str(DESCRIPTION), "--url", conduit),
        *("-H", f"Authorization: Token {token}", "--max-examples", "5", "--no-color"),
        "--checks=not_a_server_error,response_schema_conformance,content_type_conformance",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-8000:]
    assert "Tested: 19" in done.stdout
