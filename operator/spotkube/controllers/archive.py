"""Keeps what each plan was made from, for replays: in a ConfigMap that goes when the plan goes, and in a file on wish.

Nothing waits for it. What can't be kept is told on the plan, which is carried out all the same.
"""

import asyncio
import base64
import logging
from dataclasses import dataclass
from pathlib import Path

from spotkube.api.capacityplan import KeptSnapshot
from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import CAPACITYPLANS, CONFIGMAPS
from spotkube.controllers.toolbox import NotLeading, Toolbox
from spotkube.convert.snapshots import KEY, Record, to_bytes
from spotkube.model import labels

KIB = 1024
# The uid of a pod is random, and so takes this much however it is compressed.
UID_BYTES = 16
SUFFIX = ".snapshot.json.xz"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where snapshots go: into ConfigMaps of at most so many KiB, 0 for none; and into the newest `files` of a folder
    for each mode."""

    namespace: str
    most_kib: int = 900
    folder: Path | None = None
    files: int = 10


class Archive:
    def __init__(self, tools: Toolbox, shelf: Shelf) -> None:
        self._tools = tools
        self._shelf = shelf
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, plan: str, uid: str, record: Record) -> None:
        """Begins to keep the record of the CapacityPlan of that name and uid."""
        task = asyncio.create_task(self._keep(plan, uid, record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Waits for all that was begun."""
        await asyncio.gather(*self._tasks)

    async def _keep(self, plan: str, uid: str, record: Record) -> None:
        try:
            kept = await self._store(plan, uid, record)
            if kept.message:
                logger.warning("CapacityPlan %s can't be replayed from its ConfigMap: %s", plan, kept.message)
            self._tools.require_leader()
            body = {"status": {"snapshot": kept.model_dump(mode="json", by_alias=True, exclude_none=True)}}
            raw = await self._tools.client.patch(CAPACITYPLANS, plan, body, subresource="status")
            self._tools.cache.feed(CAPACITYPLANS, "MODIFIED", raw)
        except NotLeading:
            logger.info("CapacityPlan %s: the lease is lost, its snapshot is not kept", plan)
        except ApiError as error:
            logger.warning("CapacityPlan %s: its snapshot can't be told of: %s", plan, error)
        except Exception:
            logger.exception("CapacityPlan %s: its snapshot can't be kept", plan)

    async def _store(self, plan: str, uid: str, record: Record) -> KeptSnapshot:
        shelf = self._shelf
        pods = len(record.snapshot.pods)
        if shelf.folder is None and pods * UID_BYTES > shelf.most_kib * KIB:
            return KeptSnapshot(plan_digest=record.plan, message=self._too_large(f"with {pods} pods it is larger"))
        content = await asyncio.to_thread(to_bytes, record)
        file, problems = None, []
        if shelf.folder is not None:
            try:
                file = str(await asyncio.to_thread(_write, shelf.folder, plan, content, shelf.files))
            except OSError as error:
                problems.append(f"snapshot_folder {shelf.folder}: {error.strerror or error}")
        config_map = None
        if len(content) > shelf.most_kib * KIB:
            problems.insert(0, self._too_large(f"it has {-(-len(content) // KIB)} KiB"))
        else:
            try:
                config_map = await self._create(plan, uid, content)
            except ApiError as error:
                problems.insert(0, f"its ConfigMap can't be written: {error}")
        return KeptSnapshot(
            config_map=config_map,
            namespace=config_map and shelf.namespace,
            file=file,
            bytes=len(content),
            plan_digest=record.plan,
            message="; ".join(problems) or None,
        )

    def _too_large(self, size: str) -> str:
        most, remedy = self._shelf.most_kib, "set snapshot_folder to keep snapshots of any size as files"
        if most == 0:
            return f"none is kept in a ConfigMap, since snapshot_max_kib is 0; {remedy}"
        return f"{size} and snapshot_max_kib is {most}; {remedy}"

    async def _create(self, plan: str, uid: str, content: bytes) -> str:
        self._tools.require_leader()
        name = f"snapshot-{plan}"
        owner = {"apiVersion": labels.API_VERSION, "kind": "CapacityPlan", "name": plan, "uid": uid}
        body = {
            "metadata": {
                "name": name,
                "namespace": self._shelf.namespace,
                "labels": {labels.CAPACITYPLAN: plan},
                "ownerReferences": [owner],
            },
            "binaryData": {KEY: base64.b64encode(content).decode()},
        }
        await self._tools.client.create(CONFIGMAPS, body, self._shelf.namespace)
        return name


def _write(folder: Path, plan: str, content: bytes, most: int) -> Path:
    """In one step, so that nobody finds a part of it; then the oldest of its mode are deleted. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{plan}{SUFFIX}"
    part = file.with_suffix(".part")
    part.write_bytes(content)
    part.replace(file)
    of_mode = sorted(folder.glob(f"{plan.partition('-')[0]}-*{SUFFIX}"))
    for old in of_mode[:-most]:
        old.unlink(missing_ok=True)
    return file
