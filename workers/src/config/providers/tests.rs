use super::*;

fn configured(pairs: &[(&str, &str)]) -> Result<ProviderConfig, ConfigError> {
    ProviderConfig::from_environment(&pairs.iter().copied().collect())
}

fn answers(pairs: &[(&str, &str)]) -> Vec<String> {
    let config = configured(pairs).unwrap();
    let answers = config.answers.iter().map(|provider| match provider {
        AnswerProvider::Model(model) => format!("{:?}", model.vendor),
        AnswerProvider::Extractive => "extractive".into(),
    });
    answers.collect()
}

#[test]
fn without_settings_everything_is_local() {
    let config = configured(&[]).unwrap();
    assert_eq!(config.speech_to_text, [HearingProvider::Whisper]);
    assert_eq!(config.emotion, [EmotionProvider::Heuristic]);
    assert_eq!(config.answers, [AnswerProvider::Extractive]);
    assert_eq!(config.text_to_speech, [SpeakingProvider::Espeak]);
    assert!(matches!(
        config.knowledge.as_slice(),
        [KnowledgeProvider::Embedded]
    ));
    assert_eq!(config.embedder, None);
}

#[test]
fn a_key_puts_its_vendor_before_the_local_engine() {
    let key = ("OPENROUTER_API_KEY", "k");
    assert_eq!(answers(&[key]), ["OpenRouter", "extractive"]);
    let both = [("OPENAI_API_KEY", "k"), key];
    assert_eq!(answers(&both), ["OpenRouter", "OpenAi", "extractive"]);
    let prosa = configured(&[("PROSA_STT_API_KEY", "k")]).unwrap();
    assert_eq!(prosa.speech_to_text.len(), 2);
}

#[test]
fn a_list_says_the_order_and_leaves_out_what_it_does_not_name() {
    let keys = [("OPENROUTER_API_KEY", "k"), ("OPENAI_API_KEY", "k")];
    let named = |list| {
        let mut pairs = keys.to_vec();
        pairs.push(("LLM_PROVIDERS", list));
        answers(&pairs)
    };
    assert_eq!(named("openai"), ["OpenAi"]);
    assert_eq!(named("OpenAI, openrouter"), ["OpenAi", "OpenRouter"]);
    assert_eq!(named("extractive,extractive"), ["extractive"]);
}

#[test]
fn what_cannot_be_is_refused_with_the_variables_name() {
    for (pairs, variable) in [
        (&[("LLM_PROVIDERS", "gemini")][..], "LLM_PROVIDERS"),
        (&[("LLM_PROVIDERS", "openai")], "OPENAI_API_KEY"),
        (&[("TTS_PROVIDERS", "prosa")], "PROSA_TTS_API_KEY"),
        (&[("KNOWLEDGE_PROVIDERS", "qdrant")], "QDRANT_URL"),
        (&[("QDRANT_URL", "localhost:6333")], "QDRANT_URL"),
        (&[("EMOTION_ANALYSIS_URL", "emosi")], "EMOTION_ANALYSIS_URL"),
        (&[("PROSA_STT_URL", "http://x.id")], "PROSA_STT_URL"),
        (
            &[("LLM_BASE_URL", "http://localhost:11434/v1")],
            "LLM_MODEL",
        ),
        (&[("EMBEDDING_PROVIDER", "openai")], "EMBEDDING_PROVIDER"),
        (&[("EMBEDDING_PROVIDER", "cohere")], "EMBEDDING_PROVIDER"),
    ] {
        let error = configured(pairs).expect_err(variable).to_string();
        assert!(error.starts_with(variable), "{pairs:?}: {error}");
    }
}

#[test]
fn documents_in_the_process_stand_in_for_a_collection_only_when_named() {
    let url = ("QDRANT_URL", "http://localhost:6333");
    assert_eq!(configured(&[url]).unwrap().knowledge.len(), 1);
    let both = ("KNOWLEDGE_PROVIDERS", "qdrant,embedded");
    assert_eq!(configured(&[url, both]).unwrap().knowledge.len(), 2);
}

#[test]
fn the_embedder_is_the_named_one_or_the_first_with_a_key() {
    let vendor = |pairs: &[(&str, &str)]| {
        let embedder = configured(pairs).unwrap().embedder;
        embedder.map(|config| (config.vendor, config.dimension))
    };
    let openrouter = ("OPENROUTER_API_KEY", "k");
    assert_eq!(vendor(&[openrouter]), Some((Vendor::OpenRouter, None)));
    assert_eq!(vendor(&[openrouter, ("EMBEDDING_PROVIDER", "none")]), None);
    let own = [
        openrouter,
        ("EMBEDDING_BASE_URL", "http://localhost:8080/v1"),
        ("EMBEDDING_MODEL", "e5"),
        ("EMBEDDING_DIMENSION", "384"),
    ];
    assert_eq!(vendor(&own), Some((Vendor::Custom, Some(384))));
}
