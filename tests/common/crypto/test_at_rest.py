from __future__ import annotations

import itertools
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from common.crypto.at_rest import CHUNK, HEADER, TAG, Header, SiteKey, new_header, seal, unseal
from common.exceptions import EncryptionError

KEY = SiteKey(bytes(range(32)))
OTHER = SiteKey(bytes(reversed(range(32))))


def sealed(content: bytes, purpose: str = "films") -> tuple[Header, list[bytes]]:
    header = new_header(KEY, secrets.token_bytes)
    return header, list(seal(header, KEY, purpose, [content]))


def opened(header: Header, chunks: list[bytes], key: SiteKey = KEY, purpose: str = "films") -> bytes:
    return b"".join(unseal(header, key, purpose, chunks))


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_what_was_sealed_opens(pieces: list[bytes]) -> None:
    header = new_header(KEY, secrets.token_bytes)
    assert opened(header, list(seal(header, KEY, "films", pieces))) == b"".join(pieces)


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])
def test_chunks_are_full_but_the_last(length: int) -> None:
    content = secrets.token_bytes(length)
    header, chunks = sealed(content)
    assert all(len(chunk) == CHUNK + TAG for chunk in chunks[:-1])
    assert len(chunks) == max(1, -(-length // CHUNK))
    assert opened(header, chunks) == content


def test_by_hand() -> None:
    """The first chunk, decrypted with the library alone as the rules say."""
    import hashlib

    from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

    header, chunks = sealed(b"four")
    data_key = aes_key_unwrap(bytes(range(32)), header.wrapped)
    associated = header.file + hashlib.sha256(b"films").digest() + bytes(8) + b"1"
    assert AESGCM(data_key).decrypt(header.prefix + bytes(8), chunks[0], associated) == b"four"


def test_every_changed_byte_is_noticed() -> None:
    header, chunks = sealed(b"a patient's film")
    assert opened(header, chunks) == b"a patient's film"
    content = header.pack() + chunks[0]
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        with pytest.raises(EncryptionError):
            opened(Header.unpack(bytes(changed[:HEADER])), [bytes(changed[HEADER:])])


def test_chunks_cannot_be_cut_swapped_doubled_or_mixed() -> None:
    content = secrets.token_bytes(3 * CHUNK)
    header, chunks = sealed(content)
    _, others = sealed(content)
    first, second, third = chunks
    wrong = [[], [first], [first, second], [second, first, third], [first, first, third], [first, third], [third]]
    wrong += [[*chunks, third], [*chunks, b""], [others[0], second, third], [first, second, third[:-1]]]
    for arrangement in wrong:
        with pytest.raises(EncryptionError):
            opened(header, arrangement)


def test_another_key_or_purpose_does_not_open() -> None:
    header, chunks = sealed(b"text")
    with pytest.raises(EncryptionError, match="another site key"):
        opened(header, chunks, key=OTHER)
    with pytest.raises(EncryptionError, match="another place"):
        opened(header, chunks, purpose="notes")


def test_rewrapping_changes_the_key_and_nothing_else() -> None:
    header, chunks = sealed(b"text")
    rewrapped = header.rewrapped(KEY, OTHER)
    assert opened(rewrapped, chunks, key=OTHER) == b"text"
    with pytest.raises(EncryptionError):
        opened(rewrapped, chunks, key=KEY)
    assert (rewrapped.file, rewrapped.prefix) == (header.file, header.prefix)


def test_keys_nonces_and_identities_never_repeat() -> None:
    headers = [new_header(KEY, secrets.token_bytes) for _ in range(200)]
    for one, other in itertools.combinations(headers, 2):
        assert one.wrapped != other.wrapped
        assert one.file != other.file
        assert one.data_key(KEY) != other.data_key(KEY)


def test_a_key_is_never_shown() -> None:
    assert bytes(range(32)).hex() not in repr(KEY)
    with pytest.raises(EncryptionError, match="32 bytes"):
        SiteKey(b"short")


@pytest.mark.parametrize("content", [b"", b"fedward at rest 1\n", b"x" * HEADER, b"fedward at rest 2\n" + b"x" * 76])
def test_what_is_no_header(content: bytes) -> None:
    with pytest.raises(EncryptionError, match="not an encrypted file"):
        Header.unpack(content)
