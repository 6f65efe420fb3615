"""What a service does when its issuer answers with something that are no keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chassis.http_client import ServiceClient
from chassis.problems import Unavailable
from chassis.trust import RemoteKeys
from tests.stand_in import Answer, StandIn


@pytest.fixture
def issuer() -> Iterator[StandIn]:
    issuer = StandIn()
    yield issuer
    issuer.stop()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"keys"', b"{}", b'{"keys":[{"kid":"a"}]}', b'{"keys":[{"kid":"a","x":"AA"}]}'],
)
def test_an_answer_without_keys_says_nothing_about_the_token(issuer: StandIn, body: bytes) -> None:
    issuer.respond = lambda _: Answer(200, body)
    url = f"http://127.0.0.1:{issuer.port}"
    keys = RemoteKeys(ServiceClient("orders", url, pool_size=1, service_token="token"))
    with pytest.raises(Unavailable, match="could not be fetched"):
        keys.find("a")
