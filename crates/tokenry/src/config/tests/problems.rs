//! Each thing that can be wrong, and the sentence that tells it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::super::{Config, Overrides};
use super::{Place, problem_of_file, problem_of_variable};

#[test]
fn an_unknown_variable_names_the_nearest_known_one() {
    for (name, known) in [
        ("TOKENRY_LISTN", "TOKENRY_LISTEN"),
        ("TOKENRY_listen", "TOKENRY_LISTEN"),
        ("TOKENRY_LOG_LEVEL", "TOKENRY_LOG__LEVEL"),
        ("TOKENRY_LOG.LEVEL", "TOKENRY_LOG__LEVEL"),
        ("TOKENRY_LEVEL", "TOKENRY_LOG__LEVEL"),
        ("TOKENRY_MASTERKEY_FILE", "TOKENRY_MASTER_KEY_FILE"),
        ("TOKENRY_CONFG", "TOKENRY_CONFIG"),
        ("TOKENRY_PROVIDERS__ACME__CLIENTID", "TOKENRY_PROVIDERS__ACME__CLIENT_ID"),
        ("TOKENRY_PROVIDERS__ACME__CLIENT_SECRETFILE", "TOKENRY_PROVIDERS__ACME__CLIENT_SECRET_FILE"),
        ("TOKENRY_PROVIDERS__ACME_CLIENT_SECRET_FILE", "TOKENRY_PROVIDERS__ACME__CLIENT_SECRET_FILE"),
        ("TOKENRY_SPOTIFY_CLIENT_ID", "TOKENRY_PROVIDERS__SPOTIFY__CLIENT_ID"),
    ] {
        assert_eq!(problem_of_variable(name, "x"), format!("unknown variable {name}; did you mean {known}?"));
    }
    assert_eq!(
        problem_of_variable("TOKENRY_FAVOURITE_COLOUR", "x"),
        "unknown variable TOKENRY_FAVOURITE_COLOUR; remove it, or find the right name in the output of `tokenry config example`"
    );
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    for (text, key, known) in [
        ("lisen = 'x'", "lisen", "listen"),
        ("public-url = 'x'", "public-url", "public_url"),
        ("level = 'x'", "level", "log.level"),
        ("[logs]\nlevel = 'x'", "logs", "log"),
        ("[provider.acme]\nname = 'x'", "provider", "providers"),
        ("[log]\nlvel = 'x'", "log.lvel", "log.level"),
        ("[providers.acme]\nclientId = 'x'", "providers.acme.clientId", "providers.acme.client_id"),
        ("[providers.acme]\nlog.level = 'x'", "providers.acme.log", ""),
        ("favourite_colour = 'x'", "favourite_colour", ""),
    ] {
        let problem = problem_of_file(text);
        let advice = if known.is_empty() {
            "remove it, or find the right name in the output of `tokenry config example`".to_owned()
        } else {
            format!("did you mean `{known}`?")
        };
        assert_eq!(problem, format!("unknown key `{key}` in tokenry.toml; {advice}"));
    }
}

#[test]
fn a_wrong_value_says_where_it_stands_and_what_is_allowed() {
    let listen = "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    assert_eq!(problem_of_variable("TOKENRY_LISTEN", "localhost"), format!("TOKENRY_LISTEN {listen}"));
    assert_eq!(problem_of_file("listen = ':80'"), format!("`listen` in tokenry.toml {listen}"));
    let flags = Overrides { listen: Some(String::new()), ..Overrides::default() };
    let error = Place::new().load_with(&flags, &[]).unwrap_err().to_string();
    assert_eq!(error, format!("the configuration is refused: --listen {listen}"));

    assert_eq!(
        problem_of_variable("TOKENRY_TRUSTED_PROXIES", "10.0.0.0/8, proxy"),
        "TOKENRY_TRUSTED_PROXIES must be a list of IP addresses and ranges, such as 127.0.0.1 or 10.0.0.0/8; entry 2 does not fit"
    );
    assert_eq!(
        problem_of_variable("TOKENRY_EMBED_ORIGINS", "https://a.example http://b.example"),
        "TOKENRY_EMBED_ORIGINS must be a list of https origins (http only on this machine) without path and wildcard, such as https://app.example.org; entry 2 does not fit"
    );
    assert_eq!(
        problem_of_file("[providers.acme]\ntoken_auth = 'post'"),
        "`providers.acme.token_auth` in tokenry.toml must be \"basic\", \"body\", \"none\", \"secret_as_basic_user\", \"private_key_jwt\" or \"signed_secret\""
    );
}

#[test]
fn every_key_refuses_nonsense() {
    for (key, value) in [
        ("PUBLIC_URL", "t.example"),
        ("PUBLIC_URL", "https://t.example/?a"),
        ("DATA_DIR", "a?b"),
        ("DATABASE_URL", "my.db"),
        ("MASTER_KEY", " \t"),
        ("SIGNUP", "maybe"),
        ("SESSION_TTL", "30s"),
        ("SESSION_TTL", "366d"),
        ("METRICS_TOKEN", "two words"),
        ("RETURN_TO", "http://app.example/done"),
        ("RETURN_TO", "https://app.example/done?x"),
        ("EMBED_ORIGINS", "https://*.example.org"),
        ("EMBED_ORIGINS", "https://app.example/path"),
        ("LOG__FORMAT", "xml"),
        ("LOG__LEVEL", "loud"),
        ("OUTBOUND__ALLOW_PRIVATE", "yes"),
        ("OUTBOUND__TIMEOUT", "6m"),
        ("PROVIDERS__A__CLIENT_ID", " "),
        ("PROVIDERS__A__CLIENT_SECRET", "\n"),
        ("PROVIDERS__A__SCOPES", "a\"b"),
        ("PROVIDERS__A__NAME", "two\nlines"),
        ("PROVIDERS__A__ISSUER", "https://id.example?x"),
        ("PROVIDERS__A__AUTHORIZE_URL", "ftp://id.example"),
        ("PROVIDERS__A__TOKEN_URL", "https://u:p@id.example"),
        ("PROVIDERS__A__REVOKE_URL", "https://id.example/#x"),
        ("PROVIDERS__A__USERINFO_URL", "/userinfo"),
        ("PROVIDERS__A__TOKEN_AUTH", "Basic"),
        ("PROVIDERS__A__SCOPE_SEPARATOR", "and"),
        ("PROVIDERS__A__PKCE", "on"),
        ("PROVIDERS__A__ACCOUNT_ID", "\t"),
        ("PROVIDERS__A__ACCOUNT_LABEL", "\u{1b}[2J"),
    ] {
        let name = format!("TOKENRY_{key}");
        let problem = problem_of_variable(&name, value);
        assert!(problem.starts_with(&format!("{name} must be ")), "{problem}");
        assert!(value.trim().is_empty() || !problem.contains(value), "{problem}");
    }
}

#[test]
fn a_wrong_type_names_the_one_that_is_needed() {
    for (text, start) in [
        ("listen = 8080", "`listen` in tokenry.toml has the type integer and must be string: an IP address"),
        (
            "session_ttl = 86400",
            "`session_ttl` in tokenry.toml has the type integer and must be string: a whole number",
        ),
        ("[listen]\nport = 1", "`listen` in tokenry.toml has the type table and must be string: "),
        (
            "trusted_proxies = [1]",
            "`trusted_proxies` in tokenry.toml has the type array of other things and must be array of strings: ",
        ),
        (
            "trusted_proxies = 1.5",
            "`trusted_proxies` in tokenry.toml has the type float and must be array of strings: ",
        ),
        ("log = 'json'", "`log` in tokenry.toml has the type string and must be table: [log]"),
        ("[[log]]", "`log` in tokenry.toml has the type array and must be table: [log]"),
        (
            "providers = 1",
            "`providers` in tokenry.toml has the type integer and must be table: [providers.<id>]",
        ),
        (
            "[providers]\nclient-id = 'x'",
            "`providers.client-id` in tokenry.toml has the type string and must be table: [providers.client-id]",
        ),
        (
            "[outbound]\nallow_private = 'true'",
            "`outbound.allow_private` in tokenry.toml has the type string and must be boolean: true or false",
        ),
        (
            "[providers.a]\nclient_secret = 1979-05-27",
            "`providers.a.client_secret` in tokenry.toml has the type datetime and must be string: ",
        ),
        (
            "master_key_file = true",
            "`master_key_file` in tokenry.toml has the type boolean and must be string: the path of a file",
        ),
    ] {
        let problem = problem_of_file(text);
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let place = Place::with_config("lisen = 'x'\nsignup = 'maybe'\n[providers.acme]\npkce = 'on'");
    let env = [
        ("TOKENRY_SIGNUPS", "open"),
        ("TOKENRY_SESSION_TTL", "1y"),
        ("TOKENRY_PROVIDERS__ACME__ISSUER", "id"),
    ];
    let problems = place.problems(&env);
    let starts = [
        "unknown key `lisen`",
        "unknown variable TOKENRY_SIGNUPS",
        "`signup` in tokenry.toml",
        "TOKENRY_SESSION_TTL",
        "TOKENRY_PROVIDERS__ACME__ISSUER",
        "`providers.acme.pkce` in tokenry.toml",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
    let text = place.load(&env).unwrap_err().to_string();
    assert!(text.starts_with("the configuration is refused, for 6 reasons:\n  - unknown key"), "{text}");
    assert_eq!(text.lines().count(), 7);
}

#[test]
fn a_word_that_is_no_provider_id_is_refused() {
    for (place, start) in [
        (
            problem_of_file("[providers.GitHub]"),
            "`providers.GitHub` in tokenry.toml names no provider; a provider id is 1 to 64",
        ),
        (
            problem_of_file("[providers.\"a\\nb\"]"),
            "`providers.a\u{fffd}b` in tokenry.toml names no provider",
        ),
        (
            problem_of_variable("TOKENRY_PROVIDERS____CLIENT_ID", "x"),
            "TOKENRY_PROVIDERS____CLIENT_ID names no provider",
        ),
    ] {
        assert!(place.starts_with(start), "{place}");
    }
}

#[test]
fn one_provider_in_two_spellings_is_not_left_to_chance() {
    let env = [("TOKENRY_PROVIDERS__ACME__NAME", "A"), ("TOKENRY_PROVIDERS__acme__NAME", "B")];
    assert_eq!(
        Place::new().problems(&env),
        [
            "TOKENRY_PROVIDERS__ACME__NAME and TOKENRY_PROVIDERS__acme__NAME set the same thing; keep one of them"
        ]
    );
}

#[test]
fn a_file_that_is_named_must_be_there_and_be_readable() {
    let place = Place::new();
    let here = place.0.path().to_str().unwrap().to_owned();
    for path in [format!("{here}/nowhere.toml"), here.clone()] {
        let error = place.load(&[("TOKENRY_CONFIG", &path)]).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "the configuration is refused: the configuration file {path} cannot be read ("
            )),
            "{error}"
        );
        let flags = Overrides { config: Some(path.into()), ..Overrides::default() };
        assert!(place.load_with(&flags, &[]).is_err());
    }
    std::fs::write(place.0.path().join("tokenry.toml"), b"name = '\xff'").unwrap();
    assert!(
        place
            .load(&[])
            .unwrap_err()
            .to_string()
            .contains("cannot be read (stream did not contain valid UTF-8)")
    );
}

#[test]
fn hostile_toml_is_refused_with_its_place_and_without_its_text() {
    for (text, place) in [
        ("listen = '127.0.0.1:1'\nlisten = '127.0.0.1:2'", "line 2, column 1 (duplicate key)"),
        ("[log]\nlevel='info'\n[log]\nlevel='info'", "line 3, column 2 (duplicate key)"),
        ("[providers.a]\nclient_secret = 'sentinel", "line 2, column 26"),
        ("[providers.a]\nclient_secret = sentinel", "line 2, column 17"),
        ("metrics_token = \"sentinel\\q\"", "line 1"),
        ("ä = 'ö' sentinel", "line 1, column 9"),
        ("sentinel", "line 1"),
        ("\0", "line 1"),
    ] {
        let problem = problem_of_file(text);
        assert!(problem.starts_with(&format!("tokenry.toml is not valid TOML at {place}")), "{problem}");
        assert!(problem.ends_with("correct that line") && !problem.contains("sentinel"), "{problem}");
    }
    let deep = format!("listen = {}", "[".repeat(100_000));
    assert!(problem_of_file(&deep).contains("is not valid TOML"));
    let long = "x".repeat(1_000_000);
    assert!(problem_of_file(&format!("{long} = 1")).len() < 300);
    assert!(problem_of_variable(&format!("TOKENRY_{long}"), "x").len() < 300);
}

#[test]
fn a_variable_that_is_not_text_is_told_by_its_name() {
    let value = OsString::from_vec(b"sentinel\xff".to_vec());
    let env = [(OsString::from("TOKENRY_DATA_DIR"), value.clone()), (OsString::from("OTHER"), value)];
    let place = Place::new();
    let error = Config::load_in(place.0.path(), &Overrides::default(), env).unwrap_err().to_string();
    assert_eq!(error, "the configuration is refused: TOKENRY_DATA_DIR is not valid UTF-8; write it in UTF-8");
}
