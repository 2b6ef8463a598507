import asyncio
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from reseen.data.pictures import encode_jpeg
from reseen.errors import ReseenError
from reseen.gallery.gallery import conditions
from reseen.gallery.log import LOG_FILE, read_lines
from reseen.gallery.records import Filter
from reseen.gallery.settings import Tokens
from reseen.web import guard
from reseen.web.app import create_app
from reseen.web.asked import MOST_BYTES
from reseen.web.guard import Access

HERE = "http://127.0.0.1:8000"
TOKEN = "correct-horse-battery"
OTHER_SITE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FRAME = LINK | {"sec-fetch-dest": "iframe"}
POST = ("POST", "/compare?id=north/ada&match=south/ada", {"same": "yes"})


def routes(client):
    """Method and path of all that the pages and the API answer."""
    return {
        (method, route.path)
        for router in client.app.routes
        for route in getattr(router, "original_router", client.app.router).routes
        for method in getattr(route, "methods", set())
    }


# Names of the server


@pytest.mark.parametrize(
    ("host", "name", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8000", 200),
        ("127.0.0.1", "localhost", 200),
        ("127.0.0.1", "LOCALHOST:1", 200),
        ("127.0.0.1", "[::1]:8000", 200),
        ("127.0.0.1", "evil.example", 400),
        ("127.0.0.1", "127.0.0.1.evil.example", 400),
        ("127.0.0.1", "localhost.evil.example:8000", 400),
        ("127.0.0.1", "192.168.0.7", 400),
        ("127.0.0.1", "", 400),
        ("cameras.example", "cameras.example:8000", 200),
        ("cameras.example", "evil.example", 400),
        ("0.0.0.0", "192.168.0.7:8000", 200),
        ("0.0.0.0", "[fe80::1]:8000", 200),
        ("0.0.0.0", "evil.example", 400),
    ],
)
def test_goes_only_by_its_own_names(make_client, host, name, status):
    client = make_client(host=host, token=TOKEN)
    headers = {"host": name, "authorization": f"Bearer {TOKEN}"}
    assert client.get("/about", headers=headers).status_code == status


# Other sites


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"origin": "http://127.0.0.1:8000"}, 303),
        ({"origin": "http://127.0.0.1:9000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        (OTHER_SITE, 403),
        (LINK, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        (OTHER_SITE | {"origin": "http://127.0.0.1:8000"}, 403),
    ],
)
def test_other_sites_cannot_post(client, gallery, headers, status):
    method, path, form = POST
    assert client.request(method, path, data=form, headers=headers).status_code == status
    assert len(gallery.labels.all()) == (status == 303)


@pytest.mark.parametrize(
    ("headers", "status"), [(LINK, 200), (FRAME, 403), (OTHER_SITE, 403), ({}, 200)]
)
def test_other_sites_may_link_here_but_not_frame_or_embed(client, headers, status):
    assert client.get("/tracklets", headers=headers).status_code == status


def test_nothing_is_forgotten_or_marked_by_opening_an_address(client, gallery):
    before = gallery.version
    for path in ("/forget?id=north/ada", "/compare?id=north/ada&match=south/ada&same=yes"):
        assert client.get(path).status_code == 200
    assert gallery.version == before
    assert gallery.labels.all() == []


def test_no_get_changes_anything_but_the_log_and_what_was_downloaded(client, gallery):
    """Not even what waits to be deleted, left by a process that was killed while it forgot."""
    folder = Path(gallery.uri)
    (folder / "list.json").write_text("south/eve")
    gallery.exports.keep(folder / "list.json", ["south/eve"])
    gallery.forgetting.delete(conditions(Filter(ids=("south/eve",))))

    def content():
        files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        told = {Path(LOG_FILE), Path("exports.lance")}
        return {
            file: (folder / file).read_bytes() for file in files if not {file, *file.parents} & told
        }

    before, asked = content(), {"id": "north/ada", "match": "south/ada", "forgotten": 1}
    gets = sorted(path for method, path in routes(client) if method == "GET")
    answers = {path: client.get(path, params=asked) for path in gets}
    assert {200} < {answer.status_code for answer in answers.values()}
    assert len(gets) > 20
    assert content() == before
    assert "list.json tells of the forgotten; delete it" in answers["/tracklets"].text


@pytest.mark.parametrize("path", ["/tracklets", "/nowhere", "/api/stats", "/api/nowhere"])
def test_every_answer_says_what_browsers_may_do_with_it(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*", policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


# Tokens


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "cameras.example", "::"])
def test_other_addresses_need_a_token(gallery, host):
    with pytest.raises(ReseenError, match="needs a token there, such as --token"):
        create_app(gallery, host=host)


@pytest.mark.parametrize("token", ["", "short"])
def test_a_token_must_not_be_guessable(gallery, token):
    with pytest.raises(ReseenError, match="can be guessed"):
        create_app(gallery, token=token)


@pytest.mark.parametrize(
    "token",
    [
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "passwordpassword",
        "123412341234123412341234",
        "0123456789abcdef",
        "zyxwvutsrqponmlkjihg",
        "aaaaaaaabbbbbbbb",
    ],
)
def test_a_token_must_not_repeat_itself(gallery, token):
    with pytest.raises(ReseenError, match=r"repeats itself .* drawn by chance, such as --token"):
        create_app(gallery, token=token)


@pytest.mark.parametrize(
    "token", [TOKEN, "Zx8-hQ_2mVb7Kd0w", "7f3a91c05be82d46", "größer als 1 Wort"]
)
def test_a_token_without_a_pattern_is_taken(gallery, token):
    assert create_app(gallery, token=token)


@pytest.fixture
def guarded(gallery):
    """Ask with a token from somewhere, after so many seconds."""
    now = [0.0]
    access = Access(gallery.tokens, TOKEN, clock=lambda: now[0])
    app = guard.Guard(create_app(gallery), "127.0.0.1", access)

    def ask(token, seconds=0.0, client="10.0.0.1", how="header"):
        now[0] += seconds
        given = {"headers": {"authorization": f"Bearer {token}"}}
        given = {"params": {"token": token}} if how == "address" else given
        return TestClient(app, HERE, client=(client, 1)).get("/about", **given)

    return ask


@pytest.mark.parametrize("how", ["header", "address"])
def test_wrong_tokens_are_slowed_down(guarded, how):
    """By twice as much each time; the right one has to wait as well, else it would be found."""
    assert [guarded(f"wrong {guess}", how=how).status_code for guess in range(5)] == [401] * 5
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        answer = guarded(TOKEN, how=how)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, str(pause))
        assert f"try again in {pause} s" in answer.text
        assert guarded("wrong", seconds=pause, how=how).status_code == 401
    assert guarded(TOKEN, seconds=60, how=how).status_code == 200
    assert guarded("wrong", how=how).status_code == 401


@pytest.mark.parametrize(("other", "status"), [("10.0.0.2", 200), ("::ffff:10.0.0.1", 429)])
def test_nobody_waits_for_another_clients_wrong_tokens(guarded, other, status):
    for guess in range(6):
        guarded(f"wrong {guess}")
    assert guarded(TOKEN, client=other).status_code == status


def test_whoever_is_in_stays_in_while_others_guess_from_the_same_place(gallery):
    access = Access(gallery.tokens, TOKEN, clock=lambda: 0.0)
    client = TestClient(guard.Guard(create_app(gallery), "127.0.0.1", access), HERE)
    assert client.get("/about", params={"token": TOKEN}).status_code == 200
    for guess in range(10):
        client.get("/about", headers={"authorization": f"Bearer {guess}", "cookie": "x=y"})
    assert client.get("/about").status_code == 200


def test_the_cookie_tells_nothing_about_the_token(make_client):
    cookies = [
        make_client(token=TOKEN).get("/about", params={"token": TOKEN}).cookies["reseen_token"]
        for _ in range(2)
    ]
    assert cookies[0] != cookies[1]


@pytest.mark.parametrize("path", ["/", "/tracklets", "/api/stats", "/api/openapi.json", "/no"])
@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({}, {}),
        ({"authorization": "Bearer wrong-horse-battery"}, {}),
        ({"authorization": f"Basic {TOKEN}"}, {}),
        ({"authorization": TOKEN}, {}),
        ({"cookie": f"reseen_token={TOKEN}"}, {}),
        ({"cookie": b"reseen_token=\xe9"}, {}),
        ({}, {"token": TOKEN[:-1]}),
        ({}, {"token": "wrong-horse-battery-é"}),
    ],
)
def test_nobody_gets_in_without_the_token(make_client, path, headers, asked):
    answer = make_client(token=TOKEN).get(path, headers=headers, params=asked)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "set-cookie" not in answer.headers
    assert TOKEN not in answer.text


def test_programs_bring_the_token_in_a_header(make_client):
    client = make_client(token=TOKEN)
    headers = {"authorization": f"bearer {TOKEN}"}
    assert client.get("/api/stats", headers=headers).json()["cameras"] == {"north": 3, "south": 3}
    assert client.get(f"/api/stats?token={TOKEN}").status_code == 401


def test_people_bring_the_token_in_the_address_once(make_client):
    client = make_client(token=TOKEN)
    answer = client.get("/tracklet", params={"id": "north/ada", "token": TOKEN, "k": "10"})
    assert answer.status_code == 200
    target = "/tracklet?id=north%2Fada&amp;k=10"
    assert f'content="0; url={target}"' in answer.text
    assert TOKEN not in answer.text + str(answer.headers)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert client.get("/tracklets").status_code == 200  # the client now sends the cookie
    assert client.get("/api/stats").status_code == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "/%09/evil.example"])
def test_the_way_on_never_leads_to_another_site(make_client, path):
    client = make_client(token=TOKEN)
    answer = client.get(f"http://127.0.0.1:8000{path}?token={TOKEN}")
    (target,) = re.findall(r'content="0; url=([^"]*)"', answer.text)
    assert re.match(r"/[^/\\\s]", target)


def test_whoever_lacks_the_token_is_asked_for_it(make_client):
    assert 'name="token"' in make_client(token=TOKEN).get("/tracklets").text


# Tokens of the gallery


def bearing(token):
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def tokens(gallery, monkeypatch):
    monkeypatch.setattr(guard, "READ_AGAIN", 0.0)
    return gallery.tokens


def test_a_gallerys_tokens_are_asked_for_from_the_first_one_on(client, tokens):
    assert client.get("/about").status_code == 200
    token = tokens.new("anna", "look")
    assert client.get("/about").status_code == 401
    assert client.get("/about", headers=bearing(token)).status_code == 200
    tokens.revoke("anna")
    assert client.get("/about", headers=bearing(token)).status_code == 401
    assert client.get("/about").status_code == 401  # not open again


def test_a_revoked_token_lets_in_no_more_by_its_cookie_either(client, tokens):
    token = tokens.new("anna", "manage")
    tokens.new("berta", "manage")
    assert client.get("/about", params={"token": token}).status_code == 200
    assert client.get("/about").status_code == 200
    tokens.revoke("anna")
    assert client.get("/about").status_code == 401


def test_who_may_only_look_changes_nothing_by_any_route(gallery, client, tokens, draw_pictures):
    """Every route there is but the searches is refused, before its parameters are looked at."""
    headers = bearing(tokens.new("anna", "look"))
    before = gallery.version, gallery.labels.all(), gallery.settings.all("", object)
    changing = {each for each in routes(client) if each[0] not in {"GET", "HEAD", "OPTIONS"}}
    assert {("POST", "/forget"), ("DELETE", "/api/labels"), ("POST", "/person/name")} <= changing
    for method, path in sorted(changing - {("POST", path) for path in guard.SEARCHES}):
        answer = client.request(method, path, headers=headers)
        assert (path, answer.status_code) == (path, 403)
        assert "The token of anna lets look, not change anything" in answer.text
    assert (gallery.version, gallery.labels.all(), gallery.settings.all("", object)) == before
    jpeg = encode_jpeg(draw_pictures("ada")[0], 95)
    answer = client.post("/api/search", files={"pictures": jpeg}, headers=headers)
    assert answer.status_code == 200


def test_the_log_says_by_whose_token(gallery, client, tokens):
    headers = bearing(tokens.new("anna", "manage"))
    assert client.request(*POST[:2], data=POST[2], headers=headers).status_code == 303
    gallery.search(gallery.query("north/ada", "stripes"))
    *_, label, search = read_lines(Path(gallery.uri) / LOG_FILE)
    assert (label["what"], label["same"], label["by"]) == ("label", True, "anna")
    assert "by" not in search


def test_tokens_are_kept_as_digests_only(gallery, traces):
    tokens = gallery.tokens
    secrets = [tokens.new("anna", "look"), tokens.new("berta", "manage")]
    assert len({*secrets}) == 2
    assert traces(Path(gallery.uri), [each.encode() for each in secrets]) == []
    assert [(each.name, each.role) for each in tokens.all()] == [
        ("anna", "look"),
        ("berta", "manage"),
    ]


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 101])
def test_a_token_needs_a_name(gallery, name):
    with pytest.raises(ReseenError, match="cannot be a token's name"):
        gallery.tokens.new(name, "look")


def test_a_tokens_name_is_used_once_and_known_ones_only_are_revoked(gallery):
    tokens = gallery.tokens
    tokens.new("anna", "look")
    tokens.revoke("anna")
    with pytest.raises(ReseenError, match="there is or was a token called anna"):
        tokens.new("anna", "manage")
    for name in ("anna", "berta"):
        with pytest.raises(ReseenError, match=f"no token called {name} is valid here; valid: none"):
            tokens.revoke(name)


def test_of_two_who_give_one_name_at_once_one_gets_a_token(gallery, monkeypatch):
    monkeypatch.setattr(Tokens, "all", lambda _: [])  # as if both had looked before
    gallery.tokens.new("anna", "look")
    with pytest.raises(ReseenError, match="there is or was a token called anna"):
        gallery.tokens.new("anna", "manage")


# Behind a proxy


@pytest.mark.parametrize(
    ("name", "status"), [("seen.example", 200), ("SEEN.example:443", 200), ("evil.example", 400)]
)
def test_a_proxy_may_call_it_by_the_name_that_is_allowed(make_client, name, status):
    client = make_client(token=TOKEN, allow_hosts=["Seen.example"])
    headers = bearing(TOKEN) | {"host": name}
    assert client.get("/about", headers=headers).status_code == status


def test_a_form_comes_home_through_a_proxy_that_speaks_https(make_client, gallery):
    client = make_client(token=TOKEN, allow_hosts=["seen.example"])
    method, path, form = POST
    for origin, status in (("https://seen.example", 303), ("https://evil.example", 403)):
        headers = bearing(TOKEN) | {"host": "seen.example", "origin": origin}
        assert client.request(method, path, data=form, headers=headers).status_code == status
    assert len(gallery.labels.all()) == 1


def test_a_name_for_others_needs_a_token(gallery):
    with pytest.raises(ReseenError, match=r"others can reach seen\.example, so the gallery needs"):
        create_app(gallery, allow_hosts=["seen.example"])
    gallery.tokens.new("anna", "look")
    assert create_app(gallery, allow_hosts=["seen.example"])


@pytest.mark.parametrize("name", ["https://seen.example", "seen.example:80", "a b", ""])
def test_a_name_for_others_is_a_name_only(gallery, name):
    with pytest.raises(ReseenError, match="is no name of a host"):
        create_app(gallery, token=TOKEN, allow_hosts=[name])


# Sizes


def test_a_large_request_is_refused_before_it_is_read(client):
    body = b"x" * (guard.MOST_BYTES_WITHOUT_PICTURES + 1)
    for path in ("/forget", "/api/labels", "/api/search", "/nowhere"):
        assert client.post(path, content=body).status_code == 413


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_a_request_that_hides_its_length_is_stopped_on_the_way(gallery, kind):
    limit = guard.MOST_BYTES_WITHOUT_PICTURES if "json" in kind else MOST_BYTES
    sent, answers = 0, []

    async def too_much():
        nonlocal sent
        sent += 2**16
        start = b"--x\r\nContent-Disposition: form-data; name=pictures; filename=a\r\n\r\n"
        body = start if sent == 2**16 else b"x" * 2**16
        return {"type": "http.request", "body": body, "more_body": sent < 2 * limit}

    async def answered(message):
        answers.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", kind.encode())]
    path = "/api/labels" if "json" in kind else "/api/search"
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    scope |= {"query_string": b"", "scheme": "http"}
    asyncio.run(create_app(gallery)(scope, too_much, answered))
    assert answers[0]["status"] == 413
    assert sent < limit + 2**18
