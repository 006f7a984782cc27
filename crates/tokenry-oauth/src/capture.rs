//! Values that come back with the person or with the tokens, and are worth keeping.

use std::collections::BTreeMap;

use crate::answer::{Members, at, text};
use crate::data::ProviderData;
use crate::{Capture, OAuthError, Provider, Values};

impl Provider {
    /// The parameter of the callback that carries the code.
    pub fn code_param(&self) -> &str {
        &self.data.callback.code_param
    }

    /// Takes from the parameters of a callback the values that are worth keeping.
    ///
    /// # Errors
    /// [`OAuthError::Nonsense`] when one does not look as it must, and when one is missing that the token endpoint wants
    /// back.
    pub fn capture_callback(&self, params: &Values) -> Result<Values, OAuthError> {
        let mut captured = Values::new();
        for (name, capture) in &self.data.callback.capture {
            match params.get(name).filter(|value| !value.is_empty()) {
                Some(value) if capture.accepts(value) => {
                    captured.insert(name.clone(), value.clone());
                }
                Some(_) => {
                    return Err(OAuthError::nonsense(format!(
                        "the {name} that came with the person looks wrong"
                    )));
                }
                None if capture.send => {
                    return Err(OAuthError::nonsense(format!("no {name} came with the person")));
                }
                None => {}
            }
        }
        Ok(captured)
    }

    /// The captured values that the token endpoint wants back.
    pub(crate) fn sent_back(&self, captured: &Values) -> Vec<(String, String)> {
        let captures = self.data.callback.capture.iter().chain(&self.data.token.capture);
        captures
            .filter(|(_, capture)| capture.send)
            .filter_map(|(name, capture)| {
                let value = captured.get(name).filter(|value| capture.accepts(value))?;
                Some((name.clone(), value.clone()))
            })
            .collect()
    }

    /// Values that come back with the person and are worth keeping, by the names of the parameters.
    pub const fn callback_captures(&self) -> &BTreeMap<String, Capture> {
        &self.data.callback.capture
    }

    /// Values of the token answer that are worth keeping, by their names.
    pub const fn token_captures(&self) -> &BTreeMap<String, Capture> {
        &self.data.token.capture
    }
}

/// The values that the data call worth keeping. One that does not look as it must is left where it is: the tokens are good
/// without it, and whatever stands there is not ours to keep.
pub(crate) fn captured(data: &ProviderData, answer: &Members, members: &Members) -> Values {
    let mut captured = Values::new();
    for (name, capture) in &data.token.capture {
        let path = capture.at.as_deref().unwrap_or(name);
        let Some(value) = at(members, path).or_else(|| at(answer, path)).and_then(text) else { continue };
        if capture.accepts(&value) {
            captured.insert(name.clone(), value);
        } else {
            tracing::warn!(provider = %data.id, name, "a value in a token answer looks wrong and is not kept");
        }
    }
    captured
}
