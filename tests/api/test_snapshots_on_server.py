"""What the API server bears of snapshots: the largest that a setting allows, and not much more."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from localcluster.errors import KubectlError
from spotkube.controllers.archive import KIB
from spotkube.convert.snapshots import KEY
from spotkube.settings import Settings


def largest() -> int:
    (limit,) = [each.le for each in Settings.model_fields["snapshot_max_kib"].metadata if hasattr(each, "le")]
    return int(limit)


def test_the_largest_snapshot_fits_into_a_config_map(
    kubectl: Callable[..., str], namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / KEY
    file.write_bytes(secrets.token_bytes(largest() * KIB))
    kubectl("create", "configmap", "snapshot", "-n", namespace, f"--from-file={file}")

    file.write_bytes(secrets.token_bytes(largest() * KIB + 64 * KIB))
    with pytest.raises(KubectlError, match="Too long"):
        kubectl("create", "configmap", "larger", "-n", namespace, f"--from-file={file}")
