//! Passwords: Argon2id with the parameters OWASP names first for 19 MiB, a few at a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokenry_model::{ExposeSecret as _, Random, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::BrokerError;

/// Memory in KiB, passes, lanes (OWASP Password Storage Cheat Sheet).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many may wait for their turn, for each that may run. Beyond it a caller is told to come back.
const QUEUE_PER_PERMIT: usize = 64;
/// How many of these one network or device may take.
const QUEUE_PER_CALLER: usize = 32;
/// How many may wait to sign up.
const SIGN_UP_QUEUE: usize = 16;

/// Hashes and checks passwords on threads of their own, no more at once than half the cores: a flood of log-ins takes
/// its time, and the reads go on.
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
    /// One sign-up at a time stands in the queue: strangers who sign up do not hold up those who log in.
    sign_ups: Semaphore,
    signing_up: AtomicUsize,
    waiting: Mutex<HashMap<String, usize>>,
    queue: usize,
    argon2: Argon2<'static>,
    random: Arc<dyn Random>,
}

/// A turn at hashing. What must happen between two tries of the same caller happens while it is held.
pub(crate) struct Turn<'a> {
    passwords: &'a Passwords,
    // Shared with the thread that hashes: a caller who hangs up does not free a place that is still busy.
    permit: Arc<OwnedSemaphorePermit>,
}

impl Passwords {
    pub(crate) fn new(random: Arc<dyn Random>) -> Option<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let permits = (cores / 2).max(1);
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
        Some(Self {
            permits: Arc::new(Semaphore::new(permits)),
            sign_ups: Semaphore::new(1),
            signing_up: AtomicUsize::new(0),
            waiting: Mutex::default(),
            queue: permits * QUEUE_PER_PERMIT,
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            random,
        })
    }

    /// Waits for a turn. `who` is the network or the device that asks: none may fill the queue alone. A device that we know
    /// still finds a place when strangers have filled it.
    pub(crate) async fn turn(&self, who: &str, is_known: bool) -> Result<Turn<'_>, BrokerError> {
        let queue = if is_known { self.queue * 2 } else { self.queue };
        let _waiting = Waiting::enter(&self.waiting, who, queue).ok_or(BrokerError::Busy)?;
        self.take().await
    }

    /// Waits for a turn to hash the password of somebody who signs up.
    pub(crate) async fn turn_to_sign_up(&self) -> Result<Turn<'_>, BrokerError> {
        let _waiting = SigningUp::enter(&self.signing_up);
        if self.signing_up.load(Ordering::Relaxed) > SIGN_UP_QUEUE {
            return Err(BrokerError::Busy);
        }
        let _gate = self.sign_ups.acquire().await.map_err(|_| BrokerError::Busy)?;
        self.take().await
    }

    async fn take(&self) -> Result<Turn<'_>, BrokerError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| BrokerError::Busy)?;
        Ok(Turn { passwords: self, permit: Arc::new(permit) })
    }
}

/// A place in the queue, given back also by a caller who hangs up.
struct Waiting<'a> {
    all: &'a Mutex<HashMap<String, usize>>,
    who: String,
}

impl<'a> Waiting<'a> {
    fn enter(all: &'a Mutex<HashMap<String, usize>>, who: &str, queue: usize) -> Option<Self> {
        let mut places = all.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: usize = places.values().sum();
        let own = places.get(who).copied().unwrap_or(0);
        if taken >= queue || own >= QUEUE_PER_CALLER {
            return None;
        }
        places.insert(who.to_owned(), own + 1);
        Some(Self { all, who: who.to_owned() })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut places = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = places.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                places.remove(&self.who);
            }
        }
    }
}

/// Counts somebody who waits to sign up.
struct SigningUp<'a>(&'a AtomicUsize);

impl<'a> SigningUp<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for SigningUp<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turn<'_> {
    /// The place itself, for work that goes on when the caller hangs up.
    pub(crate) fn place(&self) -> Arc<OwnedSemaphorePermit> {
        Arc::clone(&self.permit)
    }

    /// Hashes a password with a fresh salt, to PHC form.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String, BrokerError> {
        let mut salt = [0; 16];
        self.passwords.random.fill(&mut salt)?;
        let argon2 = self.passwords.argon2.clone();
        let password = password.clone();
        self.run(move || {
            argon2
                .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|_| BrokerError::Internal("a password could not be hashed"))
        })
        .await?
    }

    /// Whether the password is the one behind `hash`. Without a hash, because there is no such user, it takes as long
    /// and says no.
    pub(crate) async fn check(
        &self,
        password: &SecretString,
        hash: Option<String>,
    ) -> Result<bool, BrokerError> {
        let argon2 = self.passwords.argon2.clone();
        let password = password.clone();
        self.run(move || {
            let password = password.expose_secret().as_bytes();
            if let Some(hash) = hash {
                argon2.verify_password(password, hash.as_str()).is_ok()
            } else {
                let worked = argon2.hash_password_with_salt(password, b"nobody is here..");
                std::hint::black_box(worked).is_err()
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BrokerError> {
        let permit = Arc::clone(&self.permit);
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| BrokerError::Internal("a password task ended early"))
    }
}

#[cfg(test)]
mod tests {
    use tokenry_vault::SystemRandom;

    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_with_owasps_parameters_and_checks_only_its_password() {
        let passwords = Passwords::new(Arc::new(SystemRandom)).unwrap();
        let turn = passwords.turn("a", false).await.unwrap();
        let hash = turn.hash(&"correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, turn.hash(&"correct horse".into()).await.unwrap(), "the salt is fresh");
        assert!(turn.check(&"correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!turn.check(&"correct horsf".into(), Some(hash)).await.unwrap());
        assert!(!turn.check(&"anything".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_fills_the_queue_alone_and_a_known_device_still_finds_a_place() {
        let passwords = Passwords::new(Arc::new(SystemRandom)).unwrap();
        let enter = |who: &str, queue| Waiting::enter(&passwords.waiting, who, queue);
        let mut places: Vec<_> =
            (0..QUEUE_PER_CALLER).map(|_| enter("a", passwords.queue).unwrap()).collect();
        assert!(matches!(passwords.turn("a", false).await, Err(BrokerError::Busy)));
        for stranger in 0..passwords.queue - QUEUE_PER_CALLER {
            places.push(enter(&format!("b{stranger}"), passwords.queue).unwrap());
        }
        assert!(matches!(passwords.turn("c", false).await, Err(BrokerError::Busy)));
        assert!(passwords.turn("a known device", true).await.is_ok());
        drop(places);
        assert!(passwords.turn("a", false).await.is_ok());
        assert!(passwords.waiting.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn those_who_sign_up_wait_in_a_line_of_their_own() {
        let passwords = Passwords::new(Arc::new(SystemRandom)).unwrap();
        passwords.signing_up.store(SIGN_UP_QUEUE, Ordering::Relaxed);
        assert!(matches!(passwords.turn_to_sign_up().await, Err(BrokerError::Busy)));
        assert!(passwords.turn("a", false).await.is_ok());
    }
}
