"""Amazon SNS: signed by a certificate that only Amazon can have put there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ledger.sending import NOW, SECOND
from tests.web.webhooks.signing import CERTIFICATE_URL, Sent, amazon, certificate_at, sns, topic
from web.webhooks.certificates import (
    CERTIFICATES_MAX,
    Certificates,
    CertificateUnfit,
    fetch,
    is_of_amazon,
)
from web.webhooks.schemes import MISSING, STALE, UNREADABLE, WRONG, Unauthentic
from web.webhooks.sns import CertificateOutOfReach, Sns

TOPIC = topic("ours")
SENT = Sent(b"hello")


def checked(sent: Sent, certificates: Certificates | None = None, at: int = NOW) -> None:
    scheme = Sns(
        name="",
        tolerance_seconds=3_600,
        certificates=certificates or Certificates(certificate_at),
    )
    scheme.check(sent.received(at), [scheme.key_of(TOPIC.ours)])


def with_field(sent: Sent, **changes: object) -> Sent:
    return replace(sent, body=json.dumps(json.loads(sent.body) | changes).encode())


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_the_signature_are_known(version: str) -> None:
    checked(sns(SENT, TOPIC, version))


def test_a_message_without_a_subject_is_signed_without_it() -> None:
    checked(sns(SENT, TOPIC, Subject=""))
    signed = sns(SENT, TOPIC)
    message = json.loads(signed.body)
    del message["Subject"]
    with pytest.raises(Unauthentic):
        checked(replace(signed, body=json.dumps(message).encode()))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Message": "other"}, WRONG),
        ({"TopicArn": topic("other").ours}, WRONG),
        ({"SignatureVersion": "3"}, WRONG),
        ({"Signature": "AAAA"}, WRONG),
        ({"Signature": 5}, WRONG),
        ({"Type": "Rumour"}, WRONG),
        ({"MessageId": None}, MISSING),
        ({"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem"}, WRONG),
        ({"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/a.pem"}, WRONG),
        ({"SigningCertURL": "https://169.254.169.254/a.pem"}, WRONG),
    ],
    ids=str,
)
def test_what_was_changed_is_refused(changes: dict[str, object], code: str) -> None:
    with pytest.raises(Unauthentic) as refused:
        checked(with_field(sns(SENT, TOPIC), **changes))
    assert refused.value.code == code


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"Type": "Notification"}'])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(Unauthentic):
        checked(Sent(body).plus(x_amz_sns_message_type="Notification"))


def test_a_message_may_be_an_hour_old() -> None:
    checked(sns(SENT, TOPIC), at=NOW + 3_599 * SECOND)
    with pytest.raises(Unauthentic) as refused:
        checked(sns(SENT, TOPIC), at=NOW + 3_601 * SECOND)
    assert refused.value.code == STALE


def test_a_time_that_is_signed_and_is_none_is_refused_as_such() -> None:
    with pytest.raises(Unauthentic) as refused:
        checked(sns(SENT, TOPIC, Timestamp="soon"))
    assert refused.value.code == UNREADABLE


def test_a_certificate_is_fetched_once() -> None:
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        return certificate_at(url)

    certificates = Certificates(get)
    checked(sns(SENT, TOPIC), certificates)
    checked(sns(SENT, TOPIC), certificates)
    assert asked == [CERTIFICATE_URL]


def test_who_names_new_certificates_has_one_fetched_a_second() -> None:
    """Also where it is not there; those that are known are used all the same."""
    asked: list[str] = []
    now = 0.0

    def get(url: str) -> bytes:
        asked.append(url)
        if "none" in url:
            raise OSError
        return amazon()[1]

    certificates = Certificates(get, clock=lambda: now)
    checked(sns(SENT, TOPIC), certificates)
    for number in range(3):
        other = f"https://sns.eu-west-1.amazonaws.com/none-{number}.pem"
        with pytest.raises(OSError):  # noqa: PT011
            certificates.key_at(other, NOW)
        checked(sns(SENT, TOPIC), certificates)
    assert len(asked) == 1
    for number in range(CERTIFICATES_MAX + 5):
        now += 1.0
        certificates.key_at(f"https://sns.eu-west-1.amazonaws.com/{number}.pem", NOW)
        checked(sns(SENT, TOPIC), certificates)
    assert asked.count(CERTIFICATE_URL) == 1
    for ending in ("?1", "#1", "?a.pem"):
        with pytest.raises(CertificateUnfit):
            certificates.key_at(CERTIFICATE_URL + ending, NOW)


def test_a_pinned_certificate_needs_no_network() -> None:
    def never(url: str) -> bytes:
        raise AssertionError(url)

    checked(sns(SENT, TOPIC), Certificates(never, amazon()[1]))


def test_a_certificate_that_is_not_valid_any_more_proves_nothing() -> None:
    certificates = Certificates(certificate_at)
    with pytest.raises(CertificateUnfit, match="not valid at this time"):
        certificates.key_at(CERTIFICATE_URL, NOW + 100 * 365 * 86_400 * SECOND)


def test_without_the_certificate_the_vendor_is_asked_to_come_back() -> None:
    other = "https://sns.eu-west-1.amazonaws.com/other.pem"
    with pytest.raises(CertificateOutOfReach):
        checked(with_field(sns(SENT, TOPIC), SigningCertURL=other))


@pytest.mark.parametrize(
    ("url", "is_amazon"),
    [
        (CERTIFICATE_URL, True),
        ("https://sns.cn-north-1.amazonaws.com.cn/a.pem", True),
        ("https://sns.us-east-1.amazonaws.com:443/a.pem", True),
        ("https://sns.us-east-1.amazonaws.com:8443/a.pem", False),
        ("https://sns.us-east-1.amazonaws.com@evil.example/a.pem", False),
        ("https://evil.example/https://sns.us-east-1.amazonaws.com/a.pem", False),
        ("https://s3.amazonaws.com/sns.us-east-1.amazonaws.com/a.pem", False),
        ("https://sns.us-east-1.amazonaws.com\t.evil.example/a.pem", False),
        ("https://sns.a.b.amazonaws.com/a.pem", False),
        ("https://sns.us-gov-west-1.amazonaws.com/a.pem", True),
        ("https://sns.s3-us-west-2.amazonaws.com/a.pem", False),
        ("https://sns.s3.amazonaws.com/a.pem", False),
        ("https://sns.elasticbeanstalk.amazonaws.com/a.pem", False),
        ("https://[::1]/a.pem", False),
        ("https://[", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_only_amazons_own_addresses_are_visited(url: str, is_amazon: bool) -> None:
    assert is_of_amazon(url) is is_amazon
    if not is_amazon:
        with pytest.raises(OSError, match="not an address of Amazon"):
            fetch(url)


def test_the_secret_is_the_name_of_a_topic(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ARN of the topic"):
        Sns(name="", tolerance_seconds=1).key_of("hunter2")
