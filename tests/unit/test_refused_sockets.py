"""The unit tests' own law: nobody is called."""

import socket

import pytest


def test_a_unit_test_cannot_connect_to_anybody():
    with socket.socket() as caller, pytest.raises(RuntimeError, match="must not use the network"):
        caller.connect(("127.0.0.1", 9))


def test_a_unit_test_cannot_look_up_a_name():
    with pytest.raises(RuntimeError, match="must not use the network"):
        socket.getaddrinfo("localhost", 80)
