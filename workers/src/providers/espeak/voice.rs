//! Which voice speaks, and how fast. What a client may choose ends up in arguments of a process: only this type does.

/// Voice names that eSpeak NG has look like `id`, `en-us`, `en-gb-x-rp` or `id+f3` (a variant of the voice).
const LONGEST_NAME: usize = 32;

/// What eSpeak NG can do, in words per minute; outside it clamps without saying so.
const SPEEDS: std::ops::RangeInclusive<u16> = 80..=450;

/// A voice that is safe to name to the engine. Whether the engine has it is known when it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    name: String,
    words_per_minute: u16,
}

/// Why a voice was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VoiceError {
    /// Not of the form `id`, `en-us` or `id+f3`.
    #[error("a voice is a language code such as id or en-us, with a variant such as +f3 if wanted")]
    Name,
    /// Too slow or too fast for the engine.
    #[error("a voice speaks 80 to 450 words per minute")]
    Speed,
}

impl Voice {
    /// A voice by its name, at a speed in words per minute.
    ///
    /// # Errors
    ///
    /// For a name that is not of the form that eSpeak NG's have, and for speeds outside 80–450.
    pub fn new(name: &str, words_per_minute: u16) -> Result<Self, VoiceError> {
        if !is_name(name) {
            return Err(VoiceError::Name);
        }
        if !SPEEDS.contains(&words_per_minute) {
            return Err(VoiceError::Speed);
        }
        Ok(Self {
            name: name.to_owned(),
            words_per_minute,
        })
    }

    /// The name, as the engine wants it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The speed.
    pub fn words_per_minute(&self) -> u16 {
        self.words_per_minute
    }
}

impl Default for Voice {
    /// Indonesian, at eSpeak NG's own default of 175 words per minute.
    fn default() -> Self {
        Self {
            name: "id".to_owned(),
            words_per_minute: 175,
        }
    }
}

fn is_name(name: &str) -> bool {
    let (language, variant) = match name.split_once('+') {
        Some((language, variant)) => (language, Some(variant)),
        None => (name, None),
    };
    name.len() <= LONGEST_NAME && is_language(language) && variant.is_none_or(is_part)
}

fn is_language(language: &str) -> bool {
    let mut parts = language.split('-');
    let code = parts.next().unwrap_or_default();
    (2..=3).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase())
        && parts.all(is_part)
}

fn is_part(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_right_form_are_taken_and_no_others() {
        for name in ["id", "en-us", "en-gb-x-rp", "cmn", "id+f3", "en-us+Andy"] {
            assert!(Voice::new(name, 175).is_ok(), "{name}");
        }
        let too_long = format!("id+{}", "f".repeat(30));
        for name in [
            "",
            "i",
            "ID",
            "id ",
            "-id",
            "--path=/etc",
            "id-",
            "id+",
            "id+f3+f4",
            "../id",
            "id/x",
            "id\0",
            "id\n",
            "é",
            "inde",
            "id+f 3",
            &too_long,
        ] {
            assert_eq!(Voice::new(name, 175), Err(VoiceError::Name), "{name:?}");
        }
    }

    #[test]
    fn speeds_outside_what_the_engine_can_do_are_refused() {
        for (speed, good) in [
            (0, false),
            (79, false),
            (80, true),
            (450, true),
            (451, false),
        ] {
            assert_eq!(Voice::new("id", speed).is_ok(), good, "{speed}");
        }
    }
}
