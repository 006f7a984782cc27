//! Connecting an account, keeping its token fresh, and giving it back: on the running app, with real providers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a failed step is a failed test, also in its helpers"
)]

mod again;
mod ahead;
mod attacks;
mod better_auth;
mod browser_binding;
mod callback_errors;
mod cookies;
mod deletion;
mod devices;
mod django_oauth;
mod ends;
mod exchange_failures;
mod given_back;
mod homecoming;
mod hours;
mod injection;
mod keys;
mod kinds;
mod listing;
mod little;
mod mix_up;
mod odd_providers;
mod outbound;
mod parked_grants;
mod pauses;
mod person_account;
mod person_connects;
mod person_keeps;
mod quotas;
mod reconnect;
mod refresh;
mod refresh_failures;
mod services;
mod shared_revocation;
mod slow_clients;
mod storms;
mod visitor;
mod whole_trip;
mod without_a_browser;
mod world;
mod wrong_clock;
