//! Which providers each stage asks, in which order, and how they are reached.
//!
//! A list variable (`LLM_PROVIDERS=openrouter,openai,extractive`) says it
//! outright. Without it every provider is asked whose settings are there, the
//! remote ones first.

use std::str::FromStr;

use common::config::{ConfigError, Environment, Secret};
use reqwest::Url;

use crate::{
    knowledge::qdrant::QdrantConfig,
    providers::{emotion_service, prosa},
};

#[derive(Clone, Debug)]
pub struct ProviderConfig {
    pub speech_to_text: Vec<HearingProvider>,
    pub emotion: Vec<EmotionProvider>,
    pub answers: Vec<AnswerProvider>,
    pub text_to_speech: Vec<SpeakingProvider>,
    pub knowledge: Vec<KnowledgeProvider>,
    /// What makes vectors of texts, for dense search.
    pub embedder: Option<ModelConfig>,
    pub limits: ProviderLimits,
}

/// Calls of each remote provider by one process at the same time; as many as there are messages in work where it is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderLimits {
    pub prosa_hearing: Option<usize>,
    pub prosa_speaking: Option<usize>,
    pub emotion: Option<usize>,
    pub openrouter: Option<usize>,
    pub openai: Option<usize>,
    pub custom: Option<usize>,
    pub embeddings: Option<usize>,
    pub qdrant: Option<usize>,
}

impl ProviderLimits {
    fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let limit = |name| -> Result<Option<usize>, ConfigError> {
            let variable = format!("{name}_MAX_CONCURRENT");
            match env.number(&variable, 1..=10_000, usize::MAX)? {
                usize::MAX => Ok(None),
                most => Ok(Some(most)),
            }
        };
        Ok(Self {
            prosa_hearing: limit("PROSA_STT")?,
            prosa_speaking: limit("PROSA_TTS")?,
            emotion: limit("EMOTION")?,
            openrouter: limit("OPENROUTER")?,
            openai: limit("OPENAI")?,
            custom: limit("LLM")?,
            embeddings: limit("EMBEDDING")?,
            qdrant: limit("QDRANT")?,
        })
    }

    /// Of the language model behind `vendor`.
    pub fn model(&self, vendor: Vendor) -> Option<usize> {
        match vendor {
            Vendor::OpenRouter => self.openrouter,
            Vendor::OpenAi => self.openai,
            Vendor::Custom => self.custom,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HearingProvider {
    Prosa(Account),
    Whisper,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmotionProvider {
    Service(emotion_service::Address),
    Heuristic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerProvider {
    Model(ModelConfig),
    Extractive,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakingProvider {
    Prosa(Account),
    Espeak,
}

#[derive(Clone, Debug)]
pub enum KnowledgeProvider {
    Qdrant(QdrantConfig),
    /// The bundled documents, or those of `KNOWLEDGE_PATH`, in this process.
    Embedded,
}

/// How a vendor is reached; its usual address when none is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub endpoint: Option<prosa::Endpoint>,
    pub key: Secret,
}

/// A model behind an OpenAI-compatible address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelConfig {
    pub vendor: Vendor,
    pub key: Option<Secret>,
    /// Instead of the vendor's own.
    pub base_url: Option<String>,
    /// Instead of the vendor's default.
    pub model: Option<String>,
    /// Numbers in a vector, instead of the model's default.
    pub dimension: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    OpenRouter,
    OpenAi,
    /// Ollama, vLLM, llama.cpp or whatever else speaks the protocol.
    Custom,
}

impl ProviderConfig {
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            speech_to_text: listed(env, "STT_PROVIDERS", HEARING)?,
            emotion: listed(env, "EMOTION_PROVIDERS", EMOTION)?,
            answers: listed(env, "LLM_PROVIDERS", ANSWERS)?,
            text_to_speech: listed(env, "TTS_PROVIDERS", SPEAKING)?,
            knowledge: knowledge(env)?,
            embedder: embedder(env)?,
            limits: ProviderLimits::from_environment(env)?,
        })
    }
}

/// A provider that a list may name.
struct Known<T> {
    name: &'static str,
    /// The variable without which it cannot be asked.
    needs: &'static str,
    /// `None` when that variable is not set.
    configure: fn(&Environment) -> Result<Option<T>, ConfigError>,
}

const HEARING: &[Known<HearingProvider>] = &[
    Known {
        name: "prosa",
        needs: "PROSA_STT_API_KEY",
        configure: |env| {
            let account = account(env, "PROSA_STT_API_KEY", "PROSA_STT_URL")?;
            Ok(account.map(HearingProvider::Prosa))
        },
    },
    Known {
        name: "whisper",
        needs: "",
        configure: |_| Ok(Some(HearingProvider::Whisper)),
    },
];

const EMOTION: &[Known<EmotionProvider>] = &[
    Known {
        name: "service",
        needs: "EMOTION_ANALYSIS_URL",
        configure: |env| {
            let expected = "an address that begins with http:// or https://";
            let address = address(env, "EMOTION_ANALYSIS_URL", expected)?;
            Ok(address.map(EmotionProvider::Service))
        },
    },
    Known {
        name: "heuristic",
        needs: "",
        configure: |_| Ok(Some(EmotionProvider::Heuristic)),
    },
];

const ANSWERS: &[Known<AnswerProvider>] = &[
    Known {
        name: "custom",
        needs: "LLM_BASE_URL",
        configure: |env| Ok(chat_model(env, Vendor::Custom)?.map(AnswerProvider::Model)),
    },
    Known {
        name: "openrouter",
        needs: "OPENROUTER_API_KEY",
        configure: |env| Ok(chat_model(env, Vendor::OpenRouter)?.map(AnswerProvider::Model)),
    },
    Known {
        name: "openai",
        needs: "OPENAI_API_KEY",
        configure: |env| Ok(chat_model(env, Vendor::OpenAi)?.map(AnswerProvider::Model)),
    },
    Known {
        name: "extractive",
        needs: "",
        configure: |_| Ok(Some(AnswerProvider::Extractive)),
    },
];

const SPEAKING: &[Known<SpeakingProvider>] = &[
    Known {
        name: "prosa",
        needs: "PROSA_TTS_API_KEY",
        configure: |env| {
            let account = account(env, "PROSA_TTS_API_KEY", "PROSA_TTS_URL")?;
            Ok(account.map(SpeakingProvider::Prosa))
        },
    },
    Known {
        name: "espeak",
        needs: "",
        configure: |_| Ok(Some(SpeakingProvider::Espeak)),
    },
];

const KNOWLEDGE: &[Known<KnowledgeProvider>] = &[
    Known {
        name: "qdrant",
        needs: "QDRANT_URL",
        configure: |env| {
            let config = QdrantConfig::from_environment(env)?;
            Ok(config.map(KnowledgeProvider::Qdrant))
        },
    },
    Known {
        name: "embedded",
        needs: "",
        configure: |_| Ok(Some(KnowledgeProvider::Embedded)),
    },
];

/// Documents in this process are no stand-in for a collection unless that is
/// said: they may be about something else.
fn knowledge(env: &Environment) -> Result<Vec<KnowledgeProvider>, ConfigError> {
    let mut sources = listed(env, "KNOWLEDGE_PROVIDERS", KNOWLEDGE)?;
    if env.text("KNOWLEDGE_PROVIDERS").is_none() {
        sources.truncate(1);
    }
    Ok(sources)
}

/// The providers that `variable` names, or all that are configured.
fn listed<T>(env: &Environment, variable: &str, known: &[Known<T>]) -> Result<Vec<T>, ConfigError> {
    let Some(list) = env.text(variable) else {
        let configured = known.iter().map(|known| (known.configure)(env).transpose());
        return configured.flatten().collect();
    };
    let mut named = Vec::new();
    for name in list.split(',').map(str::trim) {
        let known = known
            .iter()
            .find(|known| known.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| ConfigError::wrong(variable, name, names(known)))?;
        let provider = (known.configure)(env)?.ok_or_else(|| {
            let problem = format!("not set, though {variable} names {name}");
            ConfigError::because(known.needs, problem, format!("what {name} needs"))
        })?;
        named.push((known.name, provider));
    }
    let mut seen = Vec::new();
    named.retain(|(name, _)| {
        let new = !seen.contains(name);
        seen.push(*name);
        new
    });
    Ok(named.into_iter().map(|(_, provider)| provider).collect())
}

fn names<T>(known: &[Known<T>]) -> String {
    let names: Vec<_> = known.iter().map(|known| known.name).collect();
    format!("some of {}, separated by commas", names.join(","))
}

fn account(
    env: &Environment,
    key_variable: &str,
    url_variable: &str,
) -> Result<Option<Account>, ConfigError> {
    let endpoint = address(
        env,
        url_variable,
        "an address that begins with ws:// or wss://",
    )?;
    let key = env.secret(key_variable)?;
    Ok(key.map(|key| Account { endpoint, key }))
}

fn chat_model(env: &Environment, vendor: Vendor) -> Result<Option<ModelConfig>, ConfigError> {
    let (key, base_url, model) = match vendor {
        Vendor::OpenRouter => (
            "OPENROUTER_API_KEY",
            "OPENROUTER_BASE_URL",
            "OPENROUTER_MODEL",
        ),
        Vendor::OpenAi => ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"),
        Vendor::Custom => ("LLM_API_KEY", "LLM_BASE_URL", "LLM_MODEL"),
    };
    let config = ModelConfig {
        vendor,
        key: env.secret(key)?,
        base_url: url(env, base_url)?,
        model: env.text(model).map(str::to_owned),
        dimension: None,
    };
    usable(config, base_url, model)
}

fn embedder(env: &Environment) -> Result<Option<ModelConfig>, ConfigError> {
    const VARIABLE: &str = "EMBEDDING_PROVIDER";
    let named = env.text(VARIABLE).map(str::to_ascii_lowercase);
    let vendors: &[Vendor] = match named.as_deref() {
        None => &[Vendor::Custom, Vendor::OpenAi, Vendor::OpenRouter],
        Some("openai") => &[Vendor::OpenAi],
        Some("openrouter") => &[Vendor::OpenRouter],
        Some("custom") => &[Vendor::Custom],
        Some("none") => return Ok(None),
        Some(other) => {
            let expected = "openai, openrouter, custom or none";
            return Err(ConfigError::wrong(VARIABLE, other, expected));
        }
    };
    for vendor in vendors {
        if let Some(config) = embedding_model(env, *vendor)? {
            return Ok(Some(config));
        }
    }
    match named {
        None => Ok(None),
        Some(name) => Err(ConfigError::because(
            VARIABLE,
            format!("{name:?}, whose key or address is not set"),
            "openai with OPENAI_API_KEY, openrouter with OPENROUTER_API_KEY, custom with EMBEDDING_BASE_URL, or none",
        )),
    }
}

fn embedding_model(env: &Environment, vendor: Vendor) -> Result<Option<ModelConfig>, ConfigError> {
    const BASE_URL: &str = "EMBEDDING_BASE_URL";
    const MODEL: &str = "EMBEDDING_MODEL";
    let (key, base_url) = match vendor {
        Vendor::OpenRouter => ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL"),
        Vendor::OpenAi => ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
        Vendor::Custom => ("EMBEDDING_API_KEY", BASE_URL),
    };
    let dimension = match env.text("EMBEDDING_DIMENSION") {
        Some(_) => Some(env.number("EMBEDDING_DIMENSION", 1..=65_536, 1)?),
        None => None,
    };
    let own = url(env, BASE_URL)?;
    let config = ModelConfig {
        vendor,
        key: env.secret(key)?,
        base_url: own.or(url(env, base_url)?),
        model: env.text(MODEL).map(str::to_owned),
        dimension,
    };
    let config = usable(config, BASE_URL, MODEL)?;
    match &config {
        Some(ModelConfig {
            vendor: Vendor::Custom,
            dimension: None,
            ..
        }) => Err(ConfigError::because(
            "EMBEDDING_DIMENSION",
            "not set",
            "the numbers in a vector of EMBEDDING_MODEL, e.g. 768",
        )),
        _ => Ok(config),
    }
}

/// `None` without what the vendor cannot be asked without.
fn usable(
    config: ModelConfig,
    base_url: &str,
    model: &str,
) -> Result<Option<ModelConfig>, ConfigError> {
    match config.vendor {
        Vendor::OpenRouter | Vendor::OpenAi if config.key.is_none() => Ok(None),
        Vendor::Custom if config.base_url.is_none() => Ok(None),
        Vendor::Custom if config.model.is_none() => Err(ConfigError::because(
            model,
            format!("not set, though {base_url} is"),
            "the name of a model at that address",
        )),
        _ => Ok(Some(config)),
    }
}

/// The address without a slash at its end.
fn url(env: &Environment, variable: &str) -> Result<Option<String>, ConfigError> {
    let expected = "an address that begins with http:// or https://";
    let url = address::<Url>(env, variable, expected)?;
    let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    match url {
        Some(url) if !usable(&url) => Err(no_address(variable, expected)),
        url => Ok(url.map(|url| url.as_str().trim_end_matches('/').to_owned())),
    }
}

fn address<T: FromStr>(
    env: &Environment,
    variable: &str,
    expected: &str,
) -> Result<Option<T>, ConfigError> {
    let address = env.text(variable).map(str::parse);
    let address = address.transpose();
    address.map_err(|_| no_address(variable, expected))
}

/// The value is not shown: an address may carry a password.
fn no_address(variable: &str, expected: &str) -> ConfigError {
    ConfigError::because(variable, "no such address", expected)
}

#[cfg(test)]
mod tests;
