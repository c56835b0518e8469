"""The external platform."""
