//! Which layer counts, and what follows from what.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokenry_model::ProviderId;
use tokenry_oauth::{Catalogue, ClientAuth, ProviderSettings};

use super::super::{Config, LogFormat, MasterKeySource, Origin, Overrides, Signup};
use super::Place;

fn provider<'a>(config: &'a Config, id: &str) -> &'a ProviderSettings {
    &config.providers[&ProviderId::parse(id).unwrap()]
}

#[test]
fn without_any_configuration_everything_has_its_default() {
    let config = Place::new().load(&[]).unwrap();
    assert_eq!(config.file, None);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.public_url.as_str(), "http://localhost:8080/");
    assert_eq!(config.data_dir.to_str(), Some("data"));
    assert_eq!(config.database_url.expose_secret(), "sqlite://data/tokenry.db");
    assert!(
        matches!(&config.master_key, MasterKeySource::DataDir(p) if p.to_str() == Some("data/master.key"))
    );
    assert_eq!(config.signup, Signup::Open);
    assert_eq!(config.session_ttl, Duration::from_hours(24));
    assert!(config.trusted_proxies.is_empty() && config.metrics_token.is_none());
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Human, "info"));
    assert!(!config.outbound.allow_private);
    assert_eq!(config.outbound.timeout, Duration::from_secs(15));
    assert_eq!((config.limits.connections, config.limits.requests), (1000, 500));
    assert_eq!((config.quotas.connections, config.quotas.flows), (1000, 50));
    assert!(config.providers.is_empty() && config.warnings.is_empty());
    assert!(config.sources().iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn limits_come_from_the_file_and_from_variables() {
    let place = Place::with_config("[limits]\nrequests = 7\nconnections_per_user = 0");
    let env = [("TOKENRY_LIMITS__TCP_CONNECTIONS", " 9 "), ("TOKENRY_LIMITS__FLOWS_PER_USER", "3")];
    let config = place.load(&env).unwrap();
    assert_eq!((config.limits.connections, config.limits.requests), (9, 7));
    assert_eq!((config.quotas.connections, config.quotas.flows), (0, 3));
    assert!(config.warnings.is_empty());
    for wrong in
        ["requests = 0", "requests = '7'", "requests = -1", "tcp_connections = 9.5", "flows_per_user = -1"]
    {
        let place = Place::with_config(&format!("[limits]\n{wrong}"));
        assert!(place.load(&[]).is_err(), "{wrong}");
    }
    let tight = Place::with_config("[limits]\ntcp_connections = 7\nrequests = 7").load(&[]).unwrap();
    assert!(tight.warnings[0].contains("limits.requests (7)"), "{:?}", tight.warnings);
}

#[test]
fn flags_cover_variables_and_these_cover_the_file() {
    let place = Place::with_config(
        "listen = '127.0.0.1:1001'\ndata_dir = 'one'\n[log]\nformat = 'json'\nlevel = 'warn'",
    );
    let env = [("TOKENRY_LISTEN", "127.0.0.1:1002"), ("TOKENRY_DATA_DIR", "two")];
    let flags = Overrides { listen: Some("127.0.0.1:1003".to_owned()), ..Overrides::default() };

    let config = place.load_with(&flags, &env).unwrap();
    assert_eq!(config.listen.port(), 1003);
    assert_eq!(config.data_dir.to_str(), Some("two"));
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Json, "warn"));
    assert_eq!(config.origin("listen"), &Origin::Flag("--listen"));
    assert_eq!(config.origin("data_dir"), &Origin::Variable("TOKENRY_DATA_DIR".to_owned()));
    assert!(matches!(config.origin("log.format"), Origin::File { key, .. } if key == "log.format"));
    assert_eq!(config.origin("signup"), &Origin::Default);

    assert_eq!(place.load(&env).unwrap().listen.port(), 1002);
    assert_eq!(place.load(&[]).unwrap().listen.port(), 1001);
}

#[test]
fn every_flag_sets_its_key() {
    let flags = Overrides {
        config: None,
        listen: Some("[::1]:9000".to_owned()),
        public_url: Some("https://t.example/".to_owned()),
        data_dir: Some("d".to_owned()),
        database_url: Some(SecretString::from("sqlite://x.db")),
        log_format: Some("json".to_owned()),
    };
    let config = Place::new().load_with(&flags, &[]).unwrap();
    let from_flags: Vec<_> = config
        .sources()
        .into_iter()
        .filter(|setting| matches!(setting.origin, Origin::Flag(_)))
        .map(|setting| (setting.key, setting.value, setting.origin.to_string()))
        .collect();
    let row = |key: &str, value: &str, flag: &str| (key.to_owned(), value.to_owned(), flag.to_owned());
    assert_eq!(
        from_flags,
        [
            row("listen", "[::1]:9000", "--listen"),
            row("public_url", "https://t.example", "--public-url"),
            row("data_dir", "d", "--data-dir"),
            row("database_url", "(set)", "--database-url"),
            row("log.format", "json", "--log-format"),
        ]
    );
    assert_eq!(config.database_url.expose_secret(), "sqlite://x.db");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let place = Place::with_config("listen = '127.0.0.1:1001'");
    let config = place
        .load(&[
            ("TOKENRY_LISTEN", ""),
            ("TOKENRY_MASTER_KEY", ""),
            ("TOKENRY_CONFIG", ""),
            ("TOKENRY_NONSENSE", ""),
        ])
        .unwrap();
    assert_eq!(config.listen.port(), 1001);
    assert!(matches!(config.master_key, MasterKeySource::DataDir(_)));
}

#[test]
fn the_public_url_follows_the_port_until_somebody_sets_it() {
    let public_url =
        |file: &str, env: &[(&str, &str)]| Place::with_config(file).load(env).unwrap().public_url.to_string();
    assert_eq!(public_url("", &[("TOKENRY_LISTEN", "0.0.0.0:9000")]), "http://localhost:9000/");
    assert_eq!(public_url("listen = '[::]:80'", &[]), "http://localhost/");
    let env = [("TOKENRY_LISTEN", "0.0.0.0:9000"), ("TOKENRY_PUBLIC_URL", "https://t.example/x/")];
    assert_eq!(public_url("", &env), "https://t.example/x");
}

#[test]
fn the_database_and_the_key_follow_the_data_directory() {
    let config = Place::new().load(&[("TOKENRY_DATA_DIR", "/var/lib/tokenry")]).unwrap();
    assert_eq!(config.database_url.expose_secret(), "sqlite:///var/lib/tokenry/tokenry.db");
    assert!(
        matches!(&config.master_key, MasterKeySource::DataDir(p) if p.to_str() == Some("/var/lib/tokenry/master.key"))
    );
}

#[test]
fn the_file_is_the_one_of_the_flag_then_of_the_variable_then_the_usual_one() {
    let place = Place::with_config("listen = '127.0.0.1:1'");
    let of_env = place.write("env.toml", "listen = '127.0.0.1:2'");
    let of_flag = place.write("flag.toml", "listen = '127.0.0.1:3'");
    let env = [("TOKENRY_CONFIG", of_env.as_str())];
    let flags = Overrides { config: Some(of_flag.clone().into()), ..Overrides::default() };

    assert_eq!(place.load(&[]).unwrap().listen.port(), 1);
    assert_eq!(place.load(&env).unwrap().listen.port(), 2);
    let config = place.load_with(&flags, &env).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.file, Some(of_flag.into()));
}

#[test]
fn lists_and_flags_are_written_alike_in_file_and_variable() {
    let in_file = Place::with_config(
        "trusted_proxies = ['10.0.0.0/8', '::1']\nembed_origins = ['https://a.example', 'http://localhost:3000/']\n\
         return_to = ['https://a.example/done']\n[outbound]\nallow_private = true\ntimeout = '2m'",
    );
    let in_env = [
        ("TOKENRY_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("TOKENRY_EMBED_ORIGINS", "https://a.example http://localhost:3000"),
        ("TOKENRY_RETURN_TO", "https://a.example/done"),
        ("TOKENRY_OUTBOUND__ALLOW_PRIVATE", "true"),
        ("TOKENRY_OUTBOUND__TIMEOUT", "120s"),
    ];
    for config in [in_file.load(&[]).unwrap(), Place::new().load(&in_env).unwrap()] {
        let proxies: Vec<_> = config.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
        let origins: Vec<_> = config.embedding.origins.iter().map(ToString::to_string).collect();
        assert_eq!(origins, ["https://a.example", "http://localhost:3000"]);
        assert_eq!(config.embedding.return_to[0].to_string(), "https://a.example/done");
        assert!(config.outbound.allow_private);
        assert_eq!(config.outbound.timeout, Duration::from_mins(2));
    }
}

#[test]
fn providers_can_come_from_variables_alone() {
    let config = Place::new()
        .load(&[
            ("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_ID", "spotify-id"),
            ("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_SECRET", "spotify-secret"),
            ("TOKENRY_PROVIDERS__My_Acme__ISSUER", "https://id.example"),
            ("TOKENRY_PROVIDERS__my_acme__CLIENT_ID", "acme-id"),
            ("TOKENRY_PROVIDERS__MY_ACME__SCOPES", "openid,email profile"),
            ("TOKENRY_PROVIDERS__MY_ACME__TOKEN_AUTH", "none"),
            ("TOKENRY_PROVIDERS__MY_ACME__SCOPE_SEPARATOR", " "),
            ("TOKENRY_PROVIDERS__MY_ACME__PKCE", "TRUE"),
        ])
        .unwrap();
    let acme = provider(&config, "my-acme");
    assert_eq!(acme.client_id.as_deref(), Some("acme-id"));
    assert_eq!(acme.issuer.as_ref().map(ToString::to_string).as_deref(), Some("https://id.example"));
    assert_eq!(acme.scopes.as_ref().map(ToString::to_string).as_deref(), Some("openid email profile"));
    assert_eq!((acme.token_auth, acme.pkce), (Some(ClientAuth::None), Some(true)));
    assert_eq!(acme.scope_separator.as_deref(), Some(" "));
    let spotify = provider(&config, "spotify");
    assert_eq!(spotify.client_secret.as_ref().map(ExposeSecret::expose_secret), Some("spotify-secret"));

    let catalogue = Catalogue::load(&config.providers).unwrap();
    assert!(catalogue.find("my-acme").unwrap().is_custom());
    assert_eq!(catalogue.find("spotify").unwrap().client_id(), Some("spotify-id"));
}

#[test]
fn a_variable_covers_one_key_of_a_provider_and_leaves_the_others() {
    let place = Place::with_config(
        "[providers.acme]\nissuer = 'https://id.example'\nclient_id = 'of-file'\n[providers.spotify]",
    );
    let config = place.load(&[("TOKENRY_PROVIDERS__ACME__CLIENT_ID", "of-env")]).unwrap();
    let acme = provider(&config, "acme");
    assert_eq!(acme.client_id.as_deref(), Some("of-env"));
    assert!(acme.issuer.is_some());
    assert!(provider(&config, "spotify").client_id.is_none());
    assert_eq!(
        config.origin("providers.acme.client_id"),
        &Origin::Variable("TOKENRY_PROVIDERS__ACME__CLIENT_ID".to_owned())
    );
    assert!(matches!(config.origin("providers.acme.issuer"), Origin::File { .. }));
}

#[test]
fn variables_that_kubernetes_docker_and_the_tests_make_are_not_ours() {
    let config = Place::new().load(&[
        ("TOKENRY_SERVICE_HOST", "10.0.0.1"),
        ("TOKENRY_SERVICE_PORT", "80"),
        ("TOKENRY_SERVICE_PORT_HTTP", "80"),
        ("TOKENRY_PORT", "tcp://10.0.0.1:80"),
        ("TOKENRY_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("TOKENRY_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("TOKENRY_WEB_SERVICE_HOST", "10.0.0.1"),
        ("TOKENRY_WEB_PORT_80_TCP_PROTO", "tcp"),
        ("TOKENRY_TEST_NODE", "node"),
        ("PATH", "/bin"),
        ("MY_TOKENRY_LISTEN", "x"),
    ]);
    assert!(config.is_ok(), "{config:?}");
    assert!(Place::new().load(&[("TOKENRY_PORT", "80")]).is_err());
}

#[test]
fn what_works_and_should_be_looked_at_is_a_warning() {
    let proxied = ("TOKENRY_TRUSTED_PROXIES", "127.0.0.1");
    let warnings = |name, value| Place::new().load(&[proxied, (name, value)]).unwrap().warnings;
    for fine in [
        "http://localhost:1",
        "http://a.localhost",
        "http://127.1.2.3",
        "http://[::1]:1",
        "https://t.example",
    ] {
        assert_eq!(warnings("TOKENRY_PUBLIC_URL", fine), Vec::<String>::new(), "{fine}");
    }
    for plain in ["http://t.example", "http://10.0.0.1", "http://localhost.example"] {
        let warnings = warnings("TOKENRY_PUBLIC_URL", plain);
        assert!(warnings.len() == 1 && warnings[0].contains("TOKENRY_PUBLIC_URL"), "{plain} {warnings:?}");
    }
    let alone = |settings: &[(&str, &str)]| Place::new().load(settings).unwrap().warnings;
    assert!(alone(&[("TOKENRY_TRUSTED_PROXIES", "0.0.0.0/0")])[0].contains("every address"));
    // A proxy must stand before a server that listens here and is reached elsewhere.
    let behind = ("TOKENRY_PUBLIC_URL", "https://t.example");
    assert!(alone(&[behind])[0].contains("trusted_proxies does not name it"));
    assert!(alone(&[behind, ("TOKENRY_LISTEN", "0.0.0.0:8080")]).is_empty());
}

#[test]
fn the_summary_names_every_key_its_value_and_where_it_comes_from() {
    let place = Place::with_config("signup = 'closed'\n[providers.acme]\nissuer = 'https://id.example'");
    let config =
        place.load(&[("TOKENRY_LOG__LEVEL", "debug"), ("TOKENRY_PUBLIC_URL", "http://t.example")]).unwrap();
    let summary = config.summary().replace(&format!("{}/", place.0.path().display()), "");
    let rows: Vec<String> =
        summary.lines().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for row in [
        "listen 127.0.0.1:8080 default",
        "database_url sqlite://data/tokenry.db default",
        "master_key in the file data/master.key default",
        "signup closed tokenry.toml",
        "trusted_proxies (none) default",
        "embed_origins (none) default",
        "metrics_token (not set) default",
        "log.level debug TOKENRY_LOG__LEVEL",
        "providers.acme.issuer https://id.example tokenry.toml",
    ] {
        assert!(rows.iter().any(|r| r == row), "{row}\n{summary}");
    }
    assert!(rows.last().unwrap().starts_with("warning: public_url"));
}
