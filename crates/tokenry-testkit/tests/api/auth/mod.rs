//! `/api/auth`

mod busy;
mod limits;
mod limits_by_address;
mod login;
mod password;
mod sessions;
mod signup;
