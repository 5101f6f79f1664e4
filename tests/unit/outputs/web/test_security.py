"""Hold who gets in: names, origins, tokens, sizes. Against the running page, through real sockets."""

import socket
import time

import pytest
from pages import page
from starlette.requests import HTTPConnection
from starlette.responses import Response

from ferd.outputs.web.security import COOKIE_MAX_AGE_S, TokenAuth, relative

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
def test_a_name_of_another_machine_is_refused(shown, host):
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
def test_a_page_of_another_site_changes_nothing(shown, headers):
    answer = shown.post("/api/cameras/camera/buzzer", {"value": False}, headers={"Host": "localhost", **headers})
    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]


def test_the_page_itself_may_change_settings(shown):
    assert shown.post("/api/cameras/camera/buzzer", {"value": True}, headers=SAME).status_code == 202


def test_a_form_of_another_site_is_refused(shown):
    answer = shown.client.post("/api/cameras/camera/buzzer", data={"value": "OFF"})
    assert answer.status_code == 415


def test_each_response_has_security_headers(shown):
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
    "path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static//etc/passwd", "/static/server.py"]
)
def test_only_the_pages_own_files_are_served(shown, path):
    with socket.create_connection(("127.0.0.1", shown.port), 5) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert b" 404 " in line.recv(200)


def test_nothing_is_shown_without_the_token(locked):
    for path in ("/api/state", "/metrics", "/api/openapi.json", "/static/main.js", "/", "/api/health"):
        assert locked.get(path).status_code == 401, path
    assert locked.get("/healthz").status_code == 200
    assert locked.post("/api/cameras/camera/enabled", {"value": False}).status_code == 401


def test_a_browser_is_sent_to_the_login(locked):
    answer = locked.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "login")


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x", "Ü"])
def test_a_wrong_token_is_refused(locked, token):
    answer = locked.client.post("/login", data={"token": token})
    assert answer.status_code == 403
    assert 'role="alert">Wrong token' in answer.text
    headers = {"Authorization": f"Bearer {token}".encode()}
    assert locked.get("/api/state", headers=headers).status_code == 401


def test_the_token_logs_in_and_the_cookie_keeps_logged_in(locked):
    answer = locked.client.post("/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "secure" not in cookie.lower()
    assert TOKEN not in cookie
    given = {"Cookie": cookie.partition(";")[0]}
    locked.client.cookies.clear()
    assert locked.get("/api/state", headers=given).status_code == 200
    value = given["Cookie"].removeprefix("ferd=")
    for forged in (value[:-1], f"x{value}", value.replace(".", "..", 1), "", "in"):
        assert locked.get("/api/state", headers={"Cookie": f"ferd={forged}"}).status_code == 401


def cookie_of(auth):
    response = Response()
    auth.log_in(response)
    return response.headers["set-cookie"]


def admits(auth, cookie):
    headers = [(b"cookie", cookie.partition(";")[0].encode())]
    return auth.admits(HTTPConnection({"type": "http", "headers": headers}))


def test_a_cookie_survives_a_restart_and_expires_with_its_token_or_its_week(monkeypatch):
    cookie = cookie_of(TokenAuth(TOKEN))
    assert admits(TokenAuth(TOKEN), cookie)
    assert not admits(TokenAuth(f"{TOKEN}2"), cookie)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + COOKIE_MAX_AGE_S - 60)
    assert admits(TokenAuth(TOKEN), cookie)
    monkeypatch.setattr(time, "time", lambda: now + COOKIE_MAX_AGE_S + 60)
    assert not admits(TokenAuth(TOKEN), cookie)


def test_behind_tls_the_cookie_is_never_sent_without_it():
    assert "; Secure" in cookie_of(TokenAuth(TOKEN, secure=True))


def test_the_login_page_shows_no_error_at_first(locked):
    assert 'role="alert" hidden>Wrong token' in locked.get("/login").text


def test_login_from_another_site_is_refused(locked):
    answer = locked.client.post("/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "target", "place"),
    [("/", "login", "login"), ("/login", "", "./"), ("/api/state", "login", "../login"), ("/a/b/", "", "../../")],
)
def test_a_redirect_stays_below_the_prefix_of_a_proxy(path, target, place):
    """A browser resolves it against the address that it knows, which may have a prefix that ferd does not see."""
    assert relative(path, target) == place


def test_the_cookie_stays_below_the_prefix_of_a_proxy():
    assert "path=" not in cookie_of(TokenAuth(TOKEN)).lower()


@pytest.fixture(scope="module")
def ingress(_state_folder):
    """This test is the proxy."""
    with page({"trusted_proxy": "127.0.0.1"}) as running:
        yield running


@pytest.fixture(scope="module")
def elsewhere(_state_folder):
    """The proxy has another address than this test."""
    with page({"trusted_proxy": "192.0.2.1"}) as running:
        yield running


HOME_ASSISTANT = {"Host": "home.example:8123", "X-Ingress-Path": "/api/hassio_ingress/abc"}


def test_the_trusted_proxy_needs_no_token_and_checks_the_host_name_itself(ingress):
    assert ingress.get("/api/state", headers=HOME_ASSISTANT).status_code == 200
    origin = {"Origin": "https://home.example:8123", "Sec-Fetch-Site": "same-origin"}
    change = ("/api/cameras/camera/buzzer", {"value": True})
    assert ingress.post(*change, headers=HOME_ASSISTANT | origin).status_code == 202
    forwarded = {"Host": "172.30.33.5:8322", "X-Forwarded-Host": "home.example:8123"}
    assert ingress.post(*change, headers=forwarded | origin).status_code == 202


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_changes_nothing_through_the_trusted_proxy(ingress, headers):
    answer = ingress.post("/api/cameras/camera/buzzer", {"value": False}, headers=HOME_ASSISTANT | headers)
    assert answer.status_code == 403


def test_only_through_the_trusted_proxy_may_the_site_itself_frame_the_page(ingress, elsewhere):
    headers = ingress.get("/", headers=HOME_ASSISTANT).headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    headers = elsewhere.get("/healthz").headers
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_without_a_token_nobody_but_the_trusted_proxy_opens_the_page(elsewhere):
    claim = {"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1", "Host": "localhost"}
    for headers in ({}, HOME_ASSISTANT, claim):
        answer = elsewhere.get("/api/state", headers=headers)
        assert answer.status_code in (403, 421)
        assert "faces" not in answer.text
    assert elsewhere.get("/healthz").status_code == 200


@pytest.mark.usefixtures("_state_folder")
def test_with_a_token_others_log_in_beside_the_trusted_proxy(tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    with page({"trusted_proxy": "192.0.2.1", "token_file": str(tmp_path / "token")}) as running:
        assert running.get("/api/state").status_code == 401
        assert running.get("/api/state", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
