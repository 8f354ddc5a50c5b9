"""Settings: arguments, the environment and the project's file, read once at the edge and passed down.

Nothing here opens a connection.
"""

from workbench.settings.settings import Settings

__all__ = ["Settings"]
