//! Sealing and opening.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const PLACE: Place = Place::SigningKey(1);

fn connection_field() -> impl Strategy<Value = ConnectionField> {
    prop_oneof![Just(ConnectionField::AccessToken), Just(ConnectionField::RefreshToken)]
}

fn flow_field() -> impl Strategy<Value = FlowField> {
    prop_oneof![Just(FlowField::Secrets), Just(FlowField::Grant)]
}

fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![
        (any::<i64>(), any::<i64>(), connection_field()).prop_map(|(u, c, f)| Place::Connection(u, c, f)),
        (any::<i64>(), any::<[u8; 32]>(), flow_field()).prop_map(|(u, s, f)| Place::Flow(
            u,
            StateHash::new(s),
            f
        )),
        any::<i64>().prop_map(Place::SigningKey),
        any::<String>().prop_map(Place::Installation),
        any::<String>().prop_map(Place::Client),
    ]
}

/// Places that are as alike as places can be.
fn alike_places() -> Vec<Place> {
    let mut places = Vec::new();
    for a in [1, 2] {
        for b in [1, 2] {
            for field in [ConnectionField::AccessToken, ConnectionField::RefreshToken] {
                places.push(Place::Connection(a, b, field));
            }
            for field in [FlowField::Secrets, FlowField::Grant] {
                places.push(Place::Flow(a, StateHash::new([b.try_into().unwrap(); 32]), field));
            }
        }
        places.push(Place::SigningKey(a));
    }
    let names = ["", "\0", "a", "aa", "signing_key", "\0\0\0\0\0\0\0\u{1}"];
    places.extend(names.map(|name| Place::Installation(name.to_owned())));
    places.extend(names.map(|name| Place::Client(name.to_owned())));
    places
}

proptest! {
    #[test]
    fn what_was_sealed_opens_in_its_place(
        place in any_place(),
        plain in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let vault = vault();
        let sealed = vault.seal(&place.context(), &plain).unwrap();
        prop_assert_eq!(sealed.as_bytes().len(), 1 + 4 + 12 + plain.len() + 16);
        prop_assert_eq!(Vault::key_of(&sealed), Ok(KeyId::FIRST));
        prop_assert_eq!(opened(&vault, &place, &sealed), Ok(plain));
    }

    #[test]
    fn text_comes_back_as_text(place in any_place(), text in any::<String>()) {
        let vault = vault();
        let sealed = vault.seal(&place.context(), text.as_bytes()).unwrap();
        let back = vault.open_text(&place.context(), &sealed).unwrap();
        prop_assert_eq!(back.expose_secret(), text.as_str());
    }

    #[test]
    fn two_seals_of_the_same_differ(place in any_place(), plain in prop::collection::vec(any::<u8>(), 0..100)) {
        let vault = vault();
        let [a, b] = [(); 2].map(|()| vault.seal(&place.context(), &plain).unwrap());
        prop_assert!(a != b);
        prop_assert_ne!(&a.as_bytes()[5..17], &b.as_bytes()[5..17], "the same nonce twice");
    }

    #[test]
    fn one_changed_bit_anywhere_does_not_open(
        place in any_place(),
        plain in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        let vault = vault();
        let sealed = vault.seal(&place.context(), &plain).unwrap();
        let bit = at.index(sealed.as_bytes().len() * 8);
        let changed = Sealed::new(with_bit_changed(sealed.as_bytes(), bit));
        prop_assert!(vault.open(&place.context(), &changed).is_err());
    }

    #[test]
    fn a_moved_value_does_not_open(here in any_place(), there in any_place()) {
        prop_assume!(here != there);
        let vault = vault();
        let sealed = vault.seal(&here.context(), b"secret").unwrap();
        prop_assert_eq!(opened(&vault, &there, &sealed), Err(VaultError::Refused));
    }

    #[test]
    fn bytes_that_nobody_sealed_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(vault().open(&PLACE.context(), &Sealed::new(bytes)).is_err());
    }
}

#[test]
fn each_place_opens_its_own_and_no_other() {
    let vault = vault();
    let places = alike_places();
    assert_eq!(places.len(), 30);
    for here in &places {
        let sealed = vault.seal(&here.context(), b"secret").unwrap();
        for there in &places {
            let expected = if here == there { Ok(b"secret".to_vec()) } else { Err(VaultError::Refused) };
            assert_eq!(opened(&vault, there, &sealed), expected, "sealed for {here:?}, opened as {there:?}");
        }
    }
}

#[test]
fn each_changed_bit_has_the_error_of_its_field() {
    let master = master();
    // Ids 1 and 3 are one bit apart, so one changed bit of the id hits a key that is there.
    let vault = unlock(&master, &[new_key(&master, 1), new_key(&master, 3)], 1).unwrap();
    let sealed = vault.seal(&PLACE.context(), b"secret").unwrap();
    for bit in 0..sealed.as_bytes().len() * 8 {
        let changed = Sealed::new(with_bit_changed(sealed.as_bytes(), bit));
        let id = changed.as_bytes()[1..5].try_into().map(u32::from_be_bytes).unwrap();
        let expected = match (bit / 8, id) {
            (0, _) | (1..5, 0) => VaultError::Unreadable,
            (1..5, id) if id != 3 => VaultError::UnknownKey(key_id(id)),
            _ => VaultError::Refused,
        };
        assert_eq!(opened(&vault, &PLACE, &changed), Err(expected), "bit {bit}");
    }
}

#[test]
fn bytes_cut_short_at_any_length_do_not_open() {
    let vault = vault();
    let sealed = vault.seal(&PLACE.context(), b"secret").unwrap();
    let whole = sealed.as_bytes();
    for length in 0..whole.len() {
        let cut = Sealed::new(whole[..length].to_vec());
        let headless = length < 1 + 4 + 12 + 16;
        let expected = if headless { VaultError::Unreadable } else { VaultError::Refused };
        assert_eq!(opened(&vault, &PLACE, &cut), Err(expected), "{length} bytes");
        assert_eq!(Vault::key_of(&cut).is_err(), headless, "{length} bytes");
    }
    let longer = Sealed::new([whole, &[0]].concat());
    assert_eq!(opened(&vault, &PLACE, &longer), Err(VaultError::Refused));
}

#[test]
fn an_empty_plaintext_is_sealed_like_any_other() {
    let vault = vault();
    let sealed = vault.seal(&PLACE.context(), b"").unwrap();
    assert_eq!(opened(&vault, &PLACE, &sealed), Ok(Vec::new()));
    assert_eq!(opened(&vault, &Place::SigningKey(2), &sealed), Err(VaultError::Refused));
}

#[test]
fn bytes_that_are_not_text_open_as_bytes_only() {
    let vault = vault();
    let sealed = vault.seal(&PLACE.context(), b"ab\xff").unwrap();
    assert_eq!(opened(&vault, &PLACE, &sealed), Ok(b"ab\xff".to_vec()));
    assert_eq!(vault.open_text(&PLACE.context(), &sealed).map(drop), Err(VaultError::NotText));
}

#[test]
fn nothing_is_sealed_without_random_bytes() {
    let master = master();
    let ring = [new_key(&master, 1)];
    let dry = VaultError::Entropy(EntropyError);
    let vault = Vault::unlock(&master, &ring, KeyId::FIRST, Arc::new(Dry)).unwrap();
    assert_eq!(vault.seal(&PLACE.context(), b"secret"), Err(dry));
    assert_eq!(Vault::make_key(&master, KeyId::FIRST, &Dry), Err(dry));
    assert_eq!(Vault::rewrap(&master, &master, &ring[0], &Dry), Err(dry));
    assert_eq!(MasterKey::generate(&Dry).map(drop), Err(dry));
}

#[test]
fn a_vault_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let vault = vault();
    shared(&vault);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let sealed = vault.seal(&PLACE.context(), b"secret").unwrap();
                assert_eq!(opened(&vault, &PLACE, &sealed), Ok(b"secret".to_vec()));
            });
        }
    });
}
