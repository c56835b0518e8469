"""Registries of others, on Debian's docker-registry: reached, logged in to, asked what they have."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reconciler.errors import PlatformError
from reconciler.platforms.distribution.auth import Login, LoginRefused, RegistryAuth
from reconciler.platforms.distribution.client import RegistryClient
from reconciler.platforms.distribution.refusal import Refusal
from tests.emulators.distribution import Distribution, Elsewhere, available, docker_registry
from tests.emulators.servers import free_port
from tests.emulators.serving import served

PULL, ALL = frozenset({"pull"}), frozenset({"pull", "push", "*"})
ALICE = Login("alice", "pass:word", "the variables REG_USER and REG_PASSWORD")
WRONG = Login("alice", "guessed", "the variables REG_USER and REG_PASSWORD")

pytestmark = [
    pytest.mark.slow,
    # where everything is to be there, what is missing fails
    pytest.mark.skipif(bool(available()) and not os.environ.get("CI"), reason=available() or "it is there"),
]


@pytest.fixture(scope="module")
def by_basic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    folder = tmp_path_factory.mktemp("basic")
    with docker_registry(folder, users={"alice": ALICE.password}) as found:
        found.push("team/app", ("alice", ALICE.password))
        yield found


@pytest.fixture(scope="module")
def _by_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    with docker_registry(tmp_path_factory.mktemp("token"), tokens=True) as found:
        assert found.tokens is not None
        found.tokens.users = {"alice": ALICE.password, "reader": "r"}
        found.tokens.rights = {"alice": {"*": ALL, "catalog": ALL}}
        found.push("team/app", ("alice", ALICE.password))
        yield found


@pytest.fixture
def by_token(_by_token: Distribution) -> Distribution:
    """With its service as it is at first: alice may do all, reader pulls team/app alone, nobody else is let in."""
    tokens = _by_token.tokens
    assert tokens is not None
    tokens.reset()
    tokens.answer = None
    tokens.rights = {"alice": {"*": ALL, "catalog": ALL}, "reader": {"team/app": PULL}}
    return _by_token


def client(registry: Distribution, login: Login | None = ALICE) -> RegistryClient:
    return RegistryClient(registry.url, login, registry.authority.file)


@pytest.fixture(params=["by_basic", "by_token"])
def registry(request: pytest.FixtureRequest) -> Distribution:
    found: Distribution = request.getfixturevalue(request.param)
    return found


def test_a_login_that_works_lists_what_is_there(registry: Distribution) -> None:
    with client(registry) as asked:
        asked.check_login("team/app")
        asked.check_login("not/pushed/yet")
        assert asked.repositories() == frozenset({"team/app"})
        assert asked.holds("team/app") is True
        assert asked.holds("not/pushed/yet") is False


def test_a_wrong_login_is_one_sentence_without_its_password(registry: Distribution) -> None:
    with client(registry, WRONG) as asked, pytest.raises(LoginRefused) as refused:
        asked.check_login("team/app")
    said = str(refused.value)
    assert "refuses the login of user alice (UNAUTHORIZED: authentication required)" in said
    assert "check the variables REG_USER and REG_PASSWORD" in said
    assert WRONG.password not in said + repr(WRONG)


def test_whoever_has_no_login_is_refused_with_what_to_give(registry: Distribution) -> None:
    with client(registry, None) as asked, pytest.raises(LoginRefused, match="give credentials for the registry"):
        asked.check_login("team/app")


def test_a_service_that_lets_everybody_in_does_not_hide_a_wrong_login(by_token: Distribution) -> None:
    """/v2/ is 200 with a token that anybody gets: what decides is the service, asked with the login."""
    assert by_token.tokens is not None
    by_token.tokens.rights[""] = {"*": PULL}
    with client(by_token, None) as anonymous:
        anonymous.check_login("team/app")
    with client(by_token, WRONG) as asked, pytest.raises(LoginRefused, match="token service refuses the login of user"):
        asked.check_login("team/app")
    assert [call.operation for call in by_token.tokens.calls][-1] == "repository:team/app:pull"


def test_a_login_that_may_not_pull_it_says_so(by_token: Distribution) -> None:
    with client(by_token, Login("reader", "r", "the file")) as asked:
        asked.check_login("team/app")
        with pytest.raises(LoginRefused, match="does not let user reader pull other"):
            asked.check_login("other")


def test_a_catalog_that_is_refused_never_means_that_nothing_is_there(by_token: Distribution) -> None:
    with client(by_token, Login("reader", "r", "the file")) as asked:
        found = asked.repositories()
        assert isinstance(found, Refusal)
        assert found.why.startswith("it lists its repositories to others alone (401 (UNAUTHORIZED: ")
        assert asked.holds("team/app") is True
        other = asked.holds("other")
        assert isinstance(other, Refusal)
        assert other.why.startswith("it answers 401 (UNAUTHORIZED: ")


def test_a_token_is_asked_for_once_for_each_scope(by_token: Distribution) -> None:
    assert by_token.tokens is not None
    with client(by_token) as asked:
        for _ in range(3):
            asked.holds("team/app")
            asked.repositories()
    assert [call.operation for call in by_token.tokens.calls] == ["repository:team/app:pull", "registry:catalog:*"]


def test_a_certificate_of_an_authority_that_is_not_known_names_the_key(registry: Distribution) -> None:
    with RegistryClient(registry.url, ALICE) as asked, pytest.raises(PlatformError) as failed:
        asked.check_login("team/app")
    assert (
        failed.value.message
        == "the registry's certificate is not trusted: no authority that is trusted here has signed it"
    )
    assert failed.value.hint == "give the certificate of the authority that signed it as `ca_file`"
    assert failed.value.operation == f"GET {registry.url}/v2/"


@pytest.mark.parametrize(
    "answer",
    [(200, "{}"), (200, "no JSON"), (500, ""), (302, ""), (200, '{"token": "two words"}'), (200, '{"token": 7}')],
)
def test_a_service_that_gives_no_token_is_said_to(by_token: Distribution, answer: tuple[int, str]) -> None:
    assert by_token.tokens is not None
    by_token.tokens.answer = answer
    with client(by_token) as asked, pytest.raises(PlatformError, match="token service gave no token: it answered"):
        asked.check_login("team/app")


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with served(Elsewhere()) as found:
        yield found


def challenge(realm: str) -> tuple[int, dict[str, str], str]:
    return 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}, ""


@pytest.mark.parametrize(
    ("realm", "why"),
    [
        ("http://auth.example.com/token", "which is not https://"),
        ("https://192.168.0.1/token", "which is a private address of another host"),
        ("https://[::1]:8443/token", "which is a private address of another host"),
        ("https://169.254.169.254/latest/meta-data", "which is a private address of another host"),
        ("https://localhost/token", "which is a private address of another host"),
        ("https://localhost./token", "which is a private address of another host"),
        ("https://127.1/token", "which is a private address of another host"),
        ("https://2130706433/token", "which is a private address of another host"),
        ("https://[::ffff:10.0.0.1]/token", "which is a private address of another host"),
        ("https://user:SECRET@auth.example.com/token", "which holds a login of its own"),
        ("ftp://auth.example.com/token", "which is no https:// address"),
        ("/token", "which is no https:// address"),
        ("https://", "which is no https:// address"),
        ("https://[::1/token", "which is no https:// address"),
    ],
)
def test_a_login_is_sent_to_no_realm_that_anybody_could_stand_behind(
    elsewhere: Elsewhere, realm: str, why: str
) -> None:
    elsewhere.answers["/v2/"] = challenge(realm)
    with RegistryClient(elsewhere.url, ALICE) as asked, pytest.raises(PlatformError) as failed:
        asked.check_login("app")
    assert why in failed.value.message
    assert "SECRET" not in str(failed.value)
    assert elsewhere.seen == [("/v2/", ""), ("/v2/", "")]


def test_a_token_service_of_this_machine_s_own_registry_in_clear_is_asked(elsewhere: Elsewhere) -> None:
    elsewhere.answers["/v2/"] = challenge(f"{elsewhere.url}/token")
    elsewhere.answers["/token"] = (401, {}, '{"errors": [{"code": "DENIED", "message": "no such user"}]}')
    with RegistryClient(elsewhere.url, ALICE) as asked, pytest.raises(LoginRefused, match=r"\(DENIED: no such user\)"):
        asked.check_login("app")
    assert elsewhere.seen[-1] == ("/token", ALICE.basic)


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        ((404, {}, "404"), "no registry answers there: /v2/ answers 404", "its API is below /v2/"),
        ((200, {"Content-Type": "text/html"}, "<html>"), "no registry answers there: /v2/ answers 200", "its API is"),
        ((403, {}, "<html>"), "no registry answers there: /v2/ answers 403", "its API is below /v2/"),
        ((302, {"Location": "https://sso.example.com/?token=SECRET"}, ""), "sends elsewhere, to https://sso", "`url`"),
        ((503, {}, ""), "the registry answers 503", "run again later"),
        ((401, {}, ""), "asks for a login and does not say which kind", "no WWW-Authenticate header"),
    ],
)
def test_what_is_no_registry_is_said_to_be_none(
    elsewhere: Elsewhere, answer: tuple[int, dict[str, str], str], said: str, hint: str
) -> None:
    elsewhere.answers["/v2/"] = answer
    with RegistryClient(elsewhere.url, ALICE) as asked, pytest.raises(PlatformError) as failed:
        asked.check_login("app")
    assert said in failed.value.message
    assert hint in failed.value.hint
    assert "SECRET" not in str(failed.value)


def test_nobody_who_answers_is_said_by_what_is_wrong(elsewhere: Elsewhere) -> None:
    port = elsewhere.url.rpartition(":")[2]
    closed = free_port()
    for url, said in (
        (f"https://127.0.0.1:{port}", "the registry does not speak TLS there"),
        (f"http://127.0.0.1:{closed}", "the registry refuses connections"),
        ("https://registry.invalid", "there is no host registry.invalid"),
    ):
        with RegistryClient(url, ALICE) as asked, pytest.raises(PlatformError) as failed:
            asked.check_login("app")
        assert failed.value.message == said


def test_pages_are_followed_at_the_registry_alone_and_end(elsewhere: Elsewhere) -> None:
    def page(link: str, *names: str) -> tuple[int, dict[str, str], str]:
        return 200, {"Link": f'<{link}>; rel="next"'} if link else {}, json.dumps({"repositories": names})

    with RegistryClient(elsewhere.url) as asked:
        elsewhere.answers["/v2/_catalog"] = page("/v2/_catalog?last=b&n=2", "a", "b")
        with pytest.raises(PlatformError, match="list of repositories does not end"):
            asked.repositories()
        elsewhere.answers["/v2/_catalog"] = page("https://evil.example.com/v2/other", "a", "b")
        assert asked.repositories() == Refusal(
            "the next page of its list is linked at an address that is not its list's"
        )
        elsewhere.answers["/v2/_catalog"] = (200, {}, '{"repositories": null}')
        assert asked.repositories() == frozenset()


@pytest.mark.parametrize(
    "text", ['["a"]', "{}", "<html>welcome</html>", '{"repositories": "a"}', '{"repositories": [7]}']
)
def test_what_is_no_list_says_nothing_of_what_is_there(elsewhere: Elsewhere, text: str) -> None:
    elsewhere.answers["/v2/_catalog"] = (200, {}, text)
    elsewhere.answers["/v2/app/tags/list"] = (200, {}, text)
    with RegistryClient(elsewhere.url) as asked:
        with pytest.raises(PlatformError, match="the registry answers 200"):
            asked.repositories()
        with pytest.raises(PlatformError, match="the registry answers 200"):
            asked.holds("app")
        # the answer of a proxy that knows of no registry
        assert asked.holds("unknown") == Refusal("it answers 404 to whether there is unknown")


def test_a_login_goes_in_clear_to_this_machine_alone() -> None:
    auth = RegistryAuth(httpx.URL("http://registry.example.com"), ALICE)
    request = httpx.Request("GET", "http://registry.example.com/v2/")
    flow = auth.auth_flow(request)
    assert "Authorization" not in next(flow).headers
    with pytest.raises(PlatformError, match="would get the login in clear: nothing was sent"):
        flow.send(httpx.Response(401, headers={"WWW-Authenticate": "Basic realm=x"}, request=request))


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_certificates_that_can_t_be_read_are_said_with_their_file(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PlatformError) as failed:
        RegistryClient("https://registry.example.com", ALICE, path)
    assert str(path) in failed.value.message
    assert ("No such file" in failed.value.message) == (text is None)
