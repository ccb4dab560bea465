//! The header fields `RateLimit-Policy` and `RateLimit` (IETF
//! draft-ietf-httpapi-ratelimit-headers-11), structured fields of RFC 9651.

use std::{fmt::Write as _, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use common::quota::{Policy, Standing};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What a caller may do, and what is left of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimitFields {
    policies: Vec<String>,
    limits: Vec<String>,
}

impl RateLimitFields {
    /// A policy, and how it stands if that is to be told.
    pub fn add(&mut self, policy: &Policy, standing: Option<&Standing>) {
        let Policy {
            name,
            quota,
            window,
        } = policy;
        let window = window.as_secs();
        self.policies
            .push(format!("\"{name}\";q={quota};w={window}"));
        if let Some(Standing { remaining, more_in }) = standing {
            let t = whole_seconds(*more_in);
            self.limits.push(format!("\"{name}\";r={remaining};t={t}"));
        }
    }

    /// How many jobs may be under way, and are. When the next one may be asked
    /// for is known only to who is refused.
    pub fn add_jobs(&mut self, most: u32, under_way: u32, retry_after: Option<Duration>) {
        self.policies
            .push(format!("\"jobs\";q={most};qu=\"concurrent-requests\""));
        let mut limit = format!("\"jobs\";r={}", most.saturating_sub(under_way));
        if let Some(after) = retry_after {
            // Writing into a String cannot fail.
            let _ = write!(limit, ";t={}", whole_seconds(after));
        }
        self.limits.push(limit);
    }

    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, items) in [(POLICY, &self.policies), (LIMIT, &self.limits)] {
            let value = HeaderValue::from_str(&items.join(", "));
            if let Some(value) = value.ok().filter(|_| !items.is_empty()) {
                headers.insert(name, value);
            }
        }
    }
}

/// Rounded up: who comes at that time must not come too early.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn each_policy_is_an_item_with_its_parameters() {
        let mut fields = RateLimitFields::default();
        let policy = Policy {
            name: "submit",
            quota: NonZeroU32::new(100).unwrap(),
            window: Duration::from_secs(3_600),
        };
        let standing = Standing {
            remaining: 50,
            more_in: Duration::from_millis(29_001),
        };
        fields.add(&policy, Some(&standing));
        fields.add_jobs(20, 3, None);
        let mut headers = HeaderMap::new();
        fields.write(&mut headers);
        assert_eq!(
            headers["ratelimit-policy"],
            r#""submit";q=100;w=3600, "jobs";q=20;qu="concurrent-requests""#
        );
        assert_eq!(headers["ratelimit"], r#""submit";r=50;t=30, "jobs";r=17"#);
    }

    #[test]
    fn who_is_refused_a_place_is_told_when_to_come_again() {
        let mut fields = RateLimitFields::default();
        fields.add_jobs(2, 3, Some(Duration::from_secs(5)));
        let mut headers = HeaderMap::new();
        fields.write(&mut headers);
        assert_eq!(headers["ratelimit"], r#""jobs";r=0;t=5"#);
    }

    #[test]
    fn without_a_policy_there_are_no_fields() {
        let mut headers = HeaderMap::new();
        RateLimitFields::default().write(&mut headers);
        assert!(headers.is_empty());
    }
}
