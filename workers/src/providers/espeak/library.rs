//! The `speak` role: this program as the process that has eSpeak NG's shared library loaded.
//!
//! The C interface is `speak_lib.h` of eSpeak NG 1.5x, <https://github.com/espeak-ng/espeak-ng>.

use std::ffi::{CString, OsString, c_char, c_int, c_short, c_uint, c_void};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use libloading::Library;

use super::{MAX_AUDIO, MAX_CHARACTERS, Voice};
use crate::audio::wav::{self, Format};

/// `AUDIO_OUTPUT_SYNCHRONOUS`: samples go to the callback, on the calling thread.
const SYNCHRONOUS: c_int = 2;
/// `espeakINITIALIZE_DONT_EXIT`: an error instead of `exit` when the data is missing.
const DO_NOT_EXIT: c_int = 0x8000;
/// `espeakRATE`.
const RATE: c_int = 1;
/// `espeakCHARS_UTF8 | espeakENDPAUSE`. Not `espeakPHONEMES`, not `espeakSSML`: the text is only text.
const PLAIN_TEXT: c_uint = 0x1 | 0x1000;
/// `EE_OK`.
const OK: c_int = 0;

type Callback = unsafe extern "C" fn(*mut c_short, c_int, *mut c_void) -> c_int;
type Initialize = unsafe extern "C" fn(c_int, c_int, *const c_char, c_int) -> c_int;
type SetCallback = unsafe extern "C" fn(Callback);
type SetVoice = unsafe extern "C" fn(*const c_char) -> c_int;
type SetParameter = unsafe extern "C" fn(c_int, c_int, c_int) -> c_int;
type Synthesise = unsafe extern "C" fn(
    *const c_void,
    usize,
    c_uint,
    c_int,
    c_uint,
    c_uint,
    *mut c_uint,
    *mut c_void,
) -> c_int;

/// What the callback gathers. The C side gives it no way to find its owner before the first event.
static SAMPLES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Speaks the text on standard input as a WAV on standard output. The arguments, after the one that names the role, are
/// the path of the library, the folder that holds `espeak-ng-data`, the voice and its words per minute.
///
/// Meant to be all that the process does: it blocks, and writes why it failed to standard error.
pub fn speak_role(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match speak(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn speak(arguments: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let job = Job::parse(arguments)?;
    let text = read_text()?;
    let (rate, samples) = synthesise(&job, &text)?;
    std::io::stdout()
        .write_all(&wav::write(Format::mono16(rate), &samples))
        .map_err(|error| format!("the speech cannot be written: {error}"))
}

struct Job {
    library: PathBuf,
    data: PathBuf,
    voice: Voice,
}

impl Job {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let [library, data, name, speed] = arguments.as_slice() else {
            return Err("expected: LIBRARY DATA-FOLDER VOICE WORDS-PER-MINUTE, and the text on standard input".into());
        };
        let name = name.to_str().unwrap_or_default();
        let speed = speed
            .to_str()
            .and_then(|speed| speed.parse().ok())
            .unwrap_or_default();
        let voice = Voice::new(name, speed).map_err(|error| error.to_string())?;
        Ok(Self {
            library: library.into(),
            data: data.into(),
            voice,
        })
    }
}

fn read_text() -> Result<CString, String> {
    let mut text = String::new();
    std::io::stdin()
        .take(4 * MAX_CHARACTERS as u64)
        .read_to_string(&mut text)
        .map_err(|error| format!("the text cannot be read: {error}"))?;
    text.retain(|character| character != '\0');
    CString::new(text).map_err(|_| "the text contains NUL".to_owned())
}

/// The rate in Hz and the samples, 16 bit little endian.
fn synthesise(job: &Job, text: &CString) -> Result<(u32, Vec<u8>), String> {
    let library = load(&job.library)?;
    let rate = initialise(&library, &job.data)?;
    choose_voice(&library, &job.voice)?;
    run(&library, text)?;
    let samples = std::mem::take(
        &mut *SAMPLES
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()),
    );
    // The process ends now; unloading a library that may have threads and exit handlers only adds a way to crash.
    std::mem::forget(library);
    Ok((rate, samples))
}

fn load(path: &Path) -> Result<Library, String> {
    // SAFETY: loading runs the library's initialisers. The file is the one that provisioning checked against its hash,
    // or one that the operator named; the process has one thread and exists only for this.
    unsafe { Library::new(path) }
        .map_err(|error| format!("{} cannot be loaded: {error}", path.display()))
}

fn initialise(library: &Library, data: &Path) -> Result<u32, String> {
    let folder = CString::new(data.as_os_str().as_encoded_bytes())
        .map_err(|_| "the data folder contains NUL")?;
    // SAFETY: the signatures are those of speak_lib.h, see the head of this file. The folder is a C string that lives
    // through the call, which copies it. The callback is a static function.
    let rate = unsafe {
        let rate = symbol::<Initialize>(library, "espeak_Initialize")?(
            SYNCHRONOUS,
            0,
            folder.as_ptr(),
            DO_NOT_EXIT,
        );
        symbol::<SetCallback>(library, "espeak_SetSynthCallback")?(gather);
        rate
    };
    u32::try_from(rate)
        .ok()
        .filter(|&rate| rate > 0)
        .ok_or_else(|| format!("no voice data in {}", data.display()))
}

fn choose_voice(library: &Library, voice: &Voice) -> Result<(), String> {
    let name = CString::new(voice.name()).map_err(|_| "the voice contains NUL")?;
    // SAFETY: as in `initialise`, which has run; the name lives through the call.
    let (chosen, paced) = unsafe {
        (
            symbol::<SetVoice>(library, "espeak_SetVoiceByName")?(name.as_ptr()),
            symbol::<SetParameter>(library, "espeak_SetParameter")?(
                RATE,
                voice.words_per_minute().into(),
                0,
            ),
        )
    };
    if chosen == OK && paced == OK {
        Ok(())
    } else {
        Err(format!("there is no voice {}", voice.name()))
    }
}

fn run(library: &Library, text: &CString) -> Result<(), String> {
    let bytes = text.as_bytes_with_nul();
    // SAFETY: as in `initialise`. Text and length agree and include the terminator; in synchronous mode the call does
    // not return before the last callback, so nothing is kept of it.
    let result = unsafe {
        symbol::<Synthesise>(library, "espeak_Synth")?(
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            1,
            0,
            PLAIN_TEXT,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    if result == OK {
        Ok(())
    } else {
        Err(format!("the synthesis ended with error {result}"))
    }
}

/// # Safety
///
/// `Function` must be the signature of the symbol, and must not be called after the library is gone.
unsafe fn symbol<Function: Copy>(library: &Library, name: &str) -> Result<Function, String> {
    // SAFETY: the caller's promise.
    unsafe { library.get::<Function>(name) }
        .map(|found| *found)
        .map_err(|error| format!("the library has no {name}: {error}"))
}

/// Takes samples from the engine; 0 goes on, 1 stops it.
///
/// # Safety
///
/// `samples` is null or points to `count` samples, as the engine promises of its callback.
unsafe extern "C" fn gather(samples: *mut c_short, count: c_int, _events: *mut c_void) -> c_int {
    let Some(count) = usize::try_from(count)
        .ok()
        .filter(|&count| count > 0 && !samples.is_null())
    else {
        return 0;
    };
    // SAFETY: not null, and the engine's promise.
    let heard = unsafe { std::slice::from_raw_parts(samples, count) };
    let mut gathered = SAMPLES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    gathered.extend(heard.iter().flat_map(|sample| sample.to_le_bytes()));
    // The parent takes no more than this; it reports what is over it as too long.
    c_int::from(gathered.len() > MAX_AUDIO)
}
