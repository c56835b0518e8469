"""The names of the commands."""

from __future__ import annotations

#: each command, in the order of --help, and the module that it is in
COMMANDS = {
    "validate": "validate",
    "plan": "plan",
    "apply": "apply",
    "review": "review",
    "comment": "comment",
    "drift": "drift",
    "destroy": "destroy",
    "release": "release",
    "show": "show",
    "graph": "graph",
    "who-can": "who_can",
    "output": "output",
    "repository": "repository",
    "credentials": "credentials",
    "refresh": "refresh",
    "serve": "serve",
    "gc": "gc",
    "schema": "schema",
    "help": "help",
}
