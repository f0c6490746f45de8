"""For the tests of an application: bounds on what it asks of the database."""

from mainspring.testing._queries import Queries, QueryBudgetExceeded, queries

__all__ = ["Queries", "QueryBudgetExceeded", "queries"]
