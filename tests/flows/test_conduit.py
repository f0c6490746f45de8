"""What a reader of Conduit does, from signing up to deleting, over a real server and database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Caller:
    """Somebody who uses the API."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.name = name
        self._http = http

    def __call__(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        answer = self._http.request(method, path, json=body or None)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


def signed_up(http: httpx.Client, name: str) -> Caller:
    caller = Caller(http, name)
    new = {"username": name, "email": f"{name}@example.com", "password": "password1"}
    user = caller("POST", "/users", 201, user=new)["user"]
    http.headers["authorization"] = f"Token {user['token']}"
    return caller


@pytest.fixture
def nobody(conduit: str) -> Iterator[Caller]:
    with httpx.Client(base_url=conduit, timeout=10) as http:
        yield Caller(http, "nobody")


_serial = iter(range(1_000_000))


@pytest.fixture
def ada(conduit: str) -> Iterator[Caller]:
    with httpx.Client(base_url=conduit, timeout=10) as http:
        yield signed_up(http, f"ada{next(_serial)}")


@pytest.fixture
def bob(conduit: str) -> Iterator[Caller]:
    with httpx.Client(base_url=conduit, timeout=10) as http:
        yield signed_up(http, f"bob{next(_serial)}")


def article(title: str = "How springs work", **more: Any) -> dict[str, Any]:
    return {"title": title, "description": "Of springs", "body": "They uncoil.", **more}


class TestAccounts:
    def test_who_signed_up_can_log_in_and_is_known(self, ada: Caller, nobody: Caller) -> None:
        sent = {"email": f"{ada.name.upper()}@example.com", "password": "password1"}
        user = nobody("POST", "/users/login", user=sent)["user"]
        assert user["username"] == ada.name
        assert ada("GET", "/user")["user"] | {"token": ""} == {
            "email": f"{ada.name}@example.com",
            "username": ada.name,
            "bio": "",
            "image": "",
            "token": "",
        }

    def test_a_wrong_password_and_an_unknown_address_are_refused_alike(
        self, ada: Caller, nobody: Caller
    ) -> None:
        wrong = {"email": f"{ada.name}@example.com", "password": "password2"}
        unknown = {"email": "unknown@example.com", "password": "password2"}
        assert nobody("POST", "/users/login", 401, user=wrong) == nobody(
            "POST", "/users/login", 401, user=unknown
        )

    def test_a_taken_name_is_named(self, ada: Caller, nobody: Caller) -> None:
        new = {"username": ada.name, "email": "other@example.com", "password": "password1"}
        errors = nobody("POST", "/users", 422, user=new)["errors"]
        assert errors["username"] == ["is taken"]

    def test_every_blank_field_is_named_at_once(self, nobody: Caller) -> None:
        new = {"username": "", "email": "", "password": ""}
        errors = nobody("POST", "/users", 422, user=new)["errors"]
        assert {"username", "email", "password", "body"} == errors.keys()
        assert errors["username"] == ["can't be blank"]

    def test_only_what_is_sent_changes(self, ada: Caller) -> None:
        user = ada("PUT", "/user", user={"bio": "Countess"})["user"]
        assert (user["bio"], user["username"]) == ("Countess", ada.name)

    def test_who_changed_the_password_logs_in_with_the_new_one(
        self, ada: Caller, nobody: Caller
    ) -> None:
        ada("PUT", "/user", user={"password": "password9"})
        email = f"{ada.name}@example.com"
        nobody("POST", "/users/login", 401, user={"email": email, "password": "password1"})
        nobody("POST", "/users/login", user={"email": email, "password": "password9"})

    @pytest.mark.parametrize("credentials", ["", "Token", "Token x.y.z", "Bearer x", "Basic eDp5"])
    def test_bad_credentials_are_refused(self, conduit: str, credentials: str) -> None:
        answer = httpx.get(f"{conduit}/user", headers={"authorization": credentials})
        assert answer.status_code == 401


class TestFlow:
    def test_register_follow_publish_feed_favourite_comment_delete(
        self, ada: Caller, bob: Caller, nobody: Caller
    ) -> None:
        followed = bob("POST", f"/profiles/{ada.name}/follow")["profile"]
        assert followed["following"] is True
        published = ada("POST", "/articles", 201, article=article(tagList=["gear", "brass"]))
        slug = published["article"]["slug"]
        assert published["article"]["tagList"] == ["gear", "brass"]
        assert INSTANT.fullmatch(published["article"]["createdAt"])

        feed = bob("GET", "/articles/feed")
        assert [a["slug"] for a in feed["articles"]] == [slug]
        assert feed["articlesCount"] == 1
        assert "body" not in feed["articles"][0]
        assert feed["articles"][0]["author"]["following"] is True

        favoured = bob("POST", f"/articles/{slug}/favorite")["article"]
        assert (favoured["favorited"], favoured["favoritesCount"]) == (True, 1)
        assert bob("POST", f"/articles/{slug}/favorite")["article"]["favoritesCount"] == 1
        assert nobody("GET", f"/articles/{slug}")["article"]["favorited"] is False
        listed = nobody("GET", f"/articles?favorited={bob.name}&author={ada.name}&tag=gear")
        assert listed["articlesCount"] == 1

        said = bob("POST", f"/articles/{slug}/comments", comment={"body": "Well said"})["comment"]
        shown = nobody("GET", f"/articles/{slug}/comments")["comments"]
        assert [c["id"] for c in shown] == [said["id"]]
        ada("DELETE", f"/articles/{slug}/comments/{said['id']}", 403)
        bob("DELETE", f"/articles/{slug}/comments/{said['id']}", 204)
        assert nobody("GET", f"/articles/{slug}/comments")["comments"] == []

        assert bob("DELETE", f"/articles/{slug}/favorite")["article"]["favoritesCount"] == 0
        assert bob("DELETE", f"/profiles/{ada.name}/follow")["profile"]["following"] is False
        assert bob("GET", "/articles/feed")["articles"] == []

        bob("DELETE", f"/articles/{slug}", 403)
        ada("DELETE", f"/articles/{slug}", 204)
        nobody("GET", f"/articles/{slug}", 404)


class TestArticles:
    def test_two_of_one_title_have_two_slugs(self, ada: Caller) -> None:
        slugs = {
            ada("POST", "/articles", 201, article=article("Same"))["article"]["slug"]
            for _ in range(3)
        }
        assert len(slugs) == 3

    def test_the_slug_follows_the_title(self, ada: Caller, nobody: Caller) -> None:
        before = ada("POST", "/articles", 201, article=article(f"First {ada.name}"))["article"]
        changed = {"title": f"Second {ada.name}"}
        after = ada("PUT", f"/articles/{before['slug']}", article=changed)["article"]
        assert after["slug"] == f"second-{ada.name}"
        assert (after["body"], after["createdAt"]) == (before["body"], before["createdAt"])
        nobody("GET", f"/articles/{before['slug']}", 404)

    def test_lists_are_newest_first_and_paged(self, ada: Caller, nobody: Caller) -> None:
        titles = [f"{ada.name} {n}" for n in range(5)]
        for title in titles:
            ada("POST", "/articles", 201, article=article(title))
        page = nobody("GET", f"/articles?author={ada.name}&limit=2&offset=1")
        assert [a["title"] for a in page["articles"]] == [titles[3], titles[2]]
        assert page["articlesCount"] == 5

    def test_tags_of_articles_are_listed(self, ada: Caller, nobody: Caller) -> None:
        ada("POST", "/articles", 201, article=article(tagList=[f"tag-{ada.name}"]))
        assert f"tag-{ada.name}" in nobody("GET", "/tags")["tags"]

    def test_writing_needs_a_token(self, nobody: Caller) -> None:
        nobody("POST", "/articles", 401, article=article())

    def test_any_text_comes_back_as_it_was(self, ada: Caller) -> None:
        body = "Ünïcode 🧭 \\ \" ' ; -- <script>alert(1)</script> \u202e " + "x" * 5000
        shown = ada("POST", "/articles", 201, article=article(body=body))["article"]
        assert shown["body"] == body

    def test_a_nul_character_is_a_422_and_nothing_is_written(
        self, ada: Caller, nobody: Caller
    ) -> None:
        ada("POST", "/articles", 422, article=article("a\0b"))
        assert nobody("GET", f"/articles?author={ada.name}")["articlesCount"] == 0

    def test_a_page_from_another_origin_may_ask(self, conduit: str) -> None:
        preflight = httpx.options(
            f"{conduit}/articles",
            headers={
                "origin": "http://localhost:4100",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type",
            },
        )
        assert preflight.status_code in {200, 204}
        assert preflight.headers["access-control-allow-origin"] in {"*", "http://localhost:4100"}
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
