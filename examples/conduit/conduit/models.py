"""What Conduit keeps."""

from __future__ import annotations

from datetime import datetime

from mainspring.auth import User
from mainspring.data import Mapped, Model, column, foreign_key, utc_now


class Member(User):
    """A user with what a profile shows."""

    bio: Mapped[str] = column(default="", server_default="")
    image: Mapped[str] = column(max_length=500, default="", server_default="")


class Follow(Model):
    follower_id: Mapped[int] = foreign_key(User.id, on_delete="cascade", primary_key=True)
    followed_id: Mapped[int] = foreign_key(
        User.id, on_delete="cascade", primary_key=True, index=True
    )


class Article(Model):
    slug: Mapped[str] = column(max_length=255, unique=True)
    title: Mapped[str] = column(max_length=200)
    description: Mapped[str]
    body: Mapped[str]
    author_id: Mapped[int] = foreign_key(User.id, on_delete="cascade")
    created_at: Mapped[datetime] = column(default=utc_now, index=True)
    updated_at: Mapped[datetime] = column(default=utc_now, on_update=utc_now)


class Tag(Model):
    """One tag of one article; `position` keeps the author's order."""

    __tablename__ = "article_tags"

    article_id: Mapped[int] = foreign_key(Article.id, on_delete="cascade", primary_key=True)
    name: Mapped[str] = column(max_length=50, primary_key=True, index=True)
    position: Mapped[int]


class Favorite(Model):
    article_id: Mapped[int] = foreign_key(Article.id, on_delete="cascade", primary_key=True)
    user_id: Mapped[int] = foreign_key(User.id, on_delete="cascade", primary_key=True, index=True)


class Comment(Model):
    article_id: Mapped[int] = foreign_key(Article.id, on_delete="cascade")
    author_id: Mapped[int] = foreign_key(User.id, on_delete="cascade")
    body: Mapped[str]
    created_at: Mapped[datetime] = column(default=utc_now)
    updated_at: Mapped[datetime] = column(default=utc_now, on_update=utc_now)
