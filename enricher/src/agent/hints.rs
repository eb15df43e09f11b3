//! Client hints: what browsers say beside the agent, and what only they can know.
//!
//! Read from the member `hints` under the names of `navigator.userAgentData` (as the snippet sends
//! them) or of the headers `Sec-CH-UA-*` (as a gateway copies them, with `-` or `_`).

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{Agent, Client, device};

/// The hints that enrichment uses.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Hints {
    platform: Option<String>,
    platform_version: Option<String>,
    model: Option<String>,
    is_mobile: Option<bool>,
    form_factors: Vec<String>,
    /// Brand and full version, the browser's own before that of its engine.
    brand: Option<(String, String)>,
    touch_points: u64,
    is_webdriver: bool,
}

impl Hints {
    /// Reads hints from JSON; `None` where that is no object.
    pub(super) fn read(json: &str) -> Option<Self> {
        let json: Json = serde_json::from_str(json).ok()?;
        let members = json.as_object()?;
        let mut hints = Self::default();
        for (name, value) in members {
            let name = name.to_ascii_lowercase().replace('_', "-");
            let name = name.strip_prefix("sec-ch-ua-").unwrap_or(&name);
            match name {
                "platform" => hints.platform = text(value),
                "platform-version" | "platformversion" => hints.platform_version = text(value),
                "model" => hints.model = text(value),
                "mobile" => hints.is_mobile = truth(value),
                "form-factors" | "formfactors" => hints.form_factors = texts(value),
                "full-version-list" | "fullversionlist" => {
                    hints.brand = brand(value).or(hints.brand);
                }
                "brands" | "sec-ch-ua" => hints.brand = hints.brand.or_else(|| brand(value)),
                "touch" | "touch-points" | "touchpoints" | "maxtouchpoints" => {
                    hints.touch_points = value.as_u64().unwrap_or(0);
                }
                "webdriver" => hints.is_webdriver = truth(value) == Some(true),
                // The snippet's mask of signals; its first bit is navigator.webdriver.
                "bot" | "bots" => {
                    hints.is_webdriver |= value.as_u64().is_some_and(|mask| mask & 1 == 1);
                }
                _ => {}
            }
        }
        Some(hints)
    }

    /// What agent and hints say together.
    pub(super) fn refine(&self, agent: Agent) -> Client {
        Client {
            agent: Some(self.refine_agent(agent)),
            is_mobile: self.is_mobile,
            is_webdriver: self.is_webdriver,
        }
    }

    fn refine_agent(&self, mut refined: Agent) -> Agent {
        self.refine_system(&mut refined);
        if let Some(model) = self.model.as_deref() {
            refined.device_brand = device::brand(model)
                .map(Cow::Borrowed)
                .or(refined.device_brand);
            refined.device_model = Some(model.to_owned());
        }
        if refined.bot.is_none()
            && let Some((name, version)) = &self.brand
        {
            // An app that embeds a browser knows better than the browser's own brand.
            let is_general = matches!(
                refined.browser_name.as_deref(),
                None | Some("Chrome" | "Edge" | "Opera")
            );
            if is_general {
                refined.browser_name = Some(name.clone());
                if version.contains('.') || refined.browser_version.is_none() {
                    refined.browser_version = Some(version.clone());
                }
            }
        }
        let has = |factor: &str| self.form_factors.iter().any(|known| known == factor);
        refined.device_type = if has("XR") {
            Some("XR")
        } else if has("Tablet") {
            Some("Tablet")
        } else if self.is_mobile == Some(true)
            && matches!(refined.device_type, None | Some("Computer"))
        {
            Some("Mobile")
        } else {
            refined.device_type
        };
        refined
    }

    fn refine_system(&self, agent: &mut Agent) {
        let major = |version: &str| version.split('.').next()?.parse::<u32>().ok();
        let version = self.platform_version.as_deref();
        let set = |agent: &mut Agent, family: &'static str, version: Option<String>| {
            agent.os_name = Some(family.into());
            agent.os = Some(match &version {
                Some(version) => format!("{family} {version}"),
                None => family.to_owned(),
            });
            agent.os_version = version;
        };
        // iPadOS sends the agent of a Mac; no Mac has a touch screen.
        if agent.os_name.as_deref() == Some("macOS") && self.touch_points > 1 {
            set(agent, "iPadOS", None);
            agent.device_type = Some("Tablet");
            agent.device_model = Some("iPad".to_owned());
            return;
        }
        let version = version.filter(|version| !version.is_empty() && version.len() <= 32);
        match (self.platform.as_deref(), version) {
            // 13 and above is Windows 11; 0 is 7 or 8, which the agent tells.
            (Some("Windows"), Some(version)) => match major(version) {
                Some(13..) => set(agent, "Windows", Some("11".to_owned())),
                Some(1..=12) => set(agent, "Windows", Some("10".to_owned())),
                _ => {}
            },
            (Some("Android"), Some(version)) => set(agent, "Android", Some(trimmed(version))),
            (Some("macOS"), Some(version)) => set(agent, "macOS", Some(trimmed(version))),
            (Some("Chrome OS" | "Chromium OS" | "ChromeOS"), _) if agent.os_name.is_none() => {
                set(agent, "ChromeOS", None);
            }
            _ => {}
        }
    }
}

/// "14.0.0" as people write it: "14".
fn trimmed(version: &str) -> String {
    let mut version = version;
    while let Some(shorter) = version.strip_suffix(".0") {
        version = shorter;
    }
    version.to_owned()
}

/// Longest text taken from a hint, in bytes.
const MAX_HINT_BYTES: usize = 128;

/// A text; headers write it in quotation marks.
fn text(value: &Json) -> Option<String> {
    let text = value.as_str()?.trim().trim_matches('"');
    (!text.is_empty() && text.len() <= MAX_HINT_BYTES).then(|| text.to_owned())
}

fn truth(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(truth) => Some(*truth),
        Json::String(text) if text == "?1" => Some(true),
        Json::String(text) if text == "?0" => Some(false),
        Json::Number(number) => Some(number.as_u64()? != 0),
        _ => None,
    }
}

fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::Array(items) => items.iter().filter_map(text).take(8).collect(),
        Json::String(list) => {
            let items = list
                .split(',')
                .map(|item| item.trim().trim_matches('"').to_owned());
            items.take(8).collect()
        }
        _ => Vec::new(),
    }
}

/// The brand that names the browser, neither the decoy nor the engine; the engine where alone.
fn brand(value: &Json) -> Option<(String, String)> {
    let brands: Vec<(String, String)> = match value {
        Json::Array(items) => items
            .iter()
            .take(8)
            .filter_map(|item| Some((text(item.get("brand")?)?, text(item.get("version")?)?)))
            .collect(),
        // `"Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"`
        Json::String(list) if list.len() <= 1_024 => list
            .split(", ")
            .filter_map(|item| {
                let (name, version) = item.split_once(";v=")?;
                let unquoted = |text: &str| text.trim().trim_matches('"').to_owned();
                Some((unquoted(name), unquoted(version)))
            })
            .collect(),
        _ => return None,
    };
    let is_decoy = |name: &str| {
        name.to_ascii_lowercase().contains("brand") && name.to_ascii_lowercase().contains("not")
    };
    let real = || brands.iter().filter(|(name, _)| !is_decoy(name));
    let (name, version) = real()
        .find(|(name, _)| name != "Chromium")
        .or_else(|| real().next())?;
    let name = match name.as_str() {
        "Google Chrome" | "Chromium" | "HeadlessChrome" => "Chrome",
        "Microsoft Edge" | "Microsoft Edge WebView2" => "Edge",
        "YaBrowser" | "Yandex" => "Yandex Browser",
        "Opera GX" | "OperaGX" => "Opera GX",
        "Android WebView" => return None,
        name => name,
    };
    Some((name.to_owned(), version.clone()))
}
