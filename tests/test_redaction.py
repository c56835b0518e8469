"""Text that comes from outside is shown without the secrets that it repeats."""

from __future__ import annotations

import base64
import json
import pickle
import string
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import PlatformError
from reconciler.redaction import HIDDEN, redacted, unnamed_hidden

#: a part of each token, by which it is found again
MARK = "SECRET7"
#: what a token is made of: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
tokens = st.text(string.ascii_letters + string.digits + "-._~+/", min_size=12, max_size=60).map(
    lambda item: MARK + item
)
web_tokens = st.lists(st.binary(min_size=3, max_size=20), min_size=1, max_size=3).map(
    lambda parts: ".".join(
        ["eyJ" + MARK, *(base64.urlsafe_b64encode(part).decode().rstrip("=") + MARK for part in parts)]
    )
)
names = st.sampled_from(
    (
        *(
            "subject_token",
            "actor_token",
            "client_secret",
            "client_assertion",
            "refresh_token",
            "access_token",
            "id_token",
        ),
        *(
            "assertion",
            "password",
            "SecretAccessKey",
            "WebIdentityToken",
            "aws_session_token",
            "Signature",
            "clientSecret",
        ),
    )
)
#: words around it, as servers write them
prose = st.sampled_from(
    ("", "bad credentials ", "HTTP 401: ", "the request (", "subject ", "{'error': '", "\n", "=", "Basic ")
)


def in_form(name: str, token: str) -> str:
    return urlencode({"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", name: token, "scope": "x"})


WAYS: tuple[Callable[[str, str], str], ...] = (
    in_form,
    lambda name, token: quote(in_form(name, token)),
    lambda name, token: f"{name}={token}",
    lambda name, token: f'{name} = "{token} {MARK}"',
    lambda name, token: json.dumps({name: token, "expires_in": 3600}),
    lambda name, token: json.dumps({"message": json.dumps({name: token})}),
    lambda name, token: str({name: token, "expires_in": 3600}),
    lambda name, token: json.dumps({name: f'a"b {token}'}),
    lambda name, token: f"Authorization: Bearer {token}",
    lambda name, token: f"bad credentials Bearer {token} here",
    lambda name, token: str({"Authorization": f"Bearer {token}", "Accept": "*/*"}),
    lambda name, token: f"x-amz-security-token:{token}\nx-amz-date:20260101T000000Z",
    lambda name, token: f"https://example.com/x?api-version=1&sig={quote(token)}",
    lambda name, token: (
        f"Max retries exceeded with url: /a/operationStatuses/1?t=1&c=MII&s={quote(token)}&h={MARK} (Caused by x)"
    ),
    lambda name, token: f"https://management.azure.com/a?api-version=1&t=1&c=MII&s={quote(token)}&h={MARK}",
    lambda name, token: f"https://user:{quote(token, safe='')}@example.com/x",
    lambda name, token: f"Authorization: Basic {base64.b64encode(f'user:{token}'.encode()).decode()}",
    lambda name, token: f"-----BEGIN RSA PRIVATE KEY-----\n{token}\n-----END RSA PRIVATE KEY-----",
    lambda name, token: f"-----BEGIN PRIVATE KEY-----\\n{token}",
    lambda name, token: f"ya29.{token}",
    lambda name, token: f"Set-Cookie: session={token}; Path=/",
    lambda name, token: f"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>{token}</body></html>",
    lambda name, token: f"<HTML><title>{name}={token}</title>{token}",
    lambda name, token: f"b'<html>{token}</html>'",
    lambda name, token: f"Proxy-Authorization: Negotiate {token}",
    lambda name, token: f"proxy-authorization: {token}",
    lambda name, token: f"X-Forwarded-Authorization: token {token}",
    lambda name, token: f"request.headers.authorization: {token}",
    lambda name, token: f"headers.X-Vault-Token: {token}",
    lambda name, token: f"request/headers/x-api-key: {token}",
    lambda name, token: f"response.headers.set-cookie: sid={token}",
    lambda name, token: str(f"HTTP/1.1 400 Bad\r\nSet-Cookie: sid={token}\r\nAuthorization: {token}".encode()),
    lambda name, token: f"token%3Dya29.{token}",
    lambda name, token: f"X-Vault-Token: hvs.{token}",
    lambda name, token: f"x-auth-token: admin:{token}",
    lambda name, token: f"\\u0022ya29.{token}\\u0022 and access_token\\u003dya29.{token}",
    lambda name, token: f"Cookie: csrf; sid={token}",
    lambda name, token: f"Cookie:    sid={token}",
)


@given(st.sampled_from(WAYS), names, tokens, prose, prose)
def test_no_secret_is_shown_however_an_answer_repeats_it(
    way: Callable[[str, str], str], name: str, token: str, before: str, after: str
) -> None:
    found = redacted(f"{before}{way(name, token)}{after}")
    assert MARK not in found
    assert token not in found
    assert redacted(found) == found


@given(web_tokens, st.text(max_size=20), st.text(max_size=20))
def test_a_json_web_token_is_hidden_wherever_it_stands(token: str, before: str, after: str) -> None:
    assert MARK not in redacted(f"{before}{token} {after}")


@given(st.text(max_size=200))
def test_asked_twice_it_changes_nothing_more(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@given(
    st.lists(
        st.sampled_from(
            (*"<>\"'&=:?@/ \\", "html", "title", "token", "Bearer ", "eyJaaaa", "https://", "%3D", "%26", "-")
        )
    )
)
def test_asked_twice_it_changes_nothing_more_of_what_looks_like_a_secret(parts: list[str]) -> None:
    once = redacted("".join(parts))
    assert redacted(once) == once


@pytest.mark.parametrize(
    "text",
    [
        *(f"ya29.abc/x?s={MARK}&h={MARK}", f"A1b2C3d4E5f6G7h8i9/x?sig={MARK}", f"ghs_{'a1' * 20}/x?s={MARK}&h=1"),
        f"sid=abceyJhbGciOi.x.y/x?s={MARK}&h=2password: bearer )",
    ],
)
@pytest.mark.parametrize("hide", [redacted, unnamed_hidden])
def test_what_is_hidden_may_show_where_the_next_secret_begins(text: str, hide: Callable[[str], str]) -> None:
    once = hide(text)
    assert MARK not in once
    assert hide(once) == once


@pytest.mark.parametrize(
    "text",
    [
        *(
            "images.repository.x-token: OPENSESAME",
            "images.repository.x-token: OPENSESAME: x",
            *(
                "images.access.headers.cookie: sid=SECRET7",
                "images.repository.x-token: 7700",
                "r.io/p/x-auth-token:7700",
            ),
            *("images.repository.x-token: Opensesame is wrong", "images.repository.x-token: 7700 is wrong"),
            "r.io/p/x-token:v1.2SECRET7",
            f"images.repository.x-token: {MARK}",
            f"images.repository.x-token: {MARK}: x",
            f"r.io/p/x-token: {MARK}",
        ),
        *(
            f"r.io/p/x-token:{MARK}",
            f"request.repository.headers.x-api-key: {MARK * 3}",
            "headers.x-auth-token: SECRET7",
        ),
        *("headers.x-auth-token: SECRET_SEVEN: x", "request/headers/x-auth-token:7700", "x-auth-token: 7700 x"),
        *(
            "https://r.io/p/x-auth-token:7700",
            "headers.cookie: sid=SECRET7",
            "x-vault-token: Opensesame",
            "a-token:7.7",
        ),
    ],
)
def test_the_name_of_a_header_is_that_of_a_repository_only_where_it_can_be(text: str) -> None:
    assert HIDDEN in redacted(text)
    assert not any(secret in redacted(text) for secret in (MARK, "7700", "SEVEN", "sesame", "SESAME", "7.7"))


@pytest.mark.parametrize(
    "text",
    [
        "the SKU Basic does not support geo-replication",
        "Basic authentication is not allowed",
        "the Bearer token is expired",
        'Bearer realm="https://example.azurecr.io/oauth2/token",service="example.azurecr.io"',
        "invalid authorization: denied by policy",
        "the credentials gave no token: invalid_grant",
        "condition 'attribute.token == \"x\"' holds",
        "subject_token_type=urn:ietf:params:oauth:token-type:jwt",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/docker-hub-AbCdEf",
        "visit https://console.developers.google.com/apis/api/iam.googleapis.com/overview?project=123 then retry",
        "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecr:CreateRepository on resource: *",
        "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/subject/repo:a/b@main",
        "projects/my-project/serviceAccounts/images-pull@my-project.iam.gserviceaccount.com",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef <none>",
        "projects/p/locations/europe-west1/repositories/global-production-images",
        "glassfish-application-server and ghs_application_server_images are there",
        "images.repository.cookie: artifactregistry:CreateRepository: PERMISSION_DENIED: the caller lacks x",
        "images.repository.auth-token: ecr:CreateRepository: no",
        "images.repository.team/x-api-key: no",
        "https://console.cloud.google.com/x?project=p&h=de and /x?s=1",
        "repository images-deploy-token: not found",
        "images.repository.cookie: PERMISSION_DENIED: the caller lacks x",
        "gldt-image-processor-service, glft-application-frontend-x and glagent-kubernetes-production-7",
        "projects/p/locations/l/repositories/monkeyJar-app and eyJob-runner-2",
        "images.repository.ci-token: NOT_FOUND: x",
        "images.repository.deploy-token: Not found",
        "images.repository.team/x-api-key: INVALID_ARGUMENT: bad",
        "  images.repository.web-token: 3 images",
        "  images.access.web-token: PERMISSION_DENIED: the caller lacks x",
        "europe-docker.pkg.dev/p/images-token:V1",
        "docker pull gcr.io/p/auth-token:1.2.3 and 'localhost.localdomain:5000/x/csrf-token:v2'",
        "image r.io/p/auth-token:2024-01-01 has tag",
        "ghs_images_for_the_production_cluster_eu",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "token",
    [
        f"ghs_123456_{MARK * 6}",
        f"gho_{MARK * 6}",
        f"github_pat_11{MARK * 4}",
        f"glrtr-{MARK * 3}",
        f"glpat-{MARK * 3}.01.{MARK}",
        f"GOCSPX-{MARK * 3}",
        f"1//0{MARK * 3}",
        f"IQoJ{MARK * 8}",
        f"{MARK * 6}+ACRA{MARK[:5]}",
        f"/+{MARK}/{MARK * 4}+a/b+ACRA{MARK[:5]}",
    ],
)
@pytest.mark.parametrize("before", ["", "'", "at:", "\\n", "%3D", "x=", "/"])
def test_what_begins_as_a_secret_is_hidden(token: str, before: str) -> None:
    assert MARK not in redacted(f"a{before if before else ' '}{token} b")


@pytest.mark.parametrize("written", [str, quote, lambda key: quote(key, safe=""), lambda key: key.replace("/", "\\/")])
@given(st.text(string.ascii_letters + string.digits + "+/", min_size=42, max_size=42), st.sampled_from("ABCD"))
def test_a_password_of_azure_s_registries_is_hidden_whole(written: Callable[[str], str], key: str, letter: str) -> None:
    password = f"{key}+ACR{letter}{key[:5]}"
    assert redacted(f"the value '{written(password)}' is refused") == f"the value '{HIDDEN}' is refused"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bad credentials Bearer ya29.a0Abc here", "bad credentials Bearer [hidden] here"),
        ("a=b&subject_token=abc&scope=x", "a=b&subject_token=[hidden]&scope=x"),
        ('{"refresh_token": "a\\"b", "x": 1}', '{"refresh_token": "[hidden]", "x": 1}'),
        ("Error code 403: <html><title>Sign\n in</title>abc</html>, at 12:00", 'Error code 403: a web page, "Sign in", at 12:00'),
        ("502 <html><body>abc", "502 a web page"),
        ("see https://example.com/x?sig=abc", "see (a signed URL)"),
    ],
)  # fmt: skip
def test_what_is_around_a_secret_is_shown(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_no_error_of_a_platform_holds_a_secret() -> None:
    secret = "Bearer ya29.SECRETSECRET"
    error = PlatformError(secret, code=secret, request_id=secret, hint=secret, operation="x")
    assert "SECRET" not in f"{error} {error.args} {vars(error)} {vars(pickle.loads(pickle.dumps(error)))}"
    assert error.message == f"Bearer {HIDDEN}"


@pytest.mark.parametrize(
    "text",
    [
        "Error code invalid_grant: {'subject_token': ['opaqueSUBJ3CTtokenAbCdEf0123']}",
        "invalid_request: subject token opaqueSUBJ3CTtokenAbCdEf0123 is not valid",
        "<subject_token>opaqueSUBJ3CTtokenAbCdEf0123</subject_token>",
        "subject=opaqueSUBJ3CTtokenAbCdEf0123==&audience=ci",
        "audience%3Dci%26subject%3DopaqueSUBJ3CTtokenAbCdEf0123%3D%3D",
        "subject opaquesubj3cttokenabcdef0123 is wrong",
        "invalid_client: 0123456789abcdef0123456789abcdef is not known",
    ],
)
def test_what_no_name_tells_is_hidden_where_a_server_of_tokens_says_it(text: str) -> None:
    said = unnamed_hidden(text)
    assert "opaque" not in said
    assert "0123456789abcdef" not in said
    assert HIDDEN in said


@pytest.mark.parametrize(
    "text",
    [
        "invalid_grant: ID Token issued at 1764262799 is stale to sign-in",
        "AADSTS7000215: Invalid client secret provided for app 33333333-3333-3333-3333-333333333333",
        "projects/123456789012/locations/global/workloadIdentityPools/github/providers/oidc-1",
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/ci@my-project.iam.gserviceaccount.com:generateAccessToken",
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=global%2FworkloadIdentityPools%2Fci",
        "subject_token=[hidden]&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token",
    ],
)
def test_what_people_need_of_that_stays(text: str) -> None:
    assert unnamed_hidden(text) == text


@given(st.sampled_from(WAYS), names, tokens, prose, prose)
def test_what_is_known_by_its_name_is_hidden_in_what_a_server_of_tokens_says(
    way: Callable[[str, str], str], name: str, token: str, before: str, after: str
) -> None:
    found = unnamed_hidden(f"{before}{way(name, token)}{after}")
    assert MARK not in found
    assert token not in found
    assert unnamed_hidden(found) == found
