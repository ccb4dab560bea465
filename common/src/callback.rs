//! Where a job's end is told to, and which addresses may be told.
//!
//! A callback is an address of a client's choosing that our machines connect
//! to, so it must not reach what only they can reach (server-side request
//! forgery). The front door refuses what is wrong in the address itself; the
//! stage that delivers looks again, and at what its name resolves to.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{
    config::{ConfigError, Environment},
    envelope::{Envelope, Job},
    ids::CorrelationId,
    pipeline::Route,
    time::UnixMillis,
    turn::{Input, Turn},
};
pub use secrets::{SigningKey, SigningKeys, Strength, secret_from};

mod secrets;

/// Characters of an address.
pub const LONGEST_URL: usize = 2_048;

/// Time to tell, beyond that of the job that is told of.
pub const TIME_TO_TELL: Duration = Duration::from_secs(24 * 60 * 60);

/// The first message of the job that tells of the next end of `job`; `None` when
/// nobody asked for it.
pub fn telling(job: &Job, now: UnixMillis) -> Option<Envelope> {
    let url = job.callback_url.clone()?;
    let telling = Job {
        correlation_id: job.callback?,
        route: Route::Webhook,
        deadline: job.deadline.after(TIME_TO_TELL),
        conversation_id: None,
        response_format: None,
        callback: None,
        callback_url: None,
        callback_of: Some(job.correlation_id),
        ..job.clone()
    };
    let turn = Turn::new(Input::Callback { url });
    Some(Envelope::first(telling, turn, now))
}

/// The job that tells of the end of `job` after it is resumed until `deadline`:
/// the same each time, so that nobody is told twice of one end.
pub fn next_to_tell(job: &Job, deadline: UnixMillis) -> Option<CorrelationId> {
    job.callback_url.as_ref()?;
    Some(
        job.correlation_id
            .derived(&format!("end by {}", deadline.0)),
    )
}

/// Which addresses may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public internet.
    Public,
    /// Private ones too, for services of one's own network.
    Any,
}

impl Reach {
    pub fn permits(self, address: IpAddr) -> bool {
        self == Self::Any || is_public(address)
    }
}

/// How callbacks are made.
#[derive(Clone, Debug)]
pub struct CallbackConfig {
    /// To sign them with; a tenant without one has none.
    pub keys: SigningKeys,
    pub reach: Reach,
}

impl CallbackConfig {
    pub fn from_environment(env: &Environment, strength: Strength) -> Result<Self, ConfigError> {
        let allow_private = env.flag("WEBHOOK_ALLOW_PRIVATE", false)?;
        Ok(Self {
            keys: SigningKeys::from_environment(env, strength)?,
            reach: if allow_private {
                Reach::Any
            } else {
                Reach::Public
            },
        })
    }
}

/// An address that a client wants told of its job's end. It may hold a secret
/// of the client's, so it is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallbackUrl(String);

/// Why an address is not called; for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUrl {
    #[error("must be an absolute http or https address of at most {LONGEST_URL} characters")]
    NoAddress,
    #[error("must not hold a user name or password")]
    Credentials,
    #[error("must be an address of the public internet")]
    Private,
}

impl CallbackUrl {
    /// Refuses what can be told from the address alone.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, RefusedUrl> {
        checked(text, reach).map(|url| Self(url.into()))
    }

    /// Looks again, by the rules of this process.
    pub fn checked(&self, reach: Reach) -> Result<Url, RefusedUrl> {
        checked(&self.0, reach)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackUrl(…)")
    }
}

fn checked(text: &str, reach: Reach) -> Result<Url, RefusedUrl> {
    // The parser would leave tabs and the ends of lines out, and read on.
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    if text.len() > LONGEST_URL || !text.chars().all(is_plain) {
        return Err(RefusedUrl::NoAddress);
    }
    // The parser of browsers (WHATWG) knows every way to write an IPv4 address:
    // 127.1, 0x7f000001, 2130706433.
    let url = Url::parse(text).map_err(|_| RefusedUrl::NoAddress)?;
    if !matches!(url.scheme(), "http" | "https") || url.port() == Some(0) {
        return Err(RefusedUrl::NoAddress);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RefusedUrl::Credentials);
    }
    let is_public = match url.host() {
        None => return Err(RefusedUrl::NoAddress),
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(name)) => !is_local_name(name),
    };
    match (reach, is_public) {
        (Reach::Public, false) => Err(RefusedUrl::Private),
        _ => Ok(url),
    }
}

/// `localhost` and all below it mean this machine (RFC 6761, section 6.3).
pub fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether `address` is one of the public internet, by the IANA registries of
/// special-purpose addresses (RFC 6890 and its updates).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Networks of IPv4 that are not the public internet: first address and bits.
const SPECIAL_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    // Shared between the customers of a carrier (RFC 6598).
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // Link-local; the metadata of cloud machines too.
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    // Documentation (RFC 5737), here and twice below.
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, and what is reserved, with the broadcast address.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(first, length)| {
        let first = Ipv4Addr::from(*first).to_bits();
        (bits ^ first) >> (32 - length) == 0
    })
}

/// Networks within global unicast that are not the public internet. Those that
/// carry an IPv4 address (6to4, Teredo) are no way around the table above.
const SPECIAL_V6: [([u16; 3], u32); 4] = [
    // Protocol assignments: Teredo, ORCHID, benchmarking.
    ([0x2001, 0, 0], 23),
    ([0x2001, 0xdb8, 0], 32),
    ([0x2002, 0, 0], 16),
    ([0x3fff, 0, 0], 20),
];

/// Global unicast is 2000::/3 alone. All else is left out with it: mapped and
/// translated IPv4, unique local, link-local, multicast.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let within = |[a, b, c]: [u16; 3], length: u32| {
        let first = Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_bits();
        (bits ^ first) >> (128 - length) == 0
    };
    within([0x2000, 0, 0], 3)
        && !SPECIAL_V6
            .iter()
            .any(|(first, length)| within(*first, *length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_public_internet_are_told_from_all_others() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2001:200::1",
            "2400::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn an_address_is_refused_for_what_can_be_told_from_it() {
        use RefusedUrl::{Credentials, NoAddress, Private};
        for (text, public, any) in [
            ("https://example.org/hook?a=1", Ok(()), Ok(())),
            ("http://example.org:8080", Ok(()), Ok(())),
            ("HTTPS://Example.org", Ok(()), Ok(())),
            ("http://1.1.1.1/", Ok(()), Ok(())),
            ("http://[2606:4700::1111]/", Ok(()), Ok(())),
            ("http://localhost/", Err(Private), Ok(())),
            ("http://LOCALHOST./", Err(Private), Ok(())),
            ("http://a.localhost/", Err(Private), Ok(())),
            ("http://127.0.0.1:9/", Err(Private), Ok(())),
            ("http://127.1/", Err(Private), Ok(())),
            ("http://2130706433/", Err(Private), Ok(())),
            ("http://0x7f.1/", Err(Private), Ok(())),
            ("http://0177.0.0.1/", Err(Private), Ok(())),
            ("http://①②⑦.0.0.1/", Err(Private), Ok(())),
            ("http://[::1]/", Err(Private), Ok(())),
            ("http://[::ffff:10.0.0.1]/", Err(Private), Ok(())),
            ("http://169.254.169.254/latest", Err(Private), Ok(())),
            (
                "http://a:b@example.org/",
                Err(Credentials),
                Err(Credentials),
            ),
            ("http://a@example.org/", Err(Credentials), Err(Credentials)),
            (
                "http://1.1.1.1@127.0.0.1/",
                Err(Credentials),
                Err(Credentials),
            ),
            ("ftp://example.org/", Err(NoAddress), Err(NoAddress)),
            ("file:///etc/passwd", Err(NoAddress), Err(NoAddress)),
            ("gopher://example.org", Err(NoAddress), Err(NoAddress)),
            ("javascript:alert(1)", Err(NoAddress), Err(NoAddress)),
            ("/hook", Err(NoAddress), Err(NoAddress)),
            ("example.org", Err(NoAddress), Err(NoAddress)),
            ("http://", Err(NoAddress), Err(NoAddress)),
            ("http://example.org:0/", Err(NoAddress), Err(NoAddress)),
            ("http://exam\nple.org/", Err(NoAddress), Err(NoAddress)),
            ("http://example.org/\t", Err(NoAddress), Err(NoAddress)),
            (" http://example.org/", Err(NoAddress), Err(NoAddress)),
            ("http://example.org/a b", Err(NoAddress), Err(NoAddress)),
            ("", Err(NoAddress), Err(NoAddress)),
            ("http://example.org:99999/", Err(NoAddress), Err(NoAddress)),
        ] {
            let parsed = |reach| CallbackUrl::parse(text, reach).map(drop);
            assert_eq!(parsed(Reach::Public), public, "{text}");
            assert_eq!(parsed(Reach::Any), any, "{text}");
        }
        let long = format!("https://example.org/{}", "a".repeat(LONGEST_URL));
        assert_eq!(CallbackUrl::parse(&long, Reach::Any), Err(NoAddress));
    }

    #[test]
    fn the_end_of_a_resumed_job_is_told_by_another_job_the_same_each_time() {
        let mut job = crate::testing::fixtures::job(Route::Text);
        assert_eq!(next_to_tell(&job, UnixMillis(1)), None);
        let url = CallbackUrl::parse("https://example.org/", Reach::Public);
        job.callback_url = Some(url.unwrap());
        job.callback = Some(CorrelationId::new());
        let next = next_to_tell(&job, UnixMillis(1));
        assert_eq!(next, next_to_tell(&job, UnixMillis(1)));
        assert_ne!(next, next_to_tell(&job, UnixMillis(2)));
        assert_ne!(next, job.callback);
        let first = telling(&job, UnixMillis(0)).unwrap().job;
        assert_eq!(Some(first.correlation_id), job.callback);
        assert_eq!(first.callback_of, Some(job.correlation_id));
        assert_eq!(first.callback_url, None);
    }

    #[test]
    fn an_address_is_not_shown() {
        let url = CallbackUrl::parse("https://example.org/?key=s3cret", Reach::Public).unwrap();
        assert!(!format!("{url:?}").contains("s3cret"));
    }
}
