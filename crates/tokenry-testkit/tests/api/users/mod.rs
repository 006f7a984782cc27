//! `/api/users/{username}`

mod add;
mod delete;
mod get;
mod list;
mod many;
mod update;
