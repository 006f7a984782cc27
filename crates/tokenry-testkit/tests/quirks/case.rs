//! The table, and the data files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use tokenry_sandbox::Quirks;
use toml::{Table, Value};

/// How one quirk is driven.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Case {
    /// The file and the provider.
    #[serde(skip)]
    pub(crate) name: String,
    /// How the sandbox behaves.
    pub(crate) sandbox: Quirks,
    /// Words of the file, and the step at which the trip fails without each.
    pub(crate) matters: BTreeMap<String, String>,
    /// How many refreshes the provider is to see; two, where nothing is said.
    pub(crate) refreshes: Option<u64>,
    /// What the operator says of all connections.
    pub(crate) settings: BTreeMap<String, String>,
    /// What the person says of their connection when they ask for the link.
    pub(crate) given: BTreeMap<String, String>,
    /// What the connection's detail has among its settings.
    pub(crate) shown: BTreeMap<String, String>,
    /// The host of the API that only the connection itself can tell.
    pub(crate) api_host: Option<String>,
    /// The name that stands for the redirect URI.
    pub(crate) redirect_name: Option<String>,
    /// What is special about its trip.
    pub(crate) special: Vec<Special>,
    /// Where the sandbox's userinfo is, if not at its usual path.
    pub(crate) userinfo: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Special {
    /// The client signs with a key.
    Signs,
    /// The account had consented to the client before.
    ConsentedBefore,
    /// A second user connects the same account, and must be left alone by the first one's deletion.
    TwoConnections,
    /// The person removes the app at the provider in the end.
    EndsForgotten,
    /// The sandbox's clock goes with the app's.
    SandboxFollows,
    /// The token is read when it is due and too young to be refreshed.
    ReadTooYoung,
    /// The answer of a refresh is lost on the way.
    AnswerLost,
    /// The app calls itself `localhost`.
    AtLocalhost,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/quirks")
}

pub(crate) fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(folder().join("cases.toml")).unwrap();
    let table: BTreeMap<String, Case> = toml::from_str(&text).unwrap();
    table.into_iter().map(|(name, case)| Case { name, ..case }).collect()
}

pub(crate) fn file_names() -> BTreeSet<String> {
    let files = std::fs::read_dir(folder().join("providers")).unwrap();
    files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

impl Case {
    pub(crate) fn is(&self, special: Special) -> bool {
        self.special.contains(&special)
    }

    /// The data files of the trip, by their names: the provider's, without `word`, and what it extends.
    pub(crate) fn files(&self, sandbox: &str, word: Option<&str>) -> Vec<(String, String)> {
        let names: BTreeSet<&str> = BTreeSet::from(["standard", &self.name]);
        let port = sandbox.rsplit(':').next().unwrap();
        let read = |name: &str| {
            let text = std::fs::read_to_string(folder().join("providers").join(format!("{name}.toml")));
            text.unwrap().replace("{sandbox}", sandbox).replace("{port}", port)
        };
        let file = |name: &str| {
            let mut text = read(name);
            if let Some(word) = word.filter(|_| name == self.name) {
                let mut table: Table = text.parse().unwrap();
                assert!(remove(&mut table, word), "{name} does not say {word}");
                text = table.to_string();
            }
            (format!("{name}.toml"), text)
        };
        names.into_iter().map(file).collect()
    }
}

/// Takes a word out of a table. Whether it was there.
fn remove(table: &mut Table, path: &str) -> bool {
    match path.split_once('.') {
        None => table.remove(path).is_some(),
        Some((first, rest)) => match table.get_mut(first) {
            Some(Value::Table(inner)) => remove(inner, rest),
            _ => false,
        },
    }
}
