"""The programming interface: each module binds one part with the platforms, so that a caller loads no more than it asks for."""
