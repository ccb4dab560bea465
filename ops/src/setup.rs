//! `itb-ops setup`: provisioning in the foreground.

use std::{convert::Infallible, io::Write as _, time::Duration};

use common::config::Environment;
use tokio::sync::watch;
use workers::{
    config::WorkerConfig,
    provision::{self, AssetState, Progress},
};

pub async fn run(env: &Environment) -> anyhow::Result<()> {
    let config = WorkerConfig::from_environment(env)?.provision;
    let (progress, hearing, speaking) = Progress::new();
    let assets = [("speech to text", &hearing), ("text to speech", &speaking)];
    let result = tokio::select! {
        result = provision::run_once(&config, &progress) => result,
        never = show(&assets) => match never {},
    };
    eprintln!();
    result?;
    for (name, state) in [("speech to text", hearing), ("text to speech", speaking)] {
        if let AssetState::Ready(place) = &*state.borrow() {
            println!("{name}: {}", place.path().display());
        }
    }
    Ok(())
}

/// Redraws one line of progress for as long as it is polled.
async fn show(assets: &[(&str, &watch::Receiver<AssetState>)]) -> Infallible {
    let mut redraw = tokio::time::interval(Duration::from_millis(200));
    loop {
        redraw.tick().await;
        let parts: Vec<_> = assets
            .iter()
            .map(|(name, state)| format!("{name}: {}", word(&state.borrow())))
            .collect();
        eprint!("\r\x1b[2K{}", parts.join("   "));
        // A terminal that is gone needs no progress.
        let _ = std::io::stderr().flush();
    }
}

fn word(state: &AssetState) -> String {
    match state {
        AssetState::Waiting => "waiting".into(),
        AssetState::Fetching { done, total, .. } => {
            let tenths = usize::try_from(done * 20 / total.max(&1)).unwrap_or(0);
            let bar = format!("{:-<20}", "#".repeat(tenths.min(20)));
            format!("[{bar}] {} of {} MB", done / 1_000_000, total / 1_000_000)
        }
        AssetState::Verifying => "checking".into(),
        AssetState::Ready(_) => "ready".into(),
        AssetState::Failed { .. } => "failed".into(),
    }
}
