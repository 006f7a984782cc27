//! Sealed bytes, wrapped keys, and master keys as text.

use std::sync::{Arc, LazyLock};

use tokenry_model::{ConnectionId, ExposeSecret as _, Sealed, SecretString, UserId};
use tokenry_vault::{ConnectionField, Context, KeyId, MasterKey, Vault, VaultError, WrappedKey};

use super::jwt::Fixed;
use super::{choice, edited};

const PLAIN: &[u8] = b"the token of a connection";

fn context(connection: i64, field: ConnectionField) -> Context<'static> {
    Context::Connection { user: UserId::new(7), connection: ConnectionId::new(connection), field }
}

static MASTER: LazyLock<MasterKey> = LazyLock::new(|| MasterKey::generate(&Fixed).unwrap());
static WRAPPED: LazyLock<WrappedKey> =
    LazyLock::new(|| Vault::make_key(&MASTER, KeyId::FIRST, &Fixed).unwrap());
static VAULT: LazyLock<Vault> = LazyLock::new(|| {
    let second = Vault::make_key(&MASTER, KeyId::new(2).unwrap(), &Fixed).unwrap();
    Vault::unlock(&MASTER, &[WRAPPED.clone(), second], KeyId::FIRST, Arc::new(Fixed)).unwrap()
});
static SEALED: LazyLock<Sealed> =
    LazyLock::new(|| VAULT.seal(&context(1, ConnectionField::AccessToken), PLAIN).unwrap());

pub fn run(data: &[u8]) {
    let (what, rest) = choice(data);
    let here = context(1, ConnectionField::AccessToken);
    match what % 5 {
        0 => opens_only_if_ours(&Sealed::new(rest.to_vec())),
        1 => opens_only_if_ours(&Sealed::new(edited(SEALED.as_bytes(), rest))),
        2 => {
            let sealed = VAULT.seal(&here, rest).unwrap();
            assert_eq!(VAULT.open(&here, &sealed).unwrap().expose_secret(), rest);
            assert_eq!(Vault::key_of(&sealed), Ok(KeyId::FIRST));
            for elsewhere in
                [context(2, ConnectionField::AccessToken), context(1, ConnectionField::RefreshToken)]
            {
                assert!(matches!(VAULT.open(&elsewhere, &sealed), Err(VaultError::Refused)), "it was moved");
            }
        }
        3 => {
            let bytes = if rest.len() % 2 == 0 { rest.to_vec() } else { edited(&WRAPPED.wrapped, rest) };
            let is_ours = bytes == WRAPPED.wrapped;
            let ring = [WrappedKey { id: KeyId::FIRST, wrapped: bytes }];
            let vault = Vault::unlock(&MASTER, &ring, KeyId::FIRST, Arc::new(Fixed));
            assert_eq!(vault.is_ok(), is_ours, "an altered key");
        }
        _ => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            if let Ok(key) = MasterKey::from_base64(&SecretString::from(text)) {
                let written = key.to_base64();
                let again = MasterKey::from_base64(&written).unwrap();
                assert_eq!(again.to_base64().expose_secret(), written.expose_secret());
                assert_eq!(written.expose_secret().len(), 44);
            }
        }
    }
}

fn opens_only_if_ours(sealed: &Sealed) {
    let opened = VAULT.open(&context(1, ConnectionField::AccessToken), sealed);
    let is_ours = *sealed == *SEALED;
    assert_eq!(opened.is_ok_and(|plain| plain.expose_secret() == PLAIN), is_ours, "altered, and it opens");
}
