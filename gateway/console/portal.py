"""This file exists to put a partner's pages together for the control plane to serve.

Owns   the list of them; every one believes only what the gateway says of who is calling.
Fails  as its pages do.
"""

from litestar import Router

from gateway.console import partner_keys, partner_pages

portal = Router(path="", route_handlers=[*partner_pages.HANDLERS, *partner_keys.HANDLERS])
