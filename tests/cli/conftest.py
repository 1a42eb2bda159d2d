"""The command line against a whole small world: stand-in providers, a database, a Valkey."""

from tests.flows.conftest import world as world
