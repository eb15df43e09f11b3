//! The one readable source of Kibana's objects, read and checked.

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// The file.
const TEXT: &str = include_str!("../../../deploy/kibana/weir.toml");

/// What Kibana gets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    #[serde(rename = "view")]
    pub(crate) views: Vec<View>,
    #[serde(rename = "search")]
    pub(crate) searches: Vec<Search>,
    #[serde(rename = "dashboard")]
    pub(crate) dashboards: Vec<Dashboard>,
    #[serde(rename = "rule")]
    pub(crate) rules: Vec<Rule>,
}

/// Indices that are looked at together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct View {
    pub(crate) id: String,
    pub(crate) pattern: String,
    pub(crate) name: String,
    pub(crate) time: String,
}

/// A list of documents.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) view: String,
    #[serde(default)]
    pub(crate) filter: String,
    pub(crate) columns: Vec<String>,
}

/// A page of panels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dashboard {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// Title, view, field.
    pub(crate) controls: Vec<[String; 3]>,
    #[serde(rename = "panel")]
    pub(crate) panels: Vec<Panel>,
}

/// A chart.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) kind: Kind,
    pub(crate) view: String,
    #[serde(default)]
    pub(crate) filter: String,
    pub(crate) value: Vec<Call>,
    #[serde(default)]
    pub(crate) by: Vec<Call>,
    /// Label and KQL.
    #[serde(default)]
    pub(crate) steps: Vec<[String; 2]>,
    /// Column, row, width, height.
    pub(crate) at: [u32; 4],
}

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Metric,
    Line,
    Area,
    Bar,
    Pie,
    Table,
    Map,
}

/// An alert rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) every: String,
    pub(crate) within: String,
    pub(crate) esql: Option<String>,
    pub(crate) view: Option<String>,
    pub(crate) above: Option<u64>,
    pub(crate) below: Option<u64>,
}

/// `Label = operation(arguments)`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Call {
    pub(crate) label: String,
    pub(crate) operation: String,
    /// The text between the brackets.
    pub(crate) argument: String,
    /// A number after the last comma, of operations that take one.
    pub(crate) number: Option<u32>,
}

impl TryFrom<String> for Call {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not Label = operation(..)");
        let (label, call) = text.split_once(" = ").ok_or_else(wrong)?;
        let (operation, rest) = call.split_once('(').ok_or_else(wrong)?;
        let inner = rest.strip_suffix(')').ok_or_else(wrong)?;
        let takes_number = matches!(operation, "terms" | "percentile");
        let (argument, number) = match inner.rsplit_once(',') {
            Some((argument, number)) if takes_number => {
                let number = number.trim().parse().map_err(|_| wrong())?;
                (argument, Some(number))
            }
            _ => (inner, None),
        };
        Ok(Self {
            label: label.into(),
            operation: operation.into(),
            argument: argument.trim().into(),
            number,
        })
    }
}

impl Source {
    /// Reads the file for an index prefix.
    pub(crate) fn read(prefix: &str) -> anyhow::Result<Self> {
        let text = TEXT.replace("PREFIX", prefix);
        let source: Self = toml::from_str(&text).context("deploy/kibana/weir.toml")?;
        for dashboard in &source.dashboards {
            for panel in &dashboard.panels {
                source.view(&panel.view)?;
                panel.check().with_context(|| panel.title.clone())?;
            }
        }
        Ok(source)
    }

    /// The view of this name.
    pub(crate) fn view(&self, id: &str) -> anyhow::Result<&View> {
        let view = self.views.iter().find(|view| view.id == id);
        view.with_context(|| format!("no view {id}"))
    }
}

impl Panel {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.value.is_empty(), "no value");
        ensure!(
            self.by.is_empty() || self.steps.is_empty(),
            "either by or steps"
        );
        let buckets = self.by.len() + usize::from(!self.steps.is_empty());
        match self.kind {
            Kind::Metric => ensure!(buckets == 0, "a metric has no buckets"),
            Kind::Map => ensure!(buckets == 1, "a map has one grid"),
            _ => ensure!((1..=2).contains(&buckets), "one or two buckets"),
        }
        let [x, _, width, height] = self.at;
        ensure!(width > 0 && height > 0 && x + width <= 48, "off the grid");
        if self.kind != Kind::Table && self.value.len() > 1 && buckets > 1 {
            bail!("several values and a split cannot be drawn together");
        }
        Ok(())
    }
}
