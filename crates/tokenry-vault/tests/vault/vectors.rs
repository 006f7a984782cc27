//! Frozen values. When one of these breaks, stored credentials no longer open: that is a new version, not a fix.
//!
//! They were computed from the README by another implementation (Python's `cryptography`), not by this crate.

use super::*;

/// The bytes `a0`, `a1`, … `bf`.
const MASTER: &str = "oKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr8=";

/// Data key 1 is the bytes `00` … `1f`; its nonce is `20` … `2b`.
const WRAPPED: &str = "01202122232425262728292a2b1cdbd682c5739cdda39f8a9c3ecfc5826de9cfced71b33e12120d6820d3913bb\
                       b3d1450577a35e78021a7eb794dc0fa2";

/// What is sealed, unless the vector says otherwise.
const PLAIN: &str = "a very secret token";

/// In the order in which they are sealed: each takes the next twelve numbers, from `2c` on, for its nonce.
fn vectors() -> [(Place, &'static str, &'static str); 8] {
    let state = StateHash::new([0x5a; 32]);
    [
        (
            Place::Connection(7, 1_234_567_890_123, ConnectionField::AccessToken),
            PLAIN,
            "01000000012c2d2e2f303132333435363733dd537310e8c4bf53abef834fc31e77be6f4603f62cc98857b2a0f88feb4a07\
             5277c7",
        ),
        (
            Place::Connection(7, 1_234_567_890_123, ConnectionField::RefreshToken),
            PLAIN,
            "010000000138393a3b3c3d3e3f404142431d5cd415fa99a6f082752e1f16a8b42e0f47185742973192c94774129bc7851a\
             155c72",
        ),
        (
            Place::Flow(7, state, FlowField::Secrets),
            PLAIN,
            "01000000014445464748494a4b4c4d4e4faa5780f50905b78479a88741ac92e826c7bd14cf23ffd465e144765b3fa15137\
             695e69",
        ),
        (
            Place::Flow(7, state, FlowField::Grant),
            PLAIN,
            "0100000001505152535455565758595a5bf30740119629999539d54f00b9c1f7ba884a932102712ff73003606f3701aec8\
             ded375",
        ),
        (
            Place::SigningKey(3),
            PLAIN,
            "01000000015c5d5e5f606162636465666708e3912e604786f14954c2609c66a473a5e418f7dbe308551e63417726d8b004\
             db59ad",
        ),
        (
            Place::Installation("name: ü".to_owned()),
            PLAIN,
            "010000000168696a6b6c6d6e6f707172734fc37f28ca86b8371016368f50652cb48175db53cb3cf5bf22b805eaa7e2ded3\
             8cf709",
        ),
        (
            Place::Installation(String::new()),
            "",
            "01000000017475767778797a7b7c7d7e7fd4c64f56cd922425cea8ecbcdaab525f",
        ),
        (
            Place::Client("spotify".to_owned()),
            PLAIN,
            "0100000001808182838485868788898a8b0185187e336bc1e2fbe867553253de4acc3bdbb5c58fa386acd4af8f7b355168\
             abc61e",
        ),
    ]
}

const FINGERPRINT: &str = "bd4f1443132f8fdd49e6164e3020729a8782187e027fc5f64fc02f2706e7b0db";

fn hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(digits[usize::from(digit)]))
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn frozen_master() -> MasterKey {
    MasterKey::from_base64(&MASTER.into()).unwrap()
}

#[test]
fn the_same_numbers_seal_to_the_same_bytes_as_ever() {
    let master = frozen_master();
    let random = Arc::new(Counting::default());
    let key = Vault::make_key(&master, KeyId::FIRST, random.as_ref()).unwrap();
    assert_eq!(hex(&key.wrapped), WRAPPED);

    let vault = Vault::unlock(&master, &[key], KeyId::FIRST, random).unwrap();
    for (place, plain, expected) in vectors() {
        let sealed = vault.seal(&place.context(), plain.as_bytes()).unwrap();
        assert_eq!(hex(sealed.as_bytes()), expected, "{place:?}");
    }
    assert_eq!(hex(&vault.fingerprint("login", b"ada")), FINGERPRINT);
}

#[test]
fn bytes_sealed_long_ago_still_open() {
    let ring = [WrappedKey { id: KeyId::FIRST, wrapped: unhex(WRAPPED) }];
    let vault = unlock(&frozen_master(), &ring, 1).unwrap();
    for (place, plain, sealed) in vectors() {
        let text = vault.open_text(&place.context(), &Sealed::new(unhex(sealed))).unwrap();
        assert_eq!(text.expose_secret(), plain, "{place:?}");
    }
}
