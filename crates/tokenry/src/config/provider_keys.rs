//! The table of the keys of one provider.

use tokenry_oauth::{ClientAuth, Issuer, ProviderSettings};
use url::Url;

use super::keys::{Key, Kind, SET, put, show_list};
use super::parse;

const WEB_ADDRESS: &str = "an http or https URL without user name and fragment";

/// The keys of one provider.
pub(super) static PROVIDER_KEYS: &[Key<ProviderSettings>] = &[
    Key {
        name: "client_id",
        kind: Kind::Text(|p, v| put(&mut p.client_id, parse::text(v).map(Some))),
        show: |p| p.client_id.clone(),
        help: "The client id that the provider gave out when Tokenry was registered there.",
        allowed: "a text on one line",
        sample: "my-client-id",
    },
    Key {
        name: "client_secret",
        kind: Kind::Secret(|p, v| put(&mut p.client_secret, parse::secret(v).map(Some))),
        show: |p| p.client_secret.as_ref().map(|_| SET.to_owned()),
        help: "The client secret.",
        allowed: "a text that is more than white space",
        sample: "my-client-secret",
    },
    Key {
        name: "private_key",
        kind: Kind::Secret(|p, v| put(&mut p.private_key, parse::secret(v).map(Some))),
        show: |p| p.private_key.as_ref().map(|_| SET.to_owned()),
        help: "The private key with which Tokenry signs, where the service wants that in place of a client secret.",
        allowed: "a private key in PEM (PKCS#8)",
        sample: "-----BEGIN PRIVATE KEY-----…",
    },
    Key {
        name: "key_id",
        kind: Kind::Text(|p, v| put(&mut p.key_id, parse::text(v).map(Some))),
        show: |p| p.key_id.clone(),
        help: "By what the service knows the private key (`kid`).",
        allowed: "a text on one line",
        sample: "my-key-id",
    },
    Key {
        name: "team_id",
        kind: Kind::Text(|p, v| put(&mut p.team_id, parse::text(v).map(Some))),
        show: |p| p.team_id.clone(),
        help: "In whose name the client secret is signed, where the service wants a signed one.",
        allowed: "a text on one line",
        sample: "my-team-id",
    },
    Key {
        name: "redirect_name",
        kind: Kind::Text(|p, v| put(&mut p.redirect_name, parse::text(v).map(Some))),
        show: |p| p.redirect_name.clone(),
        help: "The name that the service gave to the redirect URI, where it wants that in the URI's place.",
        allowed: "a text on one line",
        sample: "my-redirect-name",
    },
    Key {
        name: "settings",
        kind: Kind::Table(|p, v| put(&mut p.settings, parse::pairs(v))),
        show: |p| {
            let pairs = p.settings.iter().map(|(name, value)| format!("{name}={value}"));
            (!p.settings.is_empty()).then(|| show_list(pairs))
        },
        help: "What differs from account to account, fixed for all connections; `tokenry provider show` names the settings of a service.",
        allowed: "a table of texts; in a variable, name=value with spaces between",
        sample: "subdomain=acme",
    },
    Key {
        name: "scopes",
        kind: Kind::List(|p, v| put(&mut p.scopes, parse::scopes(v).map(Some))),
        show: |p| p.scopes.as_ref().map(|s| show_list(s.iter())),
        help: "The scopes to ask for, in place of the built-in ones.",
        allowed: "a list of scopes, each without white space, quotes and backslashes",
        sample: "openid email",
    },
    Key {
        name: "name",
        kind: Kind::Text(|p, v| put(&mut p.name, parse::text(v).map(Some))),
        show: |p| p.name.clone(),
        help: "What people call the provider.",
        allowed: "a text on one line",
        sample: "Acme",
    },
    Key {
        name: "issuer",
        kind: Kind::Text(|p, v| put(&mut p.issuer, parse::issuer(v).map(Some))),
        show: |p| p.issuer.as_ref().map(Issuer::to_string),
        help: "Where the provider describes itself (OpenID Connect Discovery, RFC 8414). Then no URL below is needed.",
        allowed: "an http or https URL without user name, query and fragment, such as https://id.example.org",
        sample: "https://id.example.org",
    },
    Key {
        name: "authorize_url",
        kind: Kind::Text(|p, v| put(&mut p.authorize_url, parse::endpoint(v).map(Some))),
        show: |p| p.authorize_url.as_ref().map(Url::to_string),
        help: "Where a person's browser is sent to consent.",
        allowed: WEB_ADDRESS,
        sample: "https://id.example.org/authorize",
    },
    Key {
        name: "token_url",
        kind: Kind::Text(|p, v| put(&mut p.token_url, parse::endpoint(v).map(Some))),
        show: |p| p.token_url.as_ref().map(Url::to_string),
        help: "Where codes and refresh tokens are exchanged.",
        allowed: WEB_ADDRESS,
        sample: "https://id.example.org/token",
    },
    Key {
        name: "revoke_url",
        kind: Kind::Text(|p, v| put(&mut p.revoke_url, parse::endpoint(v).map(Some))),
        show: |p| p.revoke_url.as_ref().map(Url::to_string),
        help: "Where a grant is ended (RFC 7009).",
        allowed: WEB_ADDRESS,
        sample: "https://id.example.org/revoke",
    },
    Key {
        name: "userinfo_url",
        kind: Kind::Text(|p, v| put(&mut p.userinfo_url, parse::endpoint(v).map(Some))),
        show: |p| p.userinfo_url.as_ref().map(Url::to_string),
        help: "Where the account is described.",
        allowed: WEB_ADDRESS,
        sample: "https://id.example.org/userinfo",
    },
    Key {
        name: "token_auth",
        kind: Kind::Text(|p, v| put(&mut p.token_auth, parse::token_auth(v).map(Some))),
        show: |p| {
            p.token_auth.map(|auth| {
                let word = match auth {
                    ClientAuth::Basic => "basic",
                    ClientAuth::Body => "body",
                    ClientAuth::None => "none",
                    ClientAuth::SecretAsBasicUser => "secret_as_basic_user",
                    ClientAuth::PrivateKeyJwt => "private_key_jwt",
                    ClientAuth::SignedSecret => "signed_secret",
                };
                word.to_owned()
            })
        },
        help: "How Tokenry names itself: in a Basic header, in the body, by its id alone, or by what `private_key` signs.",
        allowed: "\"basic\", \"body\", \"none\", \"secret_as_basic_user\", \"private_key_jwt\" or \"signed_secret\"",
        sample: "basic",
    },
    Key {
        name: "scope_separator",
        kind: Kind::Text(|p, v| put(&mut p.scope_separator, parse::scope_separator(v).map(Some))),
        show: |p| p.scope_separator.as_ref().map(|s| format!("{s:?}")),
        help: "What stands between scopes in the authorize URL; a space when it is not set.",
        allowed: "one to four spaces or punctuation marks",
        sample: " ",
    },
    Key {
        name: "pkce",
        kind: Kind::Flag(|p, v| p.pkce = Some(v)),
        show: |p| p.pkce.map(|on| on.to_string()),
        help: "Whether PKCE is used. When it is true and there is no client secret, Tokenry is a public client.",
        allowed: "true or false",
        sample: "true",
    },
    Key {
        name: "account_id",
        kind: Kind::Text(|p, v| put(&mut p.account_id, parse::text(v).map(Some))),
        show: |p| p.account_id.clone(),
        help: "Where the answer of `userinfo_url` has the account's stable id; `sub` or `id` when it is not set.",
        allowed: "the name of a member, such as id or data.id",
        sample: "sub",
    },
    Key {
        name: "account_label",
        kind: Kind::Text(|p, v| put(&mut p.account_label, parse::text(v).map(Some))),
        show: |p| p.account_label.clone(),
        help: "Where it has the word by which a person knows the account.",
        allowed: "the name of a member, such as email or data.name",
        sample: "email",
    },
];
