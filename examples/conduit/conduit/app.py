"""The application: routers under `/api`, and Conduit's own form of errors."""

from __future__ import annotations

import json

from conduit import articles, seed, users
from conduit.models import Member
from mainspring import App, Problem, Request, Response, Router
from mainspring.auth import JwtProof
from mainspring.security import Cors


def as_conduit_error(problem: Problem, request: Request) -> Response:
    """`{"errors": {"body": [...]}}`, and each field under its own name beside it."""
    errors: dict[str, list[str]] = {"body": []}
    for wrong in problem.facts.get("errors", ()):
        field = wrong.parameter or wrong.pointer.rpartition("/")[2]
        if field.isidentifier():
            errors.setdefault(field, []).append(wrong.detail)
        errors["body"].append(f"{field} {wrong.detail}".removeprefix("# "))
    errors["body"] = errors["body"] or [problem.detail]
    status = 422 if problem.status in {400, 409} else problem.status
    return Response(json.dumps({"errors": errors}), status=status, media_type="application/json")


app = App(
    "conduit",
    version="1.1.0",
    user=Member,
    proofs=[JwtProof(scheme="Token")],
    renderer=as_conduit_error,
    cors=Cors(origins=("*",)),
)
api = Router("/api")
for part in (users.router, users.profiles, articles.router, articles.tags):
    api.include(part)
app.include(api)
app.seed(seed.plant)
