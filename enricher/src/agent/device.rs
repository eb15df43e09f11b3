//! The kind of device behind an agent, by our own tokens: woothee knows no tablets and hardly any
//! television.

/// Makers of headsets.
const XR: [&str; 5] = ["PicoBrowser", "Quest ", "Oculus", "Pico Neo", "VisionOS"];

const CONSOLE: [&str; 5] = [
    "PlayStation",
    "PLAYSTATION",
    "Xbox",
    "Nintendo",
    "PlayStation Vita",
];

const TV: [&str; 27] = [
    "SmartTV",
    "SMART-TV",
    "Smart-TV",
    "Smart TV",
    "SMARTTV",
    "Web0S",
    "WebOS.TV",
    "webOS.TV",
    "AppleTV",
    "Apple TV",
    "tvOS",
    "GoogleTV",
    "Google TV",
    "Android TV",
    "AndroidTV",
    "BRAVIA",
    "HbbTV",
    "CrKey",
    "Roku",
    "NetCast",
    "NETTV",
    "VIERA",
    "AFTB",
    "AFTM",
    "AFTS",
    "AFTT",
    "MiTV",
];

const TABLET: [&str; 20] = [
    "iPad",
    "Tablet",
    "tablet",
    "PlayBook",
    "Kindle",
    "Silk/",
    "Nexus 7",
    "Nexus 9",
    "Nexus 10",
    "SM-T",
    "SM-X",
    "SM-P",
    "GT-P",
    "GT-N8",
    "KFTT",
    "KFMU",
    "KFON",
    "Xoom",
    "Lenovo TB",
    "Pixel C",
];

const MOBILE: [&str; 16] = [
    "Mobile",
    "iPhone",
    "iPod",
    "Windows Phone",
    "Windows CE",
    "BlackBerry",
    "BB10",
    "Opera Mini",
    "Opera Mobi",
    "IEMobile",
    "Symbian",
    "KAIOS",
    "Nokia",
    "webOS/",
    "DoCoMo",
    "MIDP",
];

const COMPUTER: [&str; 7] = [
    "Windows",
    "Macintosh",
    "X11",
    "CrOS",
    "Linux",
    "Mac OS X",
    "Mac_PowerPC",
];

/// The kind of device: Computer, Mobile, Tablet, TV, Console or XR.
pub(super) fn kind(agent: &str) -> Option<&'static str> {
    let has = |tokens: &[&str]| tokens.iter().any(|token| agent.contains(token));
    let is_android = agent.contains("Android");
    if has(&XR) {
        return Some("XR");
    }
    if has(&CONSOLE) {
        return Some("Console");
    }
    if has(&TV) || (agent.contains("Tizen") && agent.contains("TV")) {
        return Some("TV");
    }
    // Windows says "Tablet PC" of many computers; Opera's "Tablet" stays one.
    if has(&TABLET) && !agent.contains("Tablet PC") && !agent.contains("iPhone") {
        return Some("Tablet");
    }
    if is_android
        && !agent.contains("Mobile")
        && !agent.contains("Opera Mini")
        && !agent.contains("Opera Mobi")
    {
        // Old phones left "Mobile" out; Android 3 was made for tablets, 1 and 2 for phones.
        let is_old = ["Android 1.", "Android 2."]
            .iter()
            .any(|old| agent.contains(old));
        return Some(if is_old { "Mobile" } else { "Tablet" });
    }
    if has(&MOBILE) || is_android {
        return Some("Mobile");
    }
    has(&COMPUTER).then_some("Computer")
}

/// Maker and model, as far as the agent tells.
pub(super) fn make(agent: &str) -> (Option<&'static str>, Option<String>) {
    for (token, model) in [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("iPod", "iPod"),
        ("Macintosh", "Mac"),
    ] {
        if agent.contains(token) {
            return (Some("Apple"), Some(model.to_owned()));
        }
    }
    let Some(model) = android_model(agent) else {
        return (None, None);
    };
    (brand(model), Some(model.to_owned()))
}

/// The maker by the model's name.
pub(super) fn brand(model: &str) -> Option<&'static str> {
    const BRANDS: [(&str, &str); 22] = [
        ("SM-", "Samsung"),
        ("GT-", "Samsung"),
        ("SAMSUNG", "Samsung"),
        ("Galaxy", "Samsung"),
        ("Pixel", "Google"),
        ("Nexus", "Google"),
        ("Redmi", "Xiaomi"),
        ("Mi ", "Xiaomi"),
        ("POCO", "Xiaomi"),
        ("M2", "Xiaomi"),
        ("ONEPLUS", "OnePlus"),
        ("OnePlus", "OnePlus"),
        ("CPH", "OPPO"),
        ("RMX", "realme"),
        ("moto", "Motorola"),
        ("XT", "Motorola"),
        ("HUAWEI", "Huawei"),
        ("LM-", "LG"),
        ("LG-", "LG"),
        ("KF", "Amazon"),
        ("AFT", "Amazon"),
        ("Quest", "Meta"),
    ];
    BRANDS
        .iter()
        .find(|(prefix, _)| model.starts_with(prefix))
        .map(|(_, brand)| *brand)
}

/// What stands for the model in `(Linux; Android 14; Pixel 8 Build/..)`. `K` stands for every one.
fn android_model(agent: &str) -> Option<&str> {
    let rest = &agent[agent.find("Android ")?..];
    let inside = &rest[..rest.find(')')?];
    let part = inside.split(';').nth(1)?;
    // In old agents a language such as `en-us` comes first.
    let is_language = |text: &str| text.len() == 5 && matches!(text.as_bytes()[2], b'-' | b'_');
    let part = if is_language(part.trim()) {
        inside.split(';').nth(2)?
    } else {
        part
    };
    let model = part.split(" Build").next()?.trim();
    let is_model = !matches!(model, "" | "K" | "wv" | "Mobile" | "Tablet")
        && !model.starts_with("rv:")
        && !model.starts_with("U")
        && model.len() <= 64;
    is_model.then_some(model)
}
