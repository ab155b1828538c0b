"""Connections between machines, opened with a token that only the ranks of a run know.

A process that ends closes them, and the other end hears of it at once. A machine that is switched
off, or cut off, closes nothing: the kernel finds that out by asking, within :data:`LOST_S`.
"""

import hmac
import socket
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

LOST_S = 20  # how long a machine may be silent on a connection before it counts as lost
GREETING_S = 5.0  # how long a caller may take to give the token
LONGEST_TOKEN = 256  # bytes


class IncomingConnection(NamedTuple):
    """A connection, and the address that it came from."""

    connection: Connection
    address: str


def listen() -> socket.socket:
    """Open any free port, on all of this machine's addresses."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))


def port_of(server: socket.socket) -> int:
    """Return the port that was found."""
    port: int = server.getsockname()[1]
    return port


def connect(address: str, port: int, token: str, timeout_s: float = LOST_S) -> Connection:
    """Call whoever listens there; raises OSError if nobody does."""
    connection = _kept_alive(socket.create_connection((address, port), timeout=timeout_s))
    connection.send_bytes(token.encode())
    return connection


def accept(server: socket.socket, token: str) -> IncomingConnection | None:
    """Take one call; None if the caller does not know the token. Times out like ``accept``."""
    accepted, (address, *_) = server.accept()
    connection = _kept_alive(accepted)
    with suppress(EOFError, OSError):
        if connection.poll(GREETING_S) and hmac.compare_digest(
            connection.recv_bytes(LONGEST_TOKEN), token.encode()
        ):
            return IncomingConnection(connection, address)
    connection.close()
    return None


def _kept_alive(opened: socket.socket) -> Connection:
    opened.settimeout(None)
    ask_after_s, tries = LOST_S // 4, 3
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ask_after_s)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ask_after_s)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, tries)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST_S * 1000)
    return Connection(opened.detach())
