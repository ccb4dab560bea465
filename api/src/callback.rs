//! The field `callback_url`: an address that is told of the job's end, by a job
//! of its own.

use common::{
    callback::{CallbackConfig, CallbackUrl, Reach},
    ids::Tenant,
};

use crate::error::Problem;

/// Which callbacks of a tenant are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callbacks {
    /// None: it has no secret to sign them with.
    Unsigned,
    Signed(Reach),
}

impl Callbacks {
    pub fn of(config: &CallbackConfig, tenant: &Tenant) -> Self {
        match config.keys.of(tenant) {
            [] => Self::Unsigned,
            _ => Self::Signed(config.reach),
        }
    }

    pub fn accept(self, url: Option<&str>) -> Result<Option<CallbackUrl>, Problem> {
        let Some(url) = url else {
            return Ok(None);
        };
        let Self::Signed(reach) = self else {
            return Err(Problem::unprocessable(
                "callbacks_not_configured",
                "The field callback_url is not taken from this key: its tenant has no secret to sign callbacks with, in WEBHOOK_SECRETS or, for the default tenant, in WEBHOOK_SECRET.",
            ));
        };
        let invalid = |reason| {
            let detail = format!("The field callback_url {reason}.");
            Problem::unprocessable("invalid_callback_url", detail)
        };
        CallbackUrl::parse(url, reach).map(Some).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_taken_when_it_can_be_signed_and_may_be_called() {
        let code = |callbacks: Callbacks, url| {
            let problem = callbacks.accept(url).err()?;
            let body = serde_json::to_value(problem.body("r", "/")).unwrap();
            Some(body["code"].as_str().unwrap().to_owned())
        };
        let public = Some("https://example.org/hook");
        let private = Some("http://10.0.0.1/");
        for (callbacks, url, expected) in [
            (Callbacks::Unsigned, None, None),
            (
                Callbacks::Unsigned,
                public,
                Some("callbacks_not_configured"),
            ),
            (Callbacks::Signed(Reach::Public), public, None),
            (
                Callbacks::Signed(Reach::Public),
                private,
                Some("invalid_callback_url"),
            ),
            (Callbacks::Signed(Reach::Any), private, None),
            (
                Callbacks::Signed(Reach::Any),
                Some("no address"),
                Some("invalid_callback_url"),
            ),
        ] {
            assert_eq!(code(callbacks, url).as_deref(), expected, "{url:?}");
        }
    }
}
