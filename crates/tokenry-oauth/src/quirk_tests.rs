//! The quirks that data files can say, each driven from the text of one against a server on loopback.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokenry_model::{Scopes, SystemClock};
use url::Url;

use crate::{
    Authorization, AuthorizeRequest, Exchange, Grant, OAuth, OAuthError, OutboundPolicy, PkceVerifier,
    Provider, ProviderSettings, TokenSet, Values,
};

/// A request as it arrived: method and path with query, headers, body.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn query(&self) -> BTreeMap<String, String> {
        let (_, query) = self.line.split_once('?').unwrap();
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The fields of a form body.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

/// A provider by its data, the server that plays it, and an engine that may talk to it.
pub(crate) struct Odd {
    pub(crate) engine: OAuth,
    pub(crate) provider: Arc<Provider>,
    pub(crate) base: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) captured: Values,
}

impl Odd {
    /// A provider by its data, and a server that gives the answers in turn and the last one ever after. An answer that
    /// begins with a number has that status, and `ECHO` in it is what was sent.
    pub(crate) async fn start(data: &str, answers: &[&str]) -> Self {
        Self::start_with(data, answers, |_| ()).await
    }

    /// The same, with other settings of the operator than an id and a secret.
    pub(crate) async fn start_with(
        data: &str,
        answers: &[&str],
        change: impl FnOnce(&mut ProviderSettings),
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<String> = answers.iter().map(|answer| answer.replace("BASE", &base)).collect();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        let answer = async move |method: http::Method,
                                 uri: http::Uri,
                                 headers: http::HeaderMap,
                                 body: String| {
            let headers: BTreeMap<String, String> =
                headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
            let echo = format!("{body} {}", headers.get("authorization").map_or("", String::as_str));
            let mut log = log.lock().unwrap();
            log.push(Seen { line: format!("{method} {uri}"), headers, body });
            let answer = answers[(log.len() - 1).min(answers.len() - 1)].replace("ECHO", &echo);
            match answer.split_once(' ').and_then(|(status, body)| Some((status.parse::<u16>().ok()?, body)))
            {
                Some((status, body)) => (http::StatusCode::from_u16(status).unwrap(), body.to_owned()),
                None => (http::StatusCode::OK, answer),
            }
        };
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });

        let mut settings = ProviderSettings {
            client_id: Some("id".into()),
            client_secret: Some("secret".into()),
            ..ProviderSettings::default()
        };
        change(&mut settings);
        let data = format!("id = \"odd\"\nname = \"Odd\"\n{}", data.replace("BASE", &base));
        let provider = Arc::new(Provider::new(toml::from_str(&data).unwrap(), settings, false));
        let base = Url::parse(&base).unwrap();
        let policy = OutboundPolicy { allow_private: true, ..OutboundPolicy::default() };
        Self {
            engine: OAuth::new(policy, Arc::new(SystemClock)).unwrap(),
            provider,
            base,
            seen,
            captured: Values::new(),
        }
    }

    pub(crate) async fn authorize(&self) -> Result<Authorization, OAuthError> {
        let request = AuthorizeRequest {
            redirect_uri: &redirect_uri(),
            state: "s",
            verifier: &verifier(),
            nonce: None,
            scopes: &Scopes::split("a b", " "),
        };
        self.engine.authorize(&self.provider, request).await
    }

    pub(crate) async fn exchange(&self) -> Result<TokenSet, OAuthError> {
        let token_url = self.provider.data.token.url.as_ref().unwrap().url().unwrap().clone();
        let exchange = Exchange {
            code: &"c".into(),
            redirect_uri: &redirect_uri(),
            verifier: &verifier(),
            nonce: None,
            token_url: &token_url,
            scopes: &Scopes::split("a b", " "),
            captured: &self.captured,
        };
        self.engine.exchange(&self.provider, exchange).await
    }

    pub(crate) async fn refresh(&self) -> Result<TokenSet, OAuthError> {
        self.engine
            .refresh(&self.provider, &"r0tating".into(), &Scopes::split("a b", " "), &self.captured)
            .await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) fn redirect_uri() -> Url {
    Url::parse("https://t.example/callback").unwrap()
}

fn verifier() -> PkceVerifier {
    PkceVerifier::new("v".into())
}

pub(crate) const ENDS: &str =
    "[authorize]\nurl = \"BASE/authorize\"\n[token]\nurl = \"BASE/token\"\nauth = \"body\"\n";
pub(crate) const TOKEN: &str = r#"{"access_token":"a"}"#;

#[tokio::test]
async fn the_data_decide_where_and_how_tokens_are_asked_for() {
    let data = r#"
        [authorize]
        url = "BASE/authorize"
        params = { audience = "api", state = "never" }
        [scope]
        separator = ","
        [token]
        url = "BASE/token"
        auth = "body"
        encoding = "json"
        params = { flavour = "sweet" }
        [refresh]
        url = "BASE/renew"
        params = { again = "yes" }
        send_scope = true
        [pkce]
        mode = "off"
    "#;
    let odd = Odd::start(data, &[TOKEN]).await;
    assert_eq!(
        odd.authorize().await.unwrap().url.query().unwrap(),
        "response_type=code&client_id=id&redirect_uri=https%3A%2F%2Ft.example%2Fcallback&state=s&scope=a%2Cb&audience=api"
    );
    odd.exchange().await.unwrap();
    odd.refresh().await.unwrap();
    let [exchanged, refreshed] = &odd.seen()[..] else { panic!("{:?}", odd.seen()) };
    assert_eq!(exchanged.line, "POST /token");
    let expected = json!({
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": "https://t.example/callback",
        "flavour": "sweet",
        "client_id": "id",
        "client_secret": "secret",
    });
    assert_eq!(exchanged.json(), expected);
    assert_eq!(refreshed.line, "POST /renew");
    let expected = json!({
        "grant_type": "refresh_token",
        "refresh_token": "r0tating",
        "scope": "a,b",
        "again": "yes",
        "client_id": "id",
        "client_secret": "secret",
    });
    assert_eq!(refreshed.json(), expected);
}

#[tokio::test]
async fn an_authorize_url_may_have_other_names_a_second_list_and_an_end() {
    let data = r#"
        [authorize]
        url = "BASE/authorize"
        rename = { client_id = "appid" }
        drop = ["response_type"]
        fragment = "here"
        [scope]
        param = "user_scope"
        offline = ["stay"]
        second_param = "scope"
        second = ["bot"]
        [token]
        url = "BASE/token"
        [pkce]
        mode = "off"
    "#;
    let url = Odd::start(data, &[TOKEN]).await.authorize().await.unwrap().url;
    assert_eq!(
        url.query().unwrap(),
        "appid=id&redirect_uri=https%3A%2F%2Ft.example%2Fcallback&state=s&user_scope=a+b+stay&scope=bot"
    );
    assert_eq!(url.fragment(), Some("here"));
}

#[tokio::test]
async fn tokens_may_be_asked_for_by_get_under_other_names_and_answered_under_others() {
    let data = r#"
        [authorize]
        url = "BASE/authorize"
        [token]
        url = "BASE/token?v=1"
        auth = "body"
        method = "get"
        headers = { X-App = "{client_id}" }
        rename = { client_id = "appid", client_secret = "secret" }
        drop = ["redirect_uri"]
        fields = { access_token = "data.token", refresh_token = "data.again", expires_in = "data.life" }
        [expiry]
        unit = "milliseconds"
        [pkce]
        mode = "off"
    "#;
    let odd = Odd::start(data, &[r#"{"data":{"token":"a","again":"r2","life":"60000"}}"#]).await;
    let tokens = odd.exchange().await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "a");
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "r2");
    assert_eq!(tokens.expires_in.unwrap().as_secs(), 60);
    let seen = &odd.seen()[0];
    assert!(seen.line.starts_with("GET /token?") && seen.body.is_empty(), "{seen:?}");
    let expected = [
        ("v", "1"),
        ("grant_type", "authorization_code"),
        ("code", "c"),
        ("appid", "id"),
        ("secret", "secret"),
    ];
    assert_eq!(seen.query(), expected.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect());
    assert_eq!(seen.headers["x-app"], "id");
}

#[tokio::test]
async fn an_access_token_may_be_its_own_refresh_token() {
    let data = format!(
        "{ENDS}[refresh]\nmethod = \"get\"\ngrant = \"swap\"\nspends = \"access_token\"\ntoken_param = \"old\"\n"
    );
    let odd = Odd::start(&data, &[r#"{"access_token":"short"}"#, r#"{"access_token":"long"}"#]).await;
    assert_eq!(odd.exchange().await.unwrap().refresh_token.unwrap().expose_secret(), "short");
    assert_eq!(odd.refresh().await.unwrap().refresh_token.unwrap().expose_secret(), "long");
    let query = odd.seen()[1].query();
    assert_eq!((query["grant_type"].as_str(), query["old"].as_str()), ("swap", "r0tating"));
}

#[tokio::test]
async fn a_first_token_may_be_exchanged_at_once_for_one_that_lives_longer() {
    let data = format!(
        "{ENDS}[token.upgrade]\nurl = \"BASE/longer\"\nmethod = \"get\"\ngrant = \"stretch\"\ntoken_param = \"access_token\"\n\
         [identity]\nfrom = \"token\"\naccount_id = [\"user_id\"]\n[refresh]\nspends = \"access_token\"\n"
    );
    let short = r#"{"access_token":"short","user_id":7,"scope":"a"}"#;
    let odd = Odd::start(&data, &[short, r#"{"access_token":"long","expires_in":5184000}"#]).await;
    let tokens = odd.exchange().await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "long");
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "long");
    assert_eq!(
        (tokens.account.unwrap().id.as_str(), tokens.scopes.unwrap().to_string().as_str()),
        ("7", "a")
    );
    let second = &odd.seen()[1];
    assert!(second.line.starts_with("GET /longer?"), "{second:?}");
    let query = second.query();
    assert_eq!((query["grant_type"].as_str(), query["access_token"].as_str()), ("stretch", "short"));
    assert_eq!(query["client_secret"], "secret");
}

#[tokio::test]
async fn a_token_that_never_expires_does_not_whatever_the_answer_says() {
    let odd =
        Odd::start(&format!("{ENDS}[expiry]\nnever = true\n"), &[r#"{"access_token":"a","expires_in":9}"#])
            .await;
    let tokens = odd.exchange().await.unwrap();
    assert_eq!(odd.provider.lifetime(&tokens), None);
}

#[tokio::test]
async fn an_account_may_be_asked_for_by_a_query_with_headers_of_its_own() {
    let data = format!(
        "{ENDS}[identity]\nurl = \"BASE/graph\"\nmethod = \"post\"\nencoding = \"json\"\n\
         params = {{ query = \"{{ me {{ id }} }}\" }}\naccount_id = [\"data.me.id\"]\n\
         [api]\nheader = \"X-Token\"\nscheme = \"\"\nheaders = {{ client-id = \"{{client_id}}\" }}\n"
    );
    let odd = Odd::start(&data, &[TOKEN, r#"{"data":{"me":{"id":7}}}"#]).await;
    let tokens = odd.exchange().await.unwrap();
    let account = odd.engine.identify(&odd.provider, &tokens).await.unwrap().unwrap();
    assert_eq!(account.id, "7");
    let seen = &odd.seen()[1];
    assert_eq!((seen.line.as_str(), seen.json()), ("POST /graph", json!({ "query": "{ me { id } }" })));
    assert_eq!((seen.headers["x-token"].as_str(), seen.headers["client-id"].as_str()), ("a", "id"));
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn an_account_may_be_named_in_the_token_answer() {
    let data = format!(
        "{ENDS}[identity]\nfrom = \"token\"\naccount_id = [\"shop.id\"]\naccount_label = [\"shop.name\"]\n"
    );
    let odd = Odd::start(&data, &[r#"{"access_token":"a","shop":{"id":5,"name":"five"}}"#]).await;
    let tokens = odd.exchange().await.unwrap();
    let account = odd.engine.identify(&odd.provider, &tokens).await.unwrap().unwrap();
    assert_eq!((account.id.as_str(), account.label.as_deref()), ("5", Some("five")));
    assert_eq!(odd.seen().len(), 1, "nobody else is asked");
}

#[tokio::test]
async fn an_error_may_hide_under_a_code_of_its_own_and_a_code_may_be_none() {
    let data = format!(
        "{ENDS}[errors]\ncode_at = \"errcode\"\nmessage_at = \"errmsg\"\nnone = [\"0\", \"ok\"]\nfinal = [\"42002\"]\n"
    );
    let dead = r#"{"errcode":42002,"errmsg":"refresh token is dead"}"#;
    let fine = r#"{"access_token":"a","errcode":"ok","error":""}"#;
    let odd = Odd::start(&data, &[dead, fine]).await;
    let error = odd.refresh().await.unwrap_err();
    assert!(error.is_final_refusal(), "{error:?}");
    assert!(error.to_string().contains("refresh token is dead"), "{error}");
    odd.refresh().await.unwrap();
}

#[tokio::test]
async fn a_token_may_be_given_back_in_the_header_it_is_used_in() {
    let data = format!(
        "{ENDS}[revoke]\nurl = \"BASE/me/permissions\"\nmethod = \"delete\"\ntoken_in = \"header\"\nauth = \"omit\"\ntokens = \"access\"\n"
    );
    let odd = Odd::start(&data, &["{}"]).await;
    let grant = Grant { access: "a".into(), refresh: Some("r".into()) };
    odd.engine.revoke(&odd.provider, &grant).await.unwrap();
    let [seen] = &odd.seen()[..] else { panic!("{:?}", odd.seen()) };
    assert_eq!((seen.line.as_str(), seen.body.as_str()), ("DELETE /me/permissions", ""));
    assert_eq!(seen.headers["authorization"], "Bearer a");
}

#[tokio::test]
async fn a_token_is_given_back_under_the_provider_s_own_names() {
    let data = format!(
        "{ENDS}rename = {{ client_id = \"client_key\" }}\n[revoke]\nurl = \"BASE/revoke\"\ntokens = \"one\"\nparams = {{ why = \"bye\" }}\n"
    );
    let odd = Odd::start(&data, &["{}"]).await;
    let grant = Grant { access: "a".into(), refresh: Some("r".into()) };
    odd.engine.revoke(&odd.provider, &grant).await.unwrap();
    let body: BTreeMap<String, String> =
        url::form_urlencoded::parse(odd.seen()[0].body.as_bytes()).into_owned().collect();
    let get = |name: &str| body.get(name).map(String::as_str);
    assert_eq!((get("client_key"), get("client_id"), get("token")), (Some("id"), None, Some("r")));
    assert_eq!((get("why"), get("client_secret")), (Some("bye"), Some("secret")));
}
