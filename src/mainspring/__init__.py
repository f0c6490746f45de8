"""Mainspring: the Python backend that proves itself."""

__version__ = "0.1.0.dev0"
