//! What the fuzzer feeds: one function for each kind of foreign bytes. Each takes any bytes and panics when what came of
//! them is not as it must be. `cargo fuzz` runs them for as long as it is told, and a test of `tokenry-testkit` on their seeds
//! and some thousand changes of these, so that they go on compiling and being true.

pub mod account;
pub mod answers;
pub mod body;
pub mod callback;
pub mod config;
pub mod discovery;
pub mod envelope;
pub mod header;
pub mod id_token;
pub mod jwt;
pub mod provider_file;
pub mod spool;

/// A target by its name, and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets by their names, which are those of their files and of their folders of seeds.
pub const TARGETS: [Target; 12] = [
    ("account", account::run),
    ("answers", answers::run),
    ("body", body::run),
    ("callback", callback::run),
    ("config", config::run),
    ("discovery", discovery::run),
    ("envelope", envelope::run),
    ("header", header::run),
    ("id_token", id_token::run),
    ("jwt", jwt::run),
    ("provider_file", provider_file::run),
    ("spool", spool::run),
];

/// Stands for a secret: where it was put in, it must not come out again.
pub const SENTINEL: &str = "s3ntinel";

/// Takes the first byte as a choice.
pub fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// Parts the bytes at the first NUL.
pub fn two(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    (&data[..at], data.get(at + 1..).unwrap_or_default())
}

/// Changes bytes as others say: three of these are a place and what to turn there.
pub fn edited(bytes: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut edited = bytes.to_vec();
    for edit in edits.chunks_exact(3) {
        if let Some(byte) = edited.get_mut(usize::from(u16::from_be_bytes([edit[0], edit[1]]))) {
            *byte ^= edit[2];
        }
    }
    edited
}

/// That words are fit for a person and a log: short, and without control characters.
pub fn assert_fit_but_for_secrets(words: &str) {
    assert!(!words.is_empty() && words.chars().count() < 1000, "{words:?}");
    assert!(!words.chars().any(char::is_control), "{words:?}");
}

/// The same, and without the secret.
pub fn assert_fit(words: &str) {
    assert_fit_but_for_secrets(words);
    assert!(!words.contains(SENTINEL), "{words:?}");
}
