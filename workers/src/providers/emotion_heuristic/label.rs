//! The names that other services give to the emotions.

use common::turn::EmotionLabel;

/// The name belongs to no label: treat the answer as no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no emotion label is called {0:?}")]
pub struct UnknownLabel(pub String);

/// Names are quoted in errors up to this many characters.
const QUOTED: usize = 40;

/// Accepts any case and the synonyms in use by emotion services: those of
/// RAVDESS and SUPERB (`ang`, `calm`), nouns, and Indonesian words.
pub fn parse_label(name: &str) -> Result<EmotionLabel, UnknownLabel> {
    let folded = name.trim().to_lowercase();
    Ok(match folded.as_str() {
        "neutral" | "neu" | "netral" | "calm" | "tenang" | "none" | "no emotion" | "biasa" => {
            EmotionLabel::Neutral
        }
        "happy" | "hap" | "joy" | "joyful" | "happiness" | "excited" | "excitement" | "exc"
        | "amusement" | "senang" | "bahagia" | "gembira" => EmotionLabel::Happy,
        "sad" | "sadness" | "unhappy" | "sorrow" | "grief" | "sedih" => EmotionLabel::Sad,
        "angry" | "ang" | "anger" | "mad" | "annoyed" | "annoyance" | "frustrated"
        | "frustration" | "fru" | "marah" | "kesal" => EmotionLabel::Angry,
        "fearful" | "fear" | "fea" | "afraid" | "scared" | "anxious" | "anxiety" | "nervous"
        | "nervousness" | "takut" | "cemas" => EmotionLabel::Fearful,
        "surprised" | "surprise" | "sur" | "pleasant surprise" | "pleasant_surprise"
        | "pleasant_surprised" | "ps" | "terkejut" | "kaget" => EmotionLabel::Surprised,
        "disgusted" | "disgust" | "dis" | "contempt" | "jijik" | "muak" => EmotionLabel::Disgusted,
        _ => return Err(UnknownLabel(name.chars().take(QUOTED).collect())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_known_by_its_own_name() {
        for label in EmotionLabel::ALL {
            assert_eq!(parse_label(&label.to_string()), Ok(*label));
            assert_eq!(EmotionLabel::ALL[label.index()], *label);
        }
    }

    #[test]
    fn names_of_other_services_are_understood_in_any_case() {
        let table = [
            ("Anger", EmotionLabel::Angry),
            ("JOY", EmotionLabel::Happy),
            (" disgust\n", EmotionLabel::Disgusted),
            ("Fear", EmotionLabel::Fearful),
            ("calm", EmotionLabel::Neutral),
            ("surprise", EmotionLabel::Surprised),
            ("Sadness", EmotionLabel::Sad),
            ("Marah", EmotionLabel::Angry),
        ];
        for (name, label) in table {
            assert_eq!(parse_label(name), Ok(label), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_quotes_a_bounded_part_of_it() {
        let error = parse_label(&"é".repeat(10_000)).unwrap_err();
        assert_eq!(error.0.chars().count(), QUOTED);
        assert!(parse_label("").is_err());
    }
}
