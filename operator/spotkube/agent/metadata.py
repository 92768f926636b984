"""EC2's instance metadata service, version 2: each reading needs a token, which is asked for beforehand."""

import asyncio

import aiohttp

ADDRESS = "http://169.254.169.254"
TOKEN_SECONDS = 21_600
TIMEOUT_SECONDS = 2.0


class MetadataUnavailable(Exception):  # noqa: N818 - says what happened
    """No answer, or none that helps."""


class MetadataService:
    """All calls raise MetadataUnavailable."""

    def __init__(self, session: aiohttp.ClientSession, address: str = ADDRESS) -> None:
        self._session = session
        self._address = address.rstrip("/")
        self._token: str | None = None

    async def read(self, path: str) -> str | None:
        """The document at a path below latest/meta-data/; None where there is none."""
        try:
            async with asyncio.timeout(2 * TIMEOUT_SECONDS):
                status, text = await self._get(path)
                if status == 401:  # the token is too old, or another service answers now
                    self._token = None
                    status, text = await self._get(path)
        except (TimeoutError, aiohttp.ClientError, OSError, UnicodeError) as error:
            raise MetadataUnavailable(f"{self._address}: {error!r}") from error
        if status == 404:
            return None
        if status != 200:
            raise MetadataUnavailable(f"{self._address}: {path} answered {status}: {text:.200}")
        return text

    async def _get(self, path: str) -> tuple[int, str]:
        if self._token is None:
            self._token = await self._new_token()
        headers = {"X-aws-ec2-metadata-token": self._token}
        async with self._session.get(f"{self._address}/latest/meta-data/{path}", headers=headers) as answer:
            return answer.status, await answer.text()

    async def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        async with self._session.put(f"{self._address}/latest/api/token", headers=headers) as answer:
            if answer.status != 200:
                raise MetadataUnavailable(f"{self._address}: no token, the answer was {answer.status}")
            return await answer.text()
