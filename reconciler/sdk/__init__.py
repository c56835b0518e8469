"""The runtime interface: repositories, credentials and access, for programs. `reconciler` itself hands on its names."""
