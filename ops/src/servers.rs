//! The servers that the processes share, for the commands that act on them.

use common::{
    backends::{self, BackendConfig, Backends},
    broker::Link,
    config::Environment,
};

pub async fn connect(env: &Environment) -> anyhow::Result<Backends> {
    let config = BackendConfig::from_environment(env, "itb-ops")?;
    if config.mode.is_embedded() {
        anyhow::bail!(
            "AMQP_URL and REDIS_URL must be set: what the embedded mode keeps is in the memory of its process and ends with it"
        );
    }
    let backends = backends::connect(&config).await?;
    match backends.broker.link() {
        Link::Up => Ok(backends),
        link => anyhow::bail!("RabbitMQ cannot be used: it is {link:?}"),
    }
}
