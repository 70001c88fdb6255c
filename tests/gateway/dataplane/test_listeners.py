"""TLS on the real socket, with certificates made here: versions, callers' own, changes."""

import asyncio
import hashlib
import ssl

import pytest
import trustme

from gateway.dataplane.listeners import Listener, Tls
from gateway.dataplane.worker import Worker
from gateway.identity.certificates import names


class Firm:
    """A server's certificate on disk, and a certificate authority for partners."""

    def __init__(self, folder):
        self.authority, self.partners = trustme.CA(), trustme.CA()
        self.folder = folder
        self.pair, self.key = folder / "server.pem", folder / "server.key"
        self.ca = folder / "partners.pem"
        self.partners.cert_pem.write_to_path(str(self.ca))
        self.issue()

    def issue(self):
        made = self.authority.issue_cert("127.0.0.1")
        made.private_key_pem.write_to_path(str(self.key))
        chain = b"".join(one.bytes() for one in made.cert_chain_pems)
        self.pair.write_bytes(chain)
        return fingerprint_of_pem(chain)

    def tls(self, **more):
        return Tls(certificate=str(self.pair), private_key=str(self.key), **more)

    def client(self, certificate=None):
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context


def fingerprint_of_pem(pem):
    first = pem.decode().partition("-----END CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert("".join(first[:2]))).digest()


@pytest.fixture
def firm(tmp_path):
    return Firm(tmp_path)


@pytest.fixture
async def listener(request):
    opened = []

    async def open_one(tls, factory=asyncio.Protocol, **more):
        one = Listener(factory, tls, **more)
        opened.append(one)
        return one, await one.open("127.0.0.1", 0)

    yield open_one
    for one in opened:
        one.close()


async def served(port, context):
    """The fingerprint of what the server shows."""
    async with asyncio.timeout(5):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return hashlib.sha256(shown).digest()


async def listen(gate, tls):
    """The gate's worker before TLS instead of its plain port."""
    gate.worker._listener.close()
    gate.port = await gate.worker.listen("127.0.0.1", 0, tls)


async def ask(gate, context, reply_from, **headers):
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port, ssl=context)
        try:
            writer.write(gate.request(**headers))
            return await reply_from(reader)
        finally:
            writer.close()


async def test_tls_1_2_and_1_3_only_and_http_1_1_by_alpn(gate, firm, upstream, reply_from):
    """Old versions end in the handshake; who offers h2 too gets HTTP/1.1."""
    await listen(gate, firm.tls())
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = firm.client()
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("127.0.0.1", gate.port, ssl=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.close()
        assert (await ask(gate, context, reply_from)).status == 200
    assert upstream.seen[0].header("x-forwarded-proto") == ["https"]
    old = firm.client()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", gate.port, ssl=old)


async def test_a_new_pair_is_shown_without_a_restart(firm, listener):
    """On reload, and by itself when the files changed; open connections go on."""
    one, port = await listener(firm.tls(), look_s=0.05)
    first = await served(port, firm.client())
    second = firm.issue()
    assert await one.reload()
    assert await served(port, firm.client()) == second != first
    _, kept = await asyncio.open_connection("127.0.0.1", port, ssl=firm.client())
    third = firm.issue()
    async with asyncio.timeout(5):
        while await served(port, firm.client()) != third:
            await asyncio.sleep(0.02)
    kept.write(b"x")
    await kept.drain()
    assert not kept.is_closing()
    kept.close()


async def test_a_bad_new_pair_is_refused_and_the_old_one_stays(firm, listener):
    """A key of another certificate, half a file, no file: callers notice nothing."""
    one, port = await listener(firm.tls(), look_s=600)
    before = await served(port, firm.client())
    good = firm.pair.read_bytes()
    stranger = firm.authority.issue_cert("127.0.0.1").cert_chain_pems[0].bytes()
    for bad in (stranger, good[: len(good) // 2], b""):
        firm.pair.write_bytes(bad)
        assert not await one.reload()
        assert await served(port, firm.client()) == before
    firm.pair.unlink()
    assert not await one.reload()
    assert await served(port, firm.client()) == before
    assert (one.reloads, one.refused_reloads) == (0, 4)


async def test_no_connection_is_refused_while_certificates_change(firm, listener):
    """The sockets stay open through every change."""
    one, port = await listener(firm.tls(), look_s=600)
    for _ in range(5):
        firm.issue()
        reloaded = asyncio.create_task(one.reload())
        await asyncio.gather(*(served(port, firm.client()) for _ in range(8)))
        assert await reloaded


def test_a_pair_that_does_not_fit_is_no_start(firm):
    """Neither is asking for callers' certificates without saying who signs them."""
    with pytest.raises(ValueError, match="client_ca"):
        firm.tls(client_certificates="required").context()
    firm.pair.write_bytes(firm.authority.issue_cert("127.0.0.1").cert_chain_pems[0].bytes())
    with pytest.raises(ssl.SSLError):
        firm.tls().context()


@pytest.mark.parametrize("wanted", ["optional", "required"])
async def test_a_callers_certificate_is_known_from_the_handshake_alone(
    gate, firm, upstream, reply_from, monkeypatch, wanted
):
    """Thumbprint and subject are on the link; headers that claim one do not travel."""
    links = []
    opened = Worker.opened

    def remembering(worker, link):
        links.append((link.certificate, names(link.transport.get_extra_info("ssl_object"))))
        opened(worker, link)

    monkeypatch.setattr(Worker, "opened", remembering)
    await listen(gate, firm.tls(client_certificates=wanted, client_ca=str(firm.ca)))
    partner = firm.partners.issue_cert(
        "orders.partner.test", common_name="orders", organization_name="Partner"
    )
    answered = await ask(
        gate, firm.client(partner), reply_from,
        X_SSL_Client_Cert="forged", X_Forwarded_Client_Cert="Hash=forged", Client_Cert=":forged:",
        X_Client_Cert="forged", SSL_Client_Cert="forged", X_SSL_Client_Verify="SUCCESS",
    )  # fmt: skip
    assert answered.status == 200
    leaf = fingerprint_of_pem(partner.cert_chain_pems[0].bytes())
    assert links[0][0] == leaf
    assert [one for one in links[0][1] if "CN=orders" in one or one.startswith("dns:")]
    assert b"forged" not in upstream.seen[0].head
    assert b"SUCCESS" not in upstream.seen[0].head


async def test_who_shows_none_or_a_strangers_is_judged_by_the_setting(gate, firm, reply_from):
    """Required: no request without one. Optional: none is fine, a stranger's is not."""
    stranger = firm.client(trustme.CA().issue_cert("orders.partner.test"))
    await listen(gate, firm.tls(client_certificates="optional", client_ca=str(firm.ca)))
    assert (await ask(gate, firm.client(), reply_from)).status == 200
    refusal = (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)
    with pytest.raises(refusal):
        await ask(gate, stranger, reply_from)
    await listen(gate, firm.tls(client_certificates="required", client_ca=str(firm.ca)))
    for context in (firm.client(), stranger):
        with pytest.raises(refusal):
            await ask(gate, context, reply_from)
