"""The built-in server: HTTP/1.1 straight to the application's core."""

from mainspring.serve._config import Config
from mainspring.serve._limits import Limits
from mainspring.serve._run import run
from mainspring.serve._server import Server

__all__ = ["Config", "Limits", "Server", "run"]
