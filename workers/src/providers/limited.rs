//! A provider that is asked by so many at a time.

use async_trait::async_trait;

use super::{Embedder, Purpose};
use crate::{handler::StageError, slots::ProviderLimit};

/// For a provider that is not one of a list: there the list sees to it.
pub struct Limited<P> {
    provider: P,
    limit: ProviderLimit,
}

impl<P> Limited<P> {
    pub fn new(provider: P, limit: ProviderLimit) -> Self {
        Self { provider, limit }
    }
}

#[async_trait]
impl<P: Embedder> Embedder for Limited<P> {
    async fn embed(&self, texts: &[String], purpose: Purpose) -> Result<Vec<Vec<f32>>, StageError> {
        let _slot = self.limit.slot().await;
        self.provider.embed(texts, purpose).await
    }

    fn dimension(&self) -> usize {
        self.provider.dimension()
    }

    fn model(&self) -> &str {
        self.provider.model()
    }
}
