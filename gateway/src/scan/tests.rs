//! The scanner held against serde_json.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// What serde_json says: whether the text is JSON, and the members where it is an object.
fn expected(text: &str) -> (bool, Option<Vec<(String, String)>>) {
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    let members: Option<Members> = serde_json::from_str(text).ok();
    (is_json, members.map(|Members(members)| members))
}

struct Members(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn scanned(text: &str) -> (bool, Option<Vec<(String, String)>>) {
    let mut scanner = Scanner::new(text);
    let mut members = Vec::new();
    match scanner.value(&mut members) {
        Ok(scanned) if scanner.is_at_end() => {
            let members = members.into_iter().map(|m| {
                (
                    m.name(scanned.raw).into_owned(),
                    m.value(scanned.raw).raw.to_owned(),
                )
            });
            (true, scanned.is_object.then(|| members.collect()))
        }
        _ => (false, None),
    }
}

fn check(text: &str) {
    assert_eq!(scanned(text), expected(text), "{text:?}");
}

const SEEDS: [&str; 13] = [
    r#"{"event_type":"page_view","n":-12.5e+3,"a":[1,{"b":[]},[[]]],"o":{"x":null},"t":true}"#,
    "  { \"a\" : 1 ,\r\n\t\"b\":[ ] , \"c\" : { } } \n",
    r#"{"\u0061\ud83d\ude00":"\"\\\/\b\f\n\r\t","lone":"\ud800"}"#,
    r#"{"\ud800":1}"#,
    r#"[0,-0,0.1,1e9,1E-9,10,false,true,null,"",{}]"#,
    r#""text""#,
    "-",
    "01",
    "1.",
    "{",
    r#"{"a":1,}"#,
    r#"{"event_id":"a-b","event_type": "page_view","site":"größer","lib":"w/1" , "sent_at":"\"x"}"#,
    r#"{"päge":"größer als acht bytes, mit umlauten ä ö ü","日本":"語"}"#,
];

#[test]
fn it_agrees_with_serde_json_on_what_is_json() {
    SEEDS.iter().for_each(|seed| check(seed));
    for at in 0..32 {
        let mut text = format!("{{\"a\":\"{}\"}}", "x".repeat(32));
        text.replace_range(6 + at..7 + at, "\u{1f}");
        check(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn it_agrees_with_serde_json_on_mutations(
        seed in prop::sample::select(&SEEDS[..]),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..128), 0..4),
        doubled in any::<bool>(),
    ) {
        let mut text: Vec<char> = seed.chars().collect();
        for (at, byte) in cuts {
            let at = at.index(text.len().max(1));
            match byte {
                0 if at < text.len() => { text.remove(at); }
                byte if byte % 2 == 1 => text.insert(at, char::from(byte)),
                byte if at < text.len() => text[at] = char::from(byte),
                _ => {}
            }
        }
        let text: String = text.into_iter().collect();
        check(&text);
        if doubled {
            check(&format!("[{text},{text}]"));
            check(&format!("{{\"a\":{text},\"b\":{text}}}"));
        }
    }
}

#[test]
fn depth_counts_what_is_open_at_once_and_costs_no_stack() {
    let depth = |text: &str| Scanner::new(text).value(&mut Vec::new()).map(|s| s.depth);
    assert_eq!(depth("1"), Ok(0));
    assert_eq!(depth("{}"), Ok(1));
    assert_eq!(depth(r#"{"a":[[]],"b":{}}"#), Ok(3));
    assert_eq!(depth(r#"{"a":"[[[["}"#), Ok(1));
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    assert_eq!(depth(&deep), Ok(200_000));
    assert_eq!(depth(&deep[1..]), Ok(199_999));
    assert_eq!(depth(&deep[..deep.len() - 1]), Err(Malformed));
}
