//! `POST /control` and `GET /seen`. Neither asks who is there: the sandbox is a toy, and whoever reaches it may play.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

use crate::{
    app::{App, IssuedGrant},
    authorize, device,
    faults::Fault,
    pace::FaultRates,
    seen::Seen,
};

/// How many grants one request may issue. Programs in the same process have no limit.
const MOST_GRANTS: usize = 100_000;

pub(crate) async fn seen(State(app): State<App>) -> Json<Seen> {
    Json(app.seen())
}

/// What `POST /control` takes. JSON only, so that no other site's form can send it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Control {
    access_ttl_s: Option<u64>,
    forget: Option<String>,
    #[serde(default)]
    clear_faults: bool,
    #[serde(default)]
    faults: Vec<Fault>,
    fault_rates: Option<FaultRates>,
    /// It cannot be taken away again here; a large one is as good as none.
    limit_per_s: Option<u32>,
    advance_s: Option<u64>,
    device: Option<DeviceDecision>,
    issue_grants: Option<GrantsWanted>,
}

/// What the person does with the code of a device: with an account it is allowed, without one declined.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceDecision {
    user_code: String,
    account: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantsWanted {
    client: String,
    account_prefix: String,
    n: usize,
    #[serde(default)]
    scopes: Option<String>,
}

pub(crate) async fn control(State(app): State<App>, Json(wanted): Json<Control>) -> Response {
    let mut answer = json!({});
    let mut forgotten = 0;
    if let Some(account) = &wanted.forget {
        // A grant that was issued without a browser has an account that is on no page.
        let known = app.account(account).is_some();
        forgotten = app.forget(account);
        if !known && forgotten == 0 {
            return refuse(StatusCode::NOT_FOUND, "unknown_account");
        }
    }
    if let Some(decision) = &wanted.device
        && device::decide_for(&app, &decision.user_code, decision.account.as_deref()).is_err()
    {
        return refuse(StatusCode::NOT_FOUND, "unknown_user_code_or_account");
    }
    if let Some(GrantsWanted { client, account_prefix, n, scopes }) = &wanted.issue_grants {
        if *n > MOST_GRANTS {
            return refuse(StatusCode::UNPROCESSABLE_ENTITY, "too_many_grants");
        }
        let scopes = scopes.as_deref().unwrap_or(authorize::DEFAULT_SCOPE);
        let Ok(grants) = app.issue_grants(client, account_prefix, *n, scopes) else {
            return refuse(StatusCode::NOT_FOUND, "unknown_client");
        };
        answer["grants"] = grants.iter().map(written).collect();
    }
    app.advance(Duration::from_secs(wanted.advance_s.unwrap_or(0)));
    let mut state = app.state();
    if let Some(seconds) = wanted.access_ttl_s {
        state.grants.rules.access_ttl = Duration::from_secs(seconds);
    }
    if let Some(rates) = wanted.fault_rates {
        state.pace.set_rates(rates);
    }
    if let Some(limit) = wanted.limit_per_s {
        state.pace.set_limit(Some(limit));
    }
    if wanted.clear_faults {
        state.faults.clear();
    }
    for fault in wanted.faults {
        state.faults.add(fault);
    }
    answer["access_ttl_s"] = json!(state.grants.rules.access_ttl.as_secs());
    answer["families_forgotten"] = json!(forgotten);
    answer["faults_waiting"] = json!(state.faults.waiting());
    Json(answer).into_response()
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

fn written(grant: &IssuedGrant) -> Value {
    json!({
        "account": grant.account,
        "access_token": grant.access_token.expose_secret(),
        "refresh_token": grant.refresh_token.as_ref().map(SecretString::expose_secret),
        "expires_in": grant.expires_in,
    })
}
