//! Files of the spool.

use tokenry_store::fuzz::{read_spooled, write_spooled};

pub fn run(data: &[u8]) {
    match read_spooled(data) {
        Ok(spooled) => {
            let written = write_spooled(&spooled).unwrap();
            let again = read_spooled(&written).unwrap();
            assert_eq!(format!("{again:?}"), format!("{spooled:?}"));
            assert_eq!(write_spooled(&again).unwrap(), written);
            assert_eq!(again.sealed.access, spooled.sealed.access);
            assert!(!spooled.credential.scopes.to_string().contains('\0'));
            // Whatever time it says can be shown.
            let times = spooled.credential.times;
            let _ = times.expires_at.map(|at| at.to_string());
            let _ = times.reconnect_by().map(|at| at.to_string());
        }
        Err(why) => assert!(!why.is_empty()),
    }
}
