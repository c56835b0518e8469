"""Clusters in the spec, the grants that name them, and the addresses of registries that somebody else runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import SpecError, load_spec, parse_spec
from reconciler.engine.plan import spec_digest

HEAD = """\
version: 1
name: each
clusters:
  - {name: prod, context: prod}
registries:
  - {name: aws, platform: aws, account_id: "123456789012", region: us-east-1}
  - {name: bare, platform: aws, account_id: "123456789012", region: eu-west-1, roles: false}
  - {name: gcp, platform: gcp, project: my-project, location: europe-west1}
  - {name: az, platform: azure, subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: g,
     location: westeurope, registry_name: acmeimages, sku: Premium}
  - {name: onprem, platform: external, url: "https://registry.example.com"}
  - {name: box, platform: local, path: here}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as found:
        parse_spec(text)
    return [str(problem) for problem in found.value.problems]


def with_login(source: str) -> str:
    return HEAD.replace('example.com"', f'example.com", credentials: {{{source}}}')


def grant(registry: str, to: str = "cluster: prod, namespaces: [a]", **more: str) -> str:
    rest = "".join(f", {key}: {value}" for key, value in more.items())
    name = f"to-{registry}"
    row = f"{{name: {name}, registry: {registry}, to: {{type: kubernetes, {to}}}{rest}}}"
    repositories = f"repositories: [{{name: app, registry: {registry}}}]\n"
    return f"{with_login('docker_config: config.json')}{repositories}grants:\n  - {row}\n"


@pytest.mark.parametrize("registry", ["aws", "gcp", "az", "onprem"])
def test_a_grant_to_a_cluster_is_for_any_registry_but_a_local_one(registry: str) -> None:
    spec = parse_spec(grant(registry))
    assert spec.grants[0].to.type == "kubernetes"
    assert spec.places["cluster", "prod"].line == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (grant("box"), "a grant to 'kubernetes' is not supported by registry box, which can grant to local"),
        (grant("bare"), "registry bare has roles: false, and so no role by which a cluster could pull"),
        (
            grant("onprem", repositories="[app]"),
            "a grant to a cluster hands on the login that the registry has in this spec, whatever that may do there:"
            " remove `repositories`",
        ),
        (grant("onprem", permission="push-pull"), "whatever that may do there: remove `permission`"),
        (
            grant("aws", repositories="[app]"),
            "login of the registry's role to pull, which can pull all of its repositories",
        ),
        (grant("gcp", permission="push-pull"), "login of the registry's account to pull, which can pull all"),
        (grant("aws", also="[read]"), "which can pull all of its repositories: remove `also`"),
        (grant("onprem", "cluster: prd, namespaces: [a]"), "no cluster is named 'prd' (did you mean 'prod'?)"),
        (grant("onprem", "namespaces: [a]"), "to.cluster: is required"),
        (grant("onprem", "cluster: prod, namespaces: []"), "namespaces"),
        (grant("onprem", "cluster: prod, namespaces: [A]"), "'A' must be a Kubernetes name"),
        (grant("onprem", "cluster: prod, namespaces: [a.b]"), "'a.b' must be a Kubernetes name"),
        (grant("onprem", "cluster: prod, namespaces: [a, a]"), "'a' is listed twice"),
        (
            grant("onprem", "cluster: prod, namespaces: [a], service_accounts: [a..b]"),
            "'a..b' must be a Kubernetes name",
        ),
        (HEAD.replace("context: prod}", "context: prod, in_cluster: true}"), "in_cluster needs no context"),
        (HEAD.replace(", context: prod}", "}"), "give context, kubeconfig or `in_cluster: true`"),
        (HEAD.replace("prod}\n", "prod}\n  - {name: prod, context: b}\n"), "'prod' is defined twice: here and at"),
        (HEAD.replace("prod}\n", "prod}\n  - {name: b, context: prod}\n"), "it is reached as cluster prod is"),
        (
            HEAD.replace("context: prod}\n", "kubeconfig: kube/a}\n  - {name: b, kubeconfig: ./kube/a}\n"),
            "it is reached as cluster prod is, so it is the same, and what is made in it would have two names: remove it",
        ),
        (HEAD.replace("context: prod}", 'kubeconfig: "a\\0b"}'), "must be a path in one line, without NUL characters"),
        (HEAD.replace('example.com"', 'example.com", ca_file: "a\\0b"'), "must be a path in one line, without NUL"),
        (with_login('docker_config: "a\\nb"'), "must be a path in one line, without NUL"),
        (HEAD.replace("clusters:\n  - {name: prod, context: prod}\n", "clusters: 1\n"), "clusters: must be a list"),
        (
            grant("onprem").replace("clusters:\n  - {name: prod, context: prod}\n", ""),
            "the spec has no clusters: add `clusters: [{name: prod, context: ...}]`",
        ),
        (
            HEAD.replace(
                'example.com"',
                'example.com", credentials: {kubernetes_secret: {cluster: dev, namespace: a, name: b}}',
            ),
            "credentials.kubernetes_secret.cluster: no cluster is named 'dev'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert said in problem
    assert problem.startswith("registry.yaml:")


OWN = "kubernetes_secret: {cluster: prod, namespace: a, name: each-to-aws}"


def test_a_grant_hands_on_no_login_that_a_registry_does_not_have() -> None:
    text = grant("onprem").replace(", credentials: {docker_config: config.json}", "")
    (problem,) = problems(text)
    assert "grants[0].registry: a grant to a cluster hands on a login, and registry onprem has none" in problem
    retired = text.replace("platform: external,", "platform: external, retired: true,")
    assert parse_spec(retired).grants, "what is given up needs no login"


def test_a_login_does_not_come_out_of_a_secret_that_the_spec_makes() -> None:
    text = grant("aws").replace("docker_config: config.json", OWN)
    (problem,) = problems(text)
    assert (
        "registries[4].credentials.kubernetes_secret: is the pull secret that this spec makes for grant to-aws"
        in problem
    )
    for other in ("namespace: b", "name: each-to-gcp", "name: other-to-aws"):
        key = other.partition(":")[0]
        was = {"namespace": "namespace: a", "name": "name: each-to-aws"}[key]
        assert parse_spec(text.replace(OWN, OWN.replace(was, other)))


def test_service_accounts_are_called_as_subdomains_are() -> None:
    long = ".".join(["a" * 62] * 4)
    parse_spec(grant("onprem", f"cluster: prod, namespaces: [a], service_accounts: [a.b, {long}]"))
    (problem,) = problems(grant("onprem", f"cluster: prod, namespaces: [a], service_accounts: [{long}.{'b' * 10}]"))
    assert "at most 253 characters" in problem


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://registry.example.com/project", "what comes behind belongs in the names of repositories"),
        ("https://user:hunter2@registry.example.com", "holds a login, which no spec may"),
        ("https://user:hunter2@registry.example.com/project", "holds a login, which no spec may"),
        ("https://user:hunter2/x@registry.example.com", "holds a login, which no spec may"),
        ("user:hunter2@registry.example.com", "holds a login, which no spec may"),
        ("ftp://user:hunter2@registry.example.com", "holds a login, which no spec may"),
        ("https://registry.example.com/v2/", "must be host and port alone: what is asked for there is added to it"),
        ("registry.example.com", "must begin with https://"),
        ("https://registry.example.com:0", "must be the registry's address, such as https://"),
        ("https://registry.example.com:70000", "must be the registry's address, such as https://"),
        ("https://registry.example.com?x=y", "must be the registry's address, such as https://"),
        ("ftp://registry.example.com", "must be the registry's address, such as https://"),
        ("https://-x", "must be the registry's address, such as https://"),
    ],
)
def test_the_address_of_a_registry_is_a_host_alone(url: str, said: str) -> None:
    (problem,) = problems(HEAD.replace("https://registry.example.com", url))
    assert said in problem
    assert "hunter2" not in problem


def test_a_login_goes_in_clear_to_this_machine_alone() -> None:
    env = "credentials: {env: {username: A, password: B}}}"
    there = HEAD.replace('https://registry.example.com"}', f'http://registry.example.com", {env}')
    (problem,) = problems(there)
    assert "url: the login would go there in clear: use https://" in problem
    for host in ("localhost:5000", "127.0.0.1"):
        parse_spec(there.replace("registry.example.com", host))
    parse_spec(HEAD.replace("https://registry", "http://registry"))


def test_all_errors_come_at_once() -> None:
    text = grant("onprem", "cluster: prd, namespaces: [A]", permission="push-pull").replace(
        "context: prod}", "contxt: prod}"
    )
    found = "\n".join(problems(text))
    for said in (
        "contxt: unknown key (did you mean 'context'?)",
        "no cluster is named 'prd'",
        "'A' must be",
        "remove `permission`",
    ):
        assert said in found


@pytest.mark.parametrize("wrong", ["{{name: {}}}", "{{name: {}, in_cluster: true, context: x}}"])
def test_a_cluster_that_is_not_said_how_to_reach_is_not_called_another_one_too(wrong: str) -> None:
    rows = "".join(f"  - {wrong.format(name)}\n" for name in ("a", "b"))
    found = problems(HEAD.replace("  - {name: prod, context: prod}\n", rows))
    assert len(found) == 2
    assert all("in_cluster" in problem for problem in found)


def test_a_cluster_of_two_files_is_defined_twice_and_both_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    (tmp_path / "b.yaml").write_text("clusters:\n  - {name: stage, context: stage}\n")
    assert [item.name for item in load_spec(tmp_path).clusters] == ["prod", "stage"]
    (tmp_path / "b.yaml").write_text("clusters:\n  - {name: prod, context: other}\n")
    with pytest.raises(SpecError) as found:
        load_spec(tmp_path)
    (problem,) = map(str, found.value.problems)
    assert "'prod' is defined twice: here and at" in problem
    assert all(f"{name}.yaml:" in problem for name in "ab")


def test_a_spec_that_has_no_clusters_may_say_so_by_nothing() -> None:
    assert parse_spec(HEAD.replace("clusters:\n  - {name: prod, context: prod}\n", "clusters:\n")).clusters == ()


def test_what_a_spec_says_of_clusters_is_part_of_its_hash() -> None:
    said, other = parse_spec(HEAD), parse_spec(HEAD.replace("context: prod", "context: other"))
    assert spec_digest(said) != spec_digest(other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("to-az", "az"),
            "its token would be called 'az' (2 characters); Azure takes 5 to 49 letters, digits and hyphens",
        ),
        (("to-az", "a" * 50), "(50 characters); Azure takes 5 to 49 letters"),
        (("namespaces: [a]}", "namespaces: [a]}, permission: admin"), "'admin' can't be granted on azure"),
        (("namespaces: [a]}", "namespaces: [a]}, also: [read]"), "registry az takes no `also`"),
    ],
)
def test_on_azure_a_grant_to_a_cluster_is_a_token_of_its_own(change: tuple[str, str], said: str) -> None:
    (problem,) = problems(grant("az").replace(*change))
    assert said in problem


def test_on_azure_a_grant_to_a_cluster_can_be_for_some_and_to_push() -> None:
    text = grant("az", repositories="[app]", permission="push-pull")
    assert parse_spec(text.replace("sku: Premium", "sku: Basic")).grants[0].repositories == ("app",)
