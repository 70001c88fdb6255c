"""A client known by what its certificate calls itself: any that ours have signed, no other."""

import ssl

import httpx
import pytest
import trustme

from chassis.server import serving
from contracts.problem import Problem
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.identity_calls import create_client
from gateway.dataplane.listeners import Tls
from gateway.identity.certificates import names
from gateway.identity.clients import ClientDraft
from gateway.settings import ControlSettings


class Shown:
    """What the ssl module says of a certificate."""

    def __init__(self, **parts) -> None:
        self.parts = parts

    def getpeercert(self):
        return self.parts


def test_a_subject_has_one_form():
    """RFC 4514: the last part first, what would be read as syntax escaped."""
    parts = (
        (("countryName", "PT"),),
        (("organizationName", 'A, B + "C"'),),
        (("commonName", "#x\\ "), ("userId", "7")),
        (("emailAddress", "a@b.test"),),
    )
    other = (("DNS", "Orders.Partner.TEST"), ("URI", "spiffe://p/Orders"), ("IP Address", "::1"))
    assert names(Shown(subject=parts, subjectAltName=other)) == (
        r"dn:emailAddress=a@b.test,CN=\#x\\\ +UID=7,O=A\, B \+ \"C\",C=PT",
        "dns:orders.partner.test",
        "uri:spiffe://p/Orders",
    )
    assert (names(None), names(Shown())) == ((), ())


@pytest.fixture
def authority(tmp_path):
    """Who signs callers' certificates, and the pair of the server."""
    found = trustme.CA()
    found.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = found.issue_cert("127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    return found


@pytest.fixture
async def door(tmp_path, authority, upstream, Plane, unused_tcp_port):
    """A data plane with TLS before a control plane: its address, an admin, and itself."""
    given = ControlSettings(
        system_url=f"http://127.0.0.1:{upstream.port}", issuer_url="https://api.firm.test",
        port=unused_tcp_port,
    )  # fmt: skip
    tls = Tls(
        certificate=str(tmp_path / "server.pem"), client_ca=str(tmp_path / "ca.pem"),
        client_certificates="optional",
    )  # fmt: skip
    async with (
        serving(control_plane(given, tmp_path), port=unused_tcp_port) as url,
        ControlClient(url, admin_token(tmp_path)) as admin,
        Plane(tmp_path, url) as plane,
    ):
        await admin.set_consumer("acme", "internal")
        plane.worker._listener.close()
        port = await plane.worker.listen("127.0.0.1", 0, tls)
        yield f"https://127.0.0.1:{port}", admin, plane


def issued(by, name="orders"):
    return by.issue_cert(
        f"{name}.partner.test", common_name=name, organization_name="Partner",
        organization_unit_name="Exports",
    )  # fmt: skip


@pytest.mark.parametrize(
    "subject", ["dn:CN=orders,OU=Exports,O=Partner", "dns:Orders.partner.test"]
)
async def test_any_certificate_of_that_name_is_the_client(subject, tmp_path, authority, door):
    """Renewed ones need no new client; a namesake of another authority does not get that far."""
    address, admin, plane = door
    draft = ClientDraft(consumer="acme", method="tls_client_auth", subject=subject, bound="mtls")
    made = await create_client(admin, draft)
    form = {"grant_type": "client_credentials", "client_id": made.client.id}

    async def asked(leaf) -> tuple[int, dict]:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        if leaf is not None:
            leaf.configure_cert(context)
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=10) as http:
            while not plane.worker.snapshot.clients:
                await http.get(f"{address}/nothing")
            reply = await http.post(f"{address}/oauth/token", data=form)
            return reply.status_code, reply.json()

    for leaf in (issued(authority), issued(authority)):
        status, told = await asked(leaf)
        assert (status, told.get("token_type")) == (200, "Bearer")
    for leaf in (issued(authority, "order"), None):
        status, told = await asked(leaf)
        assert (status, told["error"]) == (401, "invalid_client")
    with pytest.raises((httpx.HTTPError, ssl.SSLError)):
        await asked(issued(trustme.CA()))


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({}, "/subject"),
        ({"method": "client_secret_basic", "subject": "dns:a"}, "/subject"),
        ({"subject": "dns:a", "certificate": "A" * 43}, "/certificate"),
    ],
)
async def test_a_client_known_by_name_needs_one_name_and_no_more(more, field, door):
    """Told by field."""
    _, admin, _ = door
    with pytest.raises(Problem) as refused:
        await create_client(
            admin, ClientDraft(**{"consumer": "acme", "method": "tls_client_auth", **more})
        )
    assert [one.pointer for one in refused.value.errors] == [field]
