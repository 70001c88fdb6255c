"""This file exists to put the console's pages together for the control plane to serve.

Owns   the list of pages; every one but the doors is behind `signed_in`.
Fails  as its pages do.
"""

from litestar import Router

from gateway.console import (
    client_pages,
    consumer_pages,
    doors,
    issuer_pages,
    key_pages,
    look_pages,
    people_pages,
    plan_pages,
    vendor_page,
)
from gateway.console.frame import failed

console = Router(
    path="",
    route_handlers=[
        *doors.HANDLERS, *look_pages.HANDLERS, *key_pages.HANDLERS, *consumer_pages.HANDLERS,
        *plan_pages.HANDLERS, *client_pages.HANDLERS, *issuer_pages.HANDLERS,
        *people_pages.HANDLERS, *vendor_page.HANDLERS,
    ],
    exception_handlers={Exception: failed},
)  # fmt: skip
