//! A headless Chromium, spoken to by its DevTools protocol: enough to look, click, type and take pictures.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Longest that any single step may take before the test is called failed; generous for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One tab of one browser.
pub struct Chrome {
    child: Child,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    /// What the browser complained about: content policy, scripts, missing files.
    pub complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

/// What a viewer prefers.
#[derive(Clone, Copy)]
pub enum Light {
    Bright,
    Dark,
}

impl Chrome {
    /// Starts a browser; none where there is no Chromium on the machine, unless one is required.
    pub async fn start() -> Option<Self> {
        let Some(program) = find() else {
            assert!(
                std::env::var_os("HEARTHWATCH_REQUIRE_CHROMIUM").is_none(),
                "chromium is required and not installed"
            );
            eprintln!("skipped: chromium is not installed");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new(program)
            // As root there is no sandbox to be had; the browser sees nothing but our own page.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"])
            .arg("--disable-dev-shm-usage")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned))
            .expect("the browser says where it listens");
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut chrome =
            Self { child, socket, session: String::new(), next: 0, complaints: Vec::new(), _profile: profile };
        let target = chrome.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = chrome.call("Target.attachToTarget", attach).await;
        chrome.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Accessibility.enable"] {
            chrome.call(domain, json!({})).await;
        }
        Some(chrome)
    }

    /// Calls a method and waits for its answer; what happens meanwhile is kept where it is a complaint.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.answer_to(method, params).await;
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    async fn answer_to(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut request = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            request["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        loop {
            let event = self.hear().await;
            if event["id"] == id {
                return event;
            }
        }
    }

    async fn hear(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("in time").unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let event: Value = serde_json::from_str(text.as_str()).unwrap();
            match event["method"].as_str() {
                Some("Log.entryAdded") => self.complaints.push(event["params"]["entry"]["text"].to_string()),
                Some("Runtime.exceptionThrown") => {
                    self.complaints.push(event["params"]["exceptionDetails"].to_string());
                }
                _ => {}
            }
            return event;
        }
    }

    /// Marks the page, so that its successor can be told from it. A load event alone may be that of the page before.
    async fn mark(&mut self) {
        self.ask("window.marked = true").await;
    }

    async fn until_another_page(&mut self) {
        self.until("window.marked === undefined && document.readyState === 'complete'").await;
    }

    /// Opens an address and waits until it is there.
    pub async fn open(&mut self, url: &str) {
        self.mark().await;
        self.call("Page.navigate", json!({"url": url})).await;
        self.until_another_page().await;
    }

    /// What an expression says.
    pub async fn ask(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true. While one page gives way to the next there is nobody to ask.
    pub async fn until(&mut self, expression: &str) {
        let begun = tokio::time::Instant::now();
        loop {
            let params = json!({"expression": expression, "returnByValue": true});
            if self.answer_to("Runtime.evaluate", params).await["result"]["result"]["value"] == true {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "waited too long for {expression}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The window, and what its viewer prefers.
    pub async fn look(&mut self, width: u32, height: u32, light: Light) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let value = match light {
            Light::Bright => "light",
            Light::Dark => "dark",
        };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value},
            {"name": "prefers-reduced-motion", "value": "reduce"}]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// Lets scripts run, or not.
    pub async fn scripts(&mut self, run: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !run})).await;
    }

    /// Clicks, with the mouse, in the middle of what `selector` finds, and waits for the page that follows.
    pub async fn click_through(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const it = document.querySelector({selector:?}); it.scrollIntoView({{block: 'center'}}); \
             const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.ask(&place).await;
        self.mark().await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await;
        }
        self.until_another_page().await;
    }

    /// Presses a key.
    pub async fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" && kind == "keyDown" { "\r" } else { "" };
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// As [`Chrome::press`] of Enter on what leads to another page.
    pub async fn enter_through(&mut self) {
        self.mark().await;
        self.press("Enter", 13).await;
        self.until_another_page().await;
    }

    /// Names and roles of everything that can be used and has no name: what a screen reader could not say.
    pub async fn nameless(&mut self) -> Vec<String> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await;
        let used = ["button", "link", "textbox", "combobox", "slider", "radio", "image", "img", "meter"];
        let nodes = tree["nodes"].as_array().unwrap().iter();
        let nameless = nodes.filter(|node| {
            let role = node["role"]["value"].as_str().unwrap_or_default();
            used.contains(&role) && node["name"]["value"].as_str().unwrap_or_default().trim().is_empty()
        });
        nameless.map(|node| node["role"]["value"].to_string()).collect()
    }

    /// A picture of the whole page.
    pub async fn picture(&mut self, file: &Path) {
        // What is far down is loaded when it comes near; here it is wanted now.
        let load =
            "Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode().catch(() => 0); }))";
        self.ask(load).await;
        let metrics = self.call("Page.getLayoutMetrics", json!({})).await;
        let size = &metrics["cssContentSize"];
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let shot = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = self.call("Page.captureScreenshot", shot).await;
        let png = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, png).unwrap();
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&paths).flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file())
}
