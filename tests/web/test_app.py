import asyncio
import socket
import threading

import httpx2
import pytest
from uvicorn import Config, Server

from reseen.errors import ReseenError
from reseen.gallery.forgetting import Forgetting
from reseen.web import app
from reseen.web.app import Connection, create_app, serve

CLIENTS = 200
UNLIMITED = httpx2.Limits(max_connections=None)


@pytest.fixture
def address(gallery):
    """Where a server on a free port of this machine answers, while the test runs."""
    with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as listener:
        server = Server(Config(create_app(gallery), http=Connection, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_two_hundred_clients_at_once_are_all_served(address, gallery):
    paths = ["/tracklets", "/tracklet?id=north/ada", "/api/matches?id=south/ben", "/api/stats"]

    async def ask():
        async with httpx2.AsyncClient(base_url=address, timeout=60, limits=UNLIMITED) as client:
            asked = [client.get(paths[number % 4]) for number in range(CLIENTS - 20)]
            labels = [
                client.post(
                    "/api/labels",
                    json={"query": "north/ada", "match": "south/eve", "same": number % 2 == 0},
                )
                for number in range(20)
            ]
            return await asyncio.gather(*asked, *labels)

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [200] * (CLIENTS - 20) + [201] * 20
    matches = {answer.text for answer in answers if "/api/matches" in str(answer.url)}
    assert len(matches) == 1
    (label,) = gallery.labels.all()
    assert (label.query, label.match) == ("north/ada", "south/eve")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tracklets",
        "/tracklet?id=north/ada",
        "/tracklet?id=nobody",
        "/about",
        "/nowhere",
        "/api/stats",
        "/api/thumbnail?id=north/ada",
        "/api/tracklets?limit=x",
    ],
)
def test_head_is_answered_as_get_is_without_the_body(address, path):
    whole, head = httpx2.get(address + path), httpx2.head(address + path)
    assert head.status_code == whole.status_code
    for headers in (whole.headers, head.headers):
        headers.pop("date", None)
    assert head.headers == whole.headers
    assert head.content == b""


def test_serve_says_where_and_stops(gallery, monkeypatch):
    """Answers at the address it names, and lets go of the port afterwards."""
    told, servers = [], []
    start = Server.run

    def run(server, sockets):
        servers.append(server)
        start(server, sockets)

    monkeypatch.setattr(Server, "run", run)
    token, ready = "correct horse & battery", threading.Event()
    settings = {"port": 0, "token": token, "ready": lambda at: (told.append(at), ready.set())}
    thread = threading.Thread(target=serve, args=(gallery,), kwargs=settings)
    thread.start()
    ready.wait(30)
    answer = httpx2.get(told[0], timeout=30)
    servers[0].should_exit = True
    thread.join()
    assert "token=correct+horse+%26+battery" in told[0]
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, True)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(told[0])


def test_a_taken_port_is_named(gallery):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ReseenError, match=f"cannot listen at 127.0.0.1, port {port}"):
            serve(gallery, port=port)


@pytest.mark.parametrize(("host", "port"), [("nowhere.invalid", 8000), ("127.0.0.1", 70_000)])
def test_an_impossible_address_is_named(gallery, host, port):
    with pytest.raises(ReseenError, match=f"cannot listen at {host}, port {port}"):
        serve(gallery, host, port, token="correct-horse-battery")


def test_a_server_forgets_what_is_beyond_its_time(gallery, monkeypatch):
    """Without being asked, and again after a failure."""
    expired, wiped = threading.Event(), threading.Event()
    failures = [ReseenError("no space left on the disk")]

    def expire(self):
        if failures:
            raise failures.pop()
        expired.set()

    monkeypatch.setattr(app, "SECONDS_BETWEEN_EXPIRIES", 0.0)
    monkeypatch.setattr(Forgetting, "expire", expire)
    monkeypatch.setattr(Forgetting, "wipe_when_due", lambda _: wiped.set())

    async def live():
        made = create_app(gallery)
        async with made.router.lifespan_context(made):
            await asyncio.to_thread(wiped.wait, 30)

    asyncio.run(live())
    assert expired.is_set()
    assert wiped.is_set()
