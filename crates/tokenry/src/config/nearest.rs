//! Which known name somebody meant.

/// Longer names are not compared to their end.
const MAX_COMPARED: usize = 64;

/// The known name that is most like this one: by a few typing errors, or, for a name in a table, by its last part.
/// `None` when nothing is near enough to be more than a guess.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(MAX_COMPARED).collect::<String>().to_lowercase();
    let known: Vec<&str> = known.into_iter().collect();
    let by_letters = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&word, name), *name))
        .filter(|(errors, _)| *errors <= (word.chars().count() / 3).max(1))
        .min_by_key(|(errors, _)| *errors);
    by_letters.map(|(_, name)| name).or_else(|| {
        let last = last_part(&word);
        known.iter().find(|name| last_part(name) == last).copied()
    })
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name_and_a_stranger_finds_none() {
        let known = ["listen", "log.level", "log.format", "client_id", "data_dir"];
        for (word, meant) in [
            ("listn", Some("listen")),
            ("Listen", Some("listen")),
            ("lsiten", Some("listen")),
            ("log_level", Some("log.level")),
            ("level", Some("log.level")),
            ("clientId", Some("client_id")),
            ("datadir", Some("data_dir")),
            ("x", None),
            ("", None),
            ("favourite_colour", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }

    #[test]
    fn an_endless_name_is_compared_no_further_than_a_name_goes() {
        assert_eq!(nearest(&"x".repeat(1_000_000), ["listen"]), None);
    }
}
