//! The query language: Elasticsearch's query objects as tantivy queries.

use std::ops::Bound;

use event::{Kind, field::field};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, ExistsQuery, Occur, Query, RangeQuery, RegexQuery,
    TermSetQuery,
};
use tantivy::schema::Schema;
use tantivy::{DateTime, Term};

use super::{date_math, schema};
use crate::QueryError;

/// Nesting of `bool` that is read.
const MAX_DEPTH: usize = 16;

/// Reads queries against one schema at one moment.
pub(super) struct Dsl<'a> {
    pub(super) schema: &'a Schema,
    pub(super) now: Timestamp,
}

type Parsed = Result<Box<dyn Query>, QueryError>;

pub(super) fn bad(words: impl Into<String>) -> QueryError {
    QueryError::BadRequest(words.into())
}

impl Dsl<'_> {
    /// Reads a query object.
    pub(super) fn query(&self, value: &Value) -> Parsed {
        self.nested(value, 0)
    }

    fn nested(&self, value: &Value, depth: usize) -> Parsed {
        if depth > MAX_DEPTH {
            return Err(bad("the query is nested too deeply"));
        }
        let (kind, body) = only_member(value, "query")?;
        match kind {
            "match_all" => Ok(Box::new(AllQuery)),
            "match_none" => Ok(Box::new(EmptyQuery)),
            "bool" => self.boolean(object(body, "bool")?, depth),
            "ids" => {
                let values = body["values"]
                    .as_array()
                    .ok_or_else(|| bad("[ids] wants values"))?;
                let place = schema::field(self.schema, schema::ID);
                let ids = values.iter().filter_map(Value::as_str);
                Ok(Box::new(TermSetQuery::new(
                    ids.map(|id| Term::from_field_text(place, id)),
                )))
            }
            "exists" => {
                let name = body["field"]
                    .as_str()
                    .ok_or_else(|| bad("[exists] wants a field"))?;
                match self.resolve(name)? {
                    Some(_) => Ok(Box::new(ExistsQuery::new(name.to_owned(), true))),
                    None => Ok(Box::new(EmptyQuery)),
                }
            }
            "term" | "match" | "match_phrase" => {
                let (name, body) = only_member(body, kind)?;
                let value = body
                    .get("value")
                    .or_else(|| body.get("query"))
                    .unwrap_or(body);
                self.terms(name, std::slice::from_ref(value))
            }
            "terms" => {
                let fields = object(body, kind)?
                    .iter()
                    .find(|(name, _)| *name != "boost");
                let (name, values) = fields.ok_or_else(|| bad("[terms] wants a field"))?;
                let values = values
                    .as_array()
                    .ok_or_else(|| bad("[terms] wants an array"))?;
                self.terms(name, values)
            }
            "prefix" => {
                let (name, body) = only_member(body, kind)?;
                let prefix = body.get("value").unwrap_or(body).as_str();
                self.prefix(name, prefix.ok_or_else(|| bad("[prefix] wants a text"))?)
            }
            "range" => {
                let (name, body) = only_member(body, kind)?;
                self.range(name, object(body, kind)?)
            }
            other => Err(bad(format!("unsupported query [{}]", cut(other)))),
        }
    }

    fn boolean(&self, body: &Map<String, Value>, depth: usize) -> Parsed {
        let mut clauses = Vec::new();
        let mut minimum = None;
        for (name, value) in body {
            let occur = match name.as_str() {
                "must" | "filter" => Occur::Must,
                "should" => Occur::Should,
                "must_not" => Occur::MustNot,
                "minimum_should_match" => {
                    minimum = value.as_u64().or_else(|| value.as_str()?.parse().ok());
                    minimum.ok_or_else(|| bad("[minimum_should_match] wants a number"))?;
                    continue;
                }
                "boost" => continue,
                other => return Err(bad(format!("[bool] does not know [{}]", cut(other)))),
            };
            let values = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            for value in values {
                clauses.push((occur, self.nested(value, depth + 1)?));
            }
        }
        let count = |of| clauses.iter().filter(|(occur, _)| *occur == of).count();
        let (must, should) = (count(Occur::Must), count(Occur::Should));
        if must + should == 0 {
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        let minimum = minimum.unwrap_or(u64::from(must == 0 && should > 0));
        let minimum = usize::try_from(minimum).unwrap_or(usize::MAX);
        Ok(Box::new(BooleanQuery::with_minimum_required_clauses(
            clauses, minimum,
        )))
    }

    fn terms(&self, name: &str, values: &[Value]) -> Parsed {
        let mut terms = Vec::with_capacity(values.len());
        for value in values {
            match self.term(name, value)? {
                Some(term) => terms.push(term),
                None => return Ok(Box::new(EmptyQuery)),
            }
        }
        Ok(Box::new(TermSetQuery::new(terms)))
    }

    /// The term of a value; `None` for a field that no document has.
    fn term(&self, name: &str, value: &Value) -> Result<Option<Term>, QueryError> {
        let Some((place, kind, path)) = self.resolve(name)? else {
            return Ok(None);
        };
        let unfit = || {
            bad(format!(
                "[{}] does not fit field [{}]",
                cut(&value.to_string()),
                cut(name)
            ))
        };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(unfit()),
        };
        Ok(Some(match kind {
            Kind::Keyword | Kind::Ip => Term::from_field_text(place, &text),
            Kind::Double => Term::from_field_f64(place, text.parse().map_err(|_| unfit())?),
            Kind::Long => Term::from_field_i64(place, text.parse().map_err(|_| unfit())?),
            Kind::Boolean => Term::from_field_bool(place, text.parse().map_err(|_| unfit())?),
            Kind::Date => {
                let at = date_math::parse(value, self.now).ok_or_else(unfit)?;
                Term::from_field_date(place, DateTime::from_timestamp_millis(at.as_millisecond()))
            }
            Kind::Flattened => {
                let mut term = Term::from_field_json_path(place, path, false);
                term.append_type_and_str(&text);
                term
            }
            Kind::GeoPoint | Kind::Stored => return Ok(None),
        }))
    }

    fn prefix(&self, name: &str, prefix: &str) -> Parsed {
        match self.resolve(name)? {
            Some((place, Kind::Keyword | Kind::Ip, _)) => {
                let escaped: String = prefix.chars().flat_map(escape).collect();
                let query = RegexQuery::from_pattern(&format!("{escaped}(.|\n)*"), place);
                Ok(Box::new(query.map_err(|_| bad("[prefix] is too long"))?))
            }
            Some(_) => Err(bad(format!(
                "[prefix] wants a keyword, not [{}]",
                cut(name)
            ))),
            None => Ok(Box::new(EmptyQuery)),
        }
    }

    fn range(&self, name: &str, body: &Map<String, Value>) -> Parsed {
        let (mut lower, mut upper) = (Bound::Unbounded, Bound::Unbounded);
        for (bound, value) in body {
            let term = || self.term(name, value);
            match bound.as_str() {
                _ if value.is_null() => {}
                "gte" => lower = term()?.map_or(Bound::Unbounded, Bound::Included),
                "gt" => lower = term()?.map_or(Bound::Unbounded, Bound::Excluded),
                "lte" => upper = term()?.map_or(Bound::Unbounded, Bound::Included),
                "lt" => upper = term()?.map_or(Bound::Unbounded, Bound::Excluded),
                "format" | "boost" => {}
                other => return Err(bad(format!("[range] does not know [{}]", cut(other)))),
            }
        }
        if self.resolve(name)?.is_none() {
            return Ok(Box::new(EmptyQuery));
        }
        if matches!((&lower, &upper), (Bound::Unbounded, Bound::Unbounded)) {
            return Ok(Box::new(ExistsQuery::new(name.to_owned(), true)));
        }
        Ok(Box::new(RangeQuery::new(lower, upper)))
    }

    /// A field's place, kind, and for a member of `props` its name in there; `None` for a field
    /// that is not in the table, as no document has it.
    fn resolve<'n>(
        &self,
        name: &'n str,
    ) -> Result<Option<(tantivy::schema::Field, Kind, &'n str)>, QueryError> {
        let (root, path) = match field(name) {
            Some(_) => (name, ""),
            None => name.split_once('.').unwrap_or((name, "")),
        };
        let Some(known) = field(root) else {
            return Ok(None);
        };
        if matches!(known.kind, Kind::GeoPoint | Kind::Stored) {
            let words = format!("field [{}] is kept and cannot be searched", cut(root));
            return Err(bad(words));
        }
        let is_nested = known.kind == Kind::Flattened;
        let place = self.schema.get_field(root).ok();
        let is_whole = is_nested != path.is_empty();
        Ok(place
            .filter(|_| is_whole)
            .map(|place| (place, known.kind, path)))
    }
}

/// The name and value of an object with one member.
pub(super) fn only_member<'a>(
    value: &'a Value,
    what: &str,
) -> Result<(&'a str, &'a Value), QueryError> {
    let members = object(value, what)?;
    match members.iter().next() {
        Some((name, value)) if members.len() == 1 => Ok((name, value)),
        _ => Err(bad(format!("[{what}] wants exactly one member"))),
    }
}

pub(super) fn object<'a>(
    value: &'a Value,
    what: &str,
) -> Result<&'a Map<String, Value>, QueryError> {
    value
        .as_object()
        .ok_or_else(|| bad(format!("[{what}] wants an object")))
}

/// A part of a request, short enough to be said back.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let special = r"\.+*?()|[]{}^$#&-~".contains(c);
    special
        .then_some('\\')
        .into_iter()
        .chain(std::iter::once(c))
}
