//! `tokenry provider template`: a provider file to begin with.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use tokenry_model::ProviderId;
use tokenry_oauth::{Catalogue, Issuer, Kind};

use super::kinds;

#[derive(Args)]
pub(crate) struct Wanted {
    /// The id of the service: 1 to 64 of a-z, 0-9 and '-'; that of a built-in one changes that
    id: String,
    /// How the service lets programs in
    #[arg(long, value_parser = kinds(), default_value = "oauth2")]
    kind: Kind,
    /// Where the service describes itself, if it has OpenID Connect Discovery or RFC 8414 metadata
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The file to write, such as data/providers/acme.toml [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Prints or writes it. A file that is there already is left alone.
pub(crate) fn template(wanted: &Wanted) -> anyhow::Result<()> {
    let text = text(wanted)?;
    let Some(path) = &wanted.output else {
        print!("{text}");
        return Ok(());
    };
    let expected = format!("{}.toml", wanted.id);
    if path.file_name().is_none_or(|name| name != expected.as_str()) {
        bail!("the file of the service {} must be called {expected}", wanted.id);
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("{} is not written", path.display()))?;
    file.write_all(text.as_bytes())?;
    println!("{} is written. Fill it in, then: tokenry provider check {}", path.display(), wanted.id);
    Ok(())
}

fn text(wanted: &Wanted) -> anyhow::Result<String> {
    let id = ProviderId::parse(&wanted.id).map_err(|_| {
        anyhow::anyhow!("an id is 1 to 64 of a-z, 0-9 and '-', and begins with a letter or a digit")
    })?;
    let issuer = match &wanted.issuer {
        Some(_) if wanted.kind != Kind::Oauth2 => bail!("--issuer is for --kind oauth2"),
        Some(issuer) => Some(Issuer::parse(issuer)?),
        None => None,
    };
    let built_in = Catalogue::load(&std::collections::BTreeMap::new())?;
    if let Some(known) = built_in.find(id.as_str()) {
        if known.id != id {
            bail!(
                "{id} is another word for {}: take that as the id to change it, or choose another",
                known.id
            );
        }
        return Ok(format!("{}{}{CHANGED}", head(&id, "changed"), change_of(&id)));
    }
    let mut parts = vec![head(&id, "added"), names(&id, wanted.kind)];
    match (wanted.kind, issuer) {
        (Kind::Oauth2, Some(issuer)) => parts.extend([discovered(&issuer), OAUTH2.to_owned()]),
        (Kind::Oauth2, None) => parts.extend([endpoints(&id), OAUTH2.to_owned()]),
        (Kind::Oauth1, _) => parts.push(oauth1(&id)),
        (Kind::ClientCredentials, _) => parts.push(client_credentials(&id)),
        (Kind::ApiKey, _) => parts.push(API_KEY.to_owned()),
        (Kind::Basic, _) => parts.push(BASIC.to_owned()),
    }
    parts.push(api(&id));
    Ok(parts.concat())
}

fn head(id: &ProviderId, done: &str) -> String {
    format!(
        "# A service {done} by a provider file. Put it into the providers directory as {id}.toml, send the server SIGHUP, and\n\
         # ask `tokenry provider check {id}` what it still takes. `tokenry provider schema` has every word there is.\n\
         # A line that begins with # and a letter is a word that may be needed: remove the #.\n\
         # No secret belongs in here: client id and client secret are configured.\n\n"
    )
}

/// The id with a capital, for people.
fn title(id: &ProviderId) -> String {
    let mut letters = id.as_str().chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string()).unwrap_or_default() + letters.as_str()
}

fn names(id: &ProviderId, kind: Kind) -> String {
    format!(
        "# The name in URLs; also the name of the file.\nid = \"{id}\"\n\
         # The name for people.\nname = \"{}\"\n\
         # How the service lets programs in: oauth2, oauth1, client_credentials, api_key or basic.\nkind = \"{}\"\n\
         # Other words for it; none of them may be another service's.\n#aliases = [\"{id}-crm\"]\n\
         # What it is for, in words of your choice.\n#categories = [\"crm\"]\n\
         # Where to read how to register a program there.\n#docs_url = \"https://{id}.example/developers\"\n",
        title(id),
        kind.word()
    )
}

fn change_of(id: &ProviderId) -> String {
    format!(
        "id = \"{id}\"\n# All that this file does not say is as it is built in. Without this line, this file says all.\nextends = \"{id}\"\n"
    )
}

fn discovered(issuer: &Issuer) -> String {
    format!(
        "# Where the service describes itself. Its endpoints are asked for there, so no URL below is needed.\nissuer = \"{issuer}\"\n"
    )
}

fn endpoints(id: &ProviderId) -> String {
    format!(
        "\n[authorize]\n# Where a person's browser is sent to say yes.\nurl = \"https://{id}.example/oauth/authorize\"\n\
         # Parameters that are always sent. state, redirect_uri and their like are not for a file to say.\n\
         #params = {{ access_type = \"offline\" }}\n\
         \n[token]\n# Where codes and refresh tokens are exchanged.\nurl = \"https://{id}.example/oauth/token\"\n\
         # How Tokenry names itself there: \"basic\" (a header), \"body\" or \"none\" (by its id alone).\nauth = \"basic\"\n\
         # How the request is written: \"form\" or \"json\".\n#encoding = \"form\"\n\
         # Where the tokens are in the answer, if not at its top.\n#answer_at = \"data\"\n\
         \n[revoke]\n# Where a grant is ended (RFC 7009). Without it, deleting a connection does not revoke.\n\
         #url = \"https://{id}.example/oauth/revoke\"\n\
         \n[identity]\n# Where the account is described: by that, connecting the same account again keeps its id.\n\
         #url = \"https://{id}.example/api/me\"\n\
         # Where in the answer the stable id is, and a word by which a person knows the account.\n\
         #account_id = [\"id\"]\n#account_label = [\"email\", \"name\"]\n"
    )
}

fn oauth1(id: &ProviderId) -> String {
    format!(
        "\n[oauth1]\n# Where temporary credentials are had (RFC 5849 section 2.1).\nrequest_url = \"https://{id}.example/oauth/request_token\"\n\
         \n[authorize]\n# Where a person's browser is sent to say yes.\nurl = \"https://{id}.example/oauth/authorize\"\n\
         \n[token]\n# Where the temporary credentials are exchanged.\nurl = \"https://{id}.example/oauth/access_token\"\n"
    )
}

fn client_credentials(id: &ProviderId) -> String {
    format!(
        "\n[token]\n# Where tokens are had.\nurl = \"https://{id}.example/oauth/token\"\n\
         # How the program names itself there: \"basic\" (a header) or \"body\".\nauth = \"basic\"\n\
         \n[scope]\n# What is asked for when nobody says otherwise.\n#default = [\"read\"]\n\
         \n[expiry]\n# How long an access token lives, in seconds, when the answer does not say.\n#default_s = 3600\n"
    )
}

fn api(id: &ProviderId) -> String {
    format!(
        "\n[api]\n# The root of the service's API, and the only hosts that may see the credential (*. for all below).\n\
         #base_url = \"https://api.{id}.example\"\n#hosts = [\"api.{id}.example\"]\n\
         # The header with the credential, and the word before it.\n#header = \"Authorization\"\n#scheme = \"Bearer\"\n\
         \n# What differs from account to account. {{subdomain}} in a URL above stands for it.\n\
         #[config.subdomain]\n#title = \"The first word of your address\"\n\
         # What it may look like: label, host, domain, digits, word, segment or url; only the first three stand in a host.\n\
         #pattern = \"label\"\n#example = \"acme\"\n"
    )
}

const OAUTH2: &str = "
[scope]
# What is asked for when nobody says otherwise, and what stands between scopes.
default = []
#separator = \" \"
# Always asked for besides, so that a refresh token comes.
#offline = [\"offline_access\"]

[scope.common]
# Scopes that people usually need, each with a few words.
#\"read\" = \"read everything\"

[rotation]
# What a refresh does to the refresh token: \"keep\", \"optional\" (a new one may come) or \"always\" (the old one is spent).
mode = \"optional\"
# When a connection ends by itself, in seconds: unused for so long; so long after \"consent\" or after \"issue\".
#idle_ttl_s = 2592000
#absolute_ttl_s = 15552000
#absolute_ttl_from = \"consent\"

[expiry]
# How long an access token lives, in seconds, when the answer does not say.
#default_s = 3600

[pkce]
# \"on\", \"required\" (the service insists) or \"off\" (it does not bear it).
mode = \"on\"

[redirect]
# Whether the service refuses localhost (127.0.0.1 is said then), and plain http even there.
refuses_localhost = false
https_only = false
";

const API_KEY: &str = "
[credential]
# What a person pastes, in the service's words, and where it is made.
what = \"API key\"
#url = \"https://service.example/settings/keys\"
";

const BASIC: &str = "
[credential]
# What a person pastes, in the service's words: what stands before and behind the colon, and where it is made.
what = \"user name and password\"
user = \"user name\"
password = \"password\"
#url = \"https://service.example/settings\"
";

const CHANGED: &str = "
[scope]
# What is asked for when nobody says otherwise.
#default = [\"read\"]

[authorize]
# Another endpoint gives the service a redirect URI of its own: register that one.
#url = \"https://service.example/oauth/authorize\"

[token]
#url = \"https://service.example/oauth/token\"
";
