//! The fuzz targets on their seeds, and on some thousand changes of them: that they go on compiling, and that what they hold
//! of each parser is so. `make fuzz` looks for longer, led by what the code does.
#![allow(clippy::unwrap_used, reason = "in a test a failed step is a failed test, also in its helpers")]

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "it is a crate of its own elsewhere"
)]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How many changes of seeds each target is tried on.
const CHANGES: u32 = 10_000;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn names_in(folder: &str, ending: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder);
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.strip_suffix(ending).unwrap().to_owned()).collect()
}

#[test]
fn every_target_has_its_program_and_its_seeds() {
    let known: BTreeSet<String> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(known.len(), targets::TARGETS.len());
    assert_eq!(names_in("fuzz_targets", ".rs"), known);
    assert_eq!(names_in("seeds", ""), known);
    for name in &known {
        assert!(seeds(name).len() >= 3, "{name}");
    }
}

/// Bytes that are printed as a text.
#[derive(Clone)]
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

#[test]
fn every_seed_and_thousands_of_changes_of_them_keep_what_the_targets_hold() {
    let mut broken = Vec::new();
    for (name, run) in targets::TARGETS {
        let seeds = seeds(name);
        for seed in &seeds {
            run(seed);
        }
        // The same changes each time.
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let config = Config { cases: CHANGES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let outcome = runner.run(&changed(&seeds).prop_map(Input), |Input(bytes)| {
            run(&bytes);
            Ok(())
        });
        broken.extend(outcome.err().map(|error| format!("{name}: {error}")));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// One of the seeds with a few pieces taken out, put in, or turned.
fn changed(seeds: &[Vec<u8>]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..6),
        prop::sample::select(vec![
            &b"\0"[..],
            b"\xff",
            b"\\u0000",
            b"\\ud800",
            b"null",
            b"9223372036854775808",
            b"-1",
            b"1e999",
            b"[[[[",
            b"{}",
            b"\"",
            b"%00",
            b"%FF",
            b"&",
            b"=",
            b"\n",
            b"\r\n",
            b"s3ntinel",
            b"\xe2\x80\xae",
            b"..",
            b"//",
            b"://",
            b"@",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    let change = (any::<prop::sample::Index>(), 0..5_usize, piece);
    (prop::sample::select(seeds.to_vec()), vec(change, 0..5)).prop_map(|(mut bytes, changes)| {
        for (at, gone, piece) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, piece);
        }
        bytes
    })
}
