//! Documents of every format, changed in their structure, in the process that reads them.
//!
//! Each must give passages or one lasting error of the file, within the limits of that process. The program must be
//! built: `cargo test --workspace` does that.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use common::testing::{
    fuzz::explore_files,
    mutate::{Grammar, Kind, text},
};
use tokio::{runtime::Runtime, time::timeout};

use super::{Format, ReadFailure, Readers};

mod archive;
#[allow(
    dead_code,
    reason = "some of these files take long to make and to change"
)]
#[path = "../../../../tests/ingest/forged.rs"]
mod forged;
mod pdf;
mod words;

/// Inputs of one target in CI.
const BATCH: u32 = 64;

/// More than any of these small files may take, on a machine with other work. What is allowed is made for large ones.
const PATIENCE: Duration = Duration::from_secs(10);

fn explore(format: Format, kind: &Kind, good: &[Vec<u8>], other: &[Vec<u8>]) {
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let readers = Readers::of_built_program();
    explore_files(BATCH, kind, good, other, |file| {
        runtime.block_on(outcome(&readers, format, file))
    });
}

/// What became of a file; the error is what must not become of any.
async fn outcome(readers: &Readers, format: Format, file: &[u8]) -> Result<&'static str, String> {
    let started = Instant::now();
    let read = timeout(PATIENCE, readers.read_bytes("a/b".into(), format, file)).await;
    let Ok(read) = read else {
        return slow(format, started.elapsed());
    };
    match read {
        Ok(_) => Ok("read"),
        Err(ReadFailure::Unreadable(_)) => Ok("refused"),
        Err(ReadFailure::TooMuchMemory(_)) => Ok("out of memory"),
        Err(ReadFailure::TooMuchTime(_)) => Ok("out of time"),
        Err(ReadFailure::GaveUp) => Ok("crashed"),
        Err(error) => Err(error.to_string()),
    }
}

/// The library that reads PDF fills a table of as many objects as the file states, up to the limit of memory, which takes
/// it long; that time is bounded all the same. For every other format long is wrong.
fn slow(format: Format, took: Duration) -> Result<&'static str, String> {
    match format {
        Format::Pdf => Ok("slow"),
        _ => Err(format!("not read within {took:?}")),
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).expect("a fixture")
}

#[test]
fn pdf() {
    let good = [
        pdf::files(),
        vec![
            fixture("peraturan-akademik.pdf"),
            fixture("terkunci-ubah.pdf"),
        ],
    ]
    .concat();
    let other = [fixture("pindaian.pdf"), fixture("rahasia.pdf")];
    explore(Format::Pdf, &pdf::KIND, &good, &other);
}

#[test]
fn word() {
    let good = [fixture("panduan-asrama.docx")];
    explore(Format::Word, &archive::kind(words::WORD), &good, &[]);
}

#[test]
fn sheet() {
    let good = [fixture("kontak-unit.xlsx"), fixture("jarang.xlsx")];
    let forged = [forged::countless_strings()];
    explore(Format::Sheet, &archive::kind(words::SHEET), &good, &forged);
}

fn explore_text(format: Format, words: &'static [&'static str], good: &[&str]) {
    let kind = Kind {
        grammar: Grammar {
            walk: text::walk,
            words,
        },
        members: None,
        mend: |file| file,
    };
    let good: Vec<Vec<u8>> = good.iter().map(|text| text.as_bytes().to_vec()).collect();
    explore(format, &kind, &good, &[]);
}

#[test]
fn html() {
    explore_text(
        Format::Html,
        words::HTML,
        &[
            "<!DOCTYPE html><html><head><title>Panduan</title><meta charset='utf-8'></head><body><nav>a</nav><main>\
           <h1>Asrama</h1><p>Biaya <b>Rp1.000.000</b> &amp; listrik</p><h2>Isi</h2><ul><li>satu<ol><li>dua</ol></ul>\
           <table><tr><th colspan='2'>Nama<th>Harga<tr><td rowspan='3'>a<td>1<td>2</table><pre>x  y</pre>\
           <a href='https://a.b/c?d=1'>tautan</a><!-- e --><script>var f=1;</script></main></body></html>",
        ],
    );
}

#[test]
fn markdown() {
    explore_text(
        Format::Markdown,
        words::MARKDOWN,
        &[
            "---\ntitle: Panduan\nurl: https://a.b/\n---\n# Asrama\n\nBiaya **Rp1.000.000** dan [tautan](https://a.b/).\n\n\
           ## Isi\n\n- satu\n  - dua\n1. tiga\n\n| Nama | Harga |\n|---|---|\n| a | 1 |\n\n> kutipan\n\n```rust\nkode\n```\n\
           ![gambar](a.png) <b>html</b> `x` ~~y~~\n\nJudul\n=====\n\nakhir\\\n",
        ],
    );
}

#[test]
fn plain_text() {
    explore_text(
        Format::Text,
        words::TEXT,
        &[
            "PERATURAN\n\nBAB I\nKETENTUAN UMUM\n\nPasal 1\n(1) Mahasiswa wajib:\na. hadir; dan\nb. mem-\nbayar.\n\n\
           - satu\n- dua\n\nPasal 2\nProf. A. B. berkata. Selesai.\n\u{c}Halaman 2\n",
        ],
    );
}

#[test]
fn comma_separated() {
    explore_text(
        Format::CommaSeparated,
        words::COMMA_SEPARATED,
        &[
            "nama,telepon,\"isi, lagi\"\nTU,022-123,\"a \"\"b\"\"\nc\"\nLab,,1.5\n",
            "nama;harga\na;1,5\nb;2\n",
            "nama\tharga\na\t1\n",
        ],
    );
}

#[test]
fn json() {
    explore_text(
        Format::Json,
        words::JSON,
        &[
            "[{\"id\":\"a\",\"title\":\"Biaya\",\"url\":\"https://a.b/\",\"text\":\"Rp1.000.000 \\u00e9 untuk asrama.\",\
             \"page\":3},{\"text\":\"dua\",\"more\":{\"x\":[1,2.5e3,null,true],\"y\":{}}}]",
            "{\"pertanyaan\":\"apa?\",\"jawaban\":\"ini\",\"daftar\":[{\"nama\":\"a\",\"nilai\":1},{\"nama\":\"b\",\"nilai\":-2}]}",
        ],
    );
}

#[test]
fn json_lines() {
    explore_text(
        Format::JsonLines,
        words::JSON,
        &[
            "{\"id\":\"a\",\"title\":\"Biaya\",\"text\":\"Rp1.000.000 untuk asrama.\"}\n{\"id\":\"b\",\"text\":\"dua\",\"page\":3}\n\
           {\"nama\":\"c\",\"nilai\":[1,2]}\n",
        ],
    );
}
