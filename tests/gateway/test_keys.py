"""The key format: what we mint we know again, and nothing else passes for it."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import keys

KEYS = st.builds(lambda _: keys.mint("live"), st.integers())
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@given(st.sampled_from(["live", "test"]))
def test_what_is_minted_is_well_formed(environment):
    """Form, length and checksum."""
    key = keys.mint(environment)
    assert keys.well_formed(key.encode())
    prefix, env, random, check = key.split("_")
    assert ("fw", environment, 24, 6) == (prefix, env, len(random), len(check))
    assert len(keys.display(key)) == 12


@given(KEYS, st.integers(0, 38), st.sampled_from(ALPHABET + "_-"))
def test_one_wrong_character_is_refused(key, at, other):
    """A checksum of 32 bits sees every single substitution."""
    wrong = key[:at] + other + key[at + 1 :]
    assert (wrong == key) == keys.well_formed(wrong.encode())


@given(KEYS, st.text(max_size=3), st.text(max_size=3))
def test_more_or_less_around_a_key_is_refused(key, before, after):
    """Not a prefix, not a suffix, not a line end."""
    wrong = before + key + after
    assert (wrong == key) == keys.well_formed(wrong.encode())
    assert not keys.well_formed(key[:-1].encode())


@given(st.binary(max_size=64))
def test_anything_else_is_refused(sent):
    """Whatever bytes come."""
    assert not keys.well_formed(sent)


@given(st.binary(min_size=32, max_size=32), KEYS)
def test_the_digest_is_hmac_sha256(pepper, key):
    """As FIPS 198-1 says, so that peppers can move to other software."""
    expected = hmac.new(pepper, key.encode(), hashlib.sha256).digest()
    assert keys.digest(pepper, key.encode()) == expected
    assert keys.hasher(pepper)(key.encode()) == expected


def test_peppers_are_made_once_and_kept_private(tmp_path):
    """Two first starts at once end with one file, readable by its owner only."""
    first = keys.peppers(tmp_path)
    assert first == keys.peppers(tmp_path)
    file = tmp_path / "gateway" / "peppers.json"
    assert file.stat().st_mode & 0o777 == 0o600
    keys.write_private(file, b"other", replace=False)
    assert first == keys.peppers(tmp_path)


def test_a_short_pepper_is_refused(tmp_path):
    """A weak secret is a settings error, not a weaker gateway."""
    keys.peppers(tmp_path)
    keys.write_private(
        tmp_path / "gateway" / "peppers.json", b'{"current":"a","secrets":{"a":"AAAA"}}'
    )
    with pytest.raises(ValueError, match="32 bytes"):
        keys.peppers(tmp_path)
