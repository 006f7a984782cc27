//! Our own access tokens: what we did not sign is none.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenry_broker::fuzz::Tokens;
use tokenry_model::{
    Email, EntropyError, ExposeSecret as _, Random, SecretSlice, Timestamp, User, UserId, Username,
};

use super::{choice, edited, two};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const TTL: Duration = Duration::from_mins(1);

/// Nothing random, so that a run can be repeated.
#[derive(Debug)]
pub(crate) struct Fixed;

impl Random for Fixed {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        dest.fill(7);
        Ok(())
    }
}

fn tokens(keys: &[u8]) -> Tokens {
    let keys: Vec<_> = keys.iter().map(|id| (i64::from(*id), SecretSlice::from(vec![*id; 32]))).collect();
    Tokens::new(&keys, TTL).unwrap()
}

/// Who reads, and what was issued: by an earlier key, and by the one in use.
static ISSUED: LazyLock<(Tokens, [String; 2])> = LazyLock::new(|| {
    let ada = User {
        id: UserId::new(7),
        username: Username::parse("ada").unwrap(),
        email: Email::parse("ada@example.org").unwrap(),
        session_epoch: 3,
        is_operator: false,
        created_at: NOW,
    };
    let issue = |keys: &[u8]| tokens(keys).issue(&ada, NOW, &Fixed).unwrap().expose_secret().to_owned();
    (tokens(&[1, 2]), [issue(&[1]), issue(&[1, 2])])
});

/// Any text; one of ours with some bytes changed; or header, claims and signature of somebody else's making.
pub fn run(data: &[u8]) {
    let (reader, issued) = &*ISSUED;
    let (what, rest) = choice(data);
    let token = match what % 4 {
        0 => rest.to_vec(),
        1 => edited(issued[0].as_bytes(), rest),
        2 => edited(issued[1].as_bytes(), rest),
        _ => {
            let (header, rest) = two(rest);
            let (claims, signature) = two(rest);
            [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".").into_bytes()
        }
    };
    let Ok(token) = String::from_utf8(token) else { return };
    let is_ours = issued.contains(&token);
    assert_eq!(reader.read(&token).as_deref(), is_ours.then_some("ada"), "{token}");
    assert_eq!(reader.verify(&token, NOW).as_deref(), is_ours.then_some("ada"), "{token}");
    assert_eq!(reader.verify(&token, NOW.plus(TTL)), None, "it lives for too long: {token}");
}
