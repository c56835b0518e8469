"""What to do about what Azure refuses, by its codes. Needs no library of Azure's."""

from __future__ import annotations

from shlex import quote

from reconciler.errors import PlatformError

from .spec import AzureRegistry

#: that there is no such resource group, which Azure says of all that is read in it, too
NO_GROUP = "ResourceGroupNotFound"
#: codes of Azure Resource Manager: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors,
#: and of role assignments: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
HINTS = {
    "AuthorizationFailed": "give these credentials a role with that action there, such as Contributor together with Role Based Access"
    " Control Administrator",
    "LinkedAuthorizationFailed": "give these credentials a role with that action there",
    "SubscriptionNotFound": "check subscription_id, and the tenant of the credentials (tenant_id)",
    "InvalidAuthenticationTokenTenant": "log in to the tenant of the subscription: set tenant_id of the registry to it, or"
    " `az login --tenant` with it",
    NO_GROUP: "create the resource group first: az group create --name {group} --location {location}",
    "ResourceGroupBeingDeleted": "wait until it is gone and create it anew, or choose another resource_group",
    "MissingSubscriptionRegistration": "register the provider: az provider register --namespace {namespace}"
    " --subscription {subscription}",
    "ScopeLocked": "a lock on it, on its group or on its subscription forbids that: `az lock list` names it",
    "RequestDisallowedByPolicy": "a policy of the subscription forbids that; the message names it",
    "QuotaExceeded": "remove what is not needed there, or choose a larger sku; a new plan says what there would be too much of",
    "RoleAssignmentLimitExceeded": "remove role assignments of the subscription, or grant to groups instead of single principals",
    "HashConflictOnDifferentRoleAssignmentIds": "run again; if it fails again, assign that role by hand with"
    " `az role assignment create`, and take it over with --adopt {address}",
    "RoleAssignmentExists": "somebody assigned that role since the plan was made: make a new plan, which names it, and"
    " take it over with --adopt {address}",
    "UnmatchedPrincipalType": "the message says what the principal is: set principal_type to that, in a grant of its own if"
    " the others of its grant are something else",
    "InvalidPrincipalId": "check principal_ids: each is the object id of a principal of the registry's tenant",
    "PrincipalNotFound": "check the principal's object id, and principal_type",
    "PrincipalTypeNotSupported": "check principal_type",
}
#: the same of Entra's: https://learn.microsoft.com/entra/identity-platform/reference-error-codes#aadsts-error-codes
ENTRA_HINTS = {
    "AADSTS7000222": "its secret has expired: make another one, `az ad app credential reset --id` with its client id, and set"
    " AZURE_CLIENT_SECRET",
    "AADSTS7000215": "AZURE_CLIENT_SECRET is not its secret: set the secret's value, and not its id",
    "AADSTS700016": "no application of that tenant has AZURE_CLIENT_ID: check it, and AZURE_TENANT_ID",
    "AADSTS90002": "there is no such tenant: check AZURE_TENANT_ID, and tenant_id of the registry",
    "AADSTS700024": "the federated token has expired: have another one made",
    "AADSTS70021": "no federated credential of the application is for this token: check its issuer, subject and audience",
    "AADSTS500011": "the tenant does not know what the token is for: check AZURE_TENANT_ID, and the cloud",
    "AADSTS50076": "it wants a second factor: `az login` again",
}


class NotCarriedOut(PlatformError):
    """Azure took what was asked for, and its operation failed."""


def hint_for(code: str, registry: AzureRegistry, address: str = "", namespace: str = "") -> str:
    """What to do about an error of a code that is known."""
    group, subscription = quote(registry.resource_group), registry.subscription_id
    return HINTS[code].format(
        group=group, location=registry.location, subscription=subscription, address=address, namespace=namespace
    )
