"""Chaos: real processes are killed, stopped and cut off at random, and a ledger is checked.

`python -m tests.chaos --seconds 60` and `make chaos SECONDS=60`.
"""
