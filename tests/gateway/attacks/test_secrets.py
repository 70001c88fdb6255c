"""Cases 8 to 11 and 27: nearly the right secret, another's, a well-known one, or none at all."""

import ast
import asyncio
import base64
import os
import re
import statistics
import sys
from pathlib import Path

import msgspec
import pytest

from chassis import clock, settings
from chassis.settings import BadSettings
from gateway import keys
from gateway.settings import ControlSettings, GatewaySettings

OWN = re.compile(r'"(instance|request_id|correlation_id)":"[^"]*"')


def shown(answered):
    """What a stranger sees, without what belongs to the one request."""
    return answered.status, OWN.sub("", answered.body.decode())


def nearly(key):
    """Keys that are almost one."""
    return [
        key + "x", key + "xy", key + "xyz", key[:-1], key[1:], "x" + key, key * 2, key.upper(),
        key.swapcase(), key.replace("fw_", "fw-"), key.replace("live", "test"), key[:10],
        "fw_live_", key.replace("_", "%5F"), f'"{key}"', key + "\\0", key + "=",
        key[:-6] + "AAAAAA", key + "\u200b",
        key.encode("utf-16-le").hex(), base64.b64encode(key.encode()).decode(),
        key[:5] + " " + key[5:], key.replace("f", "\uff46", 1), key.replace("l", "\u217c", 1),
    ]  # fmt: skip


async def test_case_08_only_the_whole_key_is_the_key(gate, upstream):
    """Shorter, longer, folded, quoted, encoded or look-alike: nobody."""
    for wrong in nearly(gate.key):
        for name in ("Authorization: Bearer ", "X-Api-Key: "):
            sent = f"GET /system/v1/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{name}{wrong}"
            sent += "\r\n\r\n"
            status = (await gate.raw(sent.encode())).split(b" ")[1]
            assert status == b"401", (name, wrong)
    for bad in (b"\x00", b"\r", b"\n"):
        sent = b"GET /system/v1/x HTTP/1.1\r\nHost: a\r\nX-Api-Key: %b%b\r\n\r\n"
        assert b" 400 " in (await gate.raw(sent % (gate.key.encode(), bad)))[:14]
    assert upstream.seen == []


async def test_case_08_two_keys_are_none_and_an_address_is_no_place_for_one(gate, upstream):
    """In two headers, one header twice, or in the query beside a good one."""
    key = gate.key
    other = gate.add_consumer("other")
    assert (await gate.ask(X_Api_Key=key)).status == 401
    assert (await gate.ask(X_Api_Key=other)).status == 401
    twice = (
        f"GET /system/v1/x HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\nX-Api-Key: {other}\r\n\r\n"
    )
    assert b" 400 " in (await gate.raw(twice.encode()))[:14]
    for query in (f"api_key={key}", f"x={key}", f"access_token={other}", f"a=b&k=1{key}x"):
        assert (await gate.ask("GET", f"/system/v1/x?{query}", key=None)).status in (400, 401)
        assert (await gate.ask("GET", f"/system/v1/x?{query}")).status == 400
    assert upstream.seen == []


async def test_case_09_what_is_stored_opens_nothing(gate, upstream):
    """Digest, id and display prefix are known to whoever reads the database, and are no keys."""
    (row,) = gate.key_rows
    stored = [
        row.digest.hex(), base64.b64encode(row.digest).decode(), row.id, keys.display(gate.key),
        base64.urlsafe_b64encode(row.digest).decode(), f"fw_live_{row.digest.hex()[:24]}_000000",
    ]  # fmt: skip
    for wrong in stored:
        assert (await gate.ask(key=wrong)).status == 401
    assert upstream.seen == []


async def test_case_09_dead_and_unknown_keys_look_the_same_to_a_stranger(gate):
    """Expired, revoked, from elsewhere, of another pepper, never made: one answer."""
    expired, elsewhere, revoked = (keys.mint("live") for _ in range(3))
    gate.key_rows = (
        gate.row(gate.key), gate.row(expired, expires_s=1),
        gate.row(elsewhere, networks=("10.0.0.0/8",)),
    )  # fmt: skip
    gate.publish()
    asked = [
        await gate.ask(key=wrong)
        for wrong in (None, expired, elsewhere, revoked, keys.mint("live"), "nonsense", "")[:6]
    ]
    assert len({shown(one) for one in asked}) == 1
    assert asked[0].status == 401


async def test_case_10_a_dead_key_takes_as_long_as_an_unknown_one(gate):
    """Medians of many, taken in turn: the look-up says nothing by its time."""
    dead = keys.mint("live")
    gate.key_rows = (gate.row(gate.key), gate.row(dead, expires_s=1))
    gate.publish()
    took = {"dead": [], "unknown": []}
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    for _ in range(300):
        for name, key in (("dead", dead), ("unknown", keys.mint("live"))):
            sent = gate.request(key=key)
            began_s = clock.monotonic()
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            took[name].append(clock.monotonic() - began_s)
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
    writer.close()
    ratio = statistics.median(took["dead"]) / statistics.median(took["unknown"])
    assert 0.6 < ratio < 1.7


def test_case_10_no_secret_is_compared_by_its_first_difference():
    """`==` on a secret tells how much of it was right; hmac.compare_digest does not."""
    root = Path(__file__).resolve().parents[3]
    secret = re.compile(r"(^|_)(secret|password|signature|csrf|pepper|hmac)(_|$)")
    found = []
    for file in sorted((root / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Compare) or not any(
                isinstance(op, ast.Eq | ast.NotEq) for op in node.ops
            ):
                continue
            for side in (node.left, *node.comparators):
                name = side.attr if isinstance(side, ast.Attribute) else getattr(side, "id", "")
                if secret.search(name):
                    found.append(f"{file.relative_to(root)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


@pytest.mark.parametrize("known", ["changeme", "change-me", "password", "secret", "default", ""])
def test_case_11_a_well_known_secret_is_no_setting(known):
    """The planes' shared token has no default and takes none that everybody knows."""
    for shape, section in ((GatewaySettings, "gateway"), (ControlSettings, "control")):
        env = {f"FIRMWIRE_{section.upper()}_TOKEN": known}
        with pytest.raises(BadSettings):
            settings.load(shape, section, env=env)


async def test_case_11_the_command_refuses_to_boot_with_one(tmp_path):
    """Status 2, and the setting is named."""
    env = {name: value for name, value in os.environ.items() if "FIRMWIRE" not in name}
    env |= {"FIRMWIRE_HOME": str(tmp_path), "FIRMWIRE_GATEWAY_TOKEN": "changeme"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "firmwire", "serve", "gateway", env=env | {"PYTHONPATH": os.getcwd()},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    assert (process.returncode, b"gateway.token" in said, b"changeme" in said) == (2, True, False)


@pytest.mark.parametrize("secret", [b"", b"\0" * 31, b"short"])
def test_case_11_a_short_pepper_is_no_start(tmp_path, secret):
    """Keys hashed under nothing would be keys hashed."""
    keys.peppers(tmp_path)
    made = msgspec.json.encode(keys.Peppers("p1", {"p1": secret}))
    (tmp_path / "gateway" / "peppers.json").write_bytes(made)
    with pytest.raises(ValueError, match="peppers need 32 bytes"):
        keys.peppers(tmp_path)


async def test_case_11_no_admin_anybody_knows(control, http):
    """A fresh control plane has one admin, with a secret nobody chose."""
    for given in ("admin", "admin:admin", "", "changeme", "null", "undefined", "0" * 43):
        reply = await http.get(
            f"{control}/admin/v1/keys", headers={"authorization": f"Bearer {given}".strip()}
        )
        assert reply.status_code == 401
    basic = base64.b64encode(b"admin:admin").decode()
    reply = await http.get(f"{control}/admin/v1/keys", headers={"authorization": f"Basic {basic}"})
    assert reply.status_code == 401


@pytest.mark.parametrize(
    "given",
    [
        'HMAC username="acme", algorithm="hmac-sha1", headers="date", signature="AAAA"',
        "AWS4-HMAC-SHA256 Credential=acme/1/x/y/aws4_request, SignedHeaders=host, Signature=0",
        'Signature keyId="acme",algorithm="hs2019",signature="AAAA"', "Digest username=acme",
        "Negotiate AAAA", "Bearer", "Bearer ", "bearer", ":", "Basic", "Basic ====",
    ],
)  # fmt: skip
async def test_case_27_no_scheme_we_do_not_speak_opens_anything(gate, upstream, given):
    """There is no HMAC scheme here, so none whose signed headers an attacker may choose."""
    more = {"Signature_Input": 'sig=("date");keyid="acme"', "Signature": "sig=:AAAA:"}
    assert (await gate.ask(key=None, Authorization=given, **more)).status == 401
    assert upstream.seen == []
