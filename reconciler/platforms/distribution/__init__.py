"""What talks to a registry by the OCI Distribution API, whoever runs it."""
