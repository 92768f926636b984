"""Where offerings come from: specs, prices and interruption risk of instance types, shipped or from a file."""

from spotkube.catalog.catalog import Catalog, UnknownFamilyError, load_catalog
from spotkube.catalog.userfile import CatalogFileError

__all__ = ["Catalog", "CatalogFileError", "UnknownFamilyError", "load_catalog"]
