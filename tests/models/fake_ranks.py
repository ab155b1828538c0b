"""Ranks that follow on this machine, as if a launcher had placed them. No pytest here."""

import os
import socket
import sys

from hpml_models.worlds.launcher import LauncherError, follow, launched_rank


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def environment(rank: int, world_size: int, port: int) -> dict[str, str]:
    """Return what a launcher sets."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


if __name__ == "__main__":
    socket.gethostname = lambda: os.environ["PRETENDED_HOST"]
    launched = launched_rank(os.environ)
    assert launched is not None
    try:
        ending = follow(launched, "a machine", timeout_s=float(sys.argv[1]))
    except LauncherError as error:
        sys.exit(f"{error}")
    sys.exit(f"{ending.status}: {ending.reason}")
