//! Against a service on the wire.

mod hearing;
mod server;
mod speaking;

use std::time::Duration;

use super::Timeouts;
use crate::handler::StageError;

/// For calls that end by themselves.
const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    call: Duration::from_secs(30),
};

/// For calls that hang.
const HASTY: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    call: Duration::from_millis(300),
};

/// Far less than [`PATIENT`], far more than a machine under load needs between two messages.
const QUIET: Duration = Duration::from_millis(400);

/// No end by quiet.
const NEVER: Duration = Duration::from_secs(3_600);

fn code(error: &StageError) -> &'static str {
    match error {
        StageError::Transient { code, .. } | StageError::Permanent { code, .. } => code,
    }
}

fn is_transient(error: &StageError) -> bool {
    matches!(error, StageError::Transient { .. })
}
