"""Clients that hold connections open, each beside somebody who only wants a page."""

import asyncio
import logging
import socket
import threading
from contextlib import ExitStack

import httpx2
import pytest
from uvicorn import Config, Server
from uvicorn.server import ServerState

from reseen.web import app as connections
from reseen.web.app import Connection, Seldom, create_app, serve
from reseen.web.guard import client_name

HEAD = b"GET /about HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /forget HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"
KINDS = {"nothing": b"", "half a head": HEAD, "half a body": POST + b"id=1"}


# How long one client is waited for, by a clock that the tests turn


class Loop:
    """An event loop of which only the clock goes on."""

    def __init__(self):
        self.now, self.timers, self.tasks = 0.0, [], []

    def time(self):
        return self.now

    def call_later(self, seconds, callback):
        self.timers.append([self.now + seconds, callback, True])
        timer = self.timers[-1]
        return type("Handle", (), {"cancel": lambda _: timer.__setitem__(2, False)})()

    def create_task(self, coroutine):
        coroutine.close()  # the application never answers
        self.tasks.append(coroutine)
        return type("Task", (), {"add_done_callback": lambda *_: None})()

    def turn(self, seconds):
        self.now += seconds
        for timer in self.timers:
            when, callback, live = timer
            if live and when <= self.now:
                timer[2] = False
                callback()


class Transport:
    """The network's side of a connection."""

    def __init__(self):
        self.gone = False

    def get_extra_info(self, _):
        return None

    def abort(self):
        self.gone = True

    close = abort

    def is_closing(self):
        return self.gone

    def pause_reading(self):
        pass

    resume_reading = pause_reading

    def write(self, _):
        pass


@pytest.fixture
def connected():
    """A loop, and a new connection's two sides."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    loop, transport = Loop(), Transport()
    made = Connection(Config(lambda *_: None, log_config=None), ServerState(), {}, loop)
    made.connection_made(transport)
    yield loop, made, transport
    asyncio.get_event_loop().close()
    asyncio.set_event_loop(None)


@pytest.mark.parametrize("parts", [[], [HEAD, b"X-More: 1\r\n"], [b"G", b"E", b"T"]])
def test_a_head_that_does_not_come_is_not_waited_for(connected, parts):
    """Nor does a trickle help."""
    loop, made, transport = connected
    for part in parts:
        loop.turn(3)
        made.data_received(part)
    loop.turn(9.5 - loop.now)
    assert not transport.gone
    loop.turn(0.5)
    assert transport.gone
    assert made not in made.connections


def test_a_body_has_a_minute_from_its_head(connected):
    loop, made, transport = connected
    loop.turn(9)
    made.data_received(POST)
    for _ in range(5):
        loop.turn(10)
        made.data_received(b"x")
    assert not transport.gone
    loop.turn(10)
    assert transport.gone


def test_whoever_has_asked_is_not_cut_off_while_the_server_works(connected):
    loop, made, transport = connected
    made.data_received(HEAD + b"\r\n")
    loop.turn(3600)
    assert loop.tasks
    assert not transport.gone


def test_an_answer_that_is_not_taken_in_is_dropped_after_a_minute(connected):
    loop, made, transport = connected
    made.data_received(HEAD + b"\r\n")
    made.pause_writing()
    loop.turn(59)
    made.resume_writing()
    loop.turn(59)
    made.pause_writing()
    loop.turn(59)
    assert not transport.gone
    loop.turn(1)
    assert transport.gone


# How many there may be


@pytest.fixture
def serving(gallery, monkeypatch):
    """A server with room for few connections, and its port."""
    monkeypatch.setattr(connections, "MOST_OF_ONE_CLIENT", 20)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        config = Config(create_app(gallery), http=Connection, log_level="error")
        server = Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield server, listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_shown_however_many_hold_connections_open(serving, kind):
    server, port = serving
    with ExitStack() as opened:
        for _ in range(100):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(KINDS[kind])
        assert httpx2.get(f"http://127.0.0.1:{port}/about", timeout=60).status_code == 200
        assert len(server.server_state.connections) <= 20


def test_the_limit_in_all_holds_for_clients_of_many_names(monkeypatch):
    monkeypatch.setattr(connections, "MOST_IN_ALL", 3)
    asyncio.set_event_loop(asyncio.new_event_loop())
    loop, state, made = Loop(), ServerState(), []
    for number in range(5):
        loop.now = float(number)
        one, transport = Connection(Config(lambda *_: None), state, {}, loop), Transport()
        transport.get_extra_info = lambda what, number=number: (
            (f"10.0.0.{number}", 1) if what == "peername" else None
        )
        one.connection_made(transport)
        made.append((one, transport))
        if number == 0:
            one.data_received(HEAD + b"\r\n")  # is being answered, and stays
    asyncio.get_event_loop().close()
    asyncio.set_event_loop(None)
    assert [transport.gone for _, transport in made] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
    ],
)
def test_a_client_is_known_by_what_it_cannot_change(one, other, alike):
    assert (client_name(one) == client_name(other)) == alike


# The log


def test_the_same_line_is_said_once_a_minute_with_how_many_there_were():
    now, said = [0.0], []
    logger = logging.Logger("seldom")
    logger.addFilter(Seldom(lambda: now[0]))
    logger.addHandler(handler := logging.Handler())
    handler.emit = lambda record: said.append(record.getMessage())
    for _ in range(480):
        logger.error("socket.accept() out of system resource\nsocket: %s", "<socket>")
        now[0] += 0.25
    assert len(said) == 2
    assert said[0] == "socket.accept() out of system resource\nsocket: <socket>"
    assert said[1] == said[0] + " (239 more since this was last said)"
    logger.error("another line")
    assert said[2:] == ["another line"]


def test_broken_forms_do_not_fill_the_log(gallery, monkeypatch, caplog):
    """Their parser writes a line for each of them."""
    monkeypatch.setattr("reseen.web.app.Server.run", lambda *_: None)
    serve(gallery, port=0)
    for place in range(9):
        logging.getLogger("python_multipart.multipart").warning("Expected a boundary at %d", place)
    assert len(caplog.records) == 1
