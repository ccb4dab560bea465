//! A real browser: headless Chromium, driven as <https://www.w3.org/TR/webdriver2/> has it. The five commands that are
//! needed are spoken here; a crate for all of them would bring twenty others.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::time::sleep;

use common::testing::{process::Watchdog, servers::free_port};

use crate::deployment::client;

/// One browser with a profile of its own. It ends with this.
pub struct Browser {
    driver: Child,
    _watchdog: Watchdog,
    /// Of the session at the driver.
    url: String,
}

/// How large its window is, in CSS pixels.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

pub const DESKTOP: Size = Size {
    width: 1440,
    height: 900,
};

impl Browser {
    /// Starts one, with `more` arguments. `None` where there is none, outside of CI.
    pub async fn start(size: Size, more: &[String]) -> Option<Self> {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(driver) = command.spawn() else {
            assert!(std::env::var_os("CI").is_none(), "chromedriver is needed");
            return None;
        };
        let mut browser = Self {
            _watchdog: Watchdog::over(driver.id()),
            driver,
            url: format!("http://127.0.0.1:{port}"),
        };
        let started = Instant::now();
        while client()
            .get(format!("{}/status", browser.url))
            .send()
            .await
            .is_err()
        {
            assert!(started.elapsed() < Duration::from_secs(60));
            sleep(Duration::from_millis(50)).await;
        }
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--autoplay-policy=no-user-gesture-required".into(),
            // It ends with its driver, whose end closes the pipe.
            "--remote-debugging-pipe".into(),
            format!("--window-size={},{}", size.width, size.height),
        ];
        arguments.extend_from_slice(more);
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "timeouts": { "script": 120_000 },
            "unhandledPromptBehavior": "accept",
            "goog:chromeOptions": {
                "args": arguments,
                "mobileEmulation": { "deviceMetrics": { "width": size.width, "height": size.height, "pixelRatio": 1 } },
            },
        }}});
        let session = browser.command("session", capabilities).await;
        let id = session["sessionId"].as_str().unwrap();
        browser.url = format!("{}/session/{id}", browser.url);
        Some(browser)
    }

    async fn command(&self, command: &str, body: Value) -> Value {
        let request = client().post(format!("{}/{command}", self.url));
        let answer = request.json(&body).send().await.unwrap();
        let is_ok = answer.status().is_success();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(is_ok, "{command}: {answer}");
        answer["value"].take()
    }

    pub async fn open(&self, url: &str) {
        self.command("url", json!({ "url": url })).await;
    }

    /// Loads the page again, and waits until it is there.
    pub async fn reload(&self) {
        self.command("refresh", json!({})).await;
    }

    /// What `script`, the body of an async function, returns.
    pub async fn run(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done({{ error: String(error) }}))"
        );
        let body = json!({ "script": script, "args": [] });
        let found = self.command("execute/async", body).await;
        assert!(found.get("error").is_none(), "{found}");
        found
    }

    /// Waits until `condition`, an expression, is true.
    pub async fn until(&self, condition: &str) {
        let started = Instant::now();
        while self.run(&format!("return Boolean({condition})")).await != true {
            if started.elapsed() > Duration::from_secs(90) {
                let page = self.run("return document.body.innerText").await;
                panic!("not {condition}: {page}");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A picture of the window, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let request = client().get(format!("{}/screenshot", self.url));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        STANDARD.decode(answer["value"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
