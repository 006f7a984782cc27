//! The example is made from the table of keys; here it is held against what it promises.

use tokenry_oauth::Catalogue;

use super::super::keys::{KEYS, Kind, PROVIDER_KEYS, variable};
use super::super::{Config, Origin, example};
use super::Place;

/// The example with all its settings in force, without those that `leave` names.
fn uncommented(leave: impl Fn(&str) -> bool) -> String {
    let settings = |line: &str| {
        let setting = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c != ' '));
        match setting {
            Some(rest) if leave(rest.split(' ').next().unwrap_or_default()) => String::new(),
            Some(rest) => rest.to_owned(),
            None => line.to_owned(),
        }
    };
    example().lines().map(settings).collect::<Vec<_>>().join("\n")
}

fn is_twin(name: &str) -> bool {
    name.ends_with("_file")
}

/// The keys that came from the file.
fn keys_of(config: &Config) -> Vec<String> {
    config
        .sources()
        .into_iter()
        .filter(|setting| matches!(setting.origin, Origin::File { .. }))
        .map(|setting| setting.key)
        .collect()
}

fn all_keys() -> impl Iterator<Item = String> {
    let own = KEYS.iter().map(|key| key.name.to_owned());
    own.chain(PROVIDER_KEYS.iter().map(|key| format!("providers.acme.{}", key.name)))
}

#[test]
fn as_it_is_the_example_changes_nothing() {
    let config = Place::with_config(&example()).load(&[]).unwrap();
    assert_eq!(keys_of(&config), Vec::<String>::new());
    assert!(config.providers.is_empty());
}

#[test]
fn uncommented_the_example_sets_every_key_and_the_defaults_stay() {
    let place = Place::with_config(&uncommented(is_twin));
    let config = place.load(&[]).unwrap();
    let wanted: Vec<String> = all_keys().filter(|key| key != "master_key").collect();
    assert_eq!(keys_of(&config), wanted);

    let defaults = Config::default();
    // The one that says where the master key is not is a place for it of its own.
    for key in KEYS.iter().filter(|key| key.name != "master_key") {
        if let Some(default) = (key.show)(&defaults) {
            assert_eq!((key.show)(&config), Some(default), "{}", key.name);
        }
    }
    let mut providers = config.providers;
    for acme in providers.values_mut() {
        // The catalogue reads the key, and knows no setting of a provider that has no file.
        acme.private_key = None;
        assert_eq!(std::mem::take(&mut acme.settings).len(), 1);
    }
    assert!(Catalogue::load(&providers).unwrap().find("acme").unwrap().is_custom());
}

#[test]
fn the_example_names_the_file_of_every_secret() {
    let place = Place::new();
    let secret = place.write("secret", "sqlite://x.db");
    let secrets: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.is_secret())
        .map(|key| key.name)
        .chain(PROVIDER_KEYS.iter().filter(|key| key.is_secret()).map(|key| key.name))
        .collect();
    let text: Vec<String> = uncommented(|name| secrets.contains(&name))
        .lines()
        .filter(|line| !line.starts_with("master_key_command"))
        .map(|line| match line.split_once(" = \"/run/secrets/") {
            Some((name, _)) => format!("{name} = '{secret}'"),
            None => line.to_owned(),
        })
        .collect();
    place.write("tokenry.toml", &text.join("\n"));
    let config = place.load(&[]).unwrap();
    let wanted: Vec<_> = all_keys().filter(|key| key != "master_key_command").collect();
    assert_eq!(keys_of(&config), wanted);
    assert!(matches!(config.origin("master_key"), Origin::File { key, .. } if key == "master_key_file"));
}

#[test]
fn every_variable_the_example_names_is_known_and_every_known_one_is_named() {
    let text = example();
    for key in all_keys() {
        let name = variable(&key);
        assert!(text.contains(&format!("# Variable: {name}")), "{name}");
        let value = if key.ends_with("scope_separator") { " " } else { "\u{1}" };
        let result = Place::new().load(&[(&name, value)]);
        let told = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!told.contains("unknown variable"), "{told}");
    }
}

#[test]
fn names_in_the_table_are_unique_and_no_key_looks_like_a_twin() {
    for names in [
        KEYS.iter().map(|key| key.name).collect::<Vec<_>>(),
        PROVIDER_KEYS.iter().map(|key| key.name).collect::<Vec<_>>(),
    ] {
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
        for name in names {
            assert!(!is_twin(name), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.'), "{name}");
            assert!(!name.contains("__"), "{name} could not be told from a table in a variable");
        }
    }
    let apart: Vec<_> = KEYS.iter().filter(|key| matches!(key.kind, Kind::SecretApart(..))).collect();
    assert_eq!(apart.len(), 1, "the master key alone");
}
