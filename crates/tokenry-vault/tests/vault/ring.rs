//! Many data keys, and a master key that changes.

use super::*;

const PLACE: Place = Place::SigningKey(1);

#[test]
fn a_ring_opens_with_every_key_and_seals_with_the_current_one() {
    let master = master();
    let ring = [new_key(&master, 1), new_key(&master, 2)];
    let before = unlock(&master, &ring[..1], 1).unwrap();
    let after = unlock(&master, &ring, 2).unwrap();
    assert_eq!((before.current_key(), after.current_key()), (key_id(1), key_id(2)));

    let old = before.seal(&PLACE.context(), b"old").unwrap();
    let new = after.seal(&PLACE.context(), b"new").unwrap();
    assert_eq!((Vault::key_of(&old), Vault::key_of(&new)), (Ok(key_id(1)), Ok(key_id(2))));
    assert_eq!(opened(&after, &PLACE, &old), Ok(b"old".to_vec()));
    assert_eq!(opened(&after, &PLACE, &new), Ok(b"new".to_vec()));
    assert_eq!(opened(&before, &PLACE, &new), Err(VaultError::UnknownKey(key_id(2))));
}

#[test]
fn the_order_of_the_ring_does_not_matter() {
    let master = master();
    let mut ring = [new_key(&master, 1), new_key(&master, 2), new_key(&master, u32::MAX)];
    let sealed = unlock(&master, &ring, u32::MAX).unwrap().seal(&PLACE.context(), b"secret").unwrap();
    ring.reverse();
    let vault = unlock(&master, &ring, 1).unwrap();
    assert_eq!(opened(&vault, &PLACE, &sealed), Ok(b"secret".to_vec()));
}

#[test]
fn another_key_under_the_same_id_does_not_open() {
    let master = master();
    let one = unlock(&master, &[new_key(&master, 1)], 1).unwrap();
    let other = unlock(&master, &[new_key(&master, 1)], 1).unwrap();
    let sealed = one.seal(&PLACE.context(), b"secret").unwrap();
    assert_eq!(opened(&other, &PLACE, &sealed), Err(VaultError::Refused));
}

#[test]
fn the_wrong_master_key_is_told_in_one_sentence() {
    let key = new_key(&master(), 1);
    let error = unlock(&master(), &[key], 1).unwrap_err();
    assert_eq!(error, VaultError::WrongMasterKey);
    assert_eq!(
        error.to_string(),
        "this master key does not open the stored data keys: give the one they were made with"
    );
}

#[test]
fn one_key_of_another_master_locks_the_whole_ring() {
    let master = master();
    let ring = [new_key(&master, 1), new_key(&self::master(), 2)];
    assert_eq!(unlock(&master, &ring, 1).map(drop), Err(VaultError::WrongMasterKey));
}

#[test]
fn a_ring_that_is_no_ring_has_a_named_error() {
    let master = master();
    let keys = [new_key(&master, 1), new_key(&master, 1)];
    assert_eq!(unlock(&master, &[], 1).map(drop), Err(VaultError::EmptyRing));
    assert_eq!(unlock(&master, &keys[..1], 2).map(drop), Err(VaultError::CurrentKeyMissing(key_id(2))));
    assert_eq!(unlock(&master, &keys, 1).map(drop), Err(VaultError::DuplicateKey(key_id(1))));
    assert_eq!(KeyId::new(0), Err(VaultError::InvalidKeyId));
}

#[test]
fn a_data_key_does_not_open_under_another_id() {
    let master = master();
    let mut key = new_key(&master, 1);
    key.id = key_id(2);
    assert_eq!(unlock(&master, &[key], 2).map(drop), Err(VaultError::WrongMasterKey));
}

#[test]
fn a_data_key_with_any_bit_changed_does_not_open() {
    let master = master();
    let key = new_key(&master, 1);
    for bit in 0..key.wrapped.len() * 8 {
        let changed = WrappedKey { id: key.id, wrapped: with_bit_changed(&key.wrapped, bit) };
        let expected = if bit < 8 { VaultError::UnreadableKey(key.id) } else { VaultError::WrongMasterKey };
        assert_eq!(unlock(&master, &[changed], 1).map(drop), Err(expected), "bit {bit}");
    }
}

#[test]
fn a_data_key_of_any_other_length_is_unreadable() {
    let master = master();
    let key = new_key(&master, 1);
    assert_eq!(key.wrapped.len(), 61);
    let longer = [key.wrapped.as_slice(), &[0; 10]].concat();
    for length in (0..longer.len()).filter(|length| *length != 61) {
        let other = WrappedKey { id: key.id, wrapped: longer[..length].to_vec() };
        assert_eq!(
            unlock(&master, &[other], 1).map(drop),
            Err(VaultError::UnreadableKey(key.id)),
            "{length} bytes"
        );
    }
}

#[test]
fn a_rewrapped_key_opens_under_the_new_master_key_only() {
    let (old, new) = (master(), master());
    let key = new_key(&old, 1);
    let sealed =
        unlock(&old, std::slice::from_ref(&key), 1).unwrap().seal(&PLACE.context(), b"secret").unwrap();

    let rewrapped = [Vault::rewrap(&old, &new, &key, &SystemRandom).unwrap()];
    assert_eq!(rewrapped[0].id, key.id);
    assert_eq!(opened(&unlock(&new, &rewrapped, 1).unwrap(), &PLACE, &sealed), Ok(b"secret".to_vec()));
    assert_eq!(unlock(&old, &rewrapped, 1).map(drop), Err(VaultError::WrongMasterKey));
    assert_eq!(unlock(&new, &[key], 1).map(drop), Err(VaultError::WrongMasterKey));
}

#[test]
fn a_key_is_not_rewrapped_with_the_wrong_old_master_key() {
    let right = master();
    let key = new_key(&right, 1);
    for new in [&master(), &right] {
        let result = Vault::rewrap(&master(), new, &key, &SystemRandom);
        assert_eq!(result, Err(VaultError::WrongMasterKey));
    }
}

#[test]
fn a_fingerprint_tells_purpose_and_bytes_apart() {
    let vault = vault();
    let ada = vault.fingerprint("login", b"ada");
    assert_eq!(ada, vault.fingerprint("login", b"ada"));
    for (purpose, bytes) in
        [("login", "adb"), ("logi", "nada"), ("logina", "da"), ("", "loginada"), ("login", "")]
    {
        assert_ne!(ada, vault.fingerprint(purpose, bytes.as_bytes()), "{purpose:?} {bytes:?}");
    }
}

#[test]
fn a_fingerprint_lasts_as_long_as_its_key_is_current() {
    let (old, new) = (master(), master());
    let ring = [new_key(&old, 1), new_key(&old, 2)];
    let print = |vault: Vault| vault.fingerprint("login", b"ada");
    let first = print(unlock(&old, &ring[..1], 1).unwrap());
    assert_eq!(first, print(unlock(&old, &ring, 1).unwrap()), "a restart, with another key in the ring");
    assert_ne!(first, print(unlock(&old, &ring, 2).unwrap()), "another current key");

    let rewrapped = [Vault::rewrap(&old, &new, &ring[0], &SystemRandom).unwrap()];
    assert_eq!(first, print(unlock(&new, &rewrapped, 1).unwrap()), "another master key");
}
