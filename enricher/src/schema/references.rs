//! Which references a schema may hold.
//!
//! A schema that leads back to itself can make an event take time that doubles with every level of
//! it: two alternatives that both go on with the same schema are enough. So only references to
//! other parts of the same schema are taken, and none in a circle.

use std::collections::HashSet;

use anyhow::ensure;
use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

/// Checks the references of a schema.
///
/// # Errors
/// When one leads elsewhere or in a circle; names it.
pub(super) fn check(schema: &Json) -> anyhow::Result<()> {
    let mut references = References {
        schema,
        open: vec!["#"],
        done: HashSet::new(),
    };
    references.walk(schema)
}

struct References<'a> {
    schema: &'a Json,
    /// What is being followed, from the outside in.
    open: Vec<&'a str>,
    /// What was followed to its end.
    done: HashSet<&'a str>,
}

impl<'a> References<'a> {
    fn walk(&mut self, node: &'a Json) -> anyhow::Result<()> {
        match node {
            Json::Array(items) => items.iter().try_for_each(|item| self.walk(item)),
            Json::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("$ref", Json::String(target)) => self.follow(target)?,
                        ("$dynamicRef" | "$recursiveRef", Json::String(target)) => {
                            anyhow::bail!("{name} {target:?}: only $ref is followed");
                        }
                        ("$id", Json::String(id)) => ensure!(
                            std::ptr::eq(node, self.schema),
                            "$id {id:?}: only the schema as a whole may have one"
                        ),
                        _ => self.walk(value)?,
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn follow(&mut self, target: &'a str) -> anyhow::Result<()> {
        ensure!(
            target == "#" || target.starts_with("#/"),
            "$ref {target:?} leads out of the schema: #/.. is wanted"
        );
        ensure!(
            !self.open.contains(&target),
            "$ref {target:?} leads in a circle"
        );
        if self.done.contains(target) {
            return Ok(());
        }
        let pointer = percent_decode_str(&target[1..]).decode_utf8_lossy();
        // One that leads nowhere is told when the schema is compiled.
        if let Some(node) = self.schema.pointer(&pointer) {
            self.open.push(target);
            self.walk(node)?;
            self.open.pop();
        }
        self.done.insert(target);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: Json, words: &str) {
        let error = check(&schema).unwrap_err().to_string();
        assert!(error.contains(words), "{schema}: {error}");
    }

    #[test]
    fn circles_and_ways_out_are_found() {
        refused(json!({"$ref": "#"}), "circle");
        refused(json!({"properties": {"x": {"$ref": "#"}}}), "circle");
        refused(
            json!({"properties": {"x": {"items": {"$ref": "#/properties/x"}}}}),
            "circle",
        );
        refused(
            json!({"properties": {"x y": {"not": {"$ref": "#/properties/x%20y"}}}}),
            "circle",
        );
        refused(
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}),
            "circle",
        );
        refused(json!({"$ref": "https://a.example/b.json#/c"}), "leads out");
        refused(json!({"$ref": "#anchor"}), "leads out");
        refused(json!({"$dynamicRef": "#a"}), "only $ref");
        refused(json!({"items": {"$id": "other"}}), "may have one");
    }

    #[test]
    fn other_references_are_taken() {
        let shared = json!({"$defs": {"a": {"type": "integer"}, "b": {"items": {"$ref": "#/$defs/a"}}},
            "properties": {"x": {"$ref": "#/$defs/b"}, "y": {"$ref": "#/$defs/b"}, "$id": {"type": "string"}}, "$id": "https://a.example/"});
        check(&shared).unwrap();
        check(&json!({"$ref": "#/none"})).unwrap();
        check(&json!(true)).unwrap();
        // Every part is followed once, however often it is named.
        let wide: serde_json::Map<_, _> = (0..60)
            .map(|n| {
                let next = json!({"$ref": format!("#/$defs/{}", n + 1)});
                (n.to_string(), json!({"allOf": [next, next, next]}))
            })
            .collect();
        check(&json!({"$defs": wide})).unwrap();
    }
}
