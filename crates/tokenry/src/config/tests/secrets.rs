//! Secrets: from files, never in two places, and never shown.

use secrecy::{ExposeSecret, SecretString};
use tokenry_model::ProviderId;

use super::super::{MasterKeySource, Origin, Overrides, read_secret_file};
use super::{Place, only, problem_of_file, problem_of_variable, set_mode};

const SENTINEL: &str = "sentinel-5f1c";

#[test]
fn every_secret_has_a_file_twin_in_variables() {
    let place = Place::new();
    let token = place.write("token", "of-file\n");
    let url = place.write("url", "sqlite://of-file.db\n");
    let key = place.write("key", "key-of-file\n");
    let config = place
        .load(&[
            ("TOKENRY_METRICS_TOKEN_FILE", &token),
            ("TOKENRY_DATABASE_URL_FILE", &url),
            ("TOKENRY_MASTER_KEY_FILE", &key),
            ("TOKENRY_PROVIDERS__ACME__CLIENT_SECRET_FILE", &token),
        ])
        .unwrap();
    assert_eq!(config.metrics_token.as_ref().map(ExposeSecret::expose_secret), Some("of-file"));
    assert_eq!(config.database_url.expose_secret(), "sqlite://of-file.db");
    let acme = &config.providers[&ProviderId::parse("acme").unwrap()];
    assert_eq!(acme.client_secret.as_ref().map(ExposeSecret::expose_secret), Some("of-file"));
    let MasterKeySource::File(path) = &config.master_key else { panic!("{:?}", config.master_key) };
    assert_eq!(read_secret_file(path).unwrap().expose_secret(), "key-of-file");
    assert_eq!(config.origin("metrics_token"), &Origin::Variable("TOKENRY_METRICS_TOKEN_FILE".to_owned()));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn every_secret_has_a_file_twin_in_the_file() {
    let place = Place::new();
    let path = place.write("secret", "sqlite://of-file.db");
    place.write(
        "tokenry.toml",
        &format!(
            "metrics_token_file = '{path}'\ndatabase_url_file = '{path}'\nmaster_key_file = '{path}'\n\
             [providers.acme]\nclient_secret_file = '{path}'"
        ),
    );
    let config = place.load(&[]).unwrap();
    assert_eq!(config.metrics_token.as_ref().map(ExposeSecret::expose_secret), Some("sqlite://of-file.db"));
    assert_eq!(config.database_url.expose_secret(), "sqlite://of-file.db");
    assert!(
        matches!(&config.master_key, MasterKeySource::File(file) if file.to_str() == Some(path.as_str()))
    );
    assert!(config.providers[&ProviderId::parse("acme").unwrap()].client_secret.is_some());
}

#[test]
fn a_secret_and_its_file_in_one_layer_are_refused() {
    let place = Place::new();
    let path = place.write("secret", "x");
    for key in ["METRICS_TOKEN", "DATABASE_URL", "MASTER_KEY", "PROVIDERS__ACME__CLIENT_SECRET"] {
        let (value, file) = (format!("TOKENRY_{key}"), format!("TOKENRY_{key}_FILE"));
        assert_eq!(
            only(place.problems(&[(&value, "x://sentinel"), (&file, &path)])),
            format!("{value} and {file} set the same thing; keep one of them")
        );
    }
    assert_eq!(
        problem_of_file("[providers.acme]\nclient_secret = 'x'\nclient_secret_file = 'y'"),
        "`providers.acme.client_secret` in tokenry.toml and `providers.acme.client_secret_file` in tokenry.toml set the same thing; keep one of them"
    );
}

#[test]
fn a_higher_layer_covers_a_secret_in_either_form() {
    let place = Place::new();
    let path = place.write("secret", "of-variable");
    place.write("tokenry.toml", "metrics_token = 'of-file'\nmaster_key_file = '/nowhere'");
    let config =
        place.load(&[("TOKENRY_METRICS_TOKEN_FILE", &path), ("TOKENRY_MASTER_KEY", "of-variable")]).unwrap();
    assert_eq!(config.metrics_token.as_ref().map(ExposeSecret::expose_secret), Some("of-variable"));
    assert!(
        matches!(&config.master_key, MasterKeySource::Value(key) if key.expose_secret() == "of-variable")
    );
}

#[test]
fn the_master_key_itself_has_no_place_in_the_file() {
    assert_eq!(
        problem_of_file(&format!("master_key = '{SENTINEL}'")),
        "`master_key` in tokenry.toml is refused, because this file is too easily shared; put it in a file of its own that `master_key_file` names, or in TOKENRY_MASTER_KEY"
    );
}

#[test]
fn a_secret_in_place_of_a_path_is_not_repeated() {
    for key in ["METRICS_TOKEN", "DATABASE_URL", "MASTER_KEY", "PROVIDERS__ACME__CLIENT_SECRET"] {
        let name = format!("TOKENRY_{key}_FILE");
        let problem = problem_of_variable(&name, SENTINEL);
        assert!(
            problem.starts_with(&format!(
                "{name} must name a file that holds the secret: the one it names cannot be read ("
            )),
            "{problem}"
        );
        assert!(!problem.contains(SENTINEL), "{problem}");
    }
}

#[test]
fn a_file_without_a_usable_secret_is_refused_and_not_repeated() {
    let place = Place::new();
    let blank = place.write("blank", " \n");
    let odd = place.write("odd", &format!("{SENTINEL} with spaces"));
    for key in ["METRICS_TOKEN", "DATABASE_URL", "MASTER_KEY", "PROVIDERS__ACME__CLIENT_SECRET"] {
        let name = format!("TOKENRY_{key}_FILE");
        let problem = only(place.problems(&[(&name, &blank)]));
        assert_eq!(
            problem,
            format!("{name} must name a file that holds the secret: the one it names is blank")
        );
    }
    for (key, allowed) in [
        ("METRICS_TOKEN", "a text in printable ASCII without white space"),
        (
            "DATABASE_URL",
            "a URL such as sqlite://data/tokenry.db or postgres://user:password@host/database?sslmode=verify-full",
        ),
    ] {
        let name = format!("TOKENRY_{key}_FILE");
        let problem = only(place.problems(&[(&name, &odd)]));
        assert_eq!(
            problem,
            format!("{name} must name a file that holds the secret: the one it names must hold {allowed}")
        );
    }
}

#[test]
fn a_secret_that_everybody_may_read_is_a_warning() {
    let place = Place::with_config("metrics_token = 'x'\n[providers.acme]\nissuer = 'https://id.example'");
    let key = place.write("key", "k");
    let load = || place.load(&[("TOKENRY_MASTER_KEY_FILE", &key)]).unwrap().warnings;
    assert_eq!(load(), Vec::<String>::new());

    set_mode(key.as_ref(), 0o640);
    assert_eq!(load(), Vec::<String>::new());
    set_mode(key.as_ref(), 0o644);
    set_mode(&place.0.path().join("tokenry.toml"), 0o604);
    let warnings = load();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("tokenry.toml holds a secret") && warnings[0].contains("mode 0604"));
    assert!(warnings[1].contains("that TOKENRY_MASTER_KEY_FILE names") && warnings[1].contains("mode 0644"));

    std::fs::write(place.0.path().join("tokenry.toml"), "signup = 'closed'").unwrap();
    assert_eq!(load().len(), 1, "a file without secrets may be read by everybody");
}

#[test]
fn no_secret_is_in_debug_summary_or_sources() {
    let place = Place::with_config(&format!(
        "[providers.two]\nclient_secret = '{SENTINEL}'\nissuer = 'https://id.example'"
    ));
    let flags = Overrides {
        database_url: Some(format!("postgres://u:{SENTINEL}@h/d").into()),
        ..Overrides::default()
    };
    let config = place
        .load_with(
            &flags,
            &[
                ("TOKENRY_MASTER_KEY", SENTINEL),
                ("TOKENRY_METRICS_TOKEN", SENTINEL),
                ("TOKENRY_PROVIDERS__ONE__CLIENT_SECRET", SENTINEL),
                ("TOKENRY_PUBLIC_URL", "http://t.example"),
            ],
        )
        .unwrap();
    let shown = format!("{config:?}\n{config:#?}\n{flags:?}\n{}\n{:?}", config.summary(), config.sources());
    assert!(!shown.contains(SENTINEL), "{shown}");
    let set = |key: &str| config.sources().iter().any(|s| s.key == key && s.value == "(set)");
    for key in [
        "database_url",
        "master_key",
        "metrics_token",
        "providers.one.client_secret",
        "providers.two.client_secret",
    ] {
        assert!(set(key), "{key}");
    }
}

#[test]
fn no_value_is_in_an_error() {
    let place = Place::with_config(&format!(
        "listen = '{SENTINEL}'\ntrusted_proxies = ['{SENTINEL}']\nsignup = ['{SENTINEL}']\n\
         [providers.acme]\nclient_secret = ['{SENTINEL}']\nclient_sekret = '{SENTINEL}'\npkce = '{SENTINEL}'"
    ));
    let flags = Overrides { log_format: Some(SENTINEL.to_owned()), ..Overrides::default() };
    let errors = place
        .load_with(
            &flags,
            &[
                ("TOKENRY_DATABASE_URL", &format!("{SENTINEL}:x")),
                ("TOKENRY_METRICS_TOKEN", &format!("{SENTINEL} {SENTINEL}")),
                ("TOKENRY_MASTER_KEY_FILE", SENTINEL),
                ("TOKENRY_PUBLIC_URL", &format!("https://u:{SENTINEL}@t.example")),
                ("TOKENRY_PROVIDERS__ACME__TOKEN_URL", &format!("https://u:{SENTINEL}@t.example")),
                ("TOKENRY_PROVIDERS__ACME__CLIENT_SECERT", SENTINEL),
            ],
        )
        .unwrap_err();
    assert_eq!(errors.problems().len(), 13, "{errors}");
    assert!(!format!("{errors} {errors:?}").contains(SENTINEL), "{errors}");
}

#[test]
fn a_secret_keeps_its_white_space_and_a_url_loses_it() {
    let config = Place::new()
        .load(&[("TOKENRY_PROVIDERS__A__CLIENT_SECRET", " s "), ("TOKENRY_DATABASE_URL", " sqlite://x.db ")])
        .unwrap();
    let secret: Option<&SecretString> = config.providers.values().next().unwrap().client_secret.as_ref();
    assert_eq!(secret.map(ExposeSecret::expose_secret), Some(" s "));
    assert_eq!(config.database_url.expose_secret(), "sqlite://x.db");
}
