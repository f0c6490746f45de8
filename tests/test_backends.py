from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mainspring.backends import Backends, UnknownBackend
from mainspring.errors import MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

# Any importable attribute can stand for a backend: the table does not know what it names.
TABLE = {"ordered": "collections:OrderedDict", "memory": "builtins:dict"}


def test_the_scheme_of_the_url_chooses_the_backend() -> None:
    backends: Backends[type] = Backends("cache", TABLE)
    assert backends.load("memory://") is dict
    assert backends.load("ORDERED://host:1/name?x=1").__name__ == "OrderedDict"


def test_an_unknown_scheme_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownBackend) as caught:
        Backends("cache", TABLE).load("memroy://")
    assert caught.value.what == "cache: no backend answers to 'memroy'"
    assert caught.value.fix == "did you mean 'memory'?"


def test_a_scheme_that_resembles_nothing_lists_what_there_is() -> None:
    with pytest.raises(UnknownBackend) as caught:
        Backends("cache", TABLE).load("xyz://")
    assert caught.value.fix == "use one of: ordered, memory"


def test_the_refusal_does_not_repeat_the_password_of_the_url() -> None:
    with pytest.raises(UnknownBackend) as caught:
        Backends("cache", TABLE).load("memroy://me:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_a_missing_client_library_names_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "needy.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    backends: Backends[Any] = Backends("cache", {"re": "needy:Store"}, extras={"re": "redis"})
    with pytest.raises(MissingExtra) as caught:
        backends.load("re://")
    assert "'surely_not_installed'" in caught.value.what
    assert caught.value.fix == "pip install 'mainspring[redis]'"


@pytest.mark.parametrize("target", ["no_such_module:X", "mainspring.no_such_module:X"])
def test_a_table_that_names_no_module_is_not_taken_for_a_missing_library(target: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        Backends("cache", {"x": target}).load("x://")


def test_nothing_is_imported_before_its_scheme_is_asked_for(
    tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "loud.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    backends: Backends[Any] = Backends("cache", {"loud": "loud:X", **TABLE})
    assert backends.load("memory://") is dict
    assert backends.schemes() == ["loud", "ordered", "memory"]


def test_another_package_adds_a_scheme_by_its_entry_point(tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "other-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[mainspring.cache]\nother = builtins:list\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    backends: Backends[type] = Backends("cache", TABLE)
    assert backends.load("other://") is list
    assert backends.schemes() == ["ordered", "memory", "other"]
