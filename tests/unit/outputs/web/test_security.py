"""Who gets in: names, origins, tokens, sizes. Against the running page, through real sockets."""

import socket

import pytest
from pages import page

TOKEN = "a-token-of-enough-length"
SAME = {"Host": "localhost", "Origin": "http://localhost"}


@pytest.fixture(scope="module")
def locked(_state_folder, tmp_path_factory):
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(f"{TOKEN}\n")
    with page({"token_file": str(file), "allowed_hosts": ["ferd.example"]}) as running:
        yield running


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8322", "127.0.0.1", "[::1]:8322", "192.0.2.7:80"])
def test_names_and_addresses_of_this_machine_are_known(shown, host):
    assert shown.get("/api/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a b", "", "[", ":"]
)
def test_a_name_that_somebody_bent_to_us_is_refused(shown, host):
    """DNS rebinding: the browser believes it talks to evil.example."""
    assert shown.get("/api/state", headers={"Host": host}).status_code in (400, 421)


def test_a_configured_name_is_known(locked):
    headers = {"Host": "ferd.example", "Authorization": f"Bearer {TOKEN}"}
    assert locked.get("/api/state", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_changes_nothing(shown, headers):
    answer = shown.post("/api/cameras/camera/buzzer", {"value": False}, headers={"Host": "localhost", **headers})
    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]


def test_our_own_page_does(shown):
    assert shown.post("/api/cameras/camera/buzzer", {"value": True}, headers=SAME).status_code == 202


def test_a_form_of_another_site_is_no_json(shown):
    answer = shown.client.post("/api/cameras/camera/buzzer", data={"value": "OFF"})
    assert answer.status_code == 415


def test_each_answer_forbids_what_is_not_ours(shown):
    for path in ("/", "/static/main.js", "/api/state", "/healthz", "/nowhere", "/login"):
        headers = shown.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_a_long_body_is_refused(shown):
    assert shown.post("/api/tune/use", {"smoothing": {"time_constant_s": "x" * 70000}}).status_code == 413


def test_a_long_body_without_its_length_is_cut_off(shown):
    chunks = (b'{"smoothing": "' if i == 0 else b"x" * 8192 for i in range(12))
    answer = shown.client.post("/api/tune/use", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path", ["/static/../page.py", "/static/%2e%2e/page.py", "/static//etc/passwd", "/static/page.py"]
)
def test_nothing_but_the_pages_own_files_is_served(shown, path):
    with socket.create_connection(("127.0.0.1", shown.port), 5) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert b" 404 " in line.recv(200)


def test_without_the_token_nobody_sees_anything(locked):
    for path in ("/api/state", "/metrics", "/api/openapi.json", "/static/main.js", "/", "/api/health"):
        assert locked.get(path).status_code == 401, path
    assert locked.get("/healthz").status_code == 200
    assert locked.post("/api/cameras/camera/enabled", {"value": False}).status_code == 401


def test_a_browser_is_led_to_the_login(locked):
    answer = locked.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x", "Ü"])
def test_a_wrong_token_is_none(locked, token):
    answer = locked.client.post("/login", data={"token": token})
    assert answer.status_code == 403
    assert 'role="alert">This is not the token' in answer.text
    headers = {"Authorization": f"Bearer {token}".encode()}
    assert locked.get("/api/state", headers=headers).status_code == 401


def test_the_token_lets_in_and_the_cookie_keeps(locked):
    answer = locked.client.post("/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    given = {"Cookie": cookie.partition(";")[0]}
    locked.client.cookies.clear()
    assert locked.get("/api/state", headers=given).status_code == 200
    longer = cookie.partition("=")[2].partition(".")
    forged = {"Cookie": f"ferd={int(longer[0]) + 1}.{longer[2].partition(';')[0]}"}
    assert locked.get("/api/state", headers=forged).status_code == 401


def test_before_the_first_guess_nothing_is_wrong(locked):
    assert 'role="alert" hidden>This is not the token' in locked.get("/login").text


def test_login_from_another_site_is_refused(locked):
    answer = locked.client.post("/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
