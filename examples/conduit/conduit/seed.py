"""A thousand users and ten thousand articles, the same on every machine."""

from __future__ import annotations

import random
from datetime import timedelta

from conduit.models import Article, Comment, Favorite, Follow, Member, Tag
from mainspring import Progress
from mainspring.auth import Passwords
from mainspring.data import Session, func, insert, select, utc_now

USERS, ARTICLES, BATCH = 1_000, 10_000, 500
WORDS = "spring gear escapement balance crown jewel pallet barrel bridge rotor dial hand".split()
PASSWORD = "conduit-demo"


async def plant(db: Session, passwords: Passwords, progress: Progress) -> None:
    """Fill an empty database; everybody's password is `conduit-demo`."""
    if await db.scalar(select(func.count()).select_from(Member)):
        return
    chance = random.Random(2026)
    now, hashed = utc_now(), await passwords.hash(PASSWORD)
    users = [
        {"email": f"user{n}@example.com", "username": f"user{n}", "password_hash": hashed}
        for n in range(1, USERS + 1)
    ]
    await db.execute(insert(Member), users)
    ids = list(await db.scalars(select(Member.id).order_by(Member.id)))
    follows = {(chance.choice(ids), chance.choice(ids)) for _ in range(5 * USERS)}
    pairs = [{"follower_id": a, "followed_id": b} for a, b in follows if a != b]
    await db.execute(insert(Follow), pairs)
    for start in progress.track(range(1, ARTICLES + 1, BATCH), "articles"):
        rows = [
            {
                "slug": f"the-{chance.choice(WORDS)}-and-the-{chance.choice(WORDS)}-{n}",
                "title": f"The {chance.choice(WORDS)} and the {chance.choice(WORDS)}",
                "description": f"About {chance.choice(WORDS)} number {n}",
                "body": " ".join(chance.choices(WORDS, k=120)),
                "author_id": chance.choice(ids),
                "created_at": now - timedelta(minutes=ARTICLES - n),
                "updated_at": now - timedelta(minutes=ARTICLES - n),
            }
            for n in range(start, start + BATCH)
        ]
        await db.execute(insert(Article), rows)
        slugs = [row["slug"] for row in rows]
        numbers = list(await db.scalars(select(Article.id).where(Article.slug.in_(slugs))))
        tags = [(n, at, w) for n in numbers for at, w in enumerate(chance.sample(WORDS, 3))]
        await db.execute(
            insert(Tag), [{"article_id": n, "position": at, "name": w} for n, at, w in tags]
        )
        fans = {(chance.choice(ids), chance.choice(numbers)) for _ in range(BATCH)}
        await db.execute(insert(Favorite), [{"user_id": u, "article_id": n} for u, n in fans])
        said = [
            {"article_id": n, "author_id": chance.choice(ids), "body": "Nice."} for n in numbers
        ]
        await db.execute(insert(Comment), said)
