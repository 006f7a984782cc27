//! `/api/user`

mod authorize_link;
mod authorize_link_refusals;
