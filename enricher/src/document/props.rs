//! `props`: the members that Weir does not know, as one flat and bounded object.
//!
//! Nested objects become dotted names, which is how both engines address them; arrays of plain
//! values stay; anything deeper becomes its JSON text. So no engine meets a depth, a name or a
//! value that it would refuse.

use std::borrow::Cow;

use event::limits::{MAX_PROP_NAME_CHARS, MAX_PROP_VALUE_CHARS, MAX_PROPS};
use serde_json::Value as Json;

use super::flat::{self, Member};
use super::repair::clean;

/// Most items kept of an array.
const MAX_ITEMS: usize = 50;

/// One value.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Prop<'a> {
    /// Text within its bound.
    Text(Cow<'a, str>),
    /// A number, a truth, or an array of plain values.
    Json(Json),
}

/// The members, in the order added.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Props<'a> {
    members: Vec<(Cow<'a, str>, Prop<'a>)>,
    /// Whether something did not fit and was left out.
    pub(crate) is_cut: bool,
}

impl<'a> Props<'a> {
    /// Whether there is no member.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members, in the order added.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Prop<'a>)> {
        self.members.iter().map(|(name, prop)| (&**name, prop))
    }

    /// Adds the members of an object that was left as it was sent.
    pub(crate) fn add_raw(&mut self, raw: &'a str) {
        flat::members_of(raw, |name, member| match member {
            Member::Text(text) => self.add_text(name, text),
            Member::Other(value) => self.add(name, value),
        });
    }

    /// Adds a value, flattening it; null is left out.
    pub(crate) fn add(&mut self, name: impl Into<Cow<'a, str>>, value: Json) {
        let name = name.into();
        match value {
            Json::Null => {}
            Json::Object(members) => {
                for (inner, value) in members {
                    self.add(format!("{name}.{inner}"), value);
                }
            }
            Json::Array(items) if items.iter().any(|i| i.is_array() || i.is_object()) => {
                self.add_text(name, Json::Array(items).to_string());
            }
            Json::Array(mut items) => {
                items.retain(|item| !item.is_null());
                self.is_cut |= items.len() > MAX_ITEMS;
                items.truncate(MAX_ITEMS);
                for item in &mut items {
                    if let Json::String(text) = item
                        && let Some(cleaned) = clean(text, MAX_PROP_VALUE_CHARS)
                    {
                        *text = cleaned;
                    }
                }
                if !items.is_empty() {
                    self.push(name, Prop::Json(Json::Array(items)));
                }
            }
            Json::String(text) => self.add_text(name, text),
            plain => self.push(name, Prop::Json(plain)),
        }
    }

    /// Adds a text.
    pub(crate) fn add_text(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        text: impl Into<Cow<'a, str>>,
    ) {
        let text = text.into();
        let text = clean(&text, MAX_PROP_VALUE_CHARS).map_or(text, Cow::Owned);
        self.push(name.into(), Prop::Text(text));
    }

    /// The member of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Prop<'a>> {
        let found = self.members.iter().find(|(member, _)| member == name);
        found.map(|(_, prop)| prop)
    }

    /// Sets a member, replacing what has its name.
    pub(crate) fn set(&mut self, name: &str, prop: Prop<'a>) {
        match self.members.iter_mut().find(|(member, _)| member == name) {
            Some((_, place)) => *place = prop,
            None => self.push(name.to_owned().into(), prop),
        }
    }

    /// Gives a member another name.
    pub(crate) fn rename(&mut self, name: &str, other: &str) {
        if let Some(at) = self.members.iter().position(|(member, _)| member == name) {
            let (_, prop) = self.members.remove(at);
            self.set(other, prop);
        }
    }

    /// Lets every value be changed in place.
    pub(crate) fn edit(&mut self, mut change: impl FnMut(&str, &mut Prop<'a>)) {
        for (name, prop) in &mut self.members {
            change(name, prop);
        }
    }

    /// Gives other names to the members for which `other` has one; equal ones get a number.
    pub(crate) fn rename_all(&mut self, mut other: impl FnMut(&str) -> Option<String>) {
        let names: Vec<_> = self.members.iter().map(|(name, _)| other(name)).collect();
        if names.iter().all(Option::is_none) {
            return;
        }
        for ((name, prop), other) in std::mem::take(&mut self.members).into_iter().zip(names) {
            self.push(other.map_or(name, Cow::Owned), prop);
        }
    }

    /// Removes every member.
    pub(crate) fn clear(&mut self) {
        self.members.clear();
    }

    /// Removes the members of this name and below it.
    pub(crate) fn remove(&mut self, name: &str) {
        self.members.retain(|(member, _)| {
            let rest = member.strip_prefix(name);
            !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
    }

    fn push(&mut self, name: Cow<'a, str>, prop: Prop<'a>) {
        if self.members.len() >= MAX_PROPS {
            self.is_cut = true;
            return;
        }
        let mut name = clean(&name, MAX_PROP_NAME_CHARS).map_or(name, Cow::Owned);
        if name.is_empty() {
            // Engines differ about empty names.
            name = "_".into();
        }
        // A name that is taken gets a number, so that nothing sent is lost.
        let taken = |name: &str| self.members.iter().any(|(member, _)| member == name);
        if taken(&name) {
            if self.members.iter().any(|(n, p)| *n == name && *p == prop) {
                return;
            }
            let base: String = name.chars().take(MAX_PROP_NAME_CHARS - 4).collect();
            let free = (2..=MAX_PROPS + 2)
                .map(|number| format!("{base}_{number}"))
                .find(|name| !taken(name));
            let Some(free) = free else { return };
            name = free.into();
        }
        self.members.push((name, prop));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flat(value: Json) -> Vec<(Cow<'static, str>, Prop<'static>)> {
        let mut props = Props::default();
        let Json::Object(members) = value else {
            unreachable!("a test gives an object")
        };
        members
            .into_iter()
            .for_each(|(name, value)| props.add(name, value));
        props.members
    }

    #[test]
    fn objects_become_dotted_names() {
        let members =
            flat(json!({"a": {"b": {"c": 1}, "d": [1, "x"]}, "e": [{"f": 1}], "n": null}));
        assert_eq!(
            members,
            [
                ("a.b.c".into(), Prop::Json(json!(1))),
                ("a.d".into(), Prop::Json(json!([1, "x"]))),
                ("e".into(), Prop::Text("[{\"f\":1}]".into())),
            ]
        );
    }

    #[test]
    fn names_values_and_count_are_bounded() {
        let many: Json = (0..200)
            .map(|n| (format!("p{n}"), json!(n)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        assert_eq!(flat(many).len(), MAX_PROPS);
        let long = flat(json!({"é".repeat(40_000): "ü".repeat(9_000)}));
        assert_eq!(long[0].0.chars().count(), MAX_PROP_NAME_CHARS);
        assert_eq!(
            long[0].1,
            Prop::Text("ü".repeat(MAX_PROP_VALUE_CHARS).into())
        );
        assert_eq!(flat(json!({"": 1, "a\u{0}b": 2}))[1].0, "a\u{fffd}b");
    }

    #[test]
    fn taken_names_get_a_number() {
        let mut props = Props::default();
        props.add("a", json!(1));
        props.add("a", json!(2));
        props.add("a", json!(2));
        let names: Vec<_> = props.members().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["a", "a_2", "a_3"]);
    }
}
