//! `itb-ops ingest` as it is run by hand, into a file.

use std::fs;

use desk::{Desk, counts, reasons};

#[path = "ingest/desk.rs"]
mod desk;
#[path = "ingest/forged.rs"]
mod forged;
#[path = "ingest/hostile.rs"]
mod hostile;

fn mixed_folder() -> Desk {
    let desk = Desk::new();
    for name in [
        "panduan-asrama.docx",
        "kontak-unit.xlsx",
        "peraturan-akademik.pdf",
        "terkunci-ubah.pdf",
    ] {
        desk.fixture(name);
    }
    desk.write("a.md", "---\ntitle: Cuti\nurl: https://a.id/cuti\n---\n## Syarat\nLunas.\n\n| Jenjang | UKT |\n|---|---|\n| S1 | Rp1 |\n");
    desk.write("sub/b.txt", b"Biaya caf\xe9 Rp10.000.");
    desk.write(
        "c.html",
        "<title>Halaman</title><h1>Halaman</h1><p>Isi halaman.",
    );
    desk.write("d.csv", "Nama;Biaya\nAsrama;Rp1,5 juta\n");
    desk.write("e.json", r#"[{"page_content": "Isi dokumen.", "metadata": {"source": "https://a.id/e", "page": 0}}]"#);
    desk.write(
        "f.jsonl",
        "{\"id\": \"x\", \"text\": \"Satu.\"}\n{\"id\": \"y\", \"text\": \"Dua.\"}\n",
    );
    desk.write("logo.png", [0x89, b'P', b'N', b'G']);
    desk.write(".rahasia/g.md", "Tersembunyi.");
    desk
}

#[test]
fn a_mixed_folder_is_read_whole_and_the_second_run_changes_nothing() {
    let desk = mixed_folder();
    let (code, first) = desk.ingest(&[]);
    assert_eq!((code, reasons(&first).len()), (0, 0), "{first}");
    assert_eq!(first["documents"], 11);
    assert_eq!(first["skipped"], serde_json::json!(["docs/logo.png"]));
    assert_eq!(first["hidden"], 1);
    let written = fs::read(desk.target()).expect("written");
    let changed = fs::metadata(desk.target())
        .expect("written")
        .modified()
        .expect("a time");

    let (code, second) = desk.ingest(&[]);
    assert_eq!(code, 0);
    assert_eq!(counts(&second), [0, counts(&first)[0], 0]);
    assert_eq!(fs::read(desk.target()).expect("written"), written);
    let again = fs::metadata(desk.target()).expect("written").modified();
    assert_eq!(again.expect("a time"), changed);
}

#[test]
fn each_format_keeps_its_structure() {
    let desk = mixed_folder();
    desk.ingest(&[]);
    let texts = |document: &str| -> Vec<(String, String)> {
        let found = desk.of(document).into_iter();
        found.map(|(heading, _, text)| (heading, text)).collect()
    };
    let pair = |heading: &str, text: &str| (heading.to_owned(), text.to_owned());
    assert_eq!(
        texts("docs/panduan-asrama.docx"),
        [
            pair(
                "Syarat penghuni",
                "Penghuni adalah mahasiswa tahun pertama & kedua.\n- Fotokopi KTM\n- Surat sehat"
            ),
            pair(
                "Syarat penghuni – Tarif",
                "- Tunggal; Biaya: Rp900.000; Fasilitas: AC\n- Ganda; Biaya: Rp600.000; Fasilitas: Kipas"
            ),
            pair(
                "Syarat penghuni – Tarif – Pasal 4",
                "Tamu menginap dilarang."
            ),
        ]
    );
    assert_eq!(
        texts("docs/kontak-unit.xlsx"),
        [
            pair(
                "Kontak",
                "- Unit: Direktorat Pendidikan; Telepon: 022-2500935; Lantai: 3\n- Unit: UPT Perpustakaan; Lantai: 1"
            ),
            pair(
                "Jadwal",
                "- Kegiatan: Wisuda Oktober; Tanggal: 2025-10-18; Kuota: 1250.5"
            ),
        ]
    );
    assert_eq!(texts("docs/sub/b.txt"), [pair("", "Biaya café Rp10.000.")]);
    assert_eq!(
        texts("docs/d.csv"),
        [pair("", "- Nama: Asrama; Biaya: Rp1,5 juta")]
    );
    assert_eq!(texts("docs/c.html"), [pair("", "Isi halaman.")]);
    assert_eq!(texts("docs/f.jsonl#y"), [pair("", "Dua.")]);
    assert_eq!(
        texts("docs/a.md"),
        [pair("Syarat", "Lunas.\n- S1; UKT: Rp1")]
    );
    let document = &desk.passages()[0]["document"];
    assert_eq!(
        (&document["title"], &document["url"]),
        (&"Cuti".into(), &"https://a.id/cuti".into())
    );
}

#[test]
fn a_pdf_keeps_its_pages_and_articles() {
    let desk = Desk::new();
    desk.fixture("peraturan-akademik.pdf");
    desk.ingest(&[]);
    let found = desk.of("docs/peraturan-akademik.pdf");
    let seen: Vec<(&str, u64, &str)> = found
        .iter()
        .map(|(heading, page, text)| (heading.as_str(), page.as_u64().unwrap_or(0), text.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (
                "BAB III KEMAHASISWAAN – Pasal 12",
                1,
                "(1) Mahasiswa dapat mengajukan cuti akademik paling lama dua semester berturut-turut setelah menempuh dua \
                 semester pertama dan mendapat izin dekan fakultas atau sekolah masing-masing.\n\
                 (2) Permohonan diajukan sebelum masa perwalian berakhir."
            ),
            (
                "BAB III KEMAHASISWAAN – Pasal 12",
                2,
                "(3) Mahasiswa yang cuti tidak membayar biaya pendidikan."
            ),
            (
                "BAB III KEMAHASISWAAN – Pasal 13",
                2,
                "Masa studi program sarjana paling lama enam tahun."
            ),
            (
                "BAB III KEMAHASISWAAN – Pasal 14",
                3,
                "Peraturan ini berlaku sejak tanggal ditetapkan."
            ),
        ]
    );
    assert_eq!(
        desk.passages()[0]["document"]["title"],
        "Peraturan Akademik"
    );
}

#[test]
fn only_what_changed_is_written_and_what_is_gone_is_removed() {
    let desk = Desk::new();
    desk.write("a.md", "## Satu\nIsi satu.\n## Dua\nIsi dua.\n");
    desk.write("b.md", "Isi b.");
    desk.write("c.md", "Isi c.");
    assert_eq!(counts(&desk.ingest(&[]).1), [4, 0, 0]);

    desk.write("a.md", "## Satu\nIsi lain.\n## Dua\nIsi dua.\n");
    assert_eq!(counts(&desk.ingest(&["--dry-run"]).1), [1, 3, 1]);
    assert_eq!(counts(&desk.ingest(&[]).1), [1, 3, 1]);
    let texts: Vec<String> = desk
        .of("docs/a.md")
        .into_iter()
        .map(|(_, _, text)| text)
        .collect();
    assert_eq!(
        texts,
        ["Isi lain.", "Isi dua."],
        "the order of the document"
    );

    fs::remove_file(desk.docs().join("b.md")).expect("removed");
    assert_eq!(counts(&desk.ingest(&[]).1), [0, 3, 1]);
    assert!(desk.of("docs/b.md").is_empty());
}

#[test]
fn other_roots_are_left_alone_unless_pruned() {
    let desk = Desk::new();
    desk.write("a.md", "Isi a.");
    let other = desk.folder.path().join("lain");
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("a.md"), "Isi lain.").expect("written");
    assert_eq!(desk.run(&["docs", "lain"]).status.code(), Some(0));
    assert_eq!(counts(&desk.ingest(&[]).1), [0, 1, 0]);
    assert_eq!(desk.of("lain/a.md").len(), 1);
    assert_eq!(counts(&desk.ingest(&["--prune"]).1), [0, 1, 1]);
    assert!(desk.of("lain/a.md").is_empty());
}

#[test]
fn a_file_that_cannot_be_read_keeps_its_passages() {
    let desk = Desk::new();
    desk.fixture("panduan-asrama.docx");
    desk.write("a.md", "Isi.");
    let (_, first) = desk.ingest(&[]);
    desk.write("panduan-asrama.docx", "PK, and then nothing");
    let (code, second) = desk.ingest(&[]);
    assert_eq!(code, 2);
    assert_eq!(counts(&second), [0, 1, 0]);
    assert_eq!(desk.passages().len() as u64, counts(&first)[0]);
}

#[test]
fn a_broken_line_costs_itself_alone_and_removes_nothing() {
    let desk = Desk::new();
    let line = |id: &str| format!("{{\"id\": \"{id}\", \"text\": \"Isi {id}.\"}}\n");
    desk.write("a.jsonl", line("x") + &line("y"));
    desk.ingest(&[]);
    desk.write("a.jsonl", line("x") + "{\"id\": \"y\", \n" + &line("z"));
    let (code, summary) = desk.ingest(&[]);
    assert_eq!(code, 2);
    assert_eq!(counts(&summary), [1, 1, 0]);
    assert!(reasons(&summary)["docs/a.jsonl"].contains("line 2"));
    for id in ["x", "y", "z"] {
        assert_eq!(desk.of(&format!("docs/a.jsonl#{id}")).len(), 1, "{id}");
    }
}

#[test]
fn a_folder_inside_a_known_one_is_warned_of() {
    let desk = Desk::new();
    desk.write("sub/a.md", "Isi.");
    desk.ingest(&[]);
    let output = desk.run(&["docs/sub"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("warning: 1 documents") && text.contains("--prune"),
        "{text}"
    );
    let (_, summary) = desk.ingest(&["--prune"]);
    assert_eq!(counts(&summary), [0, 1, 1]);
    assert_eq!(desk.ingest(&[]).1["warnings"], serde_json::json!([]));
}

#[cfg(unix)]
#[test]
fn links_that_lead_in_circles_do_no_harm() {
    let desk = Desk::new();
    desk.write("a.md", "Isi.");
    std::os::unix::fs::symlink(desk.docs(), desk.docs().join("lagi")).expect("a link");
    std::os::unix::fs::symlink("putaran.md", desk.docs().join("putaran.md")).expect("a link");
    let (code, summary) = desk.ingest(&[]);
    assert_eq!((code, &summary["documents"]), (0, &1.into()));
    let links = serde_json::json!(["docs/lagi", "docs/putaran.md"]);
    assert_eq!(summary["links"], links);
}

#[cfg(unix)]
#[test]
fn links_are_reported_and_nothing_beyond_them_is_read() {
    use std::os::unix::fs::symlink;
    let desk = Desk::new();
    desk.write("a.md", "Isi.");
    let outside = desk.folder.path().join("luar");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("rahasia.md"), "Kata sandi: 12345.").expect("written");
    symlink(outside.join("rahasia.md"), desk.docs().join("b.md")).expect("a link");
    symlink(desk.docs().join("a.md"), desk.docs().join("c.md")).expect("a link");
    symlink(&outside, desk.docs().join("sub")).expect("a link");
    let (code, summary) = desk.ingest(&[]);
    assert_eq!((code, &summary["documents"]), (0, &1.into()));
    let links = serde_json::json!(["docs/b.md", "docs/c.md", "docs/sub"]);
    assert_eq!(summary["links"], links);
    let written = fs::read_to_string(desk.target()).expect("written");
    assert!(!written.contains("12345"), "{written}");
    let text = String::from_utf8(desk.run(&["docs"]).stdout).expect("text");
    assert!(
        text.contains("link: docs/b.md (links are not followed)"),
        "{text}"
    );

    // What the operator names may be a link.
    symlink(&outside, desk.folder.path().join("lain")).expect("a link");
    let output = desk.run(&["lain", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(desk.of("lain/rahasia.md")[0].2, "Kata sandi: 12345.");
}

#[test]
fn what_is_asked_for_wrongly_changes_nothing() {
    let desk = Desk::new();
    desk.write("sub/a.md", "Isi.");
    for (arguments, reason) in [
        (vec!["tidak-ada"], "tidak-ada cannot be read"),
        (vec!["docs", "docs/sub"], "lies within"),
    ] {
        let output = desk.run(&arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(reason), "{error}");
        assert!(!desk.target().exists());
    }
    desk.ingest(&[]);
    fs::remove_dir_all(desk.docs().join("sub")).expect("removed");
    assert_eq!(
        desk.run(&["docs"]).status.code(),
        Some(1),
        "an empty folder"
    );
    assert_eq!(desk.passages().len(), 1);

    fs::write(desk.target(), "{\"something\": \"else\"}\n").expect("written");
    desk.write("a.md", "Isi.");
    let output = desk.run(&["docs"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not a passage"));
    assert!(
        fs::read_to_string(desk.target())
            .expect("kept")
            .contains("something")
    );
}
