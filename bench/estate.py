"""The same estate for both tools: N repositories, each with a lifecycle policy and a grant."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

ACCOUNT, REGION = "123456789012", "us-east-1"
#: Terraform's estate is in another region of the same account, so that both stand on one server and are measured in turn
TERRAFORM_REGION = "us-west-2"


def spec(number: int, changed: int = 0, regions: tuple[str, ...] = ()) -> str:
    """Our spec; the first `changed` repositories keep another number of images."""
    rows = [
        "version: 1",
        "name: bench",
        "registries:",
        f"  - {{name: images, platform: aws, account_id: '{ACCOUNT}', region: {REGION},"
        f" replication_regions: [{', '.join(regions)}]}}",
        "repositories:",
    ]
    for index in range(number):
        rows += [
            f"  - name: app-{index:04}",
            "    registry: images",
            "    immutable_tags: true",
            "    scan_on_push: true",
            f"    retention: {{keep_last: {60 if index < changed else 50}, untagged_days: 7}}",
            "    labels: {team: platform}",
        ]
    rows.append("grants:")
    for index in range(number):
        rows += [
            f"  - name: grant-{index:04}",
            "    registry: images",
            f"    repositories: [app-{index:04}]",
            "    to: {type: aws, account_ids: ['987654321098']}",
        ]
    return "\n".join(rows) + "\n"


def terraform(number: int, changed: int = 0) -> str:
    """The estate as Terraform's users write it: for_each over the names."""
    names = {f"images-app-{index:04}": 60 if index < changed else 50 for index in range(number)}
    actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    statement = {
        "Sid": "pull",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::987654321098:root"},
        "Action": actions,
    }
    return f"""
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}
provider "aws" {{
  region = "{TERRAFORM_REGION}"
  skip_metadata_api_check = true
  skip_region_validation = true
}}
locals {{
  names = jsondecode({json.dumps(json.dumps(names))})
}}
resource "aws_ecr_repository" "app" {{
  for_each             = local.names
  name                 = each.key
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {{ scan_on_push = true }}
  tags = {{ team = "platform" }}
}}
resource "aws_ecr_lifecycle_policy" "app" {{
  for_each   = local.names
  repository = aws_ecr_repository.app[each.key].name
  policy = jsonencode({{ rules = [
{{ rulePriority = 1, selection = {{ tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }},
       action = {{ type = "expire" }} }},
    {{ rulePriority = 2, selection = {{ tagStatus = "any", countType = "imageCountMoreThan", countNumber = each.value }},
       action = {{ type = "expire" }} }}
  ] }})
}}
resource "aws_ecr_repository_policy" "app" {{
  for_each   = local.names
  repository = aws_ecr_repository.app[each.key].name
  policy     = jsonencode({{ Version = "2012-10-17", Statement = [jsondecode({json.dumps(json.dumps(statement))})] }})
}}
"""


def provider_mirror() -> Path | None:
    """A filesystem mirror with the AWS provider, or None: TF_PROVIDER_MIRROR, or the places that Terraform itself looks in."""
    if shutil.which("terraform") is None:
        return None
    home = Path.home()
    places = [
        Path(os.environ.get("TF_PROVIDER_MIRROR", "/nonexistent")),
        home / ".terraform.d/plugins",
        Path("/usr/local/share/terraform/plugins"),
        Path("/opt/tf-plugins"),
    ]
    return next((place for place in places if (place / "registry.terraform.io/hashicorp/aws").is_dir()), None)


def terraform_environ(folder: Path, mirror: Path) -> dict[str, str]:
    """What makes Terraform use the mirror and nothing else."""
    config = folder / "terraformrc"
    config.write_text(f'provider_installation {{ filesystem_mirror {{ path = "{mirror}" }} }}\n')
    return {"TF_CLI_CONFIG_FILE": str(config), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
