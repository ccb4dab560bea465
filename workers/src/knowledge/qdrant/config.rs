//! Where the collection is.

use std::fmt;
use std::time::Duration;

use common::config::{ConfigError, Environment, Secret};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Uri;

/// The ports that Qdrant listens on unless told otherwise.
const REST_PORT: u16 = 6333;
const GRPC_PORT: u16 = 6334;

/// The collection of the predecessor.
const COLLECTION: &str = "informasi-umum-itb";

/// Qdrant's own limit for names (255 bytes), which are also the names of folders.
const LONGEST_NAME: usize = 255;

#[derive(Clone, Debug)]
pub struct QdrantConfig {
    pub address: Address,
    pub api_key: Option<Secret>,
    pub collection: String,
    /// How long one call may take, connecting included.
    pub timeout: Duration,
}

impl QdrantConfig {
    /// `None` without `QDRANT_URL`.
    ///
    /// `QDRANT_URL` may name the REST port (6333), the gRPC port (6334) or none, with `http` or `https`. Searches and
    /// changes go to the gRPC port, snapshots to the REST port. A port that is neither is taken for both, unless
    /// `QDRANT_GRPC_PORT` says where gRPC is.
    pub fn from_environment(env: &Environment) -> Result<Option<Self>, ConfigError> {
        let Some(url) = env.text("QDRANT_URL") else {
            return Ok(None);
        };
        let mut address = Address::parse(url)?;
        if env.text("QDRANT_GRPC_PORT").is_some() {
            address.grpc_port = env.number("QDRANT_GRPC_PORT", 1..=u16::MAX, GRPC_PORT)?;
        }
        Ok(Some(Self {
            address,
            api_key: api_key(env)?,
            collection: collection(env)?,
            timeout: env.seconds("QDRANT_TIMEOUT", 1..=300, 10)?,
        }))
    }
}

fn api_key(env: &Environment) -> Result<Option<Secret>, ConfigError> {
    let key = env.secret("QDRANT_API_KEY")?;
    // Found out here, where the value is not shown; a header would refuse it later.
    let fits = |key: &Secret| key.expose().parse::<AsciiMetadataValue>().is_ok();
    match key {
        Some(key) if !fits(&key) => Err(ConfigError::because(
            "QDRANT_API_KEY",
            "a text that fits into no header",
            "letters, digits and signs of ASCII",
        )),
        key => Ok(key),
    }
}

fn collection(env: &Environment) -> Result<String, ConfigError> {
    let name = env.text("QDRANT_COLLECTION_NAME").unwrap_or(COLLECTION);
    let fits = |letter: char| !letter.is_control() && !r#"/\<>:"|?*"#.contains(letter);
    if name.len() <= LONGEST_NAME && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err(ConfigError::wrong(
        "QDRANT_COLLECTION_NAME",
        name,
        r#"a name of at most 255 bytes without / \ < > : " | ? *"#,
    ))
}

/// The two ports of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    scheme: &'static str,
    host: String,
    grpc_port: u16,
    rest_port: u16,
}

impl Address {
    /// # Errors
    ///
    /// The text is no URL of a server. The error shows neither a path nor a password in it.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        let wrong = |problem: &str| {
            let expected = "the URL of a Qdrant server, such as http://localhost:6333";
            ConfigError::because("QDRANT_URL", problem, expected)
        };
        let uri: Uri = url.parse().map_err(|_| wrong("no URL"))?;
        let scheme = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => return Err(wrong("without http:// or https://")),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            // gRPC has no place for one.
            return Err(wrong("a URL with a path"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("without a host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a URL with a user; a key goes into QDRANT_API_KEY"));
        }
        let written = authority.as_str().rsplit_once(':').map(|(_, port)| port);
        let port = authority.port_u16();
        if port.is_none() && written.is_some_and(|port| !port.ends_with(']')) {
            return Err(wrong("a URL with a port that is none"));
        }
        let (rest_port, grpc_port) = match port {
            None | Some(REST_PORT | GRPC_PORT) => (REST_PORT, GRPC_PORT),
            Some(0) => return Err(wrong("a URL with a port that is none")),
            Some(other) => (other, other),
        };
        Ok(Self {
            scheme,
            host: authority.host().to_owned(),
            grpc_port,
            rest_port,
        })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }

    /// Without a slash at its end.
    pub fn grpc(&self) -> String {
        self.at(self.grpc_port)
    }

    /// Without a slash at its end.
    pub fn rest(&self) -> String {
        self.at(self.rest_port)
    }

    fn at(&self, port: u16) -> String {
        format!("{}://{}:{port}", self.scheme, self.host)
    }
}

/// As logs and errors name it: where searches go.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.grpc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_port_or_none_leads_to_both() {
        for (url, grpc, rest) in [
            (
                "http://localhost:6333",
                "http://localhost:6334",
                "http://localhost:6333",
            ),
            (
                "http://localhost:6334/",
                "http://localhost:6334",
                "http://localhost:6333",
            ),
            (
                "https://q.itb.ac.id",
                "https://q.itb.ac.id:6334",
                "https://q.itb.ac.id:6333",
            ),
            (
                "https://q.itb.ac.id:443",
                "https://q.itb.ac.id:443",
                "https://q.itb.ac.id:443",
            ),
            (
                "http://[::1]:6333",
                "http://[::1]:6334",
                "http://[::1]:6333",
            ),
            ("http://[::1]", "http://[::1]:6334", "http://[::1]:6333"),
            (
                "http://10.0.0.1:7000",
                "http://10.0.0.1:7000",
                "http://10.0.0.1:7000",
            ),
        ] {
            let address = Address::parse(url).expect(url);
            assert_eq!(
                (address.grpc().as_str(), address.rest().as_str()),
                (grpc, rest),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_server_is_refused_without_showing_a_password() {
        for url in [
            "localhost:6333",
            "ftp://localhost",
            "http://",
            "http://localhost/qdrant",
            "http://localhost:6333/?a=b",
            "http://user:geheim@localhost:6333",
            "http://localhost:99999",
            "http://localhost:x",
            "http://localhost:0",
            "not a url",
        ] {
            let error = Address::parse(url).expect_err(url).to_string();
            assert!(
                error.contains("QDRANT_URL") && error.contains("6333"),
                "{error}"
            );
            assert!(!error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn the_environment_names_server_key_collection_and_patience() {
        let read = |pairs: &[(&str, &str)]| {
            QdrantConfig::from_environment(&pairs.iter().copied().collect())
        };
        assert!(read(&[]).expect("nothing is wrong").is_none());
        let url = ("QDRANT_URL", "http://localhost:6333");
        let config = read(&[url]).expect("valid").expect("configured");
        assert_eq!(config.collection, "informasi-umum-itb");
        assert_eq!(config.timeout, Duration::from_secs(10));
        let config = read(&[
            ("QDRANT_URL", "http://localhost:16333"),
            ("QDRANT_GRPC_PORT", "16334"),
            ("QDRANT_API_KEY", "kunci"),
            ("QDRANT_COLLECTION_NAME", "lain"),
        ]);
        let config = config.expect("valid").expect("configured");
        assert_eq!(config.address.grpc(), "http://localhost:16334");
        assert_eq!(config.address.rest(), "http://localhost:16333");
        assert!(!format!("{config:?}").contains("kunci"));
        for (variable, value) in [
            ("QDRANT_API_KEY", "kun\nci"),
            ("QDRANT_COLLECTION_NAME", "a/b"),
            ("QDRANT_TIMEOUT", "0"),
            ("QDRANT_GRPC_PORT", "70000"),
        ] {
            let error = read(&[url, (variable, value)]).expect_err(variable);
            assert_eq!(error.variable, variable);
        }
    }
}
