from __future__ import annotations

import copy
import dataclasses
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mainspring import settings
from mainspring.settings import Secret, SettingError, Settings

KEY = "k" * 32
REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "settings.md"


def load(folder: Path, environ: dict[str, str] | None = None, **override: Any) -> Settings:
    return settings.load(environ or {}, folder=folder, **override)


def test_an_empty_environment_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


class TestPrecedence:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "pyproject.toml").write_text(
            "[tool.mainspring]\nport = 1\nhost = '1'\nthreads = 1\nworkers = 1\n"
        )
        (tmp_path / ".env").write_text("PORT=2\nHOST=2\nMAINSPRING_THREADS=2\n")
        return tmp_path

    def test_the_environment_wins_over_env_file_and_pyproject(self, folder: Path) -> None:
        found = load(folder, {"PORT": "3", "HOST": "3"}, debug=True, host="4")
        assert (found.host, found.port, found.threads, found.workers) == ("4", 3, 2, 1)

    def test_the_env_file_is_not_read_outside_development(self, folder: Path) -> None:
        found = load(folder)
        assert (found.host, found.port, found.threads, found.workers) == ("1", 1, 1, 1)

    def test_development_may_be_declared_in_any_other_source(self, folder: Path) -> None:
        assert load(folder, {"DEBUG": "yes"}).port == 2
        (folder / "pyproject.toml").write_text("[tool.mainspring]\ndebug = true\n")
        assert load(folder).port == 2
        assert load(folder, {"DEBUG": "0"}).port == 8000


class TestUnknownNames:
    def test_an_unknown_name_in_the_environment_is_refused_with_the_nearest(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(SettingError) as caught:
            load(tmp_path, {"MAINSPRING_DEADLNE": "3"})
        assert caught.value.what == "unknown setting MAINSPRING_DEADLNE"
        assert caught.value.fix == "did you mean 'MAINSPRING_DEADLINE'?"

    def test_a_name_that_is_nothing_like_ours_points_to_the_reference(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError) as caught:
            load(tmp_path, {"MAINSPRING_QQQ": "3"})
        assert caught.value.fix == "see docs/reference/settings.md"

    def test_a_convention_written_with_our_prefix_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match="did you mean 'DATABASE_URL'"):
            load(tmp_path, {"MAINSPRING_DATABASE_URL": "sqlite:///x.db"})

    def test_names_of_other_programs_are_none_of_our_business(self, tmp_path: Path) -> None:
        assert load(tmp_path, {"DEADLINE": "x", "mainspring_x": "y", "PATH": "/bin"}) == Settings()

    def test_an_unknown_name_in_pyproject_is_refused_with_the_nearest(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.mainspring]\nbody-limit-byte = 5\n")
        with pytest.raises(SettingError, match="did you mean 'body_limit_bytes'"):
            load(tmp_path)

    def test_an_unknown_name_in_the_env_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("MAINSPRING_DEADLNE=3\n")
        with pytest.raises(SettingError, match="MAINSPRING_DEADLNE"):
            load(tmp_path, debug=True)


class TestValues:
    @pytest.mark.parametrize(
        ("text", "span"),
        [
            ("10", timedelta(seconds=10)),
            ("500ms", timedelta(milliseconds=500)),
            ("1.5 s", timedelta(seconds=1.5)),
            ("2m", timedelta(minutes=2)),
            ("1H", timedelta(hours=1)),
            ("1d", timedelta(days=1)),
        ],
    )
    def test_a_span_is_seconds_or_carries_its_unit(
        self, tmp_path: Path, text: str, span: timedelta
    ) -> None:
        assert load(tmp_path, {"MAINSPRING_DEADLINE": text}).deadline == span

    @pytest.mark.parametrize(
        ("text", "size"),
        [("5", 5), ("5B", 5), ("2kb", 2000), ("1.5KiB", 1536), ("1 MiB", 1048576), ("0", 0)],
    )
    def test_a_size_is_bytes_or_carries_its_unit(
        self, tmp_path: Path, text: str, size: int
    ) -> None:
        assert load(tmp_path, {"MAINSPRING_BODY_LIMIT_BYTES": text}).body_limit_bytes == size

    @pytest.mark.parametrize("text", ["1", "true", "YES", " on "])
    def test_a_flag_has_its_usual_words_for_yes(self, tmp_path: Path, text: str) -> None:
        assert load(tmp_path, {"DEBUG": text}).debug is True

    @pytest.mark.parametrize("text", ["0", "False", "no", "off", ""])
    def test_a_flag_has_its_usual_words_for_no(self, tmp_path: Path, text: str) -> None:
        assert load(tmp_path, {"DEBUG": text}).debug is False

    @pytest.mark.parametrize(("text", "plain"), [("", False), ("1", True), ("0", True)])
    def test_no_color_asks_only_whether_there_is_any_text(
        self, tmp_path: Path, text: str, plain: bool
    ) -> None:
        assert load(tmp_path, {"NO_COLOR": text}).no_color is plain

    def test_a_list_is_separated_by_commas(self, tmp_path: Path) -> None:
        found = load(tmp_path, {"ALLOWED_HOSTS": "a.example, .b.example,"})
        assert found.allowed_hosts == ("a.example", ".b.example")

    def test_a_level_may_be_written_in_capitals(self, tmp_path: Path) -> None:
        assert load(tmp_path, {"LOG_LEVEL": "WARNING"}).log_level == "warning"

    def test_pyproject_writes_values_as_toml_does(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text(
            "[tool.mainspring]\nallowed-hosts = ['a', 'b']\ndeadline = 2.5\n"
            "debug = true\nport = 9\n"
        )
        found = load(tmp_path)
        assert (found.allowed_hosts, found.port, found.debug) == (("a", "b"), 9, True)
        assert found.deadline == timedelta(seconds=2.5)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("DEBUG", "maybe"),
            ("PORT", "http"),
            ("PORT", "-1"),
            ("PORT", "80.5"),
            ("PORT", ""),
            ("PORT", "1e999"),
            ("PORT", "nan"),
            ("LOG_LEVEL", "loud"),
            ("MAINSPRING_DEADLINE", "soon"),
            ("MAINSPRING_DEADLINE", "-1"),
            ("MAINSPRING_DEADLINE", "5 years"),
            ("MAINSPRING_DEADLINE", "1e300"),
            ("MAINSPRING_BODY_LIMIT_BYTES", "1parsec"),
        ],
    )
    def test_a_value_that_cannot_be_read_names_itself_and_what_is_expected(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        with pytest.raises(SettingError) as caught:
            load(tmp_path, {name: text})
        assert caught.value.what.startswith(f"{name}={text!r} is not ")
        assert caught.value.fix.startswith("give ")

    def test_a_pyproject_that_is_not_toml_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool\n")
        with pytest.raises(SettingError, match=r"pyproject\.toml is not TOML"):
            load(tmp_path)


class TestSecrets:
    def test_a_secret_shows_itself_in_no_form_but_reveal(self, caplog: Any) -> None:
        secret = Secret("hunter2")
        logging.getLogger("test").warning("%s %r %s", secret, secret, {"key": secret})
        found = Settings(debug=True, secret_key=secret)
        shown = [
            repr(secret),
            str(secret),
            f"{secret}",
            "{}".format(secret),  # noqa: UP032  # the very thing under test
            "%s %r" % (secret, secret),  # noqa: UP031  # the very thing under test
            repr([secret]),
            caplog.text,
            repr(found),
            str(dataclasses.asdict(found)),
            repr(copy.deepcopy(secret)),
        ]
        with pytest.raises(TypeError) as caught:
            format(secret, ">9")
        assert not [text for text in [*shown, str(caught.value)] if "hunter2" in text]
        assert secret.reveal() == "hunter2"

    def test_secrets_are_compared_by_what_they_hold(self) -> None:
        assert Secret("a") == Secret("a") != Secret("b")
        assert Secret("a") != "a"
        assert len({Secret("a"), Secret("a")}) == 1
        assert Secret("a")
        assert not Secret("")

    def test_a_secret_in_pyproject_is_refused_without_being_shown(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.mainspring]\nsecret-key = 'hunter2'\n")
        with pytest.raises(SettingError) as caught:
            load(tmp_path)
        assert caught.value.fix == "set SECRET_KEY in the environment"
        assert "hunter2" not in str(caught.value)

    def test_a_short_key_is_refused_outside_development(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match="shorter than 32"):
            load(tmp_path, {"SECRET_KEY": "short"})
        assert load(tmp_path, {"SECRET_KEY": "short", "DEBUG": "1"}).secret_key.reveal() == "short"
        assert load(tmp_path, {"SECRET_KEY": KEY}).secret_key.reveal() == KEY

    def test_settings_do_not_show_the_password_of_a_url(self) -> None:
        found = Settings(
            database_url="postgresql://me:hunter2@host/db", redis_url="redis://:hunter2@host"
        )
        assert "hunter2" not in repr(found)
        assert "database_url='postgresql://me:…@host/db'" in repr(found)

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("mysql://me:p@ss:w/rd@host:1/db", "mysql://me:…@host:1/db"),
            ("redis://:p@host", "redis://:…@host"),
            ("postgresql://me@host/db", "postgresql://me@host/db"),
            ("sqlite:///app.db", "sqlite:///app.db"),
            ("plain text", "plain text"),
        ],
    )
    def test_only_the_password_of_a_url_is_hidden(self, url: str, shown: str) -> None:
        assert settings.without_password(url) == shown


class TestEnvFile:
    def read(self, folder: Path, text: str) -> dict[str, str]:
        (folder / ".env").write_text(text)
        return settings.read_env_file(folder / ".env")

    def test_comments_exports_and_quotes_are_understood(self, tmp_path: Path) -> None:
        text = (
            "# a comment\n\n"
            "A=1\n"
            "export B = two words \n"
            "C='single # not a comment'\n"
            'D="dou"ble" # a comment\n'
            "E=\n"
            "F=x # a comment\n"
            "G=a#b=c\n"
            "H= # only a comment\n"
        )
        assert self.read(tmp_path, text) == {
            "A": "1",
            "B": "two words",
            "C": "single # not a comment",
            "D": 'dou"ble',
            "E": "",
            "F": "x",
            "G": "a#b=c",
            "H": "",
        }

    @pytest.mark.parametrize("line", ["JUST_A_NAME", "=value", "A='open", 'A="open # x', "a-b=1"])
    def test_a_line_that_cannot_be_read_is_named(self, tmp_path: Path, line: str) -> None:
        with pytest.raises(SettingError, match=r"\.env:2: expected NAME=value"):
            self.read(tmp_path, f"A=1\n{line}\n")

    def test_a_missing_file_is_an_empty_one(self, tmp_path: Path) -> None:
        assert settings.read_env_file(tmp_path / ".env") == {}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_every_field_has_an_environment_name_of_its_own() -> None:
    names = [settings.environment_name(field.name) for field in dataclasses.fields(Settings)]
    assert len(set(names)) == len(names)
    assert "DATABASE_URL" in names
    assert "MAINSPRING_DEADLINE" in names


def test_the_reference_page_lists_every_setting_and_no_other() -> None:
    rows = [
        line.split("|")
        for line in REFERENCE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    listed = {row[1].strip(" `"): row[2].strip(" `") for row in rows}
    assert listed == {
        field.name: settings.environment_name(field.name) for field in dataclasses.fields(Settings)
    }
