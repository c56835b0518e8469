"""The contract: the values that travel, and what a platform and its kinds must offer. Imports neither engine nor platforms."""
