//! The outbound policy: where Tokenry goes, and where it does not, whatever a URL or a name server says.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::OAuthError;
use crate::address::{Reach, reach};

/// The limits of every outbound call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundPolicy {
    /// Whether hosts in private networks and on this machine may be asked, and such hosts over plain `http`.
    /// Link-local addresses (a cloud's metadata service) are refused all the same.
    pub allow_private: bool,
    /// For a whole call, from the name's look-up to the last byte of the answer.
    pub timeout: Duration,
    /// For the connection, TLS included.
    pub connect_timeout: Duration,
    /// An answer that is longer is not read.
    pub max_answer_bytes: usize,
}

impl Default for OutboundPolicy {
    /// The internet only; 15 s; 5 s; 1 MiB.
    fn default() -> Self {
        Self {
            allow_private: false,
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            max_answer_bytes: 1024 * 1024,
        }
    }
}

impl OutboundPolicy {
    /// Checks what the URL itself says. Names are checked once they are resolved, by [`GuardedResolver`].
    pub(crate) fn check(&self, url: &Url) -> Result<(), OAuthError> {
        let forbidden = |why: &str| {
            let what = format!("{}://{} {why}", url.scheme(), url.host_str().unwrap_or_default());
            Err(OAuthError::Forbidden { what })
        };
        if !url.username().is_empty() || url.password().is_some() {
            return forbidden("has a user name or a password in it");
        }
        let admit = match (url.scheme(), self.allow_private) {
            ("https", allow_private) => Admit::over_tls(allow_private),
            ("http", true) => Admit::PrivateOnly,
            ("http", false) => return forbidden("is not https"),
            _ => return forbidden("is neither https nor http"),
        };
        let literal = match url.host() {
            None => return forbidden("has no host"),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        };
        if admit.admits(literal) { Ok(()) } else { forbidden(admit.refusal()) }
    }
}

/// Which addresses a client may connect to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Admit {
    PublicOnly,
    PublicAndPrivate,
    /// For plain `http`: it never leaves the private network.
    PrivateOnly,
}

impl Admit {
    pub(crate) const fn over_tls(allow_private: bool) -> Self {
        if allow_private { Self::PublicAndPrivate } else { Self::PublicOnly }
    }

    fn admits(self, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Public => !matches!(self, Self::PrivateOnly),
            Reach::Private => !matches!(self, Self::PublicOnly),
            Reach::Never => false,
        }
    }

    /// One bad address among several is enough to refuse the name.
    fn judge(self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ForbiddenName> {
        if found.iter().all(|address| self.admits(address.ip())) {
            Ok(found)
        } else {
            Err(ForbiddenName { what: format!("{name} {}", self.refusal()) })
        }
    }

    const fn refusal(self) -> &'static str {
        match self {
            Self::PublicOnly => {
                "leads into a private or special network, which the configuration does not allow"
            }
            Self::PublicAndPrivate => "leads to an address where no provider can be",
            Self::PrivateOnly => "is plain http and leads out of the private network",
        }
    }
}

/// What turns names into addresses.
pub(crate) trait Names: Send + Sync + fmt::Debug {
    /// All addresses of a name; the port is of no account.
    fn look_up(&self, name: String) -> Found;
}

/// Addresses that are still looked for.
pub(crate) type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// The names as the machine knows them.
#[derive(Debug)]
pub(crate) struct SystemNames;

impl Names for SystemNames {
    fn look_up(&self, name: String) -> Found {
        Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
    }
}

/// Resolves names and refuses those that lead where the policy does not go.
///
/// The addresses that were checked are the ones that are connected to, so a name that changes its answer
/// between check and use (DNS rebinding) gains nothing.
#[derive(Debug)]
pub(crate) struct GuardedResolver {
    pub(crate) admit: Admit,
    pub(crate) names: Arc<dyn Names>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (admit, found) = (self.admit, self.names.look_up(name.as_str().to_owned()));
        Box::pin(async move {
            let admitted = admit.judge(name.as_str(), found.await?)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// A name led to an address that is not admitted.
#[derive(Debug)]
pub(crate) struct ForbiddenName {
    pub(crate) what: String,
}

impl fmt::Display for ForbiddenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for ForbiddenName {}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allow_private: bool, url: &str) -> bool {
        OutboundPolicy { allow_private, ..OutboundPolicy::default() }.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn only_https_to_the_internet_goes_out_by_default() {
        assert!(allows(false, "https://id.example/token"));
        for url in [
            "http://id.example/",
            "ftp://id.example/",
            "file:///etc/passwd",
            "https://user@id.example/",
            "https://user:pass@id.example/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/",
            "https://10.0.0.1/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://0.0.0.0/",
        ] {
            assert!(!allows(false, url), "{url}");
        }
    }

    #[test]
    fn plain_http_stays_in_the_private_network() {
        for url in [
            "http://127.0.0.1:9/",
            "http://10.0.0.1/",
            "http://[::1]/",
            "https://192.168.1.1/",
            "https://id.example/",
        ] {
            assert!(allows(true, url), "{url}");
        }
        for url in [
            "http://8.8.8.8/",
            "http://169.254.169.254/",
            "https://169.254.169.254/",
            "https://[fe80::1]/",
            "http://0.0.0.0/",
        ] {
            assert!(!allows(true, url), "{url}");
        }
        assert!(!Admit::PrivateOnly.admits("8.8.8.8".parse().unwrap()));
    }

    #[test]
    fn one_bad_address_among_good_ones_is_enough() {
        let judge = |admit: Admit, found: &[&str]| {
            admit.judge("id.example", found.iter().map(|a| a.parse().unwrap()).collect()).is_ok()
        };
        assert!(judge(Admit::PublicOnly, &["8.8.8.8:0", "[2606:4700::1]:0"]));
        assert!(!judge(Admit::PublicOnly, &["8.8.8.8:0", "127.0.0.1:0"]));
        assert!(judge(Admit::PublicAndPrivate, &["8.8.8.8:0", "127.0.0.1:0"]));
        assert!(!judge(Admit::PublicAndPrivate, &["8.8.8.8:0", "169.254.169.254:0"]));
        assert!(judge(Admit::PrivateOnly, &["10.0.0.1:0", "[::1]:0"]));
        assert!(!judge(Admit::PrivateOnly, &["10.0.0.1:0", "8.8.8.8:0"]));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_the_address_it_leads_to() {
        let resolve = async |admit| {
            let guarded = GuardedResolver { admit, names: Arc::new(SystemNames) };
            guarded.resolve("localhost".parse().unwrap()).await
        };
        let Err(error) = resolve(Admit::PublicOnly).await else { panic!("localhost was let through") };
        assert!(error.downcast_ref::<ForbiddenName>().is_some(), "{error}");
        for admit in [Admit::PublicAndPrivate, Admit::PrivateOnly] {
            assert!(resolve(admit).await.unwrap().all(|a| a.ip().is_loopback()));
        }
    }
}
