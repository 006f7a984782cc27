//! What differs from connection to connection: settings, what is captured, and where secrets may not go.

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::quirk_tests::{ENDS, Odd, TOKEN};
use crate::{OAuthError, Provider, ProviderSettings, Readiness, SettingError, Values};

/// Settings in a path (harmless) and in a host (not harmless), and in the API's address only.
const TENANTS: &str = r#"
    [authorize]
    url = "BASE/{tenant}/authorize"
    [token]
    url = "BASE/{tenant}/token"
    auth = "body"
    [refresh]
    url = "BASE/{tenant}/again"
    [revoke]
    url = "BASE/{tenant}/revoke/{client_id}"
    [identity]
    url = "BASE/{tenant}/me"
    [api]
    base_url = "https://{area}.api.p.example/{tenant}"
    [config.tenant]
    title = "Your tenant"
    pattern = "segment"
    example = "acme"
    [config.area]
    title = "Where your data lie"
    pattern = "label"
    example = "eu"
    default = "eu"
    one_of = ["eu", "us"]
"#;

const OWN_HOST: &str = r#"
    [authorize]
    url = "https://{host}/authorize"
    [token]
    url = "https://{host}/token"
    auth = "body"
    [identity]
    url = "https://{host}/me"
    [api]
    base_url = "https://{host}/api"
    [config.host]
    title = "Your host"
    pattern = "host"
    example = "git.example.org"
"#;

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn fixed(data: &str, settings: &[(&str, &str)]) -> Odd {
    let settings = values(settings);
    Odd::start_with(data, &[TOKEN], |operator| operator.settings = settings).await
}

fn problem(provider: &Provider, given: &[(&str, &str)]) -> String {
    let SettingError { name, problem } = provider.check_settings(&values(given)).unwrap_err();
    format!("{name}: {problem}")
}

#[tokio::test]
async fn a_connection_says_what_differs_and_every_address_has_it() {
    let mut odd = Odd::start(TENANTS, &[TOKEN]).await;
    assert_eq!(odd.provider.needs_settings(), ["tenant"]);
    let Readiness::NeedsSettings { names, .. } = odd.provider.readiness() else { panic!() };
    assert_eq!(names, ["tenant"]);

    let complete = odd.provider.check_settings(&values(&[("tenant", "acme")])).unwrap();
    assert_eq!(complete, values(&[("tenant", "acme"), ("area", "eu")]));
    odd.provider = odd.provider.for_connection(&complete).unwrap();
    assert_eq!(odd.provider.readiness(), Readiness::Ready);
    assert_eq!(odd.authorize().await.unwrap().url.path(), "/acme/authorize");
    let tokens = odd.exchange().await.unwrap();
    odd.refresh().await.unwrap();
    let _ = odd.engine.identify(&odd.provider, &tokens).await;
    odd.engine.revoke(&odd.provider, &crate::Grant { access: "a".into(), refresh: None }).await.unwrap();
    let lines: Vec<String> = odd.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines, ["POST /acme/token", "POST /acme/again", "GET /acme/me", "POST /acme/revoke/id"]);
    assert_eq!(odd.provider.api_base_url().unwrap().as_str(), "https://eu.api.p.example/acme");
}

#[tokio::test]
async fn without_its_settings_a_connection_is_not_begun() {
    let odd = Odd::start(TENANTS, &[TOKEN]).await;
    for error in [odd.authorize().await.unwrap_err(), odd.refresh().await.unwrap_err()] {
        assert!(matches!(error, OAuthError::NotSupported { .. }), "{error:?}");
        assert!(
            error.to_string().contains("the setting tenant (Your tenant, such as acme) is missing"),
            "{error}"
        );
    }
    assert!(odd.seen().is_empty());
}

#[tokio::test]
async fn a_wrong_setting_is_refused_with_words_that_say_what_to_write() {
    let odd = Odd::start(TENANTS, &[TOKEN]).await;
    let ask = |given: &[(&str, &str)]| problem(&odd.provider, given);
    assert!(ask(&[]).starts_with("tenant: Your tenant: it must be") && ask(&[]).ends_with("such as acme"));
    for value in ["", "..", "a/b", "a?b", "a#b", "a%2fb", "a b", " acme"] {
        assert!(ask(&[("tenant", value)]).contains("such as acme"), "{value:?}");
        let error = odd.provider.for_connection(&values(&[("tenant", value)])).unwrap_err();
        assert!(matches!(error, OAuthError::Setting(_)), "{value:?}: {error:?}");
    }
    assert_eq!(ask(&[("tenant", "acme"), ("area", "mars")]), "area: it must be one of eu, us");
    assert_eq!(ask(&[("tenant", "acme"), ("urk", "1")]), "urk: Odd has no such setting; it has area, tenant");
}

#[tokio::test]
async fn the_operator_s_word_is_the_last() {
    let odd = fixed(TENANTS, &[("tenant", "acme")]).await;
    assert!(odd.provider.needs_settings().is_empty());
    assert_eq!(odd.provider.readiness(), Readiness::Ready);
    assert_eq!(odd.authorize().await.unwrap().url.path(), "/acme/authorize");
    assert_eq!(
        problem(&odd.provider, &[("tenant", "evil")]),
        "tenant: the operator has fixed it, so leave it out"
    );
    let complete = odd.provider.check_settings(&Values::new()).unwrap();
    assert_eq!(complete["tenant"], "acme");
    assert!(
        Arc::ptr_eq(&odd.provider, &odd.provider.for_connection(&complete).unwrap()),
        "nothing to fill in"
    );
}

#[tokio::test]
async fn nobody_but_the_operator_says_to_which_host_the_client_secret_goes() {
    let odd = Odd::start(OWN_HOST, &[TOKEN]).await;
    let Readiness::NotSupported { why, .. } = odd.provider.readiness() else { panic!() };
    assert!(why.contains("the operator has to fix providers.odd.settings.host"), "{why}");
    let theirs = odd.provider.for_connection(&values(&[("host", "evil.example")])).unwrap();
    let engine = &odd.engine;
    let ends = [
        engine.refresh(&theirs, &"r".into(), &"a".split(' ').collect(), &Values::new()).await.err(),
        engine.client_credentials(&theirs, &"a".split(' ').collect()).await.err(),
        engine.device_begin(&theirs, &"a".split(' ').collect()).await.err(),
    ];
    for error in ends {
        assert!(matches!(error, Some(OAuthError::NotSupported { .. })), "{error:?}");
    }
    assert!(!theirs.revokes());
    // A token that a person brings along goes where the person says.
    assert_eq!(theirs.api_base_url().unwrap().as_str(), "https://evil.example/api");

    let odd = fixed(OWN_HOST, &[("host", "git.acme.example")]).await;
    assert_eq!(odd.authorize().await.unwrap().token_url.as_str(), "https://git.acme.example/token");
    let theirs = odd.provider.for_connection(&values(&[("host", "evil.example")])).unwrap();
    assert!(matches!(theirs.readiness(), Readiness::NotSupported { .. }));
}

#[tokio::test]
async fn a_default_host_does_not_give_way_to_one_that_a_person_names() {
    let odd = Odd::start(&format!("{OWN_HOST}default = \"p.example\"\n"), &[TOKEN]).await;
    assert_eq!(odd.authorize().await.unwrap().token_url.as_str(), "https://p.example/token");
    let theirs = odd.provider.for_connection(&values(&[("host", "evil.example")])).unwrap();
    assert!(matches!(theirs.readiness(), Readiness::NotSupported { .. }));
    let own = theirs.with_client("mine", &"my own".into());
    assert_eq!(own.readiness(), Readiness::Ready, "a secret of their own may go where they say");
}

#[tokio::test]
async fn a_label_before_a_name_of_the_provider_s_is_for_the_person_to_say() {
    let data =
        OWN_HOST.replace("https://{host}", "https://{host}.p.example").replace("\"host\"\n", "\"label\"\n");
    let odd = Odd::start(&data.replace("git.example.org", "acme"), &[TOKEN]).await;
    assert!(matches!(odd.provider.readiness(), Readiness::NeedsSettings { .. }));
    let acme = odd.provider.for_connection(&values(&[("host", "acme")])).unwrap();
    assert_eq!(acme.readiness(), Readiness::Ready);
    for value in ["evil.example/", "evil.example#", "a.b", "a@evil", "evil.example:443"] {
        assert!(odd.provider.for_connection(&values(&[("host", value)])).is_err(), "{value}");
    }
}

#[test]
fn a_fixed_setting_that_cannot_be_used_is_found_at_load() {
    let load = |word: &str, name: &str, value: &str| {
        let settings = ProviderSettings { settings: values(&[(name, value)]), ..ProviderSettings::default() };
        let id = tokenry_model::ProviderId::parse(word).unwrap();
        crate::Catalogue::load(&[(id, settings)].into_iter().collect()).map(|_| ()).map_err(|e| e.to_string())
    };
    assert!(load("okta", "domain", "acme.okta.com").is_ok());
    let error = load("okta", "domain", "https://acme.okta.com/").unwrap_err();
    assert!(error.starts_with("okta: settings.domain: it must be a host name"), "{error}");
    let error = load("okta", "host", "acme.okta.com").unwrap_err();
    assert!(error.contains("there is no such setting; there is domain"), "{error}");
}

const CAPTURES: &str = r#"
    [callback]
    code_param = "authCode"
    [callback.capture.realm]
    pattern = "digits"
    [callback.capture.device]
    pattern = "word"
    send = true
    [token.capture.workspace]
    at = "team.id"
    pattern = "word"
    send = true
    [token.capture.instance]
    pattern = "url"
    [api]
    base_url = "{instance}/v1"
    hosts = ["*.p.example"]
"#;

#[tokio::test]
async fn what_came_with_the_person_and_the_tokens_is_kept_and_sent_back_where_it_is_wanted() {
    let answer =
        r#"{"access_token":"a","refresh_token":"r","team":{"id":"W1"},"instance":"https://eu.p.example/"}"#;
    let mut odd = Odd::start(&format!("{ENDS}{CAPTURES}"), &[answer, TOKEN]).await;
    assert_eq!(odd.provider.code_param(), "authCode");
    let params = values(&[("realm", "42"), ("device", "d-1"), ("authCode", "c"), ("other", "x")]);
    odd.captured = odd.provider.capture_callback(&params).unwrap();
    assert_eq!(odd.captured, values(&[("realm", "42"), ("device", "d-1")]));

    let tokens = odd.exchange().await.unwrap();
    assert_eq!(tokens.captured, values(&[("workspace", "W1"), ("instance", "https://eu.p.example/")]));
    odd.captured.extend(tokens.captured);
    odd.refresh().await.unwrap();
    let [exchanged, refreshed] = &odd.seen()[..] else { panic!() };
    let get = |form: &std::collections::BTreeMap<String, String>, name: &str| form.get(name).cloned();
    assert_eq!(get(&exchanged.form(), "device").as_deref(), Some("d-1"));
    assert_eq!(get(&refreshed.form(), "device").as_deref(), Some("d-1"));
    assert_eq!(get(&refreshed.form(), "workspace").as_deref(), Some("W1"));
    assert!(get(&exchanged.form(), "realm").is_none() && get(&refreshed.form(), "instance").is_none());

    let theirs = odd.provider.for_connection(&odd.captured).unwrap();
    assert_eq!(theirs.api_base_url().unwrap().as_str(), "https://eu.p.example/v1");
    let evil = odd.provider.for_connection(&values(&[("instance", "https://evil.example")])).unwrap();
    assert_eq!(evil.api_base_url(), None, "not one of the API's hosts");
}

#[tokio::test]
async fn a_captured_value_that_looks_wrong_is_refused_or_dropped() {
    let answer = r#"{"access_token":"a","team":{"id":"no word"},"instance":"http://p.example"}"#;
    let odd = Odd::start(&format!("{ENDS}{CAPTURES}"), &[answer]).await;
    let capture = |pairs: &[(&str, &str)]| odd.provider.capture_callback(&values(pairs));
    let error = capture(&[("device", "d"), ("realm", "1; drop")]).unwrap_err();
    assert!(error.to_string().contains("realm") && !error.to_string().contains("drop"), "{error}");
    assert!(capture(&[("realm", "1")]).unwrap_err().to_string().contains("no device came"));
    assert!(capture(&[("device", "d")]).is_ok(), "what nobody wants back may be missing");
    assert!(odd.exchange().await.unwrap().captured.is_empty());
}

#[tokio::test]
async fn an_answer_does_not_say_where_tokens_go() {
    let data = format!("{ENDS}[token.capture.place]\npattern = \"host\"\n")
        .replace("BASE/token", "https://{place}/token");
    let data: crate::data::ProviderData = toml::from_str(&format!(
        "id = \"odd\"\nname = \"Odd\"\n{}",
        data.replace("BASE", "https://p.example")
    ))
    .unwrap();
    assert_eq!(data.unknown_name(), Some("place"));
}

#[tokio::test]
async fn a_token_that_is_brought_along_is_asked_about_at_its_own_place() {
    let keys = r#"
        kind = "api_key"
        [identity]
        url = "BASE/{team}/me"
        account_id = ["id"]
        [api]
        header = "X-Key"
        scheme = ""
        [config.team]
        title = "Your team"
        pattern = "word"
        example = "red"
    "#;
    let odd = Odd::start(keys, &[r#"{"id":7}"#]).await;
    assert_eq!(odd.engine.identify_with(&odd.provider, &"k3y".into()).await, Ok(None), "nobody said where");
    let theirs = odd.provider.for_connection(&values(&[("team", "red")])).unwrap();
    assert_eq!(odd.engine.identify_with(&theirs, &"k3y".into()).await.unwrap().unwrap().id, "7");
    let [seen] = &odd.seen()[..] else { panic!() };
    assert_eq!((seen.line.as_str(), seen.headers["x-key"].as_str()), ("GET /red/me", "k3y"));
}

#[tokio::test]
async fn user_and_password_go_in_a_basic_header_and_come_back_in_no_error() {
    let basic = "kind = \"basic\"\n[identity]\nurl = \"BASE/me\"\n";
    let odd = Odd::start(basic, &["401 no: dXNlcjpwNHNz user:p4ss", r#"{"id":"u"}"#]).await;
    let error = odd.engine.identify_with(&odd.provider, &"user:p4ss".into()).await.unwrap_err().to_string();
    assert!(!error.contains("p4ss") && !error.contains("dXNlcjpwNHNz"), "{error}");
    odd.engine.identify_with(&odd.provider, &"key".into()).await.unwrap();
    let sent: Vec<String> = odd.seen().iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(sent, ["Basic dXNlcjpwNHNz", "Basic a2V5Og=="], "without a colon it is the user");
    let (_, value) = odd.provider.authorization(&"a:b".into()).unwrap();
    assert!(value.is_sensitive());
}

#[tokio::test]
async fn a_key_that_no_header_carries_is_asked_about_in_the_query() {
    let data = "kind = \"api_key\"\n[identity]\nurl = \"BASE/me?v=1\"\n[api]\nquery_param = \"key\"\n";
    let odd = Odd::start(data, &["403 bad key k3y+1", r#"{"id":1}"#]).await;
    let error = odd.engine.identify_with(&odd.provider, &"k3y+1".into()).await.unwrap_err().to_string();
    assert!(!error.contains("k3y"), "{error}");
    let seen = &odd.seen()[0];
    assert_eq!((seen.line.as_str(), seen.headers.get("authorization")), ("GET /me?v=1&key=k3y%2B1", None));
}

#[tokio::test]
async fn what_a_provider_can_do_is_said_by_its_data() {
    let data = format!(
        "{ENDS}[refresh]\nspends = \"access_token\"\nrate_per_s = 3\n[device]\nurl = \"BASE/device\"\n"
    );
    let provider = Odd::start(&data, &[TOKEN]).await.provider;
    assert!(provider.spends_access_token() && provider.refreshes() && provider.has_device_flow());
    assert_eq!(provider.refresh_rate_per_s(), Some(3));
    let never = Odd::start(&format!("{ENDS}[expiry]\nnever = true\n"), &[TOKEN]).await.provider;
    assert!(!never.refreshes() && !never.spends_access_token() && !never.has_device_flow());
    let client = never.with_client("mine", &"s3cret".into());
    assert_eq!(client.client_id(), Some("mine"));
    assert_eq!(client.require_client_secret().unwrap().expose_secret(), "s3cret");
    assert!(!format!("{client:?}").contains("s3cret"));
}
