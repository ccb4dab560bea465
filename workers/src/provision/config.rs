//! What provisioning is told.

use std::path::PathBuf;
use std::time::Duration;

use super::manifest::Manifest;

/// The model hub, <https://huggingface.co/docs/hub>.
const HUB: &str = "https://huggingface.co";

/// Which recogniser. All are multilingual; larger ones know more Indonesian and take more time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SttModel {
    /// 145 MB.
    #[default]
    Base,
    /// 484 MB.
    Small,
    /// 1.5 GB.
    Medium,
    /// 3.1 GB.
    LargeV3,
}

impl SttModel {
    /// What it consists of.
    pub fn manifest(self) -> Manifest {
        match self {
            Self::Base => Manifest::whisper_base(),
            Self::Small => Manifest::whisper_small(),
            Self::Medium => Manifest::whisper_medium(),
            Self::LargeV3 => Manifest::whisper_large_v3(),
        }
    }
}

impl std::str::FromStr for SttModel {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        match name {
            "base" => Ok(Self::Base),
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "large-v3" => Ok(Self::LargeV3),
            _ => Err(UnknownModel(name.to_owned())),
        }
    }
}

/// No recogniser has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no recogniser {0:?}; there are base, small, medium and large-v3")]
pub struct UnknownModel(pub String);

/// How long a remote may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included. After it the next source is tried.
    pub connect: Duration,
    /// From the request to the head of the answer, redirections included.
    pub answer: Duration,
    /// Between two reads of a body.
    pub stall: Duration,
    /// For one package through `pip`, which says nothing while it works.
    pub pip: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            pip: Duration::from_secs(900),
        }
    }
}

/// What to fetch, from where, to where.
#[derive(Debug, Clone)]
pub struct ProvisionConfig {
    /// The folder that everything goes to; made if it is not there.
    pub data_dir: PathBuf,
    /// The recogniser.
    pub speech_to_text: Manifest,
    /// The synthesiser's library; none where it exists for no such machine.
    pub text_to_speech: Option<Manifest>,
    /// An installed `espeak-ng`, which makes the library unnecessary.
    pub installed_espeak: Option<PathBuf>,
    /// Base URL of the model hub, without a slash at the end.
    pub hub: String,
    /// The Python whose `pip` is asked.
    pub python: PathBuf,
    /// How long each may take.
    pub timeouts: Timeouts,
}

impl ProvisionConfig {
    /// The hub as it may be shown, by scheme and host: a mirror's address can hold a password, or a token in its path.
    pub(super) fn hub_name(&self) -> String {
        let origin = reqwest::Url::parse(&self.hub).map(|url| url.origin());
        match origin {
            Ok(origin) if origin.is_tuple() => origin.ascii_serialization(),
            _ => "the hub".to_owned(),
        }
    }

    /// With the pinned defaults.
    pub fn new(
        data_dir: impl Into<PathBuf>,
        model: SttModel,
        installed_espeak: Option<PathBuf>,
    ) -> Self {
        Self {
            data_dir: data_dir.into(),
            speech_to_text: model.manifest(),
            text_to_speech: Manifest::espeak(),
            installed_espeak,
            hub: HUB.to_owned(),
            python: PathBuf::from("python3"),
            timeouts: Timeouts::default(),
        }
    }
}
