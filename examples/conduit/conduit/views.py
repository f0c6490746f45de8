"""Profiles, articles and comments as one member, or nobody, sees them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from conduit.models import Article, Comment, Favorite, Follow, Member, Tag
from conduit.schemas import ArticleOut, Articles, CommentOut, Profile
from mainspring import UNSET
from mainspring.data import Session, exists, func, select


def _author(viewer: Member | None) -> list[Any]:
    mine = Follow.follower_id == (viewer.id if viewer else 0)
    follows = exists().where(mine, Follow.followed_id == Member.id)
    return [Member.username, Member.bio, Member.image, follows.label("following")]


def _profile(row: Any) -> Profile:
    return Profile(row.username, row.bio, row.image, bool(row.following))


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def profile(db: Session, viewer: Member | None, username: str) -> Profile:
    member = await db.find(Member, username=username)
    query = select(*_author(viewer)).where(Member.id == member.id)
    return _profile((await db.execute(query)).one())


async def articles(
    db: Session, viewer: Member | None, *where: Any, limit: int, offset: int
) -> Articles:
    """A page of the newest articles, without bodies, and how many there are in all."""
    found = await _articles(db, viewer, *where, limit=limit, offset=offset)
    count = await db.scalar(select(func.count()).select_from(Article).where(*where))
    return Articles(found, count or 0)


async def article(db: Session, viewer: Member | None, article_id: int) -> ArticleOut:
    """One article with its body."""
    [found] = await _articles(db, viewer, Article.id == article_id, body=True)
    return found


async def _articles(
    db: Session,
    viewer: Member | None,
    *where: Any,
    limit: int = 1,
    offset: int = 0,
    body: bool = False,
) -> list[ArticleOut]:
    mine = Favorite.user_id == (viewer.id if viewer else 0)
    favorited = exists().where(Favorite.article_id == Article.id, mine)
    favorites = select(func.count()).where(Favorite.article_id == Article.id).scalar_subquery()
    columns = [Article.id, Article.slug, Article.title, Article.description, Article.created_at]
    columns += [Article.updated_at, *([Article.body] if body else [])]
    query = (
        select(*columns, favorited.label("favorited"), favorites.label("count"), *_author(viewer))
        .join(Member, Member.id == Article.author_id)
        .where(*where)
        .order_by(Article.created_at.desc(), Article.id.desc())
        .limit(limit)
        .offset(offset)
    )
    rows = (await db.execute(query)).all()
    tags = await _tags(db, [row.id for row in rows])
    return [
        ArticleOut(
            slug=row.slug,
            title=row.title,
            description=row.description,
            body=row.body if body else UNSET,
            tag_list=tags[row.id],
            created_at=_instant(row.created_at),
            updated_at=_instant(row.updated_at),
            favorited=bool(row.favorited),
            favorites_count=row.count,
            author=_profile(row),
        )
        for row in rows
    ]


async def _tags(db: Session, article_ids: list[int]) -> dict[int, list[str]]:
    query = select(Tag.article_id, Tag.name).where(Tag.article_id.in_(article_ids))
    found: dict[int, list[str]] = defaultdict(list)
    for article_id, name in await db.execute(query.order_by(Tag.position)):
        found[article_id].append(name)
    return found


async def comments(db: Session, viewer: Member | None, *where: Any) -> list[CommentOut]:
    columns = [Comment.id, Comment.body, Comment.created_at, Comment.updated_at]
    query = select(*columns, *_author(viewer)).join(Member, Member.id == Comment.author_id)
    return [
        CommentOut(r.id, r.body, _instant(r.created_at), _instant(r.updated_at), _profile(r))
        for r in await db.execute(query.where(*where).order_by(Comment.id))
    ]
