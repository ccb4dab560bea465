//! The services on the wire: a server in the test answers as vendors do, and as
//! they should not.

use std::time::Duration;

use common::config::Secret;

use super::{Endpoint, Timeouts};
use crate::handler::StageError;

mod completions;
mod failures;
mod hanging;
mod server;
mod vectors;

/// The key that no error may show.
const KEY: &str = "k3y-0f-0urs";

/// Long enough for a busy machine, and short enough to wait for in a test.
const BOUNDS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(10),
    whole: Duration::from_secs(20),
};

fn endpoint(base_url: &str) -> Endpoint {
    Endpoint {
        name: "vendor".to_owned(),
        base_url: base_url.to_owned(),
        key: Some(Secret::new(KEY)),
        headers: vec![("X-Title".to_owned(), Secret::new("Asisten ITB"))],
        timeouts: BOUNDS,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Transient,
    Permanent,
}

/// The code and the kind, when nothing secret is shown.
fn judged(error: &StageError) -> (&'static str, Kind) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(KEY), "{shown}");
    assert!(shown.chars().count() < 1_000, "{shown}");
    match error {
        StageError::Transient { code, .. } => (code, Kind::Transient),
        StageError::Permanent { code, message, .. } => {
            assert_eq!(message, "Something went wrong on our side.");
            (code, Kind::Permanent)
        }
    }
}
