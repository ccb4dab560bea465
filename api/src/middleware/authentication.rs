//! Which tenant a request comes from, by its API key or by the session of the page.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use common::{api_key::KeyDigest, ids::Tenant};
use subtle::ConstantTimeEq as _;

use crate::{
    byte_budget::ByteBudget,
    client_address::Proxies,
    config::keys::NamedKey,
    error::Problem,
    limiter::Limiter,
    page::{Page, session::Visitor},
};

/// The keys, as digests: of equal length, so that comparing them tells nothing
/// by the time it takes.
pub struct Keys(Vec<NamedKey>);

impl Keys {
    pub fn new(keys: &[NamedKey]) -> Self {
        Self(keys.to_vec())
    }

    /// Looks at every key, whichever fits.
    fn tenant_of(&self, presented: &str) -> Option<Tenant> {
        let presented = KeyDigest::of(presented);
        let mut found = None;
        for NamedKey { tenant, digest } in &self.0 {
            if bool::from(digest.as_bytes().ct_eq(presented.as_bytes())) {
                found = Some(tenant);
            }
        }
        found.cloned()
    }
}

/// Lets a request with a valid key through, as its [`Tenant`], or one of the page with a session, as a [`Visitor`]. Others
/// count against the address that they come from.
pub async fn require_key(
    State(keys): State<Arc<Keys>>,
    State(page): State<Option<Arc<Page>>>,
    State(limiter): State<Arc<Limiter>>,
    State(proxies): State<Arc<Proxies>>,
    State(bytes): State<Arc<ByteBudget>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = presented_key(request.headers());
    let tenant = match (key, page) {
        (None, Some(page)) if request.headers().contains_key(header::COOKIE) => {
            let session = page.session_of(&request)?;
            let address = address_of(&request, &proxies)?;
            let visitor = Visitor { session, address };
            request.extensions_mut().insert(visitor);
            page.tenant.clone()
        }
        _ => match key.and_then(|key| keys.tenant_of(key)) {
            Some(tenant) => tenant,
            None => {
                let address = address_of(&request, &proxies)?;
                return Err(limiter.without_key(address).await);
            }
        },
    };
    request.extensions_mut().insert(bytes.of(&tenant));
    request.extensions_mut().insert(tenant);
    Ok(next.run(request).await)
}

fn address_of(request: &Request, proxies: &Proxies) -> Result<IpAddr, Problem> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // The server sets it for every connection.
    let ConnectInfo(peer) = peer.ok_or_else(Problem::internal)?;
    Ok(proxies.client(peer.ip(), request.headers()))
}

/// `X-API-Key`, or else `Authorization: Bearer`.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("x-api-key").or_else(|| {
        let (scheme, key) = text(header::AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_its_tenant_and_no_other_text_does() {
        let named = |tenant: &str, key: &str| NamedKey {
            tenant: tenant.parse().unwrap(),
            digest: KeyDigest::of(key),
        };
        let hashed = KeyDigest::of("alpha").to_string();
        let keys = [
            named("web", "alpha"),
            named("app", "beta"),
            named("web", "gamma"),
        ];
        let keys = Keys::new(&keys);
        for (key, tenant) in [("alpha", "web"), ("beta", "app"), ("gamma", "web")] {
            assert_eq!(keys.tenant_of(key).unwrap().as_str(), tenant);
        }
        // Who finds the digests has no key.
        for wrong in ["", "alph", "alphaa", "ALPHA", "web", &hashed] {
            assert_eq!(keys.tenant_of(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_key_is_taken_from_either_header() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
        };
        for (name, value, expected) in [
            ("x-api-key", "k", Some("k")),
            ("authorization", "Bearer k", Some("k")),
            ("authorization", "bearer  k", Some("k")),
            ("authorization", "Basic k", None),
            ("authorization", "k", None),
            ("cookie", "k", None),
        ] {
            assert_eq!(presented_key(&headers(name, value)), expected, "{value}");
        }
    }
}
