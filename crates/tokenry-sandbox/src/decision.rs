//! What the person decided on a consent page.

use std::sync::Arc;

use axum::http::HeaderMap;

use crate::{app::App, options::Account, params::Params};

pub(crate) enum Decision {
    /// With the words for it.
    Denied(&'static str),
    /// With the scopes in the order of the request, each only once.
    Allowed(Arc<Account>, Vec<String>),
}

/// Reads the form of a consent page.
///
/// # Errors
/// Words for the person, when the form is none of the sandbox's own.
pub(crate) fn read(
    app: &App,
    headers: &HeaderMap,
    form: &Params,
    asked: &[String],
) -> Result<Decision, &'static str> {
    // Browsers say where a form was. One on another site must not be able to press Allow.
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if matches!(site, Some("cross-site" | "same-site")) {
        return Err("This form came from another site.");
    }
    match form.one("decision") {
        Ok(Some("deny")) => Ok(Decision::Denied("denied")),
        Ok(Some("allow")) => {
            let ticked: Vec<&str> = form.all("scope").flat_map(str::split_ascii_whitespace).collect();
            if !ticked.iter().all(|scope| asked.iter().any(|asked| asked == scope)) {
                return Err("A scope was ticked that the client did not ask for.");
            }
            let account = form.one("account").ok().flatten().and_then(|id| app.account(id));
            let account = account.ok_or("There is no such account here.")?;
            // A consent to nothing at all is none.
            if ticked.is_empty() && !asked.is_empty() {
                return Ok(Decision::Denied("denied: nothing ticked"));
            }
            let granted = asked.iter().filter(|scope| ticked.contains(&scope.as_str())).cloned();
            Ok(Decision::Allowed(account.clone(), granted.collect()))
        }
        _ => Err("The form came without a decision."),
    }
}

/// The account that is chosen when the page opens.
pub(crate) fn chosen<'a>(app: &'a App, hint: Option<&str>) -> Option<&'a Account> {
    let hinted =
        app.accounts.iter().find(|account| hint == Some(&account.id) || hint == Some(&account.email));
    hinted.or(app.accounts.first()).map(AsRef::as_ref)
}
