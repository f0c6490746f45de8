"""`routes`, `check`, `explain`, `version`: looking at an application without running it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import mainspring as package

if TYPE_CHECKING:
    from tests.plugins.commands import Commands

# Each command is a program that starts, and there may be many at once.
pytestmark = pytest.mark.timeout(120)

APP = """\
from datetime import timedelta
from mainspring import App, anyone, signed_in

app = App("shop")

@app.get("/slow", allow=anyone, deadline=timedelta(minutes=1))
def slow() -> str:
    return ""

@app.get("/endless", allow=signed_in, deadline=None)
async def endless() -> str:
    return ""

@app.get("/{word}", allow=anyone)
async def fast(word: str) -> str:
    return word
"""


class TestRoutes:
    def test_json_has_what_the_server_will_do(self, mainspring: Commands) -> None:
        (mainspring.folder / "app.py").write_text(APP)
        environ = {"SECRET_KEY": "k" * 32}
        found = {r["path"]: r for r in mainspring.json("routes", environ=environ)}
        assert list(found) == ["/endless", "/slow", "/{word}"]
        assert found["/slow"] == {
            "methods": ["GET"],
            "path": "/slow",
            "kind": "http",
            "handler": "app.slow",
            "policy": "anyone",
            "deadline_seconds": 60.0,
            "in_place": False,
        }
        assert found["/endless"]["deadline_seconds"] is None
        assert found["/endless"]["policy"] == "signed_in"
        assert found["/{word}"]["in_place"] is True

    def test_web_sockets_and_mounts_are_routes_too(self, mainspring: Commands) -> None:
        (mainspring.folder / "app.py").write_text(
            "from mainspring import App, anyone\nfrom mainspring.http import WebSocket\n"
            "app = App('shop')\napp.mount('/old', App('old'), allow=anyone)\n"
            "@app.websocket('/chat', allow=anyone)\n"
            "async def chat(socket: WebSocket) -> None: ...\n"
        )
        found = {r["path"]: r for r in mainspring.json("routes")}
        assert (found["/chat"]["kind"], found["/chat"]["handler"]) == ("websocket", "app.chat")
        assert (found["/old"]["kind"], found["/old"]["handler"]) == ("mount", "mainspring.app.App")
        assert "WEBSOCKET  /chat" in mainspring.fine("routes")

    def test_the_table_has_a_line_for_each(self, mainspring: Commands) -> None:
        (mainspring.folder / "app.py").write_text(APP)
        lines = mainspring.fine("routes", environ={"SECRET_KEY": "k" * 32}).splitlines()
        assert lines[0].split() == [
            "METHOD",
            "PATH",
            "HANDLER",
            "POLICY",
            "DEADLINE",
            "IN",
            "PLACE",
        ]
        assert lines[2].split() == ["GET", "/slow", "app.slow", "anyone", "60", "s"]
        assert lines[3].split() == ["GET", "/{word}", "app.fast", "anyone", "10", "s", "yes"]


class TestCheck:
    def test_an_application_that_can_start_is_fine(self, shop: Commands) -> None:
        assert "routes can be served, each with a policy" in shop.fine("check")

    def test_a_route_without_a_policy_is_a_finding(self, mainspring: Commands) -> None:
        (mainspring.folder / "app.py").write_text(APP.replace("allow=anyone", "allow=None"))
        done = mainspring("check", "--json")
        [finding] = json.loads(done.stdout)["findings"]
        assert done.returncode == 1
        assert finding["code"] == "app.undeclared-policy"
        assert "GET /slow (slow); GET /{word} (fast)" in finding["what"]
        assert finding["fix"]

    def test_an_unknown_setting_is_a_finding(self, shop: Commands) -> None:
        done = shop("check", environ={"MAINSPRING_THREDS": "1"})
        assert done.returncode == 1
        assert "✗ unknown setting MAINSPRING_THREDS" in done.stdout
        assert "did you mean 'MAINSPRING_THREADS'?" in done.stdout
        assert done.stdout.endswith("1 finding\n")

    def test_code_that_cannot_be_imported_is_a_finding_or_a_traceback(self, shop: Commands) -> None:
        (shop.folder / "shop" / "app.py").write_text("import nothing_like_it\n")
        done = shop("check", "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["findings"][0]["code"] == "cli.broken-application"
        done = shop("check")
        assert done.returncode == 1
        assert "No module named 'nothing_like_it'" in done.stderr

    def test_a_fit_deployment_passes(self, shop: Commands) -> None:
        environ = {
            "DATABASE_URL": f"sqlite:///{shop.folder}/data.db",
            "SECRET_KEY": "0123456789abcdef" * 4,
            "ALLOWED_HOSTS": "shop.example",
        }
        shop.fine("migrate", environ=environ)
        told = shop.fine("check", "--deploy", environ=environ)
        assert "✗" not in told
        assert "✓ the database answers and has every migration" in told

    def test_debug_is_unfit_for_production(self, shop: Commands) -> None:
        found = shop.json("check", "--deploy", environ={"DEBUG": "1"})["findings"]
        assert "deploy.debug" in {finding["code"] for finding in found}


class TestExplain:
    def test_a_code_is_explained(self, mainspring: Commands) -> None:
        told = mainspring.fine("explain", "cli.usage")
        assert told.startswith("cli.usage\n")
        assert "What to do" in told
        assert "`" not in told

    def test_without_a_code_all_are_listed(self, mainspring: Commands) -> None:
        lines = mainspring.fine("explain").splitlines()
        codes = [line.split()[0] for line in lines[1:]]
        assert "settings.invalid" in codes
        assert codes == sorted(codes)


def test_version_says_what_a_report_should_name(mainspring: Commands) -> None:
    told = mainspring.fine("version")
    assert told.startswith(f"mainspring {package.__version__}\nCPython 3.")
    assert told == mainspring.fine("--version") == mainspring.fine("-V")
