//! A ring that changes while it is in use.

use super::*;

const PLACE: Place = Place::SigningKey(1);

#[test]
fn a_renewed_vault_opens_with_the_old_and_seals_with_the_new_key() {
    let master = master();
    let ring = [new_key(&master, 1), new_key(&master, 2)];
    let before = unlock(&master, &ring[..1], 1).unwrap();
    let old = before.seal(&PLACE.context(), b"old").unwrap();
    let after = before.renewed(&master, &ring, key_id(2), |_| false).unwrap();
    assert_eq!(opened(&after, &PLACE, &old), Ok(b"old".to_vec()));
    let new = after.seal(&PLACE.context(), b"new").unwrap();
    assert_eq!(Vault::key_of(&new), Ok(key_id(2)));
    assert_eq!(after.fingerprint("login", b"ada"), before.fingerprint("login", b"ada"));
}

#[test]
fn a_key_that_left_the_ring_opens_nothing_unless_it_is_kept_for_a_while() {
    let master = master();
    let ring = [new_key(&master, 1), new_key(&master, 2)];
    let before = unlock(&master, &ring, 2).unwrap();
    let old = unlock(&master, &ring[..1], 1).unwrap().seal(&PLACE.context(), b"old").unwrap();
    let kept = before.renewed(&master, &ring[1..], key_id(2), |id| id == key_id(1)).unwrap();
    assert_eq!(opened(&kept, &PLACE, &old), Ok(b"old".to_vec()));
    let gone = kept.renewed(&master, &ring[1..], key_id(2), |_| false).unwrap();
    assert_eq!(opened(&gone, &PLACE, &old), Err(VaultError::UnknownKey(key_id(1))));
}

#[test]
fn known_keys_go_on_under_another_master_key_and_an_unknown_one_says_so() {
    let (old, new) = (master(), master());
    let first = new_key(&old, 1);
    let vault = unlock(&old, std::slice::from_ref(&first), 1).unwrap();
    let rewrapped = Vault::rewrap(&old, &new, &first, &SystemRandom).unwrap();
    let same = vault.renewed(&old, std::slice::from_ref(&rewrapped), key_id(1), |_| false);
    assert!(same.is_ok());
    let ring = [rewrapped, new_key(&new, 2)];
    let refused = vault.renewed(&old, &ring, key_id(2), |_| false);
    assert_eq!(refused.map(drop), Err(VaultError::WrongMasterKey));
    let missing = vault.renewed(&old, &ring[..1], key_id(2), |_| false);
    assert_eq!(missing.map(drop), Err(VaultError::CurrentKeyMissing(key_id(2))));
}

#[test]
fn what_is_sealed_again_opens_with_the_new_key_alone_and_is_sealed_again_once() {
    let master = master();
    let ring = [new_key(&master, 1), new_key(&master, 2)];
    let old = unlock(&master, &ring[..1], 1).unwrap().seal(&PLACE.context(), b"secret").unwrap();
    let both = unlock(&master, &ring, 2).unwrap();
    let new = both.reseal(&PLACE.context(), &old).unwrap().unwrap();
    assert_eq!(both.reseal(&PLACE.context(), &new), Ok(None));
    let alone = unlock(&master, &ring[1..], 2).unwrap();
    assert_eq!(opened(&alone, &PLACE, &new), Ok(b"secret".to_vec()));
    assert_eq!(opened(&alone, &PLACE, &old), Err(VaultError::UnknownKey(key_id(1))));
    let elsewhere = Place::SigningKey(2);
    assert_eq!(both.reseal(&elsewhere.context(), &old), Err(VaultError::Refused));
}

#[test]
fn a_fingerprint_key_that_is_kept_outlives_the_data_key_it_came_from() {
    let master = master();
    let ring = [new_key(&master, 1), new_key(&master, 2)];
    let first = unlock(&master, &ring[..1], 1).unwrap();
    let print = first.fingerprint("login", b"ada");
    let kept = first.seal_fingerprint_key().unwrap();
    let both = unlock(&master, &ring, 2).unwrap();
    let kept = both.reseal(&Vault::fingerprint_context(), &kept).unwrap().unwrap();
    let mut second = unlock(&master, &ring[1..], 2).unwrap();
    assert_ne!(second.fingerprint("login", b"ada"), print);
    second.adopt_fingerprint_key(&kept).unwrap();
    assert_eq!(second.fingerprint("login", b"ada"), print);
    let other = second.seal(&Vault::fingerprint_context(), b"short").unwrap();
    assert_eq!(second.adopt_fingerprint_key(&other), Err(VaultError::Unreadable));
}
