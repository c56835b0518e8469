"""The engine: desired and live resources in, a plan out, and the plan made true. Names no platform."""
