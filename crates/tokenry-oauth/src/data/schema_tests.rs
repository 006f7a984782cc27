//! The JSON Schema of the data files says what the structs know, no more and no less.
//!
//! What the structs know is asked of themselves: a word that nobody knows is answered with all that are known.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::ClientAuth;

const SCHEMA: &str = include_str!("../../provider.schema.json");

/// The words between backquotes after "expected".
fn words(message: &str) -> BTreeSet<String> {
    let (_, expected) = message.split_once("expected").unwrap_or_else(|| panic!("{message}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn fields_of<T: DeserializeOwned>() -> BTreeSet<String> {
    words(&serde_json::from_value::<T>(json!({ "?": 0 })).err().unwrap().to_string())
}

fn variants_of<T: DeserializeOwned>() -> BTreeSet<String> {
    words(&serde_json::from_value::<T>(json!("?")).err().unwrap().to_string())
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn keys(of: &Value) -> BTreeSet<String> {
    of["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_schema_names_exactly_the_fields_that_the_structs_know() {
    let schema = schema();
    let mut top = fields_of::<ProviderData>();
    top.insert("extends".to_owned());
    assert_eq!(keys(&schema), top);
    let parts: BTreeMap<&str, BTreeSet<String>> = BTreeMap::from([
        ("authorize", fields_of::<AuthorizeData>()),
        ("scope", fields_of::<ScopeData>()),
        ("callback", fields_of::<CallbackData>()),
        ("token", fields_of::<TokenData>()),
        ("refresh", fields_of::<RefreshData>()),
        ("rotation", fields_of::<Rotation>()),
        ("expiry", fields_of::<ExpiryData>()),
        ("revoke", fields_of::<RevokeData>()),
        ("identity", fields_of::<IdentityData>()),
        ("errors", fields_of::<ErrorData>()),
        ("api", fields_of::<ApiData>()),
        ("pkce", fields_of::<PkceData>()),
        ("redirect", fields_of::<RedirectData>()),
        ("device", fields_of::<DeviceData>()),
        ("oauth1", fields_of::<Oauth1Data>()),
        ("credential", fields_of::<CredentialData>()),
    ]);
    for (name, part) in schema["properties"].as_object().unwrap() {
        if part.get("properties").is_some() {
            assert_eq!(&keys(part), parts.get(name.as_str()).unwrap_or_else(|| panic!("{name}")), "{name}");
            assert_eq!(part["additionalProperties"], false, "{name}");
        }
    }
    let tables = schema["properties"].as_object().unwrap().values().filter(|p| p.get("properties").is_some());
    assert_eq!(tables.count(), parts.len());
    assert_eq!(keys(&schema["$defs"]["capture"]), fields_of::<Capture>());
    assert_eq!(keys(&schema["properties"]["token"]["properties"]["upgrade"]), fields_of::<UpgradeData>());
    assert_eq!(keys(&schema["properties"]["token"]["properties"]["signed"]), fields_of::<SignedData>());
    assert_eq!(keys(&schema["$defs"]["setting"]), fields_of::<Setting>());
}

#[test]
fn the_schema_names_exactly_the_words_that_the_enums_know() {
    let schema = schema();
    for (path, known) in [
        ("/properties/kind", variants_of::<Kind>()),
        ("/properties/token/properties/method", variants_of::<Method>()),
        ("/properties/token/properties/auth", variants_of::<ClientAuth>()),
        ("/properties/token/properties/encoding", variants_of::<Encoding>()),
        ("/properties/token/properties/upgrade/properties/method", variants_of::<Method>()),
        ("/properties/refresh/properties/method", variants_of::<Method>()),
        ("/properties/refresh/properties/spends", variants_of::<Spends>()),
        ("/properties/rotation/properties/mode", variants_of::<RotationMode>()),
        ("/properties/rotation/properties/absolute_ttl_from", variants_of::<CountedFrom>()),
        ("/properties/expiry/properties/unit", variants_of::<ExpiryUnit>()),
        ("/properties/revoke/properties/method", variants_of::<RevokeMethod>()),
        ("/properties/revoke/properties/auth", variants_of::<RevokeAuth>()),
        ("/properties/revoke/properties/encoding", variants_of::<Encoding>()),
        ("/properties/revoke/properties/token_in", variants_of::<TokenIn>()),
        ("/properties/revoke/properties/tokens", variants_of::<RevokeTokens>()),
        ("/properties/identity/properties/from", variants_of::<IdentityFrom>()),
        ("/properties/identity/properties/method", variants_of::<Method>()),
        ("/properties/identity/properties/encoding", variants_of::<Encoding>()),
        ("/properties/token/properties/signed/properties/alg", variants_of::<Algorithm>()),
        ("/properties/device/properties/auth", variants_of::<DeviceAuth>()),
        ("/properties/pkce/properties/mode", variants_of::<PkceMode>()),
        ("/$defs/capture/properties/pattern", variants_of::<place::Pattern>()),
        ("/$defs/setting/properties/pattern", variants_of::<place::Pattern>()),
    ] {
        let listed =
            schema.pointer(path).and_then(|p| p["enum"].as_array()).unwrap_or_else(|| panic!("{path}"));
        let listed: BTreeSet<String> = listed.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
        assert_eq!(listed, known, "{path}");
    }
}
