//! From where a request comes, past the proxies that are known.
//!
//! A client may write any address into the headers that proxies add to. So only
//! what a trusted proxy wrote counts: the addresses are read from the nearest to
//! the farthest, and the first that is no trusted proxy's is the client's.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use common::config::{ConfigError, Environment};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word counts.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    header: ProxyHeader,
}

/// What they write addresses into. One of the two: a proxy that writes one
/// passes on what a client wrote into the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString)]
#[strum(ascii_case_insensitive)]
enum ProxyHeader {
    #[default]
    #[strum(serialize = "x-forwarded-for")]
    XForwardedFor,
    /// RFC 7239.
    #[strum(serialize = "forwarded")]
    Forwarded,
}

impl Proxies {
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let list = env.text("TRUSTED_PROXIES").unwrap_or_default();
        let networks = list.split(',').map(str::trim).filter(|it| !it.is_empty());
        let header = env.parsed("TRUSTED_PROXY_HEADER", "x-forwarded-for or forwarded")?;
        Ok(Self {
            trusted: networks.map(network).collect::<Result<_, _>>()?,
            header: header.unwrap_or_default(),
        })
    }

    /// Where the request with `headers` comes from that `peer` handed us.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.trusts(nearest) {
            return nearest;
        }
        for address in self.forwarded(headers).into_iter().rev() {
            // Who wrote nonsense or hid an address is as far as one can see.
            let Some(address) = address else {
                return nearest;
            };
            nearest = address.to_canonical();
            if !self.trusts(nearest) {
                return nearest;
            }
        }
        nearest
    }

    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|it| it.contains(&address))
    }

    /// The addresses in the headers, the farthest first; `None` for what is none.
    fn forwarded(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ProxyHeader::XForwardedFor => (X_FORWARDED_FOR, address),
            ProxyHeader::Forwarded => (header::FORWARDED, forwarded_for),
        };
        let lines = headers.get_all(name).iter();
        lines
            .flat_map(|line| line.to_str().unwrap_or("?").split(','))
            .map(|element| read(element.trim()))
            .collect()
    }
}

/// As many as one client has: a provider gives each of his a network of 64
/// bits at least (RFC 6177).
pub fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            Ipv6Addr::from_bits(network).into()
        }
    }
}

fn network(text: &str) -> Result<IpNet, ConfigError> {
    let alone = || {
        text.parse()
            .ok()
            .map(|address: IpAddr| IpNet::from(address))
    };
    text.parse().ok().or_else(alone).ok_or_else(|| {
        let expected =
            "networks such as 10.0.0.0/8 or 2001:db8::/32, or addresses, separated by commas";
        ConfigError::wrong("TRUSTED_PROXIES", text, expected)
    })
}

/// With or without a port; of version 6 also in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse().ok();
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare().or_else(in_brackets).or_else(with_port)
}

/// The parameter `for` of an element of `Forwarded` (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let parameters = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, value) = named.next()?;
    address(value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &str, header: &str) -> Proxies {
        let pairs = [("TRUSTED_PROXIES", list), ("TRUSTED_PROXY_HEADER", header)];
        Proxies::from_environment(&pairs.into_iter().collect()).unwrap()
    }

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let line = |line: &&str| (name.clone(), line.parse().unwrap());
        lines.iter().map(line).collect()
    }

    fn client(proxies: &Proxies, peer: &str, headers: &HeaderMap) -> String {
        proxies.client(peer.parse().unwrap(), headers).to_string()
    }

    #[test]
    fn what_an_unknown_peer_claims_is_not_believed() {
        let claimed = headers(&X_FORWARDED_FOR, &["203.0.113.9"]);
        for trusted in ["", "10.0.0.0/8", "192.0.2.2"] {
            let proxies = proxies(trusted, "");
            assert_eq!(client(&proxies, "192.0.2.1", &claimed), "192.0.2.1");
        }
    }

    #[test]
    fn behind_trusted_proxies_the_nearest_other_address_is_the_client() {
        let proxies = proxies("10.0.0.0/8, 2001:db8::/32,127.0.0.1", "");
        for (lines, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            // What stands further left is the client's own invention.
            (&["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            (&["198.51.100.1", "203.0.113.9, 10.1.2.3"], "203.0.113.9"),
            (&["203.0.113.9:4711,10.1.2.3"], "203.0.113.9"),
            (&["[2001:db9::1]:80, 2001:db8::2"], "2001:db9::1"),
            (&["[2001:db9::1]"], "2001:db9::1"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["10.0.0.7"], "10.0.0.7"),
            (&["203.0.113.9, unknown"], "10.0.0.1"),
            (&["203.0.113.9, unknown, 10.9.9.9"], "10.9.9.9"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            let headers = headers(&X_FORWARDED_FOR, lines);
            assert_eq!(
                client(&proxies, "10.0.0.1", &headers),
                expected,
                "{lines:?}"
            );
            let mapped = client(&proxies, "::ffff:10.0.0.1", &headers);
            assert_eq!(mapped, expected, "{lines:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_when_it_is_the_one_that_is_trusted() {
        let both = HeaderMap::from_iter([
            (X_FORWARDED_FOR, "198.51.100.1".parse().unwrap()),
            (
                header::FORWARDED,
                "for=192.0.2.60;proto=http, by=10.0.0.1;For=\"[2001:db9::1]:4711\""
                    .parse()
                    .unwrap(),
            ),
        ]);
        let standard = proxies("10.0.0.0/8", "Forwarded");
        assert_eq!(client(&standard, "10.0.0.1", &both), "2001:db9::1");
        let usual = proxies("10.0.0.0/8", "");
        assert_eq!(client(&usual, "10.0.0.1", &both), "198.51.100.1");
        for hidden in ["for=_hidden", "for=unknown", "proto=https", "for="] {
            let headers = headers(&header::FORWARDED, &[hidden]);
            assert_eq!(client(&standard, "10.0.0.1", &headers), "10.0.0.1");
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        for (variable, value) in [
            ("TRUSTED_PROXIES", "10.0.0.0/33"),
            ("TRUSTED_PROXIES", "10.0.0.1, proxy.example"),
            ("TRUSTED_PROXY_HEADER", "via"),
        ] {
            let env = [(variable, value)].into_iter().collect();
            let error = Proxies::from_environment(&env).unwrap_err();
            assert_eq!(error.variable, variable);
        }
    }

    #[test]
    fn a_household_is_an_address_of_version_4_and_a_network_of_version_6() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
        ] {
            let household = household(address.parse().unwrap());
            assert_eq!(household.to_string(), expected);
        }
    }
}
