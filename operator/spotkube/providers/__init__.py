"""Clouds: the port they implement, and one subpackage for each adapter."""

from spotkube.providers.port import CloudProvider

KINDS = ("local",)


def connect_provider(kind: str, endpoint: str) -> CloudProvider:
    """The provider of this kind, connected to `endpoint` at its first call. Raises ValueError for an unknown kind."""
    # Imported here so that one cloud's libraries are not needed to use another.
    if kind == "local":
        from spotkube.providers.local.client import LocalProvider  # noqa: PLC0415

        return LocalProvider(endpoint)
    raise ValueError(f"provider: {kind!r} is not known; use one of: {', '.join(KINDS)}")
