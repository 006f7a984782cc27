//! Words that came from a provider, made fit for a person's eyes and for a log.

const MAX_CHARS: usize = 200;
const MARK: &str = "[secret]";

/// The text without the secrets, without control and direction characters, and at most 200 characters long.
///
/// A provider may echo what it was sent. Secrets are taken out as they are and percent-encoded, before and
/// after the other characters go: dropping a character must not put a secret together again.
pub(crate) fn sanitise(text: &str, secrets: &[&str]) -> String {
    let shown: String = without(text, secrets)
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| *c == ' ' || c.is_ascii_graphic() || c.is_alphabetic())
        .collect();
    let shown = without(shown.trim(), secrets);
    if shown.chars().count() <= MAX_CHARS {
        return shown;
    }
    shown.chars().take(MAX_CHARS - 1).chain(['…']).collect()
}

fn without(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [*secret, encoded.as_str()] {
            if text.contains(form) {
                text = text.replace(form, MARK);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_in_every_form() {
        assert_eq!(sanitise("token s3/cr+t is bad", &["s3/cr+t"]), "token [secret] is bad");
        assert_eq!(sanitise("token s3%2Fcr%2Bt is bad", &["s3/cr+t"]), "token [secret] is bad");
        assert_eq!(sanitise("token s3c\u{0}ret is bad", &["s3cret"]), "token [secret] is bad");
        assert_eq!(sanitise("nothing", &[""]), "nothing");
    }

    #[test]
    fn a_text_is_short_and_prints_plainly() {
        assert_eq!(sanitise("a\r\nb\u{202e}c\u{1b}[31m é", &[]), "a  bc[31m é");
        let long = sanitise(&"x".repeat(1000), &[]);
        assert_eq!(long.chars().count(), 200);
        let cut = sanitise(&format!("{}s3cret", "x".repeat(196)), &["s3cret"]);
        assert!(!cut.contains("s3c"), "{cut}");
    }
}
