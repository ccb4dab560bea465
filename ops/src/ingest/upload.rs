//! Passages on their way into a store, in batches.

use std::{future::Future, sync::Arc, time::Duration};

use workers::{
    handler::StageError,
    knowledge::{
        KnowledgeError,
        store::{PassageStore, StoredPassage},
    },
    providers::{Embedder, Purpose},
};

/// Texts of one call for embeddings; OpenAI allows 2,048, others far fewer.
const BATCH_WITH_VECTORS: usize = 64;
const BATCH: usize = 1_024;

/// Characters of one call, for vendors that limit its tokens (OpenAI: 300,000).
const BATCH_CHARS: usize = 200_000;

/// How often a call is tried, and how long it waits at first; each wait is twice as long as the one before.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub attempts: u32,
    pub first_wait: Duration,
    /// The longest time that the other side may ask for.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(120),
        }
    }
}

/// Why passages could not be written.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("the embeddings failed: {0}")]
    Embedding(#[from] StageError),
    #[error(transparent)]
    Store(#[from] KnowledgeError),
    #[error("the embedding model gave {found} vectors for {expected} texts")]
    Vectors { found: usize, expected: usize },
}

/// Collects passages until they make a batch. Each batch is in the store before the next is embedded, so that a run that
/// breaks off goes on from there.
pub struct Upload {
    store: Arc<dyn PassageStore>,
    embedder: Option<Arc<dyn Embedder>>,
    patience: Patience,
    waiting: Vec<StoredPassage>,
    written: usize,
}

impl Upload {
    pub fn new(
        store: Arc<dyn PassageStore>,
        embedder: Option<Arc<dyn Embedder>>,
        patience: Patience,
    ) -> Self {
        Self {
            store,
            embedder,
            patience,
            waiting: Vec::new(),
            written: 0,
        }
    }

    pub fn written(&self) -> usize {
        self.written
    }

    /// Adds passages, and writes while there are enough of them.
    pub async fn add(&mut self, passages: Vec<StoredPassage>) -> Result<(), UploadError> {
        for passage in passages {
            let chars = |passages: &[StoredPassage]| passages.iter().map(size).sum::<usize>();
            if self.waiting.len() >= self.batch()
                || (self.embedder.is_some() && chars(&self.waiting) + size(&passage) > BATCH_CHARS)
            {
                self.flush().await?;
            }
            self.waiting.push(passage);
        }
        Ok(())
    }

    fn batch(&self) -> usize {
        if self.embedder.is_some() {
            BATCH_WITH_VECTORS
        } else {
            BATCH
        }
    }

    /// Writes what waits.
    pub async fn flush(&mut self) -> Result<(), UploadError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut passages = std::mem::take(&mut self.waiting);
        if let Some(embedder) = &self.embedder {
            self.embed(embedder.as_ref(), &mut passages).await?;
        }
        let count = passages.len();
        let put = || self.store.put(passages.clone());
        retried(self.patience, put, store_wait).await?;
        self.written += count;
        Ok(())
    }

    async fn embed(
        &self,
        embedder: &dyn Embedder,
        passages: &mut [StoredPassage],
    ) -> Result<(), UploadError> {
        let texts: Vec<String> = passages.iter().map(embedded_text).collect();
        let embed = || embedder.embed(&texts, Purpose::Passage);
        let vectors = retried(self.patience, embed, stage_wait).await?;
        if vectors.len() != texts.len() {
            return Err(UploadError::Vectors {
                found: vectors.len(),
                expected: texts.len(),
            });
        }
        for (passage, vector) in passages.iter_mut().zip(vectors) {
            passage.vector = Some(vector);
        }
        Ok(())
    }
}

/// Removes passages, in batches too.
pub async fn remove(
    store: &dyn PassageStore,
    ids: &[uuid::Uuid],
    patience: Patience,
) -> Result<(), UploadError> {
    for batch in ids.chunks(BATCH) {
        retried(patience, || store.remove(batch), store_wait).await?;
    }
    Ok(())
}

fn size(passage: &StoredPassage) -> usize {
    embedded_text(passage).len()
}

/// A passage alone often does not say what it is about; its title and heading do.
fn embedded_text(passage: &StoredPassage) -> String {
    let title = passage.document.title.as_str();
    match &passage.heading {
        Some(heading) => format!("{title} – {heading}\n{}", passage.text),
        None => format!("{title}\n{}", passage.text),
    }
}

/// Whether trying again may help, and how long the other side asks to wait.
enum Wait {
    Never,
    Own,
    Asked(Duration),
}

fn stage_wait(error: &StageError) -> Wait {
    match error {
        StageError::Transient {
            retry_after: Some(wait),
            ..
        } => Wait::Asked(*wait),
        StageError::Transient { .. } => Wait::Own,
        StageError::Permanent { .. } => Wait::Never,
    }
}

fn store_wait(error: &KnowledgeError) -> Wait {
    match error {
        KnowledgeError::Unavailable { .. } => Wait::Own,
        KnowledgeError::Misconfigured(_) | KnowledgeError::Unexpected(_) => Wait::Never,
    }
}

async fn retried<T, E, F: Future<Output = Result<T, E>>>(
    patience: Patience,
    mut call: impl FnMut() -> F,
    wait: fn(&E) -> Wait,
) -> Result<T, E> {
    let mut own = patience.first_wait;
    for _ in 1..patience.attempts {
        let error = match call().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let pause = match wait(&error) {
            Wait::Never => return Err(error),
            Wait::Asked(asked) if asked > patience.longest_wait => return Err(error),
            Wait::Asked(asked) => asked,
            Wait::Own => own,
        };
        tokio::time::sleep(pause).await;
        own = (own * 2).min(patience.longest_wait);
    }
    call().await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use workers::knowledge::{document::Document, passages::passages};

    use super::*;
    use crate::ingest::file_store::FileStore;

    const IMPATIENT: Patience = Patience {
        attempts: 3,
        first_wait: Duration::ZERO,
        longest_wait: Duration::from_secs(1),
    };

    /// Gives vectors, after the errors that it is made with.
    struct Scripted {
        errors: Mutex<Vec<StageError>>,
        calls: Mutex<Vec<usize>>,
    }

    #[async_trait]
    impl Embedder for Scripted {
        async fn embed(&self, texts: &[String], _: Purpose) -> Result<Vec<Vec<f32>>, StageError> {
            self.calls.lock().unwrap().push(texts.len());
            match self.errors.lock().unwrap().pop() {
                Some(error) => Err(error),
                None => Ok(vec![vec![0.5]; texts.len()]),
            }
        }

        fn dimension(&self) -> usize {
            1
        }

        fn model(&self) -> &str {
            "scripted"
        }
    }

    fn asked(wait: Duration) -> StageError {
        StageError::Transient {
            code: "busy",
            detail: String::new(),
            retry_after: Some(wait),
        }
    }

    /// Whether all was written, how many calls there were, and how many passages are kept.
    async fn upload(count: usize, errors: Vec<StageError>) -> (bool, Vec<usize>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(FileStore::open(&folder.path().join("kb.jsonl")).unwrap());
        let embedder = Arc::new(Scripted {
            errors: Mutex::new(errors),
            calls: Mutex::default(),
        });
        let text: String = (0..count).map(|at| format!("## {at}\nIsi.\n")).collect();
        let mut upload = Upload::new(store.clone(), Some(embedder.clone()), IMPATIENT);
        let found = passages(&[Document::from_markdown("a", &text)]);
        let added = upload.add(found).await;
        let written = match added {
            Ok(()) => upload.flush().await,
            Err(error) => Err(error),
        };
        let calls = embedder.calls.lock().unwrap().clone();
        (written.is_ok(), calls, store.list().await.unwrap().len())
    }

    #[tokio::test]
    async fn passages_are_embedded_and_kept_batch_by_batch() {
        assert_eq!(upload(150, vec![]).await, (true, vec![64, 64, 22], 150));
    }

    #[tokio::test]
    async fn a_failure_that_may_pass_is_tried_again_as_the_other_side_asks() {
        let passing = || vec![asked(Duration::ZERO), StageError::transient("reset", "")];
        assert_eq!(upload(1, passing()).await, (true, vec![1, 1, 1], 1));
        let too_often = vec![asked(Duration::ZERO); 3];
        assert_eq!(upload(1, too_often).await, (false, vec![1, 1, 1], 0));
        let too_long = vec![asked(Duration::from_secs(60))];
        assert_eq!(upload(1, too_long).await, (false, vec![1], 0));
        let lasting = vec![StageError::internal("key", "")];
        assert_eq!(upload(1, lasting).await, (false, vec![1], 0));
    }
}
