"""Conduit: users, profiles, articles, comments, favourites and feeds."""
