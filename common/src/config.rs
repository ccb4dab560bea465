//! Settings from environment variables, with errors that name the variable.

use std::{collections::HashMap, fmt, path::Path, str::FromStr};

/// The environment of the process, or of a test.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is {problem}; it may be {expected}")]
pub struct ConfigError {
    pub variable: String,
    problem: String,
    pub expected: String,
}

impl ConfigError {
    pub fn wrong(variable: &str, value: &str, expected: impl fmt::Display) -> Self {
        Self::because(variable, format!("{value:?}"), expected)
    }

    /// For a value that must not be shown, or that has more to say.
    pub fn because(
        variable: &str,
        problem: impl Into<String>,
        expected: impl fmt::Display,
    ) -> Self {
        Self {
            variable: variable.to_owned(),
            problem: problem.into(),
            expected: expected.to_string(),
        }
    }
}

impl Environment {
    pub fn of_process() -> Self {
        // A variable that is not UTF-8 is none of ours.
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// The value, trimmed. An empty variable counts as not set, as in an `.env`
    /// file with nothing filled in.
    pub fn text(&self, variable: &str) -> Option<&str> {
        self.0
            .get(variable)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    pub fn parsed<T: FromStr>(
        &self,
        variable: &str,
        expected: &str,
    ) -> Result<Option<T>, ConfigError> {
        self.text(variable)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| ConfigError::wrong(variable, value, expected))
            })
            .transpose()
    }

    pub fn number<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        variable: &str,
        range: std::ops::RangeInclusive<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        match self.parsed::<T>(variable, &expected)? {
            Some(value) if range.contains(&value) => Ok(value),
            Some(value) => Err(ConfigError::wrong(variable, &value.to_string(), expected)),
            None => Ok(default),
        }
    }

    /// Whole seconds.
    pub fn seconds(
        &self,
        variable: &str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<std::time::Duration, ConfigError> {
        self.number(variable, range, default)
            .map(std::time::Duration::from_secs)
    }

    pub fn flag(&self, variable: &str, default: bool) -> Result<bool, ConfigError> {
        match self.text(variable).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some("false" | "0" | "no" | "off") => Ok(false),
            Some(other) => Err(ConfigError::wrong(variable, other, "true or false")),
        }
    }

    /// A secret: from the variable, or from the file that `{variable}_FILE`
    /// names, as container platforms mount them.
    pub fn secret(&self, variable: &str) -> Result<Option<Secret>, ConfigError> {
        let file_variable = format!("{variable}_FILE");
        match (self.text(variable), self.text(&file_variable)) {
            (Some(_), Some(_)) => Err(ConfigError::because(
                &file_variable,
                format!("set together with {variable}"),
                "set without it",
            )),
            (Some(value), None) => Ok(Some(Secret::new(value))),
            (None, Some(path)) => read_secret(&file_variable, Path::new(path)).map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn read_secret(variable: &str, path: &Path) -> Result<Secret, ConfigError> {
    let expected = "the path of a readable file that holds a secret";
    let text = std::fs::read_to_string(path).map_err(|error| {
        let problem = format!("{:?}, which cannot be read ({error})", path.display());
        ConfigError::because(variable, problem, expected)
    })?;
    match text.trim() {
        "" => {
            let problem = format!("{:?}, an empty file", path.display());
            Err(ConfigError::because(variable, problem, expected))
        }
        secret => Ok(Secret::new(secret)),
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// A text that no log, error or `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let env = env(&[("PORT", " ")]);
        assert_eq!(env.number("PORT", 1..=65_535, 8000), Ok(8000));
    }

    #[test]
    fn a_wrong_value_is_an_error_that_names_the_variable_and_what_it_may_be() {
        for value in ["x", "0", "70000", "-1", "1.5"] {
            let error = env(&[("PORT", value)])
                .number("PORT", 1..=65_535, 8000)
                .unwrap_err();
            let text = error.to_string();
            assert!(text.contains("PORT") && text.contains("65535"), "{text}");
        }
        assert!(env(&[("FLAG", "maybe")]).flag("FLAG", true).is_err());
    }

    #[test]
    fn a_secret_comes_from_its_variable_or_its_file_and_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let path = file.path().to_str().unwrap();

        let from_file = env(&[("API_KEY_FILE", path)]).secret("API_KEY").unwrap();
        assert_eq!(from_file, Some(Secret::new("s3cret")));
        assert!(!format!("{from_file:?}").contains("s3cret"));

        let both = env(&[("API_KEY", "a"), ("API_KEY_FILE", path)]).secret("API_KEY");
        assert!(both.is_err());
        let missing = env(&[("API_KEY_FILE", "/does/not/exist")]).secret("API_KEY");
        assert!(missing.unwrap_err().to_string().contains("API_KEY_FILE"));
    }
}
