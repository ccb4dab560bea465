//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{bar:30} {percent:>3}%  {msg}  {decimal_bytes_per_sec}  {eta} left";

/// Between two lines where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub struct Progress {
    shown: Shown,
    files: usize,
    done: usize,
    total: u64,
    read: u64,
    started: Instant,
}

enum Shown {
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    pub fn new(files: usize, bytes: u64) -> Self {
        let shown = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(bytes);
            // A template that is wrong shows the plain bar.
            bar.set_style(
                ProgressStyle::with_template(TEMPLATE)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            Shown::Bar(bar)
        } else {
            Shown::Lines {
                last: Instant::now(),
            }
        };
        Self {
            shown,
            files,
            done: 0,
            total: bytes,
            read: 0,
            started: Instant::now(),
        }
    }

    /// A file is done, and `passages` are written so far.
    pub fn file(&mut self, bytes: u64, passages: usize) {
        self.done += 1;
        self.read += bytes;
        let at = format!("{} of {} files, {passages} passages", self.done, self.files);
        let line = match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_position(self.read);
                return bar.set_message(at);
            }
            Shown::Lines { last } if last.elapsed() < LINE_EVERY => return,
            Shown::Lines { last } => {
                *last = Instant::now();
                at
            }
        };
        eprintln!("{line}{}", self.rate());
    }

    fn rate(&self) -> String {
        let elapsed = self.started.elapsed().as_secs_f64();
        if self.read == 0 || elapsed <= 0.0 {
            return String::new();
        }
        let rate = self.read as f64 / elapsed;
        let left = Duration::from_secs_f64(self.total.saturating_sub(self.read) as f64 / rate);
        format!(
            ", {}/s, {} left",
            HumanBytes(rate as u64),
            HumanDuration(left)
        )
    }

    pub fn clear(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
