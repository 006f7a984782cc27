//! The data files, and what the operator's configuration makes of them.

use std::collections::BTreeMap;

use tokenry_model::{ProviderId, SecretString};
use tokenry_oauth::{
    Catalogue, CatalogueError, ClientAuth, Issuer, Kind, Provider, ProviderSettings, Readiness, RotationMode,
    ServiceClient,
};
use url::Url;

use crate::fake::{client, provider, scopes};

fn load(configured: &[(&str, ProviderSettings)]) -> Result<Catalogue, CatalogueError> {
    let configured = configured.iter().map(|(id, s)| (ProviderId::parse(id).unwrap(), s.clone()));
    Catalogue::load(&configured.collect::<BTreeMap<_, _>>())
}

fn own() -> ProviderSettings {
    ProviderSettings {
        authorize_url: Some(Url::parse("https://id.example/a").unwrap()),
        token_url: Some(Url::parse("https://id.example/t").unwrap()),
        ..client()
    }
}

#[test]
fn the_four_of_the_contract_are_there_under_id_and_alias_in_any_case() {
    let catalogue = load(&[]).unwrap();
    for (word, id) in [
        ("spotify", "spotify"),
        ("Google", "google"),
        ("git", "github"),
        ("GITHUB", "github"),
        ("discord", "discord"),
    ] {
        assert_eq!(catalogue.find(word).unwrap().id.as_str(), id);
    }
    assert!(catalogue.find("").is_none() && catalogue.find("gi").is_none());
    let ids: Vec<_> = catalogue.iter().map(|p| p.id.as_str()).collect();
    assert!(ids.is_sorted() && ids.len() >= 4, "{ids:?}");
}

#[test]
fn a_slip_of_the_keyboard_is_understood_and_noise_is_not() {
    let catalogue = load(&[]).unwrap();
    assert_eq!(catalogue.close_matches("spotfy")[0], "spotify");
    assert_eq!(catalogue.close_matches("Git Hub")[0], "github");
    assert_eq!(catalogue.close_matches("gti")[0], "github");
    assert!(catalogue.close_matches("zzzzzz").is_empty());
    assert!(catalogue.close_matches(&"x".repeat(1_000_000)).is_empty());
    assert!(catalogue.close_matches("").is_empty());
}

#[test]
fn without_credentials_a_provider_says_what_is_missing_and_where_to_get_it() {
    let catalogue = load(&[]).unwrap();
    for word in ["spotify", "google", "git", "discord", "microsoft", "notion", "xero"] {
        let Readiness::Missing { what, docs_url } = catalogue.find(word).unwrap().readiness() else {
            panic!("{word} is ready")
        };
        assert_eq!(what, ["client_id", "client_secret"]);
        assert!(docs_url.is_some_and(|url| url.scheme() == "https"));
    }
    assert!(catalogue.iter().all(|provider| provider.readiness() != Readiness::Ready));
    assert_eq!(provider("git", client()).readiness(), Readiness::Ready);
}

#[test]
fn a_public_client_needs_no_secret() {
    let id_only = ProviderSettings { client_id: Some("id".into()), ..ProviderSettings::default() };
    let missing = |settings: ProviderSettings| match provider("spotify", settings).readiness() {
        Readiness::Missing { what, .. } => what,
        _ => vec![],
    };
    assert!(missing(id_only.clone()).is_empty());
    assert!(missing(ProviderSettings { client_secret: Some("".into()), ..id_only.clone() }).is_empty());
    assert!(missing(ProviderSettings { token_auth: Some(ClientAuth::None), ..id_only.clone() }).is_empty());
    // Whoever says how the client authenticates, or that there is no PKCE, has to bring the secret.
    let insists = ProviderSettings { token_auth: Some(ClientAuth::Basic), ..id_only.clone() };
    assert_eq!(missing(insists), ["client_secret"]);
    assert_eq!(missing(ProviderSettings { pkce: Some(false), ..id_only }), ["client_secret"]);
}

#[test]
fn the_redirect_uri_keeps_the_path_and_tells_own_providers_apart() {
    let redirect =
        |provider: &Provider, public: &str| provider.redirect_uri(&Url::parse(public).unwrap()).to_string();
    let (google, spotify, own) =
        (provider("google", client()), provider("spotify", client()), provider("own", own()));
    for (provider, public, expected) in [
        (&google, "http://localhost:8080", "http://localhost:8080/callback"),
        (&google, "https://x.example/tokenry", "https://x.example/tokenry/callback"),
        (&google, "https://x.example/tokenry/", "https://x.example/tokenry/callback"),
        (&google, "https://x.example/?a=b#c", "https://x.example/callback"),
        (&own, "https://x.example/tokenry", "https://x.example/tokenry/callback/own"),
        (&spotify, "http://localhost:8080", "http://127.0.0.1:8080/callback"),
        (&spotify, "http://localhost.example:8080", "http://localhost.example:8080/callback"),
        (&spotify, "https://x.example", "https://x.example/callback"),
    ] {
        assert_eq!(redirect(provider, public), expected);
    }
    assert!(own.is_custom() && !google.is_custom());
}

#[test]
fn configuration_changes_only_what_it_names() {
    let settings = ProviderSettings {
        scopes: Some(scopes("gist")),
        token_url: Some(Url::parse("https://git.example/token").unwrap()),
        ..client()
    };
    let catalogue = load(&[("git", settings)]).unwrap();
    let github = catalogue.find("github").unwrap();
    assert_eq!((github.id.as_str(), github.name.as_str(), github.is_custom()), ("github", "GitHub", false));
    assert_eq!(github.default_scopes(), &scopes("gist"));
    assert_eq!(github.client_id(), Some("client:id"));
    assert!(github.revokes());
    assert!(catalogue.find("git").is_some());
    assert_eq!(catalogue.iter().filter(|p| p.id.as_str() == "github").count(), 1);
}

#[test]
fn a_new_endpoint_leaves_the_built_in_issuer_behind() {
    let google = |settings| provider("google", settings).issuer().map(ToString::to_string);
    assert_eq!(google(client()).as_deref(), Some("https://accounts.google.com"));
    assert_eq!(google(own()), None);
    let issuer = Some(Issuer::parse("https://id.example").unwrap());
    assert_eq!(google(ProviderSettings { issuer, ..own() }).as_deref(), Some("https://id.example"));
}

#[test]
fn a_wrong_configuration_is_refused_by_name() {
    let error = |configured: &[(&str, ProviderSettings)]| load(configured).unwrap_err().to_string();
    assert!(error(&[("own", client())]).contains("own is no built-in provider"));
    assert!(
        error(&[("own", ProviderSettings { token_url: None, ..own() })]).contains("(missing: token_url)")
    );
    assert!(
        error(&[("git", client()), ("github", client())]).contains("git and github are the same provider")
    );
    for url in ["ftp://id.example/", "https://u:p@id.example/", "https://id.example/#a", "data:text/plain,a"]
    {
        let settings = ProviderSettings { token_url: Some(Url::parse(url).unwrap()), ..own() };
        assert!(error(&[("own", settings)]).starts_with("own: token_url must be"), "{url}");
    }
    let by_issuer =
        ProviderSettings { issuer: Some(Issuer::parse("https://id.example").unwrap()), ..client() };
    assert!(load(&[("own", by_issuer)]).is_ok());
}

#[test]
fn the_facts_that_decide_what_happens_later_are_as_the_providers_say() {
    let catalogue = load(&[("git", client())]).unwrap();
    let find = |word| catalogue.find(word).unwrap();
    let facts = |word| (find(word).revokes(), find(word).revocation_is_shared(), find(word).rotation().mode);
    assert_eq!(facts("spotify"), (false, false, RotationMode::Optional));
    assert_eq!(facts("google"), (true, true, RotationMode::Keep));
    assert_eq!(facts("git"), (true, false, RotationMode::Always));
    assert_eq!(facts("discord"), (true, true, RotationMode::Always));
    assert_eq!(find("spotify").rotation().absolute_ttl_s, Some(180 * 86400));
    assert_eq!(find("discord").default_scopes(), &scopes("identify email"));
}

#[test]
fn settings_and_providers_do_not_print_their_secret() {
    let settings = ProviderSettings { client_secret: Some(SecretString::from("s3ntinel")), ..own() };
    let shown = format!("{settings:?} {:?}", provider("own", settings.clone()));
    assert!(!shown.contains("s3ntinel"), "{shown}");
}

/// Everything that an operator can configure for a client, with a fresh key of the curve P-256.
fn everything() -> ProviderSettings {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use base64::Engine as _;
    let random = aws_lc_rs::rand::SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let key = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    ProviderSettings {
        private_key: Some(key.into()),
        key_id: Some("k".into()),
        team_id: Some("t".into()),
        redirect_name: Some("n".into()),
        ..client()
    }
}

#[test]
fn every_service_is_connected_by_a_link_or_says_what_to_paste_or_to_fix() {
    let plain = load(&[]).unwrap();
    let everything = everything();
    let configured: Vec<_> = plain.iter().map(|p| (p.id.as_str(), everything.clone())).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for provider in load(&configured).unwrap().iter() {
        let way = match (provider.kind(), provider.readiness()) {
            (Kind::Oauth2 | Kind::Oauth1, Readiness::Ready) => "by a link",
            (Kind::Oauth2 | Kind::Oauth1, Readiness::NeedsSettings { names, .. }) => {
                assert!(names.iter().all(|name| provider.settings().contains_key(name)), "{}", provider.id);
                let examples = provider.settings().iter().map(|(name, s)| (name.clone(), s.example.clone()));
                let values = provider.check_settings(&examples.collect()).unwrap();
                let theirs = provider.for_connection(&values).unwrap();
                assert_eq!(theirs.readiness(), Readiness::Ready, "{}", provider.id);
                "by a link, with settings of the connection"
            }
            (Kind::Oauth2, Readiness::NotSupported { why, .. }) => {
                assert!(why.contains(&format!("providers.{}.settings.", provider.id)), "{why}");
                let examples = provider.settings().iter().map(|(name, s)| (name.clone(), s.example.clone()));
                let settings = ProviderSettings { settings: examples.collect(), ..everything.clone() };
                let fixed = load(&[(provider.id.as_str(), settings)]).unwrap();
                let fixed = fixed.find(provider.id.as_str()).unwrap().readiness();
                assert_eq!(fixed, Readiness::Ready, "{}", provider.id);
                "by a link, once the operator has fixed the host"
            }
            (Kind::ClientCredentials, Readiness::NotSupported { .. }) => "by an id and a secret of one's own",
            (Kind::ApiKey | Kind::Basic, Readiness::NotSupported { .. }) => "by a key, or user and password",
            (kind, other) => panic!("{} is {kind:?} and {other:?}", provider.id),
        };
        *counts.entry(way).or_insert(0) += 1;
    }
    eprintln!("{counts:#?}");
    assert!(counts["by a link"] >= 250, "{counts:?}");
    assert_eq!(counts.len(), 5);
}

#[test]
fn a_service_that_signs_or_knows_redirects_by_name_says_what_it_lacks() {
    let lacks = |word: &str| match provider(word, client()).readiness() {
        Readiness::Missing { what, .. } => what,
        other => panic!("{word}: {other:?}"),
    };
    assert_eq!(lacks("apple"), ["private_key", "key_id", "team_id"]);
    assert_eq!(lacks("ebay"), ["redirect_name"]);
    for word in ["vk-id", "dingtalk", "trello", "microsoft"] {
        assert_eq!(provider(word, client()).readiness(), Readiness::Ready, "{word}");
    }
    assert_eq!(provider("dingtalk", client()).code_param(), "authCode");
    assert!(matches!(provider("shopify", client()).readiness(), Readiness::NeedsSettings { .. }));
}

#[test]
fn what_cannot_be_connected_by_a_link_says_so_and_what_to_do() {
    for (word, kind, why) in [
        ("openai", Kind::ApiKey, "paste your API key"),
        ("twilio", Kind::Basic, "account SID"),
        ("amadeus", Kind::ClientCredentials, "an id and a secret of its own"),
        ("okta", Kind::Oauth2, "the operator has to fix providers.okta.settings.domain"),
    ] {
        let provider = provider(word, client());
        let Readiness::NotSupported { why: told, docs_url } = provider.readiness() else { panic!("{word}") };
        assert!(told.contains(why) && told.contains("paste"), "{word}: {told}");
        assert!(docs_url.is_some() && provider.kind() == kind, "{word}");
    }
}

#[test]
fn an_operator_who_names_the_addresses_makes_a_service_with_addresses_of_its_own_ready() {
    let settings = ProviderSettings {
        authorize_url: Some(Url::parse("https://acme.zendesk.com/oauth/authorizations/new").unwrap()),
        token_url: Some(Url::parse("https://acme.zendesk.com/oauth/tokens").unwrap()),
        ..client()
    };
    assert_eq!(provider("zendesk", settings).readiness(), Readiness::Ready);
    let own_okta = provider("okta", own());
    assert_eq!(
        (own_okta.readiness(), own_okta.revokes()),
        (Readiness::Ready, false),
        "nobody said where to revoke"
    );
    let issuer = Some(Issuer::parse("https://acme.okta.com").unwrap());
    assert_eq!(provider("okta", ProviderSettings { issuer, ..client() }).readiness(), Readiness::Ready);
}

#[test]
fn a_service_says_what_a_person_needs_to_know() {
    let catalogue = load(&[]).unwrap();
    let find = |word| catalogue.find(word).unwrap();
    assert_eq!(find("git").categories(), ["dev-tools"]);
    assert_eq!(find("git").common_scopes()["read:user"], "who you are");
    assert_eq!(find("slack").kind(), Kind::Oauth2);
    assert!(find("slack").redirect_must_be_https());
    assert_eq!(find("twilio").basic_parts(), Some(("account SID", "auth token")));
    assert_eq!(find("openai").credential_url().unwrap().host_str(), Some("platform.openai.com"));
    let subdomain = &find("zendesk").settings()["subdomain"];
    assert!(subdomain.accepts("acme") && !subdomain.accepts("acme.evil.example/"));
    let realm = &find("quickbooks").callback_captures()["realmId"];
    assert!(realm.accepts("4620816365") && !realm.accepts("1; drop"));
    assert_eq!(find("twitter").id.as_str(), "x");
    assert_eq!(find("microsoft").api_base_url().unwrap().as_str(), "https://graph.microsoft.com/");
}

/// Implicit grants (RFC 9700 §2.1.2) and people's passwords (§2.4) are asked for nowhere: neither by what every request has,
/// nor by what a data file adds to it.
#[test]
fn no_service_is_asked_for_an_implicit_grant_or_with_a_person_s_password() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/providers");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let table: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let at = |words: &[&str]| {
            let (last, way) = words.split_last().unwrap();
            way.iter().try_fold(&table, |inner, word| inner.get(*word)?.as_table())?.get(*last)
        };
        for place in [&["authorize", "params"][..], &["token", "params"], &["refresh", "params"]] {
            let params = at(place).and_then(toml::Value::as_table);
            for name in ["response_type", "grant_type", "username", "password"] {
                let added = params.is_some_and(|params| params.contains_key(name));
                assert!(!added, "{}: {name} in {place:?}", path.display());
            }
        }
        for place in [&["refresh", "grant"][..], &["token", "upgrade", "grant"]] {
            let grant = at(place).and_then(toml::Value::as_str).unwrap_or_default();
            assert!(!["password", "implicit"].contains(&grant), "{}: {grant}", path.display());
        }
        read += 1;
    }
    assert!(read > 300, "{read}");
}

fn clients(of: &[(&str, Option<&str>)]) -> BTreeMap<ProviderId, ServiceClient> {
    let client = |secret: Option<&str>| ServiceClient {
        client_id: "from the page".to_owned(),
        client_secret: secret.map(Into::into),
    };
    of.iter().map(|(id, secret)| (ProviderId::parse(id).unwrap(), client(*secret))).collect()
}

#[test]
fn a_client_from_elsewhere_sets_a_service_up_and_what_is_configured_besides_stays() {
    let named = ProviderSettings { name: Some("Our music".to_owned()), ..ProviderSettings::default() };
    let base = load(&[("spotify", named)]).unwrap();
    let laid = base.with_clients(&clients(&[("spotify", Some("hush")), ("github", None), ("nobody", None)]));
    let spotify = laid.find("spotify").unwrap();
    assert_eq!(
        (spotify.client_id(), spotify.name.as_str(), spotify.readiness()),
        (Some("from the page"), "Our music", Readiness::Ready)
    );
    assert!(!spotify.has_own_callback(), "its addresses are as before");
    assert_eq!(laid.find("git").unwrap().client_id(), Some("from the page"), "by an alias too");
    assert!(laid.find("github").unwrap().is_public_client());
    assert!(laid.iter().any(|provider| provider.client_id() == Some("from the page")));
    assert!(base.find("spotify").unwrap().client_id().is_none(), "the one it was laid over is as it was");
    let removed = laid.with_clients(&BTreeMap::new());
    assert!(matches!(removed.find("spotify").unwrap().readiness(), Readiness::Missing { .. }));
    let changes = laid.changes_to(&base);
    assert!(changes.changed.is_empty(), "what is configured is the same: {changes:?}");
    assert!(!format!("{laid:?}").contains("hush"));
}

#[test]
fn a_client_that_is_configured_wins_over_one_from_elsewhere() {
    let id = ProviderSettings { client_id: Some("configured".to_owned()), ..ProviderSettings::default() };
    let secret = ProviderSettings { client_secret: Some("s".into()), ..ProviderSettings::default() };
    let base = load(&[("git", id), ("spotify", secret)]).unwrap();
    let laid =
        base.with_clients(&clients(&[("github", Some("other")), ("spotify", None), ("discord", None)]));
    assert_eq!(laid.find("github").unwrap().client_id(), Some("configured"));
    assert_eq!(laid.find("spotify").unwrap().client_id(), None);
    for (id, configured) in [("github", true), ("spotify", true), ("discord", false), ("nobody", false)] {
        assert_eq!(laid.is_client_configured(&ProviderId::parse(id).unwrap()), configured, "{id}");
    }
}
