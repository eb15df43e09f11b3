//! The patterns of a user's own `regexes.yaml`, in the format of the uap-core project.
//!
//! They name browsers, and systems and devices that our own tokens do not know. What agents freeze
//! is known to our tokens alone, so that a system they name stays; programs stay programs.

use std::fmt;

use anyhow::{Context as _, ensure};
use ua_parser::{Extractor, Regexes};

use super::{Agent, AgentParser, WootheeParser};

/// Largest file read, in bytes: twenty times that of uap-core.
const MAX_FILE_BYTES: usize = 4 << 20;

/// Browsers that have another name there than in the rest of the documents.
const NAMES: [(&str, &str); 10] = [
    ("Chrome Mobile", "Chrome"),
    ("Chrome Mobile iOS", "Chrome"),
    ("Chrome Mobile WebView", "WebView"),
    ("Edge Mobile", "Edge"),
    ("Firefox Mobile", "Firefox"),
    ("Firefox iOS", "Firefox"),
    ("IE", "Internet Explorer"),
    ("IE Mobile", "Internet Explorer"),
    ("Mobile Safari", "Safari"),
    ("Opera Mobile", "Opera"),
];

/// The user's patterns before our own parser.
pub(super) struct RegexParser {
    patterns: Extractor<'static>,
}

impl RegexParser {
    /// Reads and compiles the text of a `regexes.yaml`.
    ///
    /// # Errors
    /// When it is no such file, or a pattern cannot be used.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        ensure!(text.len() <= MAX_FILE_BYTES, "larger than 4 MiB");
        let options = serde_saphyr::options! { with_snippet: false };
        let patterns: Regexes<'static> =
            serde_saphyr::from_str_with_options(text, options).context("no regexes.yaml")?;
        let patterns = Extractor::try_from(patterns).context("a pattern cannot be used")?;
        Ok(Self { patterns })
    }
}

impl AgentParser for RegexParser {
    fn parse(&self, agent: &str) -> Agent {
        let mut parsed = WootheeParser.parse(agent);
        if parsed.bot.is_none()
            && let Some(browser) = self.patterns.ua.extract(agent)
            && is_known(&browser.family)
        {
            let other = NAMES.iter().find(|(name, _)| *name == browser.family);
            let name = other.map_or(&*browser.family, |(_, name)| *name);
            parsed.browser_name = Some(name.to_owned());
            parsed.browser_version = version([browser.major, browser.minor, browser.patch]);
        }
        if parsed.os_name.is_none()
            && let Some(system) = self.patterns.os.extract(agent)
            && is_known(&system.os)
        {
            let parts = [&system.major, &system.minor, &system.patch];
            let version = version(parts.map(|part| part.as_deref()));
            parsed.os = Some(match &version {
                Some(version) => format!("{} {version}", system.os),
                None => system.os.clone().into_owned(),
            });
            parsed.os_name = Some(system.os.into_owned().into());
            parsed.os_version = version;
        }
        if let Some(device) = self.patterns.dev.extract(agent)
            && parsed.bot.is_none()
        {
            let wanted =
                |text: Option<_>| text.filter(|text: &std::borrow::Cow<'_, str>| is_known(text));
            if let Some(brand) = wanted(device.brand) {
                parsed.device_brand = Some(brand.into_owned().into());
            }
            if let Some(model) = wanted(device.model) {
                parsed.device_model = Some(model.into_owned());
            }
        }
        parsed
    }
}

/// Whether a name says something: these words stand for what is not known there.
fn is_known(name: &str) -> bool {
    !name.trim().is_empty()
        && !["Other", "Generic", "Spider"]
            .iter()
            .any(|word| name.starts_with(word))
        && name.len() <= 64
}

/// `major.minor.patch`, up to the first that is not there.
fn version(parts: [Option<&str>; 3]) -> Option<String> {
    let parts: Vec<&str> = parts
        .into_iter()
        .map_while(|part| part.filter(|part| !part.is_empty() && part.len() <= 16))
        .collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

impl fmt::Debug for RegexParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegexParser").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: &str = r#"# As of uap-core.
user_agent_parsers:
  - regex: '(Acme Browser)/(\d+)\.(\d+)'
  - regex: '(Firefox)/(\d+)\.(\d+).{0,200}Mobile'
    family_replacement: 'Firefox Mobile'
  - regex: 'Nothing/(\d+)'
    family_replacement: 'Other'
os_parsers:
  - regex: '(AcmeOS) (\d+)(?:\.(\d+)|)'
  - regex: 'Windows NT 10'
    os_replacement: 'Windows'
    os_v1_replacement: 'ten'
device_parsers:
  - regex: '; *(AC-[0-9]+)\)'
    regex_flag: 'i'
    device_replacement: 'Acme $1'
    brand_replacement: 'Acme'
    model_replacement: '$1'
"#;

    fn parsed(agent: &str) -> Agent {
        RegexParser::read(PATTERNS).unwrap().parse(agent)
    }

    #[test]
    fn users_patterns_name_what_ours_do_not_know() {
        let agent = parsed("Mozilla/5.0 (AcmeOS 3.1; AC-77) Acme Browser/12.5");
        let (name, system) = (agent.browser_name.as_deref(), agent.os.as_deref());
        assert_eq!((name, system), (Some("Acme Browser"), Some("AcmeOS 3.1")));
        assert_eq!(agent.browser_version.as_deref(), Some("12.5"));
        assert_eq!(agent.os_name.as_deref(), Some("AcmeOS"));
        assert_eq!(agent.device_brand.as_deref(), Some("Acme"));
        assert_eq!(agent.device_model.as_deref(), Some("AC-77"));
    }

    #[test]
    fn what_ours_know_better_stays() {
        let windows = parsed("Mozilla/5.0 (Windows NT 10.0; Win64) Nothing/1 Gecko Firefox/140.0");
        assert_eq!(windows.os.as_deref(), Some("Windows 10"));
        assert_eq!(windows.browser_name.as_deref(), Some("Firefox"));
        assert_eq!(windows.browser_version.as_deref(), Some("140.0"));
        let phone = parsed("Mozilla/5.0 (Android 14; Mobile; rv:140.0) Firefox/140.0 Mobile");
        assert_eq!(phone.browser_name.as_deref(), Some("Firefox"));
        let program = parsed("GPTBot/1.0 Acme Browser/1.0");
        assert_eq!(program.browser_name.as_deref(), Some("GPTBot"));
    }

    #[test]
    fn unusable_files_are_refused() {
        for (text, words) in [
            ("", "no regexes.yaml"),
            ("a: [", "no regexes.yaml"),
            ("user_agent_parsers: 1", "no regexes.yaml"),
            (
                &PATTERNS.replace("(Acme Browser)", "(?=look)"),
                "a pattern cannot be used",
            ),
            (
                &PATTERNS.replace("(Acme Browser)", "(open"),
                "a pattern cannot be used",
            ),
            (&" ".repeat(MAX_FILE_BYTES + 1), "4 MiB"),
        ] {
            let error = format!("{:#}", RegexParser::read(text).unwrap_err());
            assert!(error.contains(words) && !error.contains('\n'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_agent_makes_it_panic(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "Acme Browser/", "AcmeOS ", "AC-", "1", ".", ";", ")", " ", "Firefox/", "é", "Nothing/", "Windows NT 10",
                ]),
                0..10,
            ),
        ) {
            thread_local! {
                static PARSER: RegexParser = RegexParser::read(PATTERNS).unwrap();
            }
            let agent = PARSER.with(|parser| parser.parse(&words.concat()));
            prop_assert!(agent.browser_name.is_none_or(|name| !name.is_empty()));
        }
    }
}
