from __future__ import annotations

import socket
import sys

import pytest

from api.serve import listening_socket, listening_sockets


def test_all_processes_listen_on_the_same_port() -> None:
    listeners = listening_sockets("127.0.0.1", 0, 3)

    assert len({listener.getsockname() for listener in listeners}) == 1
    for listener in listeners:
        listener.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes share one socket")
def test_connections_are_dealt_to_every_process() -> None:
    listeners = listening_sockets("127.0.0.1", 0, 2)
    callers = [socket.create_connection(listeners[0].getsockname()) for _ in range(64)]

    dealt = [count_waiting(listener) for listener in listeners]

    assert sum(dealt) == 64
    assert min(dealt) >= 8  # fewer happens once in 10^10 runs
    for opened in (*listeners, *callers):
        opened.close()


def count_waiting(listener: socket.socket) -> int:
    listener.setblocking(False)
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("ours_is_shared", [False, True], ids=["of another program", "of another Kopeyka"])
def test_a_port_in_use_is_refused(ours_is_shared: bool) -> None:
    with (
        listening_socket("127.0.0.1", 0, shared=ours_is_shared) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        listening_sockets("127.0.0.1", taken.getsockname()[1], 2)
