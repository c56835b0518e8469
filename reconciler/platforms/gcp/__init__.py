"""The gcp platform."""
