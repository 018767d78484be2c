"""The hub of timm's weights, asked once and quickly whether it answers at all.

Its own client asks again and again and gives up after three quarters of a minute, twice as long
where a name server is silent; a machine without a network should hear of it at once.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies

SECONDS = 4.0
PROXIES = {"http", "https", "all", "socks"}


@contextmanager
def quick_hub() -> Iterator[None]:
    """Where the hub does not answer, its client takes what it has kept from earlier, or gives up at once.

    Outside of the block nothing is changed.
    """
    from huggingface_hub import constants  # with timm: only where a network is really built

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def answers(address: str, *, seconds: float = SECONDS) -> bool:
    """Whether a connection to the host of an address can be made; taken for granted behind a proxy.

    Args:
        address: `https://host` or `http://host:port`.
        seconds: after which it counts as silent, the search for its number included.
    """
    if PROXIES & getproxies().keys():
        return True  # the way leads through another machine, which only the client itself finds
    parts = urlsplit(address)
    place = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))
    heard: list[bool] = []

    def knock() -> None:
        try:
            socket.create_connection(place, timeout=seconds).close()
        except OSError:
            return
        heard.append(True)

    # A thread, because no timeout holds for the search of a name.
    thread = Thread(target=knock, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(heard)
