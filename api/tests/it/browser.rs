//! The page, as a person sees it in a browser.

use std::sync::Arc;

use common::testing::servers;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    deployment::{Deployment, Program, embedded, eventually, settings, start_api, start_worker},
    vendors::{
        fake::Mood,
        running::{Mode, Running, Vendors},
    },
};
use driver::{Browser, DESKTOP};

mod driver;

/// Writes a question and sends it.
async fn ask(browser: &Browser, question: &str) {
    let question = Value::from(question);
    browser
        .run(&format!(
            "document.querySelector('#question').value = {question};
             document.querySelector('#form').requestSubmit();"
        ))
        .await;
}

/// The text of all elements that `selector` finds.
async fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let found = browser
        .run(&format!(
            "return [...document.querySelectorAll({selector:?})].map((it) => it.textContent)"
        ))
        .await;
    let found = found.as_array().unwrap().iter();
    found.map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// An answer is whole when one may do something with it.
fn answered(n: usize) -> String {
    format!("document.querySelectorAll('.turn .actions:not([hidden])').length === {n}")
}

#[tokio::test]
async fn a_question_is_answered_with_sources_that_open() {
    let Some(browser) = Browser::start(DESKTOP, &[]).await else {
        return;
    };
    let url = &embedded().await.urls()[0];
    browser.open(url).await;
    browser
        .until("document.querySelectorAll('#starters button').length > 1")
        .await;
    ask(&browser, "Apa saja fakultas di ITB?").await;
    browser.until(&answered(1)).await;
    let answer = texts(&browser, ".answer").await;
    assert!(answer[0].contains("Fakultas"), "{answer:?}");
    browser.run("document.querySelector('.cite').click()").await;
    let card = texts(&browser, ".card").await;
    assert_eq!(card.len(), 1);
    let link = browser
        .run("return document.querySelector('.card a')?.href ?? ''")
        .await;
    assert!(link.as_str().unwrap().starts_with("http"), "{link}");
    let requests = browser
        .run("return performance.getEntriesByType('resource').map((it) => it.name)")
        .await;
    for request in requests.as_array().unwrap() {
        assert!(request.as_str().unwrap().starts_with(url), "{request}");
    }
}

#[tokio::test]
async fn a_conversation_is_there_again_after_a_reload_and_gone_when_it_is_deleted() {
    let Some(browser) = Browser::start(DESKTOP, &[]).await else {
        return;
    };
    let deployment = embedded().await;
    browser.open(&deployment.urls()[0]).await;
    ask(&browser, "Apa itu ITB?").await;
    browser.until(&answered(1)).await;
    ask(&browser, "Di mana letaknya?").await;
    browser.until(&answered(2)).await;
    let before = texts(&browser, ".asked, .answer").await;
    browser.reload().await;
    browser.until(&answered(2)).await;
    assert_eq!(texts(&browser, ".asked, .answer").await, before);
    browser
        .until("document.querySelectorAll('.turn').length === 2")
        .await;
    let id = browser
        .run("return JSON.parse(localStorage.conversations)[0].id")
        .await;
    browser
        .run(
            "document.querySelector('#menu').click();
              window.confirm = () => true;
              document.querySelector('#list button:last-child').click()",
        )
        .await;
    browser
        .until("document.querySelectorAll('.turn, #list li').length === 0")
        .await;
    let found = browser
        .run(&format!(
            "return (await fetch('/v1/conversations/' + {id})).status"
        ))
        .await;
    assert_eq!(found, 404);
}

const HOSTILE: &str = "<img src=x onerror=\"window.hit=1\"><script>window.hit=1</script> [9] **<b>x</b>** `</code><i>`";

#[tokio::test]
async fn what_people_and_models_write_stays_text() {
    let Some(browser) = Browser::start(DESKTOP, &[]).await else {
        return;
    };
    let vendors = Vendors::start().await;
    let running = Running::start(Mode::Embedded, &vendors, &[]).await;
    vendors.openrouter.is(Mood::Says(serde_json::json!({
        "choices": [{ "message": { "content": HOSTILE }, "finish_reason": "stop" }]
    })));
    browser.open(&running.deployment.urls()[0]).await;
    ask(&browser, HOSTILE).await;
    browser.until(&answered(1)).await;
    let asked = texts(&browser, ".asked").await;
    assert_eq!(asked, [HOSTILE]);
    let answer = texts(&browser, ".answer").await;
    assert!(answer[0].contains("<img src=x"), "{answer:?}");
    let hit = browser.run("return window.hit ?? null").await;
    assert_eq!(hit, Value::Null);
    let made = "document.querySelectorAll('.turn :is(img, script, b, i)').length === 0";
    browser.until(made).await;
}

#[tokio::test]
async fn an_answer_is_stopped_for_real() {
    let Some(browser) = Browser::start(DESKTOP, &[]).await else {
        return;
    };
    let vendors = Vendors::start().await;
    let running = Running::start(Mode::Embedded, &vendors, &[]).await;
    let permits = Arc::new(Semaphore::new(0));
    vendors.openrouter.is(Mood::Waits(permits));
    browser.open(&running.deployment.urls()[0]).await;
    ask(&browser, "Apa itu ITB?").await;
    eventually("asked", || async { vendors.openrouter.calls() == 1 }).await;
    browser.run("document.querySelector('#stop').click()").await;
    browser.until(&answered(1)).await;
    eventually("let go", || async { vendors.openrouter.left() == 1 }).await;
    browser
        .until("document.querySelector('.state').textContent !== ''")
        .await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let Some(browser) = Browser::start(DESKTOP, &[]).await else {
        return;
    };
    let (_api, url) = start_api(&settings(&[
        ("RATE_LIMIT_ENABLED", "true"),
        ("RATE_LIMIT_PER_HOUR", "1"),
    ]));
    Deployment::of(vec![url.clone()], Vec::new()).await;
    browser.open(&url).await;
    ask(&browser, "Apa itu ITB?").await;
    browser.until(&answered(1)).await;
    ask(&browser, "Apa itu ITB?").await;
    browser.until(&answered(2)).await;
    let states = texts(&browser, ".failed .state").await;
    assert_eq!(states.len(), 1);
    assert!(
        states[0].contains("Coba lagi dalam 3") && states[0].contains("detik"),
        "{states:?}"
    );
    // What was asked is not lost.
    browser
        .run("document.querySelector('.failed .actions button:nth-child(2)').click()")
        .await;
    browser
        .until("document.querySelector('#question').value === 'Apa itu ITB?'")
        .await;
}

/// The rules by which speech is told from silence, with sound that is made here: pieces of 20 ms at 48,000 samples a second.
const HEAR: &str = "
    const { Gate } = await import(document.querySelector('script').src.replace('main.js', 'gate.js'));
    const rate = 48000;
    const sound = (seconds, sample) => Float32Array.from({ length: seconds * rate }, (_, i) => sample(i / rate));
    // A glottal pulse through two resonances, whose pitch falls.
    const voice = (loud) => sound(1.5, (t) => {
        const phase = (140 * t - 10 * t * t) % 1;
        return loud * Math.exp(-phase * 9) * (Math.sin(phase * 31) + 0.5 * Math.sin(phase * 90)) * (Math.sin(t * 12) > -0.8);
    });
    let seed = 1;
    const random = () => (seed = (seed * 16807) % 2147483647) / 1073741824 - 1;
    const noise = (loud) => sound(3, () => loud * random());
    const hum = sound(3, (t) => 0.05 * Math.sin(2 * Math.PI * 50 * t));
    const clicks = sound(3, (t) => (t % 0.5 < 0.01 ? random() : 0));
    const silence = sound(2, () => 0);
    const utterances = (...parts) => {
        const gate = new Gate(rate);
        const all = parts.flatMap((part) => [...part]);
        let ends = 0;
        for (let at = 0; at + 960 <= all.length; at += 960)
            ends += gate.hear(Float32Array.from(all.slice(at, at + 960))) === 'end';
        return ends;
    };
    return {
        speech: utterances(silence, voice(0.3), silence, voice(0.3), silence),
        quiet: utterances(silence, voice(0.03), silence),
        before_noise: utterances(silence, voice(0.3), noise(0.02)),
        silence: utterances(silence, silence),
        noise: utterances(silence, noise(0.1), silence),
        hum: utterances(silence, hum, silence),
        clicks: utterances(silence, clicks, silence),
    };";

#[tokio::test]
async fn speech_is_told_from_silence_noise_hum_and_clicks() {
    let Some(browser) = Browser::start(DESKTOP, &[]).await else {
        return;
    };
    browser.open(&embedded().await.urls()[0]).await;
    let heard = browser.run(HEAR).await;
    let expected = serde_json::json!({
        "speech": 2, "quiet": 1, "before_noise": 1, "silence": 0, "noise": 0, "hum": 0, "clicks": 0,
    });
    assert_eq!(heard, expected);
}

/// A front door that can die, and another one that takes its place at the same address.
struct Doors {
    settings: Vec<(String, String)>,
    url: String,
    door: Program,
    _worker: Program,
}

impl Doors {
    async fn start(vendors: &Vendors) -> Option<Self> {
        let servers = servers::shared()?;
        let mut settings = vendors.settings_with(Mode::Distributed(servers), &[]);
        let worker = start_worker("stt,emotion,rag,tts", &settings);
        let (door, url) = start_api(&settings);
        Deployment::of(vec![url.clone()], Vec::new()).await;
        let port = url.rsplit(':').next().unwrap().to_owned();
        settings.push(("PORT".into(), port));
        Some(Self {
            settings,
            url,
            door,
            _worker: worker,
        })
    }

    fn replace(&mut self) {
        self.door.kill();
        self.door = start_api(&self.settings).0;
    }
}

/// A page before a front door that can die, and a model that goes on with each permit.
struct Held {
    browser: Browser,
    doors: Doors,
    permits: Arc<Semaphore>,
    _vendors: Vendors,
}

impl Held {
    /// The model stops after so many pieces.
    async fn after(pieces: usize) -> Option<Self> {
        let browser = Browser::start(DESKTOP, &[]).await?;
        let vendors = Vendors::start().await;
        let doors = Doors::start(&vendors).await?;
        let permits = Arc::new(Semaphore::new(pieces));
        vendors.openrouter.is(Mood::Waits(Arc::clone(&permits)));
        browser.open(&doors.url).await;
        Some(Self {
            browser,
            doors,
            permits,
            _vendors: vendors,
        })
    }
}

#[tokio::test]
async fn an_answer_goes_on_at_another_front_door_without_a_letter_doubled() {
    let Some(held) = Held::after(4).await else {
        return;
    };
    let Held {
        browser,
        mut doors,
        permits,
        _vendors,
    } = held;
    ask(&browser, "Apa itu ITB?").await;
    browser
        .until("document.querySelector('.answer')?.textContent.length > 3")
        .await;
    doors.replace();
    permits.add_permits(1_000);
    browser.until(&answered(1)).await;
    let shown = texts(&browser, ".answer").await;
    let told = browser
        .run(
            "const id = JSON.parse(localStorage.conversations)[0].id;
             const answer = await (await fetch('/v1/conversations/' + id)).json();
             return answer.turns.map((it) => it.assistant);",
        )
        .await;
    let letters =
        |text: &str| -> String { text.chars().filter(|it| it.is_alphanumeric()).collect() };
    let told = told[0].as_str().unwrap();
    assert_eq!(letters(&shown[0]), letters(told));
}

/// Has each piece of sound that is played be written down: its samples, when it begins, in seconds, and how long it is.
const LISTEN: &str = "
    window.played = [];
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function (at) {
        if (this.context instanceof AudioContext)
            window.played.push({ at, duration: this.buffer.duration, samples: this.buffer.getChannelData(0) });
        return start.call(this, at);
    };";

/// Whether what was played is what the server has of the answer: the number of pieces, the longest gap between two of
/// them in seconds, and the largest difference of a sample.
const COMPARE: &str = "
    const pieces = window.played;
    const job = performance.getEntriesByType('resource').map((it) => it.name.match(/jobs\\/([^/]+)\\/events/)).find(Boolean)[1];
    const wav = await (await fetch('/v1/jobs/' + job + '/audio')).arrayBuffer();
    const whole = (await new AudioContext().decodeAudioData(wav)).getChannelData(0);
    let at = 0, difference = 0, gap = 0;
    for (const [n, { samples, at: begun }] of pieces.entries()) {
        for (const sample of samples) difference = Math.max(difference, Math.abs(sample - (whole[at++] ?? 9)));
        if (n) gap = Math.max(gap, begun - pieces[n - 1].at - pieces[n - 1].duration);
    }
    return { pieces: pieces.length, missing: Math.abs(whole.length - at), difference, gap };";

/// Drops a recording onto the page.
async fn drop_recording(browser: &Browser) {
    let wav = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        crate::vendors::prosa::recording(),
    );
    browser
        .run(&format!(
            "const bytes = Uint8Array.from(atob('{wav}'), (it) => it.charCodeAt(0));
             const data = new DataTransfer();
             data.items.add(new File([bytes], 'tanya.wav', {{ type: 'audio/wav' }}));
             document.dispatchEvent(new DragEvent('drop', {{ dataTransfer: data, bubbles: true, cancelable: true }}));"
        ))
        .await;
}

/// Pieces of the model's answer in which its first sentence is whole.
const FIRST_SENTENCE: usize = 5;

#[tokio::test]
async fn a_spoken_answer_sounds_without_a_gap_though_its_front_door_dies() {
    let Some(held) = Held::after(FIRST_SENTENCE).await else {
        return;
    };
    let Held {
        browser,
        mut doors,
        permits,
        _vendors,
    } = held;
    browser.run(LISTEN).await;
    drop_recording(&browser).await;
    browser.until("window.played.length === 1").await;
    doors.replace();
    permits.add_permits(1_000);
    browser.until(&answered(1)).await;
    browser.until("window.played.length === 3").await;
    let heard = browser.run(COMPARE).await;
    assert_eq!(heard["pieces"], 3, "{heard}");
    let number = |name: &str| heard[name].as_f64().unwrap();
    // Decoding brings all to the rate of the browser.
    assert!(number("missing") < 16.0, "{heard}");
    assert!(number("difference") < 0.05, "{heard}");
    let asked = texts(&browser, ".asked").await;
    assert_ne!(asked[0], "", "what was said is written");
    let steps = texts(&browser, ".strip [data-step=sound]").await;
    assert_eq!(steps.len(), 1);
}

/// What is said into the microphone: speech between silences, and noise, which is none.
fn said(folder: &std::path::Path) -> String {
    let file = folder.join("said.wav");
    let script = "espeak-ng -v id -s 140 -w q.wav 'Berapa SKS untuk lulus sarjana?' &&
        ffmpeg -v error -i q.wav -filter_complex '
            anullsrc=r=48000:cl=mono,atrim=duration=3[p];
            anullsrc=r=48000:cl=mono,atrim=duration=9,asplit=3[q][r][s];
            anoisesrc=r=48000:c=brown:a=0.2:d=3[n];
            [0]aresample=48000,asplit=3[a][b][c];
            [p][a][q][n][b][r][c][s]concat=n=8:v=0:a=1' said.wav";
    let status = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .status();
    assert!(status.unwrap().success());
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn three_turns_are_spoken_hands_free_with_silence_and_noise_between() {
    let folder = tempfile::tempdir().unwrap();
    let microphone = [
        "--use-fake-device-for-media-stream".to_owned(),
        "--use-fake-ui-for-media-stream".into(),
        format!(
            "--use-file-for-fake-audio-capture={}%noloop",
            said(folder.path())
        ),
    ];
    let Some(browser) = Browser::start(DESKTOP, &microphone).await else {
        return;
    };
    let vendors = Vendors::start().await;
    let running = Running::start(Mode::Embedded, &vendors, &[]).await;
    browser.open(&running.deployment.urls()[0]).await;
    browser.run(LISTEN).await;
    browser
        .run("document.querySelector('#handsfree').click()")
        .await;
    browser.until(&answered(3)).await;
    assert_eq!(vendors.hearing.calls().len(), 3, "noise is no question");
    assert_eq!(texts(&browser, ".turn.failed").await, Vec::<String>::new());
}

/// Pictures of the page, to be looked at.
#[tokio::test]
#[ignore = "makes pictures in the folder of the tests"]
async fn pictures() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).unwrap();
    let url = &embedded().await.urls()[0];
    for (width, height) in [(390, 844), (768, 1024), (1440, 900)] {
        for scheme in ["light", "dark"] {
            let size = driver::Size { width, height };
            let dark = (scheme == "dark").then(|| "--force-dark-mode".to_owned());
            let more: Vec<_> = dark.into_iter().collect();
            let browser = Browser::start(size, &more).await.unwrap();
            browser.open(url).await;
            let keep = async |state: &str| {
                let file = folder.join(format!("{state}-{width}-{scheme}.png"));
                std::fs::write(file, browser.picture().await).unwrap();
            };
            keep("empty").await;
            ask(&browser, "Apa saja fakultas di ITB?").await;
            browser.until(&answered(1)).await;
            keep("answered").await;
            browser.run("document.querySelector('.cite').click()").await;
            keep("card").await;
            browser
                .run(
                    "document.querySelector('#menu').click();
                      document.querySelector('#settings').click()",
                )
                .await;
            keep("menus").await;
        }
    }
}
