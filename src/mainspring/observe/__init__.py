"""What listens to telemetry: logs now; errors, metrics and traces as they come."""

from mainspring.observe._logs import Logs
from mainspring.observe._watchdog import Watchdog

__all__ = ["Logs", "Watchdog"]
