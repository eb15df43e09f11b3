use serde_json::json;

use super::hints::Hints;
use super::*;

fn parse(agent: &str) -> Agent {
    WootheeParser.parse(agent)
}

/// Agent; browser, os, device type expected, empty where nothing can be said.
const PEOPLE: &[(&str, &str, &str, &str)] = &[
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "Chrome",
        "Windows 10",
        "Computer",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
        "Edge",
        "Windows 10",
        "Computer",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
        "Firefox",
        "Windows 10",
        "Computer",
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
        "Internet Explorer",
        "Windows 7",
        "Computer",
    ),
    (
        "Mozilla/5.0 (compatible; MSIE 9.0; Windows 98; Win 9x 4.90; Trident/4.0)",
        "Internet Explorer",
        "Windows 98",
        "Computer",
    ),
    (
        "Mozilla/5.0 (Windows; U; MSIE 9.0; WIndows NT 9.0; en-US))",
        "Internet Explorer",
        "Windows",
        "Computer",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
        "Safari",
        "macOS",
        "Computer",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_5) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0.3112.90 Safari/537.36",
        "Chrome",
        "macOS 10.9.5",
        "Computer",
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "Chrome",
        "Linux",
        "Computer",
    ),
    (
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "Chrome",
        "ChromeOS",
        "Computer",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        "Safari",
        "iOS 17.6.1",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
        "Safari",
        "iOS",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/130.0.6723.90 Mobile/15E148 Safari/604.1",
        "Chrome",
        "iOS 17.6",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/132.0 Mobile/15E148 Safari/605.1.15",
        "Firefox",
        "iOS 17.6",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1 OPT/5.2.1",
        "Opera",
        "iOS 17.6",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/605.1.15 Ddg/17.6",
        "DuckDuckGo",
        "iOS 17.6",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21G93 [FBAN/FBIOS;FBAV/485.0.0.35.110;FBBV/652912610]",
        "Facebook",
        "iOS 17.6.1",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 352.0.0.21.102 (iPhone14,5; iOS 17_6_1; de_DE)",
        "Instagram",
        "iOS 17.6.1",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        "Safari",
        "iPadOS 17.5",
        "Tablet",
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.6367.82 Mobile Safari/537.36",
        "Chrome",
        "Android 14",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
        "Chrome",
        "Android",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "Chrome",
        "Android",
        "Tablet",
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Safari/537.36",
        "Samsung Internet",
        "Android 13",
        "Tablet",
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-S921B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.58 Mobile Safari/537.36",
        "WebView",
        "Android 14",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (Linux; Android 12; wvX1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
        "Chrome",
        "Android 12",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
        "Firefox",
        "Android 14",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (Android 14; Tablet; rv:132.0) Gecko/132.0 Firefox/132.0",
        "Firefox",
        "Android 14",
        "Tablet",
    ),
    (
        "Mozilla/5.0 (Linux; Android 5.1.1; KFTT) AppleWebKit/537.36 (KHTML, like Gecko) Silk/80.5.3 like Chrome/80.0.3987.162 Safari/537.36",
        "Silk",
        "Android 5.1.1",
        "Tablet",
    ),
    (
        "Mozilla/5.0 (Linux; Android 12; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/34.0 Chrome/126.0.0.0 VR Safari/537.36",
        "Meta Quest Browser",
        "Android 12",
        "XR",
    ),
    (
        "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.5359.211 Safari/537.36 WebAppManager",
        "Chrome",
        "webOS",
        "TV",
    ),
    (
        "Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/7.0 TV Safari/537.36",
        "Safari",
        "Tizen 7.0",
        "TV",
    ),
    (
        "Mozilla/5.0 (PlayStation; PlayStation 5/6.00) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
        "Safari",
        "PlayStation",
        "Console",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox Series X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edge/44.18363.8131",
        "Edge",
        "Xbox",
        "Console",
    ),
    (
        "Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16",
        "Opera Mini",
        "Android",
        "Mobile",
    ),
    (
        "Mozilla/5.0 (Linux; Android 7.0; CUBOT NOTE S Build/NRD90M) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0.4664.45 Mobile Safari/537.36",
        "Chrome",
        "Android 7.0",
        "Mobile",
    ),
];

#[test]
fn people_are_read() {
    let mut failures = Vec::new();
    for (text, browser, os, device) in PEOPLE {
        let agent = parse(text);
        let text_of = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let seen = (
            text_of(agent.browser_name.as_deref()),
            text_of(agent.os.as_deref()),
            text_of(agent.device_type),
        );
        let expected = (
            (*browser).to_owned(),
            (*os).to_owned(),
            (*device).to_owned(),
        );
        if seen != expected || agent.bot.is_some() {
            failures.push(format!("{text}\n  {seen:?} {:?}", agent.bot));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn panel_is_read() {
    let lines = include_str!("panel.tsv").lines();
    let rows: Vec<Vec<&str>> = lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    assert!(rows.len() >= 120);
    let mut right = [0; 3];
    for row in &rows {
        let agent = parse(row[0]);
        assert_eq!(agent.bot, None, "{}", row[0]);
        let seen = [
            agent.browser_name.as_deref(),
            agent.os.as_deref(),
            agent.device_type,
        ];
        for (place, value) in seen.into_iter().enumerate() {
            right[place] += usize::from(value.unwrap_or("-") == row[place + 1]);
        }
    }
    let percent = right.map(|count| 100 * count / rows.len());
    assert!(
        percent[0] >= 97 && percent[1] >= 97 && percent[2] >= 95,
        "browser, system, device: {percent:?} %"
    );
}

#[test]
fn patterns_of_isbot_keep_their_look_arounds() {
    // Each is what a look-around of the original tells apart.
    for (agent, expected) in [
        (
            "Mozilla/5.0 (Linux; Android 14; CUBOT X50) Chrome/126 Mobile",
            false,
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; xcubot X50) Chrome/126 Mobile",
            true,
        ),
        (
            "Mozilla/5.0 (Linux; Google Pixel 8) Chrome/126 Mobile",
            false,
        ),
        ("Mozilla/5.0 (Linux; Google Pix) Chrome/126 Mobile", true),
        (
            "Mozilla/5.0 (Linux; x) Channel/google Chrome/126 Mobile",
            false,
        ),
        ("Mozilla/5.0 (Linux; x) GoogleApp Chrome/126 Mobile", false),
        ("Mozilla/5.0 (Linux; x) CamScanner Chrome/126 Mobile", false),
        ("Mozilla/5.0 (Linux; x) Scanner Chrome/126 Mobile", true),
        ("Mozilla/5.0 (Linux; x) Chrome/126 java", true),
        ("Mozilla/5.0 (Linux; java; x) Chrome/126 Mobile", false),
    ] {
        assert_eq!(is_listed(agent), expected, "{agent}");
    }
}

#[test]
fn programs_are_named() {
    for (agent, name, class) in [
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot",
            "GPTBot",
            "ai_training",
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36; compatible; OAI-SearchBot/1.3; +https://openai.com/searchbot",
            "OAI-SearchBot",
            "ai_search",
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
            "ClaudeBot",
            "ai_training",
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)",
            "Perplexity-User",
            "ai_user_fetch",
        ),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Googlebot",
            "search",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
            "Applebot",
            "search",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/130.0.0.0 Safari/537.36",
            "Headless Chrome",
            "automation",
        ),
        (
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Facebook",
            "preview",
        ),
        ("python-requests/2.32.3", "python-requests", "library"),
        ("Go-http-client/2.0", "Go-http-client", "library"),
        ("axios/1.7.7", "axios", "library"),
        ("curl/8.10.1", "curl", "library"),
    ] {
        let bot = parse(agent).bot;
        let found = bot.as_ref().map(|bot| (bot.name.as_deref(), bot.class));
        assert_eq!(found, Some((Some(name), Some(class))), "{agent}");
    }
    let generic = parse("SomethingNew-Crawler/1.0 (+https://example.com/crawler)").bot;
    assert_eq!(generic.as_ref().map(|bot| bot.reason), Some("ua_isbot"));
    let name = generic.and_then(|bot| bot.name);
    assert_eq!(name.as_deref(), Some("SomethingNew-Crawler"));
}

#[test]
fn hints_know_what_agents_cannot() {
    let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
    let android = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36";
    let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15";
    let brave = json!([{"brand": "Not?A_Brand", "version": "99"}, {"brand": "Chromium", "version": "130"}, {"brand": "Brave", "version": "130"}]);
    let header = "\"Chromium\";v=\"130\", \"Microsoft Edge\";v=\"130\", \"Not?A_Brand\";v=\"99";
    for (agent, hints, browser, os, device) in [
        (
            windows,
            json!({"platform": "Windows", "platformVersion": "15.0.0"}),
            "Chrome",
            "Windows 11",
            "Computer",
        ),
        (
            windows,
            json!({"platform": "Windows", "platform_version": "10.0.0"}),
            "Chrome",
            "Windows 10",
            "Computer",
        ),
        (
            windows,
            json!({"brands": brave}),
            "Brave",
            "Windows 10",
            "Computer",
        ),
        (
            windows,
            json!({"brands": header}),
            "Edge",
            "Windows 10",
            "Computer",
        ),
        (
            android,
            json!({"platform": "Android", "platformVersion": "14.0.0", "model": "Pixel 8", "mobile": true}),
            "Chrome",
            "Android 14",
            "Mobile",
        ),
        (mac, json!({"touch": 5}), "Safari", "iPadOS", "Tablet"),
        (
            mac,
            json!({"platform": 7, "brands": [1], "model": {"a": 1}}),
            "Safari",
            "macOS",
            "Computer",
        ),
    ] {
        let raw = hints.to_string();
        let refined = Hints::read(&raw).unwrap().refine(parse(agent));
        let refined = refined.agent.unwrap();
        let seen = (
            refined.browser_name.as_deref(),
            refined.os.as_deref(),
            refined.device_type,
        );
        assert_eq!(seen, (Some(browser), Some(os), Some(device)), "{raw}");
    }
}

#[test]
fn nothing_is_said_of_what_nobody_knows() {
    // isbot takes plain words for a program, which then has the name that it gives itself.
    let agent = parse("something nobody knows");
    let said = (agent.browser_version, agent.os, agent.device_type);
    assert_eq!(said, (None, None, None));
    assert_eq!(agent.bot.map(|bot| bot.reason), Some("ua_isbot"));
}

#[test]
fn changed_patterns_are_taken_and_what_was_cached_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regexes.yaml");
    let replace = |name: &str| {
        let browser = format!("- regex: 'Acme/(\\d+)'\n  family_replacement: '{name}'\n");
        let text = format!("user_agent_parsers:\n{browser}os_parsers: []\ndevice_parsers: []\n");
        std::fs::write(&path, text).unwrap();
    };
    replace("Acme");
    let agents = Agents::open(Some(&path)).unwrap();
    let name = || {
        let client = agents.parse(Some("Mozilla/5.0 (X11) Acme/1"), None);
        client.agent.as_ref().unwrap().browser_name.clone()
    };
    assert_eq!(name().as_deref(), Some("Acme"));
    replace("Acme Two");
    assert_eq!(agents.file().unwrap().look(), None);
    assert_eq!(name().as_deref(), Some("Acme Two"));
    std::fs::write(&path, "user_agent_parsers: no").unwrap();
    let refused = agents.file().unwrap().look().unwrap();
    assert!(refused.contains("regexes.yaml"), "{refused}");
    assert_eq!(name().as_deref(), Some("Acme Two"));
    let none = Agents::open(Some(&folder.path().join("none.yaml")));
    let error = format!("{:#}", none.unwrap_err());
    assert!(
        error.contains("[enricher] user_agent_regexes") && error.contains("none.yaml"),
        "{error}"
    );
}

#[test]
fn agents_are_cached_with_their_hints_and_cut() {
    let agents = Agents::open(None).unwrap();
    let curl = |hints| agents.parse(Some("curl/8.10.1"), hints);
    let (alone, hinted) = (curl(None), curl(Some(r#"{"webdriver":true}"#)));
    assert!(Arc::ptr_eq(&alone, &curl(None)) && !alone.is_webdriver);
    assert!(hinted.is_webdriver && !curl(Some(r#"{"webdriver":false}"#)).is_webdriver);
    assert_eq!(agents.parse(None, None), Arc::default());
    let long = format!(
        "{}é{}",
        "x".repeat(MAX_AGENT_BYTES - 1),
        "curl/8".repeat(10_000)
    );
    let cut = agents.parse(Some(&long), None);
    let bot = cut.agent.as_ref().unwrap().bot.as_ref();
    let bot = bot.map(|bot| (bot.name.as_deref(), bot.reason));
    assert_eq!(bot, Some((None, "ua_isbot")), "curl stands behind the cut");
}
