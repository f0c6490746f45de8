"""Security decisions without a request or a database: values in, values out."""

from mainspring.security._cors import Cors, CorsError
from mainspring.security._disposition import content_disposition

__all__ = ["Cors", "CorsError", "content_disposition"]
