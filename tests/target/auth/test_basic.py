"""User and password (RFC 7617), as Werkzeug reads them."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Authorization

from rowpost.config.credentials import BasicConfig
from rowpost.rules.answer import Answer, Verdict
from tests.harness.http_server import Asked, Given, HttpServer
from tests.target.posting import post


@pytest.mark.parametrize("password", ["plain", "with:colon", "pässwörd-ключ-😀", "", "%41+&=\"\\'"])
def test_the_api_reads_what_was_configured(password: str) -> None:
    def check(asked: Asked) -> Given:
        shown = Authorization.from_header(asked.headers["Authorization"])
        assert shown is not None
        return Given(200 if (shown.type, shown.username, shown.password) == ("basic", "benützer", password) else 401)

    with HttpServer(check) as api:
        answer = post(api.url, basic=BasicConfig(user="benützer", password=password))
        assert answer == Answer(Verdict.DELIVERED, 200)


def test_a_401_is_the_answer_since_there_is_no_other_password() -> None:
    with HttpServer(lambda _: Given(401)) as api:
        assert post(api.url, basic=BasicConfig(user="a", password="b")) == Answer(Verdict.TRANSIENT, 401, "HTTP 401")
        assert len(api.asked) == 1
