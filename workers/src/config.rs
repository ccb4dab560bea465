//! Settings of the stages.

pub mod providers;

use std::{path::PathBuf, time::Duration};

use common::{
    backends::retention,
    callback::{CallbackConfig, Strength},
    config::{ConfigError, Environment},
    pipeline::Stage,
    reply::Retention,
    retry::RetryPolicy,
};

use crate::{
    audio::Limits,
    child::find_program,
    provision::{ProvisionConfig, SttModel},
    runner::StageConfig,
};
use providers::{EmotionProvider, HearingProvider, ProviderConfig};

#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The documents to answer from, instead of the bundled ones: a folder of
    /// Markdown files or a file of JSON lines.
    pub knowledge: Option<PathBuf>,
    /// Where those are sent who cannot be answered.
    pub help_contact: Option<String>,
    pub providers: ProviderConfig,
    pub callbacks: CallbackConfig,
    pub hearing: HearingConfig,
    pub audio: Limits,
    /// How long the spoken answer is kept.
    pub retention: Retention,
    pub provision: ProvisionConfig,
    /// Tokens of what was said before that an answer is made with.
    pub history_tokens: usize,
    /// CPU-bound calls of engines at the same time, of whichever.
    pub engine_calls: u32,
    stages: Vec<StageSettings>,
}

#[derive(Clone, Debug)]
struct StageSettings {
    config: StageConfig,
    /// For one call of one provider.
    call_timeout: Duration,
}

/// Settings of the recogniser in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HearingConfig {
    /// Words that it may hear, spelled as they should be.
    pub vocabulary: String,
    /// Threads of one transcription.
    pub threads: usize,
}

/// What is asked about at the institution of the bundled documents. A list of
/// words: a sentence would turn up in transcripts.
const VOCABULARY: &str = "ITB, STEI, FTMD, FSRD, SBM, UKT, SKS, IPK, SNBP, cum laude, fakultas, cuti akademik, beasiswa, wisuda.";

impl HearingConfig {
    fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        // More threads than idle cores make it slower, by several times: each
        // step waits for the last of them.
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2);
        let vocabulary = env.text("STT_VOCABULARY").unwrap_or(VOCABULARY);
        Ok(Self {
            vocabulary: vocabulary.to_owned(),
            threads: env.number("STT_THREADS", 1..=256, threads.max(1))?,
        })
    }
}

/// A try must end before the caller has given up.
const LONGEST_TRY: u64 = 600;

impl WorkerConfig {
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let providers = ProviderConfig::from_environment(env)?;
        Ok(Self {
            knowledge: env.text("KNOWLEDGE_PATH").map(PathBuf::from),
            help_contact: env.text("HELP_CONTACT").map(str::to_owned),
            // The front door is the one to refuse weak secrets: what it has taken is
            // signed.
            callbacks: CallbackConfig::from_environment(env, Strength::Any)?,
            hearing: HearingConfig::from_environment(env)?,
            audio: Limits {
                max_duration: env.seconds("MAX_AUDIO_SECONDS", 1..=3_600, 300)?,
            },
            retention: retention(env)?,
            provision: provision(env)?,
            engine_calls: env.number("ENGINE_MAX_CONCURRENT", 1..=1_024, u32::from(cores()))?,
            history_tokens: env.number("HISTORY_TOKENS", 0..=100_000, 2_000)?,
            stages: Stage::ALL
                .iter()
                .map(|stage| stage_settings(env, *stage, &providers))
                .collect::<Result<_, _>>()?,
            providers,
        })
    }

    pub fn of(&self, stage: Stage) -> StageConfig {
        self.settings(stage).config.clone()
    }

    /// For one call of one provider of `stage`.
    pub fn call_timeout(&self, stage: Stage) -> Duration {
        self.settings(stage).call_timeout
    }

    fn settings(&self, stage: Stage) -> &StageSettings {
        self.stages
            .iter()
            .find(|settings| settings.config.stage == stage)
            .expect("every stage is configured")
    }
}

/// To embed a question and search for it.
const RETRIEVAL: Duration = Duration::from_secs(40);

/// To fetch a recording and decode it, or to keep what was spoken. Without it
/// the stage would be given up in the moment in which the last provider's time
/// is up: nobody would learn that it hangs, and a hanging emotion service would
/// fail its jobs.
const FETCHING: Duration = Duration::from_secs(10);

/// Processors of this machine.
fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    u16::try_from(cores).unwrap_or(u16::MAX).clamp(1, 256)
}

/// Messages of a stage in work at the same time. To wait for a vendor costs nothing. Where an engine in this process does
/// the work it is bounded by the slots of engines, and what is held beyond them only keeps it from other workers: enough
/// to have the next one at hand.
fn messages_held(stage: Stage, providers: &ProviderConfig) -> u16 {
    let vendors = match stage {
        Stage::Stt => providers
            .speech_to_text
            .iter()
            .any(|it| *it != HearingProvider::Whisper),
        Stage::Emotion => providers
            .emotion
            .iter()
            .any(|it| *it != EmotionProvider::Heuristic),
        // It waits for the answer above all.
        Stage::Rag | Stage::Tts | Stage::Webhook => true,
    };
    match stage {
        // One transcription uses all threads there are for it; the next one is decoded meanwhile.
        Stage::Stt if !vendors => 2,
        Stage::Emotion if !vendors => cores(),
        Stage::Stt | Stage::Emotion | Stage::Rag | Stage::Tts => 32,
        // They wait for an address.
        Stage::Webhook => 256,
    }
}

fn stage_settings(
    env: &Environment,
    stage: Stage,
    providers: &ProviderConfig,
) -> Result<StageSettings, ConfigError> {
    // The timeouts have the names that the predecessor gave them.
    let (timeout_variable, timeout) = match stage {
        Stage::Stt => ("STT_TIMEOUT", 120),
        Stage::Emotion => ("EMOTION_TIMEOUT", 30),
        Stage::Rag => ("LLM_TIMEOUT", 60),
        Stage::Tts => ("TTS_TIMEOUT", 60),
        Stage::Webhook => ("WEBHOOK_TIMEOUT", 10),
    };
    let concurrency = messages_held(stage, providers);
    let concurrency_variable = format!("{}_CONCURRENCY", stage.as_str().to_ascii_uppercase());
    let call_timeout = env.seconds(timeout_variable, 1..=LONGEST_TRY, timeout)?;
    // Each provider of the list may use up its time before the last one answers.
    let (asked, before) = match stage {
        Stage::Stt => (providers.speech_to_text.len(), FETCHING),
        Stage::Emotion => (providers.emotion.len(), FETCHING),
        Stage::Rag => (providers.answers.len(), RETRIEVAL),
        Stage::Tts => (providers.text_to_speech.len(), FETCHING),
        Stage::Webhook => (1, FETCHING),
    };
    let (attempts_variable, attempts) = match stage {
        Stage::Webhook => ("WEBHOOK_ATTEMPTS", 10),
        _ => ("MAX_ATTEMPTS", 4),
    };
    let asked = u32::try_from(asked).unwrap_or(u32::MAX);
    let timeout = before.saturating_add(call_timeout.saturating_mul(asked));
    let config = StageConfig {
        stage,
        concurrency: env.number(&concurrency_variable, 1..=1_024, concurrency)?,
        timeout: timeout.min(Duration::from_secs(LONGEST_TRY)),
        retries: RetryPolicy {
            max_attempts: env.number(attempts_variable, 1..=20, attempts)?,
        },
        grace: env.seconds("SHUTDOWN_GRACE", 0..=600, 30)?,
        retention: retention(env)?,
    };
    Ok(StageSettings {
        config,
        call_timeout,
    })
}

fn provision(env: &Environment) -> Result<ProvisionConfig, ConfigError> {
    let model = env
        .parsed("STT_MODEL", "base, small, medium or large-v3")?
        .unwrap_or(SttModel::Base);
    let mut config = ProvisionConfig::new(data_dir(env)?, model, espeak_program(env)?);
    if let Some(python) = in_path(env, "python3") {
        config.python = python;
    }
    if let Some(hub) = env.text("ITB_HUB_URL") {
        config.hub = hub.trim_end_matches('/').to_owned();
    }
    Ok(config)
}

/// `ITB_DATA_DIR`, or the place of the XDG Base Directory Specification.
fn data_dir(env: &Environment) -> Result<PathBuf, ConfigError> {
    let folder = |variable| env.text(variable).map(PathBuf::from);
    folder("ITB_DATA_DIR")
        .or_else(|| {
            // The specification has relative paths ignored.
            let base = folder("XDG_DATA_HOME").filter(|path| path.is_absolute());
            base.map(|base| base.join("itb-assistant"))
        })
        .or_else(|| folder("HOME").map(|home| home.join(".local/share/itb-assistant")))
        .ok_or_else(|| {
            ConfigError::because(
                "ITB_DATA_DIR",
                "not set, and neither is HOME",
                "a folder for the speech engines",
            )
        })
}

/// `ESPEAK_NG`, or the first `espeak-ng` in `PATH`.
fn espeak_program(env: &Environment) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(path) = env.text("ESPEAK_NG") {
        let program = PathBuf::from(path);
        return if program.is_file() {
            Ok(Some(program))
        } else {
            Err(ConfigError::wrong(
                "ESPEAK_NG",
                path,
                "the path of the program espeak-ng",
            ))
        };
    }
    Ok(in_path(env, "espeak-ng"))
}

fn in_path(env: &Environment, program: &str) -> Option<PathBuf> {
    find_program(program, env.text("PATH")?.as_ref())
}

/// Stages by their names, separated by commas.
pub fn parse_stages(list: &str) -> Result<Vec<Stage>, ConfigError> {
    let expected = || {
        let names: Vec<_> = Stage::ALL.iter().map(Stage::as_str).collect();
        format!("some of {}, separated by commas", names.join(","))
    };
    let mut stages = Vec::new();
    for name in list.split(',').map(str::trim) {
        let stage = name
            .parse()
            .map_err(|_| ConfigError::wrong("WORKER_STAGES", name, expected()))?;
        if !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    Ok(stages)
}

/// How long the health check of a container waits.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_named_in_any_order_and_unknown_ones_refused() {
        let stages = parse_stages("tts, stt,tts").unwrap();
        assert_eq!(stages, [Stage::Tts, Stage::Stt]);
        let error = parse_stages("stt,llm").unwrap_err();
        assert!(error.to_string().contains("rag"), "{error}");
        assert!(parse_stages("").is_err());
    }

    #[test]
    fn a_stage_has_its_own_concurrency_and_timeout() {
        let env = [
            ("HOME", "/h"),
            ("RAG_CONCURRENCY", "7"),
            ("LLM_TIMEOUT", "9"),
        ];
        let config = WorkerConfig::from_environment(&env.into_iter().collect()).unwrap();
        assert_eq!(config.of(Stage::Rag).concurrency, 7);
        assert_eq!(config.call_timeout(Stage::Rag), Duration::from_secs(9));
    }

    #[test]
    fn a_stage_that_waits_for_a_vendor_holds_many_messages() {
        let key = [("HOME", "/h"), ("PROSA_TTS_API_KEY", "k")];
        let config = WorkerConfig::from_environment(&key.into_iter().collect()).unwrap();
        assert!(config.of(Stage::Tts).concurrency >= 32);
        assert_eq!(config.of(Stage::Stt).concurrency, 2, "an engine hears");
        assert_eq!(config.engine_calls, u32::from(cores()));
        let limited = [("HOME", "/h"), ("PROSA_TTS_MAX_CONCURRENT", "3")];
        let config = WorkerConfig::from_environment(&limited.into_iter().collect()).unwrap();
        assert_eq!(config.providers.limits.prosa_speaking, Some(3));
        assert_eq!(config.providers.limits.prosa_hearing, None);
    }

    #[test]
    fn a_stage_outlasts_the_calls_of_all_its_providers() {
        let env = [
            ("HOME", "/h"),
            ("STT_TIMEOUT", "7"),
            ("EMOTION_TIMEOUT", "1"),
            ("EMOTION_ANALYSIS_URL", "http://localhost:1"),
        ];
        let config = WorkerConfig::from_environment(&env.into_iter().collect()).unwrap();
        for (stage, providers) in [
            (Stage::Stt, 1),
            (Stage::Emotion, 2),
            (Stage::Rag, 1),
            (Stage::Tts, 1),
        ] {
            let calls = config.call_timeout(stage) * providers;
            assert!(config.of(stage).timeout > calls, "{stage}");
        }
    }
}
