"""This file exists to hand a handler of the control plane what lives as long as the process.

Owns   nothing; the app's state is filled by control.app.
Fails  never.
"""

from typing import Annotated, Any

from litestar import Request
from litestar.params import QueryParameter

from chassis.database import Database
from gateway.control.publish import Publisher
from gateway.keys import Peppers

Asked = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]


def publisher(request: Asked) -> Publisher:
    """Through which every change goes."""
    found: Publisher = request.app.state.publisher
    return found


def database(request: Asked) -> Database:
    """For looking only."""
    found: Database = request.app.state.database
    return found


def peppers(request: Asked) -> Peppers:
    """Of the keys."""
    found: Peppers = request.app.state.peppers
    return found


def actor(request: Asked) -> str:
    """Who is behind this request, for the audit trail."""
    return str(request.state.actor)
