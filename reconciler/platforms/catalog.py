"""The platforms that there are. A new one is a folder and a line in each of these lists."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field

from reconciler.errors import PlatformError

from .aws.spec import AwsRegistry, AwsTarget
from .azure.spec import AzureRegistry, AzureTarget, AzureTokenTarget
from .external.spec import ExternalRegistry, KubernetesTarget
from .gcp.spec import GcpRegistry, GcpTarget
from .local.spec import LocalRegistry, LocalTarget

if TYPE_CHECKING:
    from reconciler.model.platform import Platform

Registry = Annotated[
    AwsRegistry | GcpRegistry | AzureRegistry | ExternalRegistry | LocalRegistry,
    Field(discriminator="platform"),
]
Target = Annotated[
    AwsTarget | GcpTarget | AzureTarget | AzureTokenTarget | KubernetesTarget | LocalTarget,
    Field(discriminator="type"),
]


def load(name: str) -> Platform:
    """The platform's code, imported when it is first needed.

    Raises PlatformError if this build has only the platform's models.
    """
    module = f"{__package__}.{name}.platform"
    if find_spec(module) is None:
        raise PlatformError(f"platform {name} is not available in this build")
    return cast("Platform", import_module(module).PLATFORM)
