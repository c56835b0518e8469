"""Where Artifact Registry has repositories, and what is called how."""

from __future__ import annotations

#: what `gcloud artifacts locations list` shows. https://cloud.google.com/artifact-registry/docs/repositories/repo-locations. The
#: multi-region of Europe is `europe`: `eu` is none
_REGIONS = """
africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2 asia-southeast1
asia-southeast2 australia-southeast1 australia-southeast2 europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west1
europe-west10 europe-west12 europe-west2 europe-west3 europe-west4 europe-west6 europe-west8 europe-west9 me-central1 me-central2
me-west1 northamerica-northeast1 northamerica-northeast2 northamerica-south1 southamerica-east1 southamerica-west1 us-central1
us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
"""
LOCATIONS = frozenset({"us", "europe", "asia"}.union(_REGIONS.split()))
#: the names that stand for Container Registry's hosts, each in one place. Google Cloud SDK 528, command_lib/artifacts/util.py,
#: https://cloud.google.com/artifact-registry/docs/transition/setup-gcr-repo
GCR_PLACES = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
#: as messages name the services. The first is recorded; the others follow it
TITLES = {
    "cloudkms.googleapis.com": "Cloud Key Management Service (KMS) API",
    "artifactregistry.googleapis.com": "Artifact Registry API",
    "iam.googleapis.com": "Identity and Access Management (IAM) API",
    "iamcredentials.googleapis.com": "IAM Service Account Credentials API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
    "containerscanning.googleapis.com": "Container Scanning API",
    "serviceusage.googleapis.com": "Service Usage API",
}


def project_path(project: str) -> str:
    """A project's id in an image's path: the domain of a domain-scoped one comes first, as a folder.

    https://cloud.google.com/artifact-registry/docs/docker/names
    """
    return project.replace(":", "/")


def account_domain(project: str) -> str:
    """What follows the @ of the service accounts of a project. https://cloud.google.com/iam/docs/service-account-types"""
    scope, _, name = project.rpartition(":")
    return f"{name}.{scope}.iam.gserviceaccount.com" if scope else f"{name}.iam.gserviceaccount.com"
