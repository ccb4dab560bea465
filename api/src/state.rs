//! What every handler may use.

use std::{sync::Arc, time::Duration};

use axum::extract::FromRef;
use common::{callback::CallbackConfig, ids::Tenant};

use crate::{
    byte_budget::ByteBudget,
    callback::Callbacks,
    client_address::Proxies,
    config::ApiConfig,
    gateway::Gateway,
    limiter::Limiter,
    middleware::{authentication::Keys, cors::Origins, hosts::Hosts},
    page::Page,
    probe::Probes,
};

#[derive(Clone, FromRef)]
pub struct AppState {
    pub gateway: Arc<Gateway>,
    pub keys: Arc<Keys>,
    pub limiter: Arc<Limiter>,
    pub proxies: Arc<Proxies>,
    pub speech: Arc<dyn Speech>,
    pub limits: Arc<TenantLimits>,
    pub bytes: Arc<ByteBudget>,
    pub heartbeat: Heartbeat,
    pub mode: ModeName,
    pub origins: Origins,
    pub hosts: Hosts,
    pub probes: Arc<Probes>,
    pub page: Option<Arc<Page>>,
}

/// What a request of a tenant may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of an upload.
    pub upload: usize,
    pub callbacks: Callbacks,
}

/// The [`Limits`] of every tenant.
#[derive(Debug)]
pub struct TenantLimits {
    upload: usize,
    callbacks: CallbackConfig,
}

impl TenantLimits {
    pub fn of(&self, tenant: &Tenant) -> Limits {
        Limits {
            upload: self.upload,
            callbacks: Callbacks::of(&self.callbacks, tenant),
        }
    }
}

/// The silence in a stream of events after which a comment shows that the line
/// is alive.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat(pub Duration);

/// How the mode is called in `/health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum ModeName {
    Embedded,
    Distributed,
}

impl AppState {
    pub fn new(config: &ApiConfig, gateway: Gateway, speech: Arc<dyn Speech>) -> Self {
        let quotas = Arc::clone(&gateway.backends().quotas);
        let probes = Probes::new(gateway.backends(), config.qdrant.clone());
        let limiter = Limiter::new(quotas, config.limits.clone(), config.deadline);
        Self {
            gateway: Arc::new(gateway),
            keys: Arc::new(Keys::new(&config.keys)),
            limiter: Arc::new(limiter),
            proxies: Arc::new(config.proxies.clone()),
            speech,
            limits: Arc::new(TenantLimits {
                upload: config.max_upload,
                callbacks: config.callbacks.clone(),
            }),
            bytes: Arc::new(ByteBudget::new(config.bytes)),
            page: config
                .page
                .clone()
                .map(|page| Arc::new(Page::new(page, &config.keys))),
            heartbeat: Heartbeat(config.heartbeat),
            mode: if config.backends.mode.is_embedded() {
                ModeName::Embedded
            } else {
                ModeName::Distributed
            },
            origins: config.origins.clone(),
            hosts: config.hosts,
            probes: Arc::new(probes),
        }
    }
}

/// Whether speech can be worked with: in the embedded mode its engines may
/// still be on their way to this machine.
pub trait Speech: Send + Sync + 'static {
    /// One state for hearing, one for speaking.
    fn state(&self) -> [(&'static str, SpeechState); 2];
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeechState {
    Ready,
    /// Text for the client: how far it is.
    OnItsWay(String),
    /// The log says why, and what can be done. It is not for the public: it names
    /// paths and addresses.
    Failed,
}

/// In the distributed mode the queues wait for workers that are not ready.
pub struct SpeechByWorkers;

impl Speech for SpeechByWorkers {
    fn state(&self) -> [(&'static str, SpeechState); 2] {
        [
            ("speech_to_text", SpeechState::Ready),
            ("text_to_speech", SpeechState::Ready),
        ]
    }
}

impl dyn Speech {
    /// Why speech cannot be taken now, and when to ask again.
    pub fn not_ready(&self) -> Option<(String, Duration)> {
        self.state().into_iter().find_map(|(name, state)| {
            let name = name.replace('_', " ");
            match state {
                SpeechState::Ready => None,
                SpeechState::OnItsWay(progress) => Some((
                    format!("The engine for {name} is being fetched: {progress}."),
                    Duration::from_secs(10),
                )),
                SpeechState::Failed => Some((
                    format!("The engine for {name} is not there; the log of the server says why."),
                    Duration::from_secs(60),
                )),
            }
        })
    }
}
