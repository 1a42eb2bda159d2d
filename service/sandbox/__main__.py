"""`python -m service.sandbox`: the stand-in alone, with the settings of the environment."""

from service.config import current
from service.sandbox.server import serve

serve(current())
