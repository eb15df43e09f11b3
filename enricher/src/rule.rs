//! Changes that the user declares: set, compute, rename, remove, drop, each under a condition.
//!
//! Conditions are expressions of minijinja over the event's fields, each with a bounded number of
//! instructions. One that fails leaves the event as it is and is counted.

use std::sync::LazyLock;

use anyhow::{Context as _, ensure};
use minijinja::value::ValueKind;
use minijinja::{Environment, Expression, UndefinedBehavior, Value as Term};
use serde_json::Value as Json;

use crate::config;
use crate::document::props::Prop;
use crate::document::{Document, Value, repair};
use crate::slot::{self, Slot};

/// Instructions that an expression may take: a comparison takes three. A loop over everything in a
/// large event stops here, after less than a millisecond.
const MAX_INSTRUCTIONS: u64 = 10_000;

/// Longest expression, in bytes.
const MAX_EXPRESSION_BYTES: usize = 2_048;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(MAX_INSTRUCTIONS));
    environment
});

/// Fields that no rule may change: by them events are found and told apart.
const FIXED: [Slot; 3] = [slot::EVENT_ID, slot::TIMESTAMP, slot::WEIR_VERSION];

/// An expression and the names that it reads.
#[derive(Debug)]
struct Compiled {
    expression: Expression<'static, 'static>,
    names: Vec<Name>,
}

#[derive(Debug)]
enum Name {
    Slot(Slot, &'static str),
    Props,
}

/// A field of the table or a member of `props`.
#[derive(Debug)]
enum Place {
    Slot(Slot),
    Prop(String),
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    when: Option<Compiled>,
    drop: bool,
    set: Vec<(Place, Json)>,
    compute: Vec<(Place, Compiled)>,
    remove: Vec<Place>,
    rename: Vec<(Place, Place)>,
}

/// What a rule did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its condition did not hold.
    Passed,
    /// It changed the event.
    Matched,
    /// It matched, and the event is not to be kept.
    Dropped,
    /// An expression failed or took too long.
    Failed,
}

impl Rule {
    /// Compiles a rule.
    ///
    /// # Errors
    /// When an expression cannot be read or a field not be changed; names the rule.
    pub(crate) fn new(settings: &config::Rule) -> anyhow::Result<Self> {
        Self::compile(settings).with_context(|| format!("[[enricher.rule]] {}", settings.name))
    }

    fn compile(settings: &config::Rule) -> anyhow::Result<Self> {
        let is_idle = settings.set.is_empty()
            && settings.compute.is_empty()
            && settings.remove.is_empty()
            && settings.rename.is_empty();
        ensure!(
            !is_idle || settings.drop,
            "set, compute, remove, rename or drop is wanted"
        );
        let mut compute = Vec::new();
        for (name, expression) in &settings.compute {
            compute.push((place(name)?, Compiled::new(expression)?));
        }
        Ok(Self {
            when: match settings.when.trim() {
                "" => None,
                when => Some(Compiled::new(when).context("when")?),
            },
            drop: settings.drop,
            set: settings
                .set
                .iter()
                .map(|(name, value)| Ok((place(name)?, value.clone())))
                .collect::<anyhow::Result<_>>()?,
            compute,
            remove: settings
                .remove
                .iter()
                .map(|name| place(name))
                .collect::<anyhow::Result<_>>()?,
            rename: settings
                .rename
                .iter()
                .map(|(from, to)| Ok((place(from)?, place(to)?)))
                .collect::<anyhow::Result<_>>()?,
        })
    }

    /// The step.
    pub(crate) fn apply(&self, document: &mut Document<'_>) -> Outcome {
        self.try_apply(document).unwrap_or(Outcome::Failed)
    }

    fn try_apply(&self, document: &mut Document<'_>) -> Result<Outcome, minijinja::Error> {
        if let Some(when) = &self.when
            && !when.eval(document)?.is_true()
        {
            return Ok(Outcome::Passed);
        }
        if self.drop {
            return Ok(Outcome::Dropped);
        }
        // All values first: a rule that fails half-way changes nothing.
        let mut computed = Vec::with_capacity(self.compute.len());
        for (place, expression) in &self.compute {
            let value = expression.eval(document)?;
            computed.push((place, json_of(&value)));
        }
        for (from, to) in &self.rename {
            rename(document, from, to);
        }
        for place in &self.remove {
            match place {
                Place::Slot(slot) => document.clear(*slot),
                Place::Prop(name) => document.props.remove(name),
            }
        }
        for (place, value) in self.set.iter().map(|(place, value)| (place, value.clone())) {
            set(document, place, value);
        }
        for (place, value) in computed {
            set(document, place, value);
        }
        Ok(Outcome::Matched)
    }
}

fn place(name: &str) -> anyhow::Result<Place> {
    if let Some(slot) = Slot::find(name) {
        ensure!(
            !FIXED.contains(&slot) && slot != slot::PROPS,
            "{name} cannot be changed"
        );
        return Ok(Place::Slot(slot));
    }
    let name = name.strip_prefix("props.").unwrap_or(name);
    ensure!(!name.is_empty(), "a field has no name");
    Ok(Place::Prop(name.to_owned()))
}

fn set(document: &mut Document<'_>, place: &Place, value: Json) {
    match place {
        Place::Slot(slot) => repair::set(document, *slot, value),
        Place::Prop(name) => {
            document.props.remove(name);
            document.props.add(name.to_owned(), value);
        }
    }
}

fn rename(document: &mut Document<'_>, from: &Place, to: &Place) {
    match (from, to) {
        (Place::Prop(from), Place::Prop(to)) => document.props.rename(from, to),
        (Place::Prop(name), Place::Slot(_)) => {
            let value = match document.props.find(name) {
                None => return,
                Some(Prop::Text(text)) => Json::from(&**text),
                Some(Prop::Json(json)) => json.clone(),
            };
            document.props.remove(name);
            set(document, to, value);
        }
        (Place::Slot(slot), to) => {
            let value = repair::json_of(&document.take(*slot));
            if !value.is_null() {
                set(document, to, value);
            }
        }
    }
}

impl Compiled {
    fn new(expression: &str) -> anyhow::Result<Self> {
        ensure!(
            expression.len() <= MAX_EXPRESSION_BYTES,
            "the expression is longer than 2 KiB"
        );
        let compiled = ENVIRONMENT
            .compile_expression_owned(expression.to_owned())
            .map_err(|error| anyhow::anyhow!("{expression:?}: {error}"))?;
        let mut names = Vec::new();
        for name in compiled.undeclared_variables(false) {
            names.push(match Slot::find(&name) {
                _ if name == "props" => Name::Props,
                Some(slot) => Name::Slot(slot, slot.field().name),
                None => anyhow::bail!(
                    "{expression:?}: there is no field {name}; members of props are props.{name}"
                ),
            });
        }
        Ok(Self {
            expression: compiled,
            names,
        })
    }

    fn eval(&self, document: &Document<'_>) -> Result<Term, minijinja::Error> {
        let context = self.names.iter().map(|name| match name {
            Name::Slot(slot, name) => (*name, term(document.value(*slot))),
            Name::Props => {
                let props = document.props.members().map(|(name, prop)| {
                    let value = match prop {
                        Prop::Text(text) => Term::from(&**text),
                        Prop::Json(json) => term_of(json),
                    };
                    (name.to_owned(), value)
                });
                ("props", Term::from_pairs(props))
            }
        });
        self.expression.eval(Term::from_pairs(context))
    }
}

fn term(value: &Value<'_>) -> Term {
    match value {
        Value::Absent => Term::UNDEFINED,
        Value::Text(text) => Term::from(&**text),
        Value::Long(number) => Term::from(*number),
        Value::Double(number) => Term::from(*number),
        Value::Boolean(truth) => Term::from(*truth),
        other => term_of(&repair::json_of(other)),
    }
}

fn term_of(json: &Json) -> Term {
    match json {
        Json::Null => Term::UNDEFINED,
        Json::Bool(truth) => Term::from(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Term::from(whole),
            None => Term::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Term::from(text.as_str()),
        Json::Array(items) => items.iter().map(term_of).collect(),
        Json::Object(members) => Term::from_pairs(
            members
                .iter()
                .map(|(name, value)| (name.clone(), term_of(value))),
        ),
    }
}

/// What an expression came to.
fn json_of(term: &Term) -> Json {
    if let Some(text) = term.as_str() {
        return text.into();
    }
    match term.kind() {
        ValueKind::Bool => term.is_true().into(),
        ValueKind::Number => match i64::try_from(term.clone()) {
            Ok(whole) if term.is_integer() => whole.into(),
            _ => f64::try_from(term.clone()).map_or(Json::Null, Json::from),
        },
        ValueKind::Undefined | ValueKind::None => Json::Null,
        _ => term.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{read, write};

    fn rule(json: Json) -> anyhow::Result<Rule> {
        let texts = |name: &str| {
            let object = json[name].as_object().cloned().unwrap_or_default();
            let texts = object
                .into_iter()
                .map(|(k, v)| (k, v.as_str().unwrap().to_owned()));
            texts.collect()
        };
        let remove = json["remove"].as_array().cloned().unwrap_or_default();
        Rule::new(&config::Rule {
            name: "test".into(),
            when: json["when"].as_str().unwrap_or_default().into(),
            drop: json["drop"].as_bool().unwrap_or_default(),
            set: json["set"]
                .as_object()
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            compute: texts("compute"),
            remove: remove
                .iter()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect(),
            rename: texts("rename"),
        })
    }

    fn check(settings: Json, expected: (Outcome, Json)) {
        let raw = json!({"event_type": "view", "site": "shop", "engaged_ms": 1500,
            "props": {"plan": "pro", "n": 3}});
        let raw = raw.to_string();
        let mut document = read::document(raw.as_bytes()).unwrap();
        repair::repair(&mut document);
        let outcome = rule(settings).unwrap().apply(&mut document);
        let written: Json = serde_json::from_slice(&write::json(&document)).unwrap();
        assert_eq!((outcome, written), expected);
    }

    #[test]
    fn conditions_read_fields_and_props() {
        let same = json!({"event_type": "view", "site": "shop", "engaged_ms": 1500,
            "props": {"plan": "pro", "n": 3}});
        for (when, expected) in [
            (
                "site == 'shop' and props.plan in ['pro', 'team']",
                Outcome::Dropped,
            ),
            ("engaged_ms > 1000 and props.n == 3", Outcome::Dropped),
            ("site is startingwith('sh')", Outcome::Dropped),
            ("utm_source == 'x' or geo_country", Outcome::Passed),
            ("props.none.deep", Outcome::Passed),
            ("engaged_ms + site", Outcome::Failed),
        ] {
            check(
                json!({"when": when, "drop": true}),
                (expected, same.clone()),
            );
        }
    }

    #[test]
    fn fields_are_set_computed_renamed_and_removed() {
        check(
            json!({"set": {"site": "web", "props.team": "core"}, "compute": {"scroll_percent": "props.n * 10", "props.sec": "engaged_ms / 1000"},
                "rename": {"props.plan": "utm_campaign"}, "remove": ["engaged_ms", "props.n"]}),
            (
                Outcome::Matched,
                json!({"event_type": "view", "site": "web", "utm_campaign": "pro", "scroll_percent": 30.0,
                    "props": {"team": "core", "sec": 1.5}}),
            ),
        );
    }

    #[test]
    fn endless_expressions_are_stopped() {
        let long = "range(100000)|map('upper')|list|length > range(100000)|list|length";
        let raw = br#"{"event_type":"a","props":{"l":[1,2,3]}}"#;
        let mut document = read::document(raw).unwrap();
        let all = rule(json!({"when": long, "drop": true}));
        if let Ok(rule) = all {
            let start = std::time::Instant::now();
            rule.apply(&mut document);
            assert!(start.elapsed().as_secs() < 5);
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (settings, words) in [
            (json!({"when": "site ==", "drop": true}), "unexpected"),
            (
                json!({"when": "sitee == 'a'", "drop": true}),
                "there is no field sitee",
            ),
            (
                json!({"set": {"event_id": "1"}}),
                "event_id cannot be changed",
            ),
            (json!({"when": "site"}), "drop is wanted"),
        ] {
            let error = format!("{:#}", rule(settings).unwrap_err());
            assert!(
                error.contains(words) && error.contains("[[enricher.rule]] test"),
                "{error}"
            );
        }
    }
}
