//! The operating system behind an agent: family, version and label.

/// An operating system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct System {
    /// The family, such as Android.
    pub(super) family: Option<&'static str>,
    /// The version, where the agent tells it honestly.
    pub(super) version: Option<String>,
}

impl System {
    fn new(family: &'static str, version: Option<&str>) -> Self {
        // Agents write Apple's versions with underscores.
        let version = version
            .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
            .map(|version| version.replace('_', "."));
        Self {
            family: Some(family),
            version,
        }
    }

    fn windows(version: Option<&str>) -> Self {
        Self {
            family: Some("Windows"),
            version: version.map(str::to_owned),
        }
    }

    /// The family with its version: "Android 14".
    pub(super) fn label(&self) -> Option<String> {
        let family = self.family?;
        Some(match &self.version {
            Some(version) => format!("{family} {version}"),
            None => family.to_owned(),
        })
    }

    /// Reads the system of an agent.
    pub(super) fn of(agent: &str) -> Self {
        let after = |token: &str| version_after(agent, token);
        if agent.contains("Windows Phone") {
            return Self::new(
                "Windows Phone",
                after("Windows Phone OS ").or(after("Windows Phone ")),
            );
        }
        if agent.contains("Xbox") {
            return Self::new("Xbox", None);
        }
        if let Some(nt) = after("Windows NT ") {
            return Self::windows(windows_version(nt));
        }
        for (token, version) in [("Windows 98", "98"), ("Windows 95", "95")] {
            if agent.contains(token) {
                return Self::windows(Some(version));
            }
        }
        if agent.contains("Windows CE") {
            return Self::windows(Some("CE"));
        }
        if agent.contains("AppleTV") || agent.contains("Apple TV") || agent.contains("tvOS") {
            return Self::new("tvOS", after("tvOS "));
        }
        if agent.contains("iPhone") || agent.contains("iPod") || agent.contains("iPad") {
            let family = if agent.contains("iPad") {
                "iPadOS"
            } else {
                "iOS"
            };
            let version = after("iPhone OS ")
                .or(after("CPU OS "))
                .or(after("iPhone iOS "))
                .or(after("iPad; iOS "));
            // From version 26 on Safari goes on saying 18 for the system.
            let safari: Option<u32> =
                after("Version/").and_then(|v| v.split('.').next()?.parse().ok());
            let is_frozen = safari.is_some_and(|major| major >= 26)
                && version.is_some_and(|version| version.starts_with("18"));
            return Self::new(family, version.filter(|_| !is_frozen));
        }
        if agent.contains("HarmonyOS") || agent.contains("OpenHarmony") {
            return Self::new("HarmonyOS", after("HarmonyOS ").or(after("OpenHarmony ")));
        }
        if agent.contains("PlayStation") || agent.contains("PLAYSTATION") {
            return Self::new("PlayStation", None);
        }
        if agent.contains("Nintendo") {
            return Self::new("Nintendo", None);
        }
        if agent.contains("Web0S") || agent.contains("webOS") {
            return Self::new("webOS", after("Web0S/").or(after("webOS/")));
        }
        if agent.contains("Tizen") {
            return Self::new("Tizen", after("Tizen "));
        }
        if agent.contains("Roku") {
            return Self::new("Roku OS", after("Roku/DVP-"));
        }
        if agent.contains("KAIOS") {
            return Self::new("KaiOS", after("KAIOS/"));
        }
        if agent.contains("Android") {
            // Chromium says "Android 10; K" for every phone.
            let is_frozen = agent.contains("Android 10; K)");
            return Self::new(
                "Android",
                after("Android ")
                    .or(after("Android-"))
                    .filter(|_| !is_frozen),
            );
        }
        if agent.contains("CrOS") {
            return Self::new("ChromeOS", None);
        }
        if agent.contains("Macintosh")
            || agent.contains("Mac OS X")
            || agent.contains("Mac_PowerPC")
        {
            let version = after("Mac OS X ");
            // Every browser says 10.15.7 (Firefox 10.15) for whatever came after it.
            let is_frozen = version.is_some_and(|v| v.replace('_', ".").starts_with("10.15"));
            return Self::new("macOS", version.filter(|_| !is_frozen));
        }
        for (token, family) in [
            ("FreeBSD", "FreeBSD"),
            ("OpenBSD", "OpenBSD"),
            ("NetBSD", "NetBSD"),
            ("BlackBerry", "BlackBerry"),
            ("BB10", "BlackBerry"),
            ("Symbian", "Symbian"),
            ("Fuchsia", "Fuchsia"),
        ] {
            if agent.contains(token) {
                return Self::new(family, None);
            }
        }
        // "Windows; U;" of old browsers.
        if agent.contains("Windows") {
            return Self::windows(None);
        }
        if agent.contains("Linux") || agent.contains("X11") {
            return Self::new("Linux", None);
        }
        Self::default()
    }
}

/// `NT 10.0` is Windows 10 and 11: only a client hint tells them apart.
fn windows_version(nt: &str) -> Option<&'static str> {
    Some(match nt {
        "10.0" => "10",
        "6.4" => "10",
        "6.3" => "8.1",
        "6.2" => "8",
        "6.1" => "7",
        "6.0" => "Vista",
        "5.2" | "5.1" => "XP",
        "5.0" | "5.01" => "2000",
        _ => return None,
    })
}

/// The version that follows a token: digits, dots and underscores, at most 32 characters.
pub(super) fn version_after<'a>(agent: &'a str, token: &str) -> Option<&'a str> {
    let rest = &agent[agent.find(token)? + token.len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(rest.len());
    let version = rest[..end].trim_end_matches(['.', '_']);
    (!version.is_empty() && version.len() <= 32).then_some(version)
}
