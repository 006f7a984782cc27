//! Places where a test kills the process, to see what survives. They are in debug builds only.

/// With `TOKENRY_CRASH_AT` naming this step, the process is gone here as with a `kill -9`: nothing is finished, flushed or
/// given back.
#[cfg(debug_assertions)]
pub(crate) fn point(step: &str) {
    if std::env::var_os("TOKENRY_CRASH_AT").is_some_and(|named| named == step) {
        // It kills this very process, so there is no outcome to look at.
        let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        std::process::abort();
    }
}

/// Not in release builds.
#[cfg(not(debug_assertions))]
pub(crate) const fn point(_: &str) {}
