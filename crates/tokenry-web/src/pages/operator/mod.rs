//! What an operator sees and changes: how the server does, its services, its users, what happened, and its keys.

mod chart;
mod events;
mod keys;
mod overview;
mod people;
mod services;
mod settings;

use axum::extract::Form;
use axum::extract::rejection::FormRejection;

use super::error::PageError;
use super::frame::{Frame, Section};
use super::gate::Visit;
use super::routes::Page;
use super::texts::THOUSANDS;

pub(super) fn routes() -> Vec<Page> {
    let mut pages = overview::routes();
    pages.extend(services::routes());
    pages.extend(people::routes());
    pages.extend(events::routes());
    pages.extend(keys::routes());
    pages.extend(settings::routes());
    pages
}

/// The frame of an operator's page.
fn frame(visit: &Visit, title: &str) -> Frame {
    visit.frame(title).at(Section::Operator)
}

/// A form that cannot be read was not made by a page of ours.
fn read<T>(form: Result<Form<T>, FormRejection>) -> Result<T, PageError> {
    form.map(|Form(form)| form).map_err(|_| PageError::ForeignForm)
}

/// A number with its thousands apart.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(THOUSANDS);
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// A part of a whole in tenths of a percent, rounded down: only all of it is 100 %.
fn share(part: i64, all: i64) -> String {
    let tenths = if all == 0 { 1000 } else { part.saturating_mul(1000) / all };
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// What a query says, with each value written for an address.
fn query(pairs: &[(&str, &str)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        text.append_pair(name, value);
    }
    text.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!((share(999_999, 1_000_000), share(0, 0)), ("99.9".to_owned(), "100.0".to_owned()));
    }

    #[test]
    fn what_is_empty_is_not_asked_for() {
        assert_eq!(query(&[("user", "a&b"), ("action", ""), ("before", "7")]), "user=a%26b&before=7");
    }
}
