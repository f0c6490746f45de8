"""Articles, feeds, favourites, comments, tags."""

from __future__ import annotations

import re
import secrets
import unicodedata
from typing import Annotated

from conduit import views
from conduit.models import Article, Comment, Favorite, Follow, Member, Tag
from conduit.schemas import (
    ArticleChanges,
    ArticleOut,
    Articles,
    CommentOut,
    NewArticle,
    NewComment,
)
from mainspring import Body, Created, Forbidden, Meta, Router, anyone, changes, signed_in
from mainspring.data import IntegrityError, Session, delete, exists, select

router = Router("/articles", tags=["Articles"])
tags = Router(tags=["Tags"])

Limit = Annotated[int, Meta(ge=1, le=100)]
Offset = Annotated[int, Meta(ge=0, le=1_000_000)]


@router.get("", allow=anyone)
async def list_articles(
    db: Session,
    viewer: Member | None,
    tag: str | None = None,
    author: str | None = None,
    favorited: str | None = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Articles:
    where = []
    if tag is not None:
        where.append(exists().where(Tag.article_id == Article.id, Tag.name == tag))
    if author is not None:
        where.append(Article.author_id.in_(select(Member.id).where(Member.username == author)))
    if favorited is not None:
        fan = select(Member.id).where(Member.username == favorited).scalar_subquery()
        where.append(exists().where(Favorite.article_id == Article.id, Favorite.user_id == fan))
    return await views.articles(db, viewer, *where, limit=limit, offset=offset)


@router.get("/feed", allow=signed_in)
async def feed(db: Session, viewer: Member, limit: Limit = 20, offset: Offset = 0) -> Articles:
    followed = select(Follow.followed_id).where(Follow.follower_id == viewer.id)
    where = Article.author_id.in_(followed)
    return await views.articles(db, viewer, where, limit=limit, offset=offset)


@router.post("", allow=signed_in)
async def publish(
    new: Annotated[NewArticle, Body("article")], db: Session, author: Member
) -> Created[dict[str, ArticleOut]]:
    article = Article(
        title=new.title, description=new.description, body=new.body, author_id=author.id
    )
    await save_with_slug(db, article)
    names = enumerate(dict.fromkeys(new.tag_list))
    db.add_all(Tag(article_id=article.id, name=name, position=at) for at, name in names)
    return Created({"article": await views.article(db, author, article.id)})


@router.get("/{slug}", allow=anyone)
async def get_article(slug: str, db: Session, viewer: Member | None) -> dict[str, ArticleOut]:
    article = await db.find(Article, slug=slug)
    return {"article": await views.article(db, viewer, article.id)}


@router.put("/{slug}", allow=signed_in)
async def update_article(
    slug: str,
    sent: Annotated[ArticleChanges, Body("article")],
    db: Session,
    author: Member,
) -> dict[str, ArticleOut]:
    article = await own_article(db, slug, author)
    title = article.title
    for name, value in changes(sent).items():
        setattr(article, name, value)
    if article.title != title:
        await save_with_slug(db, article)
    return {"article": await views.article(db, author, article.id)}


@router.delete("/{slug}", allow=signed_in)
async def delete_article(slug: str, db: Session, author: Member) -> None:
    await db.delete(await own_article(db, slug, author))


@router.post("/{slug}/favorite", allow=signed_in, tags=["Favorites"])
async def favorite(slug: str, db: Session, viewer: Member) -> dict[str, ArticleOut]:
    article = await db.find(Article, slug=slug)
    await db.merge(Favorite(user_id=viewer.id, article_id=article.id))
    return {"article": await views.article(db, viewer, article.id)}


@router.delete("/{slug}/favorite", allow=signed_in, tags=["Favorites"])
async def unfavorite(slug: str, db: Session, viewer: Member) -> dict[str, ArticleOut]:
    article = await db.find(Article, slug=slug)
    mine = (Favorite.user_id == viewer.id, Favorite.article_id == article.id)
    await db.execute(delete(Favorite).where(*mine))
    return {"article": await views.article(db, viewer, article.id)}


@router.get("/{slug}/comments", allow=anyone, tags=["Comments"])
async def list_comments(
    slug: str, db: Session, viewer: Member | None
) -> dict[str, list[CommentOut]]:
    article = await db.find(Article, slug=slug)
    return {"comments": await views.comments(db, viewer, Comment.article_id == article.id)}


@router.post("/{slug}/comments", allow=signed_in, tags=["Comments"])
async def comment(
    slug: str, new: Annotated[NewComment, Body("comment")], db: Session, author: Member
) -> dict[str, CommentOut]:
    article = await db.find(Article, slug=slug)
    said = Comment(article_id=article.id, author_id=author.id, body=new.body)
    db.add(said)
    await db.flush()
    [shown] = await views.comments(db, author, Comment.id == said.id)
    return {"comment": shown}


@router.delete("/{slug}/comments/{id}", allow=signed_in, tags=["Comments"])
async def delete_comment(slug: str, id: int, db: Session, author: Member) -> None:
    article = await db.find(Article, slug=slug)
    said = await db.find(Comment, id=id, article_id=article.id)
    if said.author_id != author.id:
        raise Forbidden("only its author may delete a comment")
    await db.delete(said)


@tags.get("/tags", allow=anyone)
async def list_tags(db: Session) -> dict[str, list[str]]:
    names = await db.scalars(select(Tag.name).distinct().order_by(Tag.name))
    return {"tags": list(names)}


async def own_article(db: Session, slug: str, author: Member) -> Article:
    article = await db.find(Article, slug=slug)
    if article.author_id != author.id:
        raise Forbidden("only its author may change an article")
    return article


async def save_with_slug(db: Session, article: Article) -> None:
    """Store the article under a slug of its title; one that is taken gets a suffix."""
    plain = unicodedata.normalize("NFKD", article.title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "article"
    article.slug = slug
    while True:
        try:
            # The database decides who was first, and only this step is tried again.
            async with db.begin_nested():
                db.add(article)
                await db.flush()
        except IntegrityError:
            article.slug = f"{slug}-{secrets.token_hex(3)}"
        else:
            return
