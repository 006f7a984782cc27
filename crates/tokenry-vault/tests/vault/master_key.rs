//! Reading and writing the master key.

use super::*;

/// 32 bytes of `fb`, which need the letters in which the two alphabets differ.
const STANDARD: &str = "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=";

fn read(text: &str) -> Result<String, VaultError> {
    MasterKey::from_base64(&text.into()).map(|key| key.to_base64().expose_secret().to_owned())
}

#[test]
fn a_master_key_is_read_in_either_alphabet_with_or_without_padding() {
    let url_safe = STANDARD.replace('+', "-").replace('/', "_");
    for text in [STANDARD, &url_safe] {
        let bare = text.trim_end_matches('=');
        for text in [text.to_owned(), bare.to_owned(), format!("{text}\n"), format!(" \t\r\n{bare}\r\n ")] {
            assert_eq!(read(&text).as_deref(), Ok(STANDARD), "{text:?}");
        }
    }
}

#[test]
fn anything_but_32_bytes_of_base64_is_no_master_key() {
    let inside = format!("{} {}", &STANDARD[..20], &STANDARD[20..]);
    let mixed = STANDARD.replacen('+', "-", 1);
    let unclean = STANDARD.replace("s=", "t=");
    let cases = [
        ("empty", ""),
        ("white space", " \n"),
        ("one byte", "+w=="),
        ("31 bytes", "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+w=="),
        ("33 bytes", "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7"),
        ("64 bytes", &"+/v7+/v7".repeat(11)[..86]),
        ("300 bytes", &"+/v7".repeat(100)),
        ("32 letters", "correct horse battery staple 123"),
        ("64 hexadecimal digits", &"fb".repeat(32)),
        ("a space inside", &inside),
        ("two alphabets", &mixed),
        ("bits that say nothing", &unclean),
        ("padding twice", &format!("{STANDARD}=")),
        ("a letter of no alphabet", &STANDARD.replacen('v', "!", 1)),
        ("letters beyond ASCII", &STANDARD.replacen('v', "ü", 1)),
    ];
    for (what, text) in cases {
        assert_eq!(read(text), Err(VaultError::NotAMasterKey), "{what}");
    }
    assert!(VaultError::NotAMasterKey.to_string().contains("`tokenry key generate`"));
}

#[test]
fn a_written_master_key_opens_what_it_sealed() {
    let master = master();
    let ring = [new_key(&master, 1)];
    let read_back = MasterKey::from_base64(&master.to_base64()).unwrap();
    assert!(unlock(&read_back, &ring, 1).is_ok());
    assert_eq!(master.to_base64().expose_secret().len(), 44);
}

#[test]
fn no_two_generated_master_keys_are_alike() {
    assert_ne!(master().to_base64().expose_secret(), master().to_base64().expose_secret());
}
