"""The OCI Distribution server of a local registry: HTTP over content.py and credentials.py. running.py starts it."""
