//! The schema of the wire names the members that the field table lets clients set, by their types.

use event::{FIELDS, Kind, Origin};
use serde_json::{Value, json};

fn schema() -> Value {
    serde_json::from_str(include_str!("../wire/schema.json")).expect("the schema is JSON")
}

fn type_of(kind: Kind) -> Value {
    match kind {
        Kind::Keyword | Kind::Ip => json!("string"),
        Kind::Double => json!("number"),
        Kind::Long => json!("integer"),
        Kind::Date => json!(["number", "string"]),
        Kind::Boolean => json!("boolean"),
        Kind::GeoPoint | Kind::Flattened | Kind::Stored => json!("object"),
    }
}

#[test]
fn schema_and_field_table_name_the_same_members() {
    let schema = schema();
    let members = schema["$defs"]["event"]["properties"].as_object().unwrap();
    for field in FIELDS.iter().filter(|f| f.origin == Origin::Client) {
        let member = members.get(field.name);
        let kind = member.map(|member| &member["type"]);
        assert_eq!(kind, Some(&type_of(field.kind)), "{}", field.name);
    }
    for name in members.keys() {
        let field = event::field::field(name);
        assert_eq!(field.map(|f| f.origin), Some(Origin::Client), "{name}");
    }
}

#[test]
fn schema_and_limits_agree() {
    let schema = schema();
    let event = &schema["$defs"]["event"];
    assert_eq!(event["required"], json!(["event_type"]));
    let most = |member: &str| event["properties"][member]["maxLength"].as_u64().unwrap() as usize;
    assert_eq!(most("event_type"), event::limits::MAX_EVENT_TYPE_CHARS);
    assert_eq!(most("event_id"), event::limits::MAX_EVENT_ID_BYTES);
}
