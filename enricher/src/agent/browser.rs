//! The browser behind an agent: our own tokens first, for woothee's data ends in 2021.

use std::sync::LazyLock;

use woothee::parser::WootheeResult;

use super::system::version_after;

/// A row of `rules/browsers.tsv`.
struct Row {
    token: &'static str,
    name: &'static str,
    version_after: &'static str,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    include_str!("../../rules/browsers.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let (token, name, version) = (cells.next()?, cells.next()?, cells.next()?);
            let version_after = if version == "-" { token } else { version };
            Some(Row {
                token,
                name,
                version_after,
            })
        })
        .collect()
});

/// Name and version of the browser.
pub(super) fn identify(
    agent: &str,
    parsed: Option<&WootheeResult<'_>>,
) -> (Option<String>, Option<String>) {
    if let Some(row) = ROWS.iter().find(|row| agent.contains(row.token)) {
        let version = version_after(agent, row.version_after).map(str::to_owned);
        return (Some(row.name.to_owned()), version);
    }
    let Some(parsed) = parsed else {
        return old_explorer(agent);
    };
    let version = known(parsed.version).map(str::to_owned);
    let name = match parsed.name {
        // Any Chrome with "wv" somewhere is a web view to woothee; the real sign is "; wv)".
        "Webview" if agent.contains("Chrome/") && !agent.contains("; wv)") => {
            let version = version_after(agent, "Chrome/").map(str::to_owned);
            return (Some("Chrome".to_owned()), version);
        }
        "Webview" => Some("WebView"),
        name if matches!(
            parsed.category,
            "pc" | "smartphone" | "mobilephone" | "appliance"
        ) =>
        {
            known(name)
        }
        name => known(name).filter(|_| parsed.browser_type == "browser"),
    };
    match name {
        Some(name) => (Some(name.to_owned()), version),
        None => old_explorer(agent),
    }
}

/// Internet Explorer without the "compatible;" by which woothee knows it.
fn old_explorer(agent: &str) -> (Option<String>, Option<String>) {
    let version = version_after(agent, "MSIE ").map(str::to_owned);
    let name = version.is_some().then(|| "Internet Explorer".to_owned());
    (name, version)
}

/// woothee's word for what it does not know is no value.
fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("UNKNOWN"))
}
