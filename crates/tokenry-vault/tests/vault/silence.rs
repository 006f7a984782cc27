//! Nothing secret comes out of `Debug` or of an error.

use std::fmt::Debug;

use super::*;

/// 32 bytes that are easy to find again, and stand in for every secret.
const SENTINEL: &[u8; 32] = b"SENTINEL-sentinel-SENTINEL-senti";
/// The same in base64.
const SENTINEL_BASE64: &str = "U0VOVElORUwtc2VudGluZWwtU0VOVElORUwtc2VudGk=";

/// Fills everything with the sentinel, so that data keys are made of it too.
#[derive(Debug)]
struct Sentinel;

impl Random for Sentinel {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        for (to, from) in dest.iter_mut().zip(SENTINEL.iter().cycle()) {
            *to = *from;
        }
        Ok(())
    }
}

/// Whether the sentinel, or a good part of it, stands in `text` in one of the ways bytes are printed.
fn betrays(text: &str) -> bool {
    let without_layout: String = text.split_whitespace().collect();
    ["SENTINEL", "sentinel", "U0VOVElO", "83,69,78", "53,45,4e", "53454e", "53454E", "0x53,0x45"]
        .iter()
        .any(|trace| without_layout.contains(trace))
}

fn assert_silent(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}"), format!("{value:x?}")] {
        assert!(!betrays(&text), "{text}");
    }
}

#[test]
fn the_sentinel_is_found_where_it_is_printed() {
    assert!(betrays(&format!("{SENTINEL:?}")));
    assert!(betrays(&format!("{SENTINEL:#?}")));
    assert!(betrays(&format!("{SENTINEL:x?}")));
    assert!(betrays(&String::from_utf8_lossy(SENTINEL)));
    assert!(betrays(SENTINEL_BASE64));
}

#[test]
fn no_debug_output_holds_a_secret() {
    let master = MasterKey::from_base64(&SENTINEL_BASE64.into()).unwrap();
    let key = Vault::make_key(&master, KeyId::FIRST, &Sentinel).unwrap();
    let vault = Vault::unlock(&master, std::slice::from_ref(&key), KeyId::FIRST, Arc::new(Sentinel)).unwrap();
    let state = StateHash::new(*SENTINEL);
    let context = Context::Flow { user: UserId::new(1), state: &state, field: FlowField::Grant };
    let sealed = vault.seal(&context, SENTINEL).unwrap();

    assert_silent(&master);
    assert_silent(&master.to_base64());
    assert_silent(&key);
    assert_silent(&WrappedKey { id: KeyId::FIRST, wrapped: SENTINEL.to_vec() });
    assert_silent(&vault);
    assert_silent(&context);
    assert_silent(&sealed);
    assert_silent(&vault.open(&context, &sealed).unwrap());
    assert_silent(&vault.open_text(&context, &sealed).unwrap());
    assert_eq!(
        format!("{master:?} {key:?} {vault:?}"),
        "MasterKey(..) WrappedKey(1, 61 bytes) Vault(1 keys, 1 is current)"
    );
}

#[test]
fn no_error_holds_a_secret() {
    let master = MasterKey::from_base64(&SENTINEL_BASE64.into()).unwrap();
    let key = Vault::make_key(&master, KeyId::FIRST, &Sentinel).unwrap();
    let broken = WrappedKey { id: KeyId::FIRST, wrapped: SENTINEL.to_vec() };
    let vault = unlock(&master, std::slice::from_ref(&key), 1).unwrap();
    let context = Context::SigningKey { id: 1 };
    let not_text = vault.seal(&context, &[SENTINEL.as_slice(), &[0xff]].concat()).unwrap();

    let errors = [
        MasterKey::from_base64(&format!("{SENTINEL_BASE64}!").into()).unwrap_err(),
        unlock(&self::master(), &[key], 1).unwrap_err(),
        unlock(&master, &[broken], 1).unwrap_err(),
        vault.open(&context, &Sealed::new(SENTINEL.to_vec())).unwrap_err(),
        vault.open(&Context::SigningKey { id: 2 }, &not_text).unwrap_err(),
        vault.open_text(&context, &not_text).unwrap_err(),
    ];
    for error in errors {
        assert_silent(&error);
        assert!(!betrays(&error.to_string()), "{error}");
        assert!(std::error::Error::source(&error).is_none(), "{error:?}");
    }
}
