//! The page on which people ask and listen. It uses the public API alone, with a session in the place of a key.

use axum::extract::Request;
use common::{
    config::{ConfigError, Environment},
    ids::Tenant,
    time::UnixMillis,
};

use crate::{config::keys::NamedKey, error::Problem};
use session::{Presented, SessionId, Sessions};

pub mod files;
pub mod session;

/// Whose jobs and conversations are those of the page. What belongs to one of its visitors is found by its id alone, which
/// nobody guesses.
pub const TENANT: &str = "web-ui";

/// How the page is set up; `None` where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageConfig {
    /// What the assistant is called.
    pub name: String,
    /// Questions to begin with.
    pub questions: Vec<String>,
}

impl PageConfig {
    /// `WEB_UI`, `WEB_UI_NAME`, `WEB_UI_QUESTIONS`.
    ///
    /// # Errors
    /// `WEB_UI` is neither on nor off.
    pub fn from_environment(env: &Environment) -> Result<Option<Self>, ConfigError> {
        if !env.flag("WEB_UI", true)? {
            return Ok(None);
        }
        let name = env.text("WEB_UI_NAME").unwrap_or("Asisten ITB").to_owned();
        let questions = env.text("WEB_UI_QUESTIONS").unwrap_or(
            "Apa saja fakultas di ITB?|Bagaimana cara mendaftar di ITB?|Beasiswa apa saja yang ada?",
        );
        let questions = questions.split('|').map(str::trim);
        let questions = questions.filter(|it| !it.is_empty());
        Ok(Some(Self {
            name,
            questions: questions.map(str::to_owned).collect(),
        }))
    }
}

/// The page of this server.
pub struct Page {
    pub config: PageConfig,
    pub sessions: Sessions,
    pub tenant: Tenant,
}

impl Page {
    /// Every front door with the same `keys` knows the sessions of the others.
    pub fn new(config: PageConfig, keys: &[NamedKey]) -> Self {
        Self {
            config,
            sessions: Sessions::new(keys),
            tenant: TENANT.parse().expect("it is a name"),
        }
    }

    /// The session that `request` belongs to.
    ///
    /// # Errors
    /// It has none that is valid, for which the page begins another one; or another site has the browser send it.
    pub fn session_of(&self, request: &Request) -> Result<SessionId, Problem> {
        let (method, headers) = (request.method(), request.headers());
        match self.sessions.presented(method, headers, UnixMillis::now()) {
            Presented::Session(session) => Ok(session),
            Presented::CrossSite => Err(Problem::cross_site()),
            Presented::Nothing => Err(Problem::unauthorized()),
        }
    }
}
