"""The messages of the discovery documents, as far as a client of ours or gcloud sends and reads them.

https://artifactregistry.googleapis.com/$discovery/rest?version=v1 (revision 20261031),
https://iam.googleapis.com/$discovery/rest?version=v1 (revision 20261023): an enum's words stand in the order of their numbers.
"""

from __future__ import annotations

from .fields import ANY, DURATION, Enum, Map, Message, Repeated

FORMAT = Enum(
    "google.devtools.artifactregistry.v1.Repository.Format",
    (
        "FORMAT_UNSPECIFIED",
        "DOCKER",
        "MAVEN",
        "NPM",
        "-",
        "APT",
        "YUM",
        "GOOGET",
        "PYTHON",
        "KFP",
        "GO",
        "GENERIC",
        "RUBY",
        "CONDA",
    ),
)
MODE = Enum(
    "google.devtools.artifactregistry.v1.Repository.Mode",
    (
        "MODE_UNSPECIFIED",
        "STANDARD_REPOSITORY",
        "VIRTUAL_REPOSITORY",
        "REMOTE_REPOSITORY",
        "AOSS_REPOSITORY",
        "ASSURED_OSS_REPOSITORY",
    ),
)
SCANNING = Message(
    {
        "enablementConfig": Enum(
            "google.devtools.artifactregistry.v1.Repository.VulnerabilityScanningConfig.EnablementConfig",
            ("ENABLEMENT_CONFIG_UNSPECIFIED", "INHERITED", "DISABLED"),
        ),
        "enablementState": Enum(
            "google.devtools.artifactregistry.v1.Repository.VulnerabilityScanningConfig.EnablementState",
            ("ENABLEMENT_STATE_UNSPECIFIED", "SCANNING_UNSUPPORTED", "SCANNING_DISABLED", "SCANNING_ACTIVE"),
        ),
    },
    frozenset({"enablementState", "enablementStateReason", "lastEnableTime"}),
)
CLEANUP_POLICY = Message(
    {
        "id": str,
        "action": Enum(
            "google.devtools.artifactregistry.v1.CleanupPolicy.Action", ("ACTION_UNSPECIFIED", "DELETE", "KEEP")
        ),
        "condition": Message(
            {
                "tagState": Enum(
                    "google.devtools.artifactregistry.v1.CleanupPolicyCondition.TagState",
                    ("TAG_STATE_UNSPECIFIED", "TAGGED", "UNTAGGED", "ANY"),
                ),
                "tagPrefixes": Repeated(str),
                "versionNamePrefixes": Repeated(str),
                "packageNamePrefixes": Repeated(str),
                "olderThan": DURATION,
                "newerThan": DURATION,
            }
        ),
        "mostRecentVersions": Message({"keepCount": int, "packageNamePrefixes": Repeated(str)}),
    }
)
REMOTE = Message(
    {
        "description": str,
        "dockerRepository": Message(
            {
                "publicRepository": Enum(
                    "google.devtools.artifactregistry.v1.RemoteRepositoryConfig.DockerRepository.PublicRepository",
                    ("PUBLIC_REPOSITORY_UNSPECIFIED", "DOCKER_HUB"),
                ),
                "customRepository": Message({"uri": str}),
            }
        ),
        "upstreamCredentials": ANY,
        "disableUpstreamValidation": bool,
        "commonRepository": Message({"uri": str}),
        # not for images: kept as they are sent
        "mavenRepository": ANY,
        "npmRepository": ANY,
        "pythonRepository": ANY,
        "aptRepository": ANY,
        "yumRepository": ANY,
    }
)
REPOSITORY = Message(
    {
        "name": str,
        "format": FORMAT,
        "mode": MODE,
        "description": str,
        "labels": Map(str),
        "kmsKeyName": str,
        "dockerConfig": Message({"immutableTags": bool}),
        "cleanupPolicies": Map(CLEANUP_POLICY),
        "cleanupPolicyDryRun": bool,
        "virtualRepositoryConfig": Message(
            {"upstreamPolicies": Repeated(Message({"id": str, "repository": str, "priority": int}))}
        ),
        "remoteRepositoryConfig": REMOTE,
        "mavenConfig": ANY,
        "platformLogsConfig": ANY,
        "networkConfig": ANY,
        "vulnerabilityScanningConfig": SCANNING,
        "disallowUnspecifiedMode": bool,
    },
    frozenset({"createTime", "updateTime", "sizeBytes", "satisfiesPzs", "satisfiesPzi", "registryUri"}),
)
#: what stays as it was at the create: settings of these names, and the name
IMMUTABLE = ("format", "mode", "kmsKeyName")
#: what a patch without a mask replaces
MUTABLE = (
    "description",
    "labels",
    "dockerConfig",
    "cleanupPolicies",
    "cleanupPolicyDryRun",
    "virtualRepositoryConfig",
    "remoteRepositoryConfig",
    "mavenConfig",
    "platformLogsConfig",
    "networkConfig",
    "vulnerabilityScanningConfig",
)
PROJECT_SETTINGS = Message(
    {
        "name": str,
        "legacyRedirectionState": Enum(
            "google.devtools.artifactregistry.v1.ProjectSettings.RedirectionState",
            (
                "REDIRECTION_STATE_UNSPECIFIED",
                "REDIRECTION_FROM_GCR_IO_DISABLED",
                "REDIRECTION_FROM_GCR_IO_ENABLED",
                "REDIRECTION_FROM_GCR_IO_FINALIZED",
                "-",
                "REDIRECTION_FROM_GCR_IO_ENABLED_AND_COPYING",
                "REDIRECTION_FROM_GCR_IO_PARTIAL_AND_COPYING",
            ),
        ),
        "pullPercent": int,
    }
)
BINDING = Message(
    {
        "role": str,
        "members": Repeated(str),
        "condition": Message({"title": str, "description": str, "expression": str, "location": str}),
        "bindingId": str,
    }
)
POLICY = Message({"version": int, "bindings": Repeated(BINDING), "etag": str, "auditConfigs": ANY})
SERVICE_ACCOUNT = Message(
    {"displayName": str, "description": str},
    frozenset({"name", "projectId", "uniqueId", "email", "etag", "oauth2ClientId", "disabled"}),
)
