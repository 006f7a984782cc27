//! Providers by files of the operator's.

use std::collections::BTreeMap;

use secrecy::SecretString;
use tokenry_model::ProviderId;
use tokenry_oauth::{
    Catalogue, CatalogueError, Issuer, OutboundPolicy, ProviderFile, ProviderSettings, Readiness, Source,
};
use url::Url;

const ACME: &str = "id = \"acme\"\nname = \"Acme\"\naliases = [\"acme-inc\"]\n\
    [authorize]\nurl = \"https://login.acme.example/authorize\"\n\
    [token]\nurl = \"https://login.acme.example/token\"\n";

fn file(name: &str, text: &str) -> ProviderFile {
    ProviderFile { name: format!("providers/{name}.toml"), text: text.to_owned() }
}

fn load(files: &[ProviderFile]) -> Result<Catalogue, CatalogueError> {
    Catalogue::load_with(&BTreeMap::new(), files, &OutboundPolicy::default())
}

fn refusal(files: &[ProviderFile]) -> String {
    load(files).unwrap_err().to_string()
}

fn configured(word: &str, settings: ProviderSettings) -> BTreeMap<ProviderId, ProviderSettings> {
    BTreeMap::from([(ProviderId::parse(word).unwrap(), settings)])
}

fn client() -> ProviderSettings {
    ProviderSettings {
        client_id: Some("id".into()),
        client_secret: Some(SecretString::from("secret")),
        ..ProviderSettings::default()
    }
}

fn redirect(catalogue: &Catalogue, word: &str) -> String {
    let public = Url::parse("https://tokenry.example").unwrap();
    catalogue.find(word).unwrap().redirect_uri(&public).to_string()
}

#[test]
fn a_file_adds_a_service_with_a_callback_of_its_own() {
    let files = [file("acme", ACME)];
    let catalogue =
        Catalogue::load_with(&configured("acme-inc", client()), &files, &OutboundPolicy::default()).unwrap();
    let acme = catalogue.find("ACME").unwrap();
    assert_eq!((acme.name.as_str(), acme.is_custom(), acme.readiness()), ("Acme", true, Readiness::Ready));
    assert_eq!(acme.source(), &Source::File("providers/acme.toml".to_owned()));
    assert_eq!(redirect(&catalogue, "acme"), "https://tokenry.example/callback/acme");
    assert_eq!(redirect(&catalogue, "discord"), "https://tokenry.example/callback");
    assert!(catalogue.iter().count() > 250);
}

#[test]
fn a_file_of_a_built_in_id_stands_in_its_place() {
    let other = "id = \"github\"\nname = \"Our GitHub\"\n[authorize]\nurl = \"https://git.acme.example/a\"\n\
                 [token]\nurl = \"https://git.acme.example/t\"\n";
    let catalogue = load(&[file("github", other)]).unwrap();
    let github = catalogue.find("github").unwrap();
    assert_eq!((github.name.as_str(), github.is_custom(), github.revokes()), ("Our GitHub", false, false));
    assert!(catalogue.find("git").is_none(), "the whole file counts, its aliases too");
    assert_eq!(redirect(&catalogue, "github"), "https://tokenry.example/callback/github", "other endpoints");
}

#[test]
fn a_file_that_extends_the_built_in_one_of_its_id_changes_only_what_it_says() {
    let text = "id = \"github\"\nextends = \"github\"\n[scope]\ndefault = [\"gist\"]\n";
    let catalogue = load(&[file("github", text)]).unwrap();
    let github = catalogue.find("git").unwrap();
    assert_eq!((github.name.as_str(), github.default_scopes().to_string().as_str()), ("GitHub", "gist"));
    assert_eq!(redirect(&catalogue, "git"), "https://tokenry.example/callback", "the endpoints are the same");
    let moved = format!("{text}[token]\nurl = \"https://git.acme.example/t\"\n");
    let catalogue = load(&[file("github", &moved)]).unwrap();
    assert_eq!(redirect(&catalogue, "git"), "https://tokenry.example/callback/github");
}

#[test]
fn a_looser_limit_on_what_stands_in_a_host_is_another_endpoint() {
    let text = "id = \"zendesk\"\nextends = \"zendesk\"\n[config.subdomain]\npattern = \"domain\"\n";
    let catalogue = load(&[file("zendesk", text)]).unwrap();
    assert_eq!(redirect(&catalogue, "zendesk"), "https://tokenry.example/callback/zendesk");
    let same = text
        .replace("domain\"\n", "label\"\n")
        .replace("[config.subdomain]", "[config.subdomain]\ntitle = \"S\"");
    let catalogue = load(&[file("zendesk", &same)]).unwrap();
    assert_eq!(redirect(&catalogue, "zendesk"), "https://tokenry.example/callback");
}

#[test]
fn a_built_in_service_whose_endpoints_the_configuration_replaces_has_a_callback_of_its_own() {
    let url = |text: &str| Some(Url::parse(text).unwrap());
    let at = |settings| redirect(&Catalogue::load(&configured("discord", settings)).unwrap(), "discord");
    let (shared, own) = ("https://tokenry.example/callback", "https://tokenry.example/callback/discord");
    assert_eq!(at(client()), shared);
    assert_eq!(at(ProviderSettings { token_url: url("https://evil.example/token"), ..client() }), own);
    assert_eq!(
        at(ProviderSettings { authorize_url: url("https://evil.example/authorize"), ..client() }),
        own
    );
    let issuer = Some(Issuer::parse("https://evil.example").unwrap());
    assert_eq!(at(ProviderSettings { issuer, ..client() }), own);
    let same = ProviderSettings { token_url: url("https://discord.com/api/oauth2/token"), ..client() };
    assert_eq!(at(same), shared, "said again is not replaced");
    assert_eq!(at(ProviderSettings { revoke_url: url("https://x.example/r"), ..client() }), shared);
}

#[test]
fn a_file_extends_built_in_ones_and_its_neighbours() {
    let child = "id = \"child\"\nname = \"Child\"\nextends = \"acme\"\n[scope]\ndefault = [\"x\"]\n";
    let grandchild = "id = \"grandchild\"\nname = \"G\"\nextends = \"child\"\n";
    let mail = "id = \"our-mail\"\nname = \"Our mail\"\nextends = \"gmail\"\n";
    let files =
        [file("acme", ACME), file("child", child), file("grandchild", grandchild), file("our-mail", mail)];
    let catalogue = load(&files).unwrap();
    let grandchild = catalogue.find("grandchild").unwrap();
    assert_eq!((grandchild.default_scopes().to_string().as_str(), grandchild.aliases.len()), ("x", 0));
    let issuer = |word| catalogue.find(word).unwrap().issuer().map(ToString::to_string);
    assert_eq!(issuer("our-mail").as_deref(), Some("https://accounts.google.com"));
    assert!(refusal(&[file("child", child)]).contains("it extends \"acme\", which is neither"));
    let one = "id = \"one\"\nname = \"1\"\nextends = \"two\"\n";
    let two = "id = \"two\"\nname = \"2\"\nextends = \"one\"\n";
    assert!(refusal(&[file("one", one), file("two", two)]).contains("in the end extends this file"));
    assert!(refusal(&[file("one", &one.replace("two", "one"))]).contains("neither a built-in"));
}

#[test]
fn a_file_with_an_issuer_alone_is_enough() {
    let text = "id = \"acme\"\nname = \"Acme\"\nissuer = \"https://login.acme.example\"\n";
    let catalogue = Catalogue::load_with(
        &configured("acme", client()),
        &[file("acme", text)],
        &OutboundPolicy::default(),
    )
    .unwrap();
    assert_eq!(catalogue.find("acme").unwrap().readiness(), Readiness::Ready);
    let plain = text.replace("https", "http");
    assert!(refusal(&[file("acme", &plain)]).contains("line 3: `issuer`"));
}

#[test]
fn what_is_broken_is_named_with_its_line_and_what_to_write() {
    for (from, to, line, told) in [
        ("[token]", "[token", 6, ""),
        ("name =", "nam =", 2, "nam"),
        ("id = \"acme\"", "id = \"acne\"", 1, "must be called acne.toml"),
        ("login.acme.example/token", "login.acme.example/token\"\nurk = \"", 8, "urk"),
        ("https://login.acme.example/token", "http://login.acme.example/token", 7, "outbound.allow_private"),
        ("https://login.acme.example/token", "https://127.0.0.1/token", 7, "outbound.allow_private"),
        ("https://login.acme.example/token", "file:///etc/passwd", 7, "write an https address"),
        ("https://login.acme.example/token", "https://{host}/token", 7, "[config.host] is not there"),
        ("login.acme.example/authorize", "login.acme.example/authorize?state=1", 5, "has state in its query"),
        ("login.acme.example/authorize", "login.acme.example/authorize#a", 5, "'#'"),
        ("[token]", "params = { state = \"1\" }\n[token]", 6, "`authorize.params` has state"),
        ("[token]", "params = { redirect_uri = \"1\" }\n[token]", 6, "`authorize.params` has redirect_uri"),
        ("[token]", "drop = [\"state\"]\n[token]", 6, "nothing guards the flow"),
        ("[token]", "rename = { state = \"st\" }\n[token]", 6, "`authorize.rename`"),
        ("[token]", "rename = { scope = \"client_id\" }\n[token]", 6, "turns scope into client_id"),
        ("[token]", "[expiry]\ndefault_s = 3600000\nnever = true\n[token]", 8, "keep one"),
        ("[token]", "[expiry]\ndefault_s = 99999999999\n[token]", 7, "is in seconds"),
        ("[token]", "[rotation]\nabsolute_ttl_s = 30\n[token]", 7, "from 86400"),
        ("[token]", "[scope]\nseparator = \"and\"\n[token]", 7, "punctuation"),
        ("[token]", "[scope]\nseparator = \",\"\ndefault = [\"a,b\"]\n[token]", 6, "in quotes of its own"),
        ("[token]", "[api]\nhosts = [\"*.com\"]\n[token]", 7, "is no host"),
        ("[token]", "[api]\nbase_url = \"https://api.acme.example\"\n[token]", 7, "add it to `api.hosts`"),
        ("[token]", "[api]\nheader = \"a b\"\n[token]", 7, "cannot be sent"),
        ("aliases = [\"acme-inc\"]", "docs_url = \"javascript:alert(1)\"", 3, "https://"),
        ("acme-inc", "git", 3, "\"git\" is a word for github already"),
        ("acme-inc", "Acme Inc", 3, "of a-z, 0-9"),
        ("acme-inc", "acme", 3, "\"acme\" is a word for acme already"),
        (
            "aliases = [\"acme-inc\"]",
            "client_secret = \"s3ntinel\"",
            3,
            "does not belong into a provider file",
        ),
        (
            "[token]",
            "[config.host]\ntitle = \"Host\"\npattern = \"segment\"\nexample = \"a b\"\n[token]",
            6,
            "does not fit its own pattern",
        ),
    ] {
        let text = ACME.replace(from, to);
        assert_ne!(text, ACME, "{from}");
        let told_all = refusal(&[file("acme", &text)]);
        let place = format!("providers/acme.toml, line {line}: ");
        assert!(told_all.contains(&place) && told_all.contains(told), "{to}: {told_all}");
        assert!(!told_all.contains("s3ntinel"), "{told_all}");
    }
    let no_token = ACME.split("[token]").next().unwrap();
    assert!(
        refusal(&[file("acme", no_token)]).contains("it needs authorize.url and token.url, or an issuer")
    );
}

#[test]
fn what_stands_in_a_host_has_a_pattern_for_hosts() {
    let text = ACME.replace("https://login.acme.example/token", "https://{part}.acme.example/token");
    let config = |pattern: &str| {
        format!("{text}[config.part]\ntitle = \"Part\"\npattern = \"{pattern}\"\nexample = \"a\"\n")
    };
    assert!(load(&[file("acme", &config("label"))]).is_ok());
    assert!(refusal(&[file("acme", &config("word"))]).contains("`config.part.pattern` must be \"label\""));
}

#[test]
fn a_fault_in_a_file_that_extends_another_has_its_line_too() {
    let text = "id = \"mail\"\nname = \"M\"\nextends = \"google\"\n[token]\nurk = 1\n";
    let told = refusal(&[file("mail", text)]);
    assert!(told.contains("providers/mail.toml, line 5: unknown field `urk`"), "{told}");
    let text =
        "id = \"mail\"\nname = \"M\"\nextends = \"google\"\n[authorize]\nurl = \"http://mail.example/a\"\n";
    assert!(refusal(&[file("mail", text)]).contains("providers/mail.toml, line 5: `authorize.url`"));
}

#[test]
fn the_problems_of_all_files_are_told_at_once() {
    let told = refusal(&[
        file("acme", &ACME.replace("https", "http")),
        file("other", "id = 1"),
        file("third", "id = \"third\"\nname = \"T\"\naliases = [\"spotify\"]\nkind = \"api_key\"\n"),
    ]);
    assert!(told.starts_with("provider files are refused, for 4 reasons:\n  - "), "{told}");
    for part in ["acme.toml, line 5", "acme.toml, line 7", "other.toml, line 1", "third.toml, line 3"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn plain_http_in_a_private_network_is_for_the_policy_to_allow() {
    let private = OutboundPolicy { allow_private: true, ..OutboundPolicy::default() };
    let load = |text: &str| Catalogue::load_with(&BTreeMap::new(), &[file("acme", text)], &private);
    assert!(load(&ACME.replace("https://login.acme.example", "http://127.0.0.1:9000")).is_ok());
    assert!(load(&ACME.replace("https://login.acme.example", "http://8.8.8.8")).is_err());
}

#[test]
fn two_new_files_cannot_share_a_word() {
    let other = ACME.replace("\"acme\"", "\"other\"");
    assert!(
        refusal(&[file("acme", ACME), file("other", &other)]).contains("\"acme-inc\" is a word for acme")
    );
    let git = ACME.replace("\"acme\"", "\"git\"").replace("acme-inc", "x-acme");
    assert!(refusal(&[file("git", &git)]).contains("\"git\" is a word for github already"));
}

#[test]
fn what_changed_between_two_catalogues_is_told_by_id() {
    let settings = configured("discord", client());
    let old = Catalogue::load_with(&settings, &[file("acme", ACME)], &OutboundPolicy::default()).unwrap();
    let ids = |ids: &[ProviderId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(old.changes_to(&old), tokenry_oauth::Changes::default());
    let secret = ProviderSettings { client_secret: Some(SecretString::from("new")), ..client() };
    let github = "id = \"github\"\nextends = \"github\"\n[scope]\ndefault = [\"gist\"]\n";
    let other = ACME.replace("\"acme\"", "\"other\"");
    let files = [file("other", &other), file("github", github)];
    let new =
        Catalogue::load_with(&configured("discord", secret), &files, &OutboundPolicy::default()).unwrap();
    let changes = old.changes_to(&new);
    assert_eq!(
        (ids(&changes.added), ids(&changes.changed), ids(&changes.removed)),
        ("other".to_owned(), "discord github".to_owned(), "acme".to_owned())
    );
}

#[test]
fn a_host_that_the_operator_says_has_a_callback_of_its_own_and_the_usual_one_has_not() {
    let at = |word: &str, settings: &[(&str, &str)]| {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = ProviderSettings { settings, ..client() };
        redirect(&Catalogue::load(&configured(word, settings)).unwrap(), word)
    };
    let own = |word: &str| format!("https://tokenry.example/callback/{word}");
    assert_eq!(at("keycloak", &[("host", "id.acme.example"), ("realm", "main")]), own("keycloak"));
    assert_eq!(at("gitlab", &[("host", "git.acme.example")]), own("gitlab"));
    assert_eq!(at("gitlab", &[("host", "gitlab.com")]), "https://tokenry.example/callback");
    assert_eq!(at("gitlab", &[]), "https://tokenry.example/callback");
    let zendesk = at("zendesk", &[("subdomain", "acme")]);
    assert_eq!(zendesk, "https://tokenry.example/callback", "it ends with a name of the service's own");
}
