"""What travels; instants are ISO 8601 in UTC with milliseconds."""

from __future__ import annotations

from typing import Annotated

from mainspring import UNSET, Meta, Struct, UnsetType

Name = Annotated[str, Meta(min_length=1, max_length=150)]
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(min_length=8, max_length=128)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=100_000)]
TagName = Annotated[str, Meta(min_length=1, max_length=50)]
Image = Annotated[str, Meta(max_length=500)]


class Login(Struct):
    email: str
    password: str


class NewUser(Struct):
    username: Name
    email: Email
    password: Password


class UserChanges(Struct):
    email: Email | UnsetType = UNSET
    username: Name | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    bio: str | UnsetType = UNSET
    image: Image | UnsetType = UNSET


class UserOut(Struct):
    email: str
    token: str
    username: str
    bio: str
    image: str


class Profile(Struct):
    username: str
    bio: str
    image: str
    following: bool


class NewArticle(Struct, rename="camel"):
    title: Title
    description: Text
    body: Text
    tag_list: Annotated[list[TagName], Meta(max_length=20)] = []


class ArticleChanges(Struct):
    title: Title | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    body: Text | UnsetType = UNSET


class ArticleOut(Struct, rename="camel"):
    slug: str
    title: str
    description: str
    body: str | UnsetType
    tag_list: list[str]
    created_at: str
    updated_at: str
    favorited: bool
    favorites_count: int
    author: Profile


class Articles(Struct, rename="camel"):
    articles: list[ArticleOut]
    articles_count: int


class NewComment(Struct):
    body: Text


class CommentOut(Struct, rename="camel"):
    id: int
    body: str
    created_at: str
    updated_at: str
    author: Profile
