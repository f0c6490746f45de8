from __future__ import annotations

from bench.hot import Hot, hottest, stacks_of


def test_a_function_has_its_own_share_and_that_of_what_it_calls() -> None:
    stacks = [(["main", "route"], 1.0), (["main", "encode"], 5.0), (["main"], 2.0)]

    assert hottest(stacks, limit=2) == [Hot("encode", 62.5, 62.5), Hot("main", 25.0, 100.0)]


def test_a_recursive_function_is_counted_once_a_sample() -> None:
    assert hottest([(["walk", "walk", "walk"], 4.0)], limit=5) == [Hot("walk", 100.0, 100.0)]


def test_stacks_are_read_from_a_speedscope_document() -> None:
    document = {
        "shared": {"frames": [{"name": "main", "file": "a.py"}, {"name": "poll", "file": None}]},
        "profiles": [{"samples": [[0], [0, 1]], "weights": [0.1, 0.2]}],
    }

    assert list(stacks_of(document)) == [(["main (a.py)"], 0.1), (["main (a.py)", "poll ()"], 0.2)]
