"""By which name a request calls the server, and whether another site's page sends it."""

import socket
from collections.abc import Callable
from ipaddress import ip_address

from fastapi import Request

READING = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")
"""Addresses that stand for every address of the machine."""


def named_like(host: str) -> Callable[[str], bool]:
    """A check of the Host header, for a server at an address.

    Local names and the given one are right. A server at every address of the machine may also
    be called by the machine's name and by any number: only a name can be made to point here by
    somebody else.
    """
    names = {*LOOPBACK, host.lower()}
    if host in EVERYWHERE:
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def is_ours(header: str) -> bool:
        name = _host(header)
        return name in names or (host in EVERYWHERE and _is_number(name))

    return is_ours


def is_from_elsewhere(request: Request) -> bool:
    """Whether a browser sends this for another site's page.

    Following a link to a page is no harm; posting, framing and embedding are. A program sends
    none of the headers that are looked at here.
    """
    headers, reading = request.headers, request.method in READING
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return False
    if site is not None:
        how = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
        return not (reading and how == ("navigate", "document"))
    origin, here = headers.get("origin"), f"{request.url.scheme}://{headers.get('host')}"
    return not reading and origin is not None and origin != here


def _host(header: str) -> str:
    """The host in a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
