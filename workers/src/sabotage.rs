//! Guarantees broken on purpose, to see that the chaos suite notices. Not in
//! release builds.
//!
//! `ITB_SABOTAGE` names one:
//! - `ack-before-publish`: a message is acknowledged as soon as it is received,
//!   before its outcome is recorded and the next message published.
//! - `no-dedupe`: what the log knows of completed stages and newer runs is not
//!   looked at, nor what the conversation knows of added turns, so that a
//!   duplicate of a message does everything again.
//!
//! Each stands between the stages and a port, so that the code under test is the
//! code that is deployed.

use std::sync::Arc;

use common::{
    backends::Backends,
    config::{ConfigError, Environment},
    job::log::JobLog,
};
use tracing::error;

mod forgetful;
mod hasty;

/// `backends`, or what the environment makes of them.
pub fn applied(env: &Environment, backends: Backends) -> Result<Backends, ConfigError> {
    let Some(word) = env.text("ITB_SABOTAGE") else {
        return Ok(backends);
    };
    error!(
        sabotage = word,
        "this worker breaks its promises on purpose"
    );
    match word {
        "ack-before-publish" => Ok(Backends {
            broker: Arc::new(hasty::Hasty(backends.broker)),
            ..backends
        }),
        "no-dedupe" => Ok(Backends {
            replies: JobLog::new(Arc::new(forgetful::Logs(Arc::clone(
                backends.replies.store(),
            )))),
            conversations: Arc::new(forgetful::Turns(backends.conversations)),
            ..backends
        }),
        _ => Err(ConfigError::wrong(
            "ITB_SABOTAGE",
            word,
            "ack-before-publish or no-dedupe",
        )),
    }
}
