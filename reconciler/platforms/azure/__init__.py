"""The azure platform."""
