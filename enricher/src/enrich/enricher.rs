//! Everything that the steps need, made from the settings once.

use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use event::Forgotten;

use crate::agent::Agents;
use crate::burst::Bursts;
use crate::config::Config;
use crate::datacentre::Datacentres;
use crate::document::Document;
use crate::duplicate::Duplicates;
use crate::geo::Databases;
use crate::lookup::Lookup;
use crate::reload::{File, Reload};
use crate::rule::Rule;
use crate::schema::Schemas;
use crate::scrub::Scrub;
use crate::scrub::pseudonym::Pseudonyms;
use crate::slot::{self, Slot};
use crate::source::own::Own;

/// Everything that the steps need: settings, parser, GeoIP files. Shared by all threads.
#[derive(Debug)]
pub struct Enricher {
    pub(crate) config: Config,
    pub(crate) agents: Agents,
    pub(crate) databases: Arc<ArcSwap<Databases>>,
    pub(crate) own: Option<Arc<File<Own>>>,
    /// The visitors whose data was deleted.
    pub(crate) forgotten: Arc<ArcSwap<Forgotten>>,
    pub(crate) datacentres: Datacentres,
    pub(super) schemas: Schemas,
    pub(super) lookups: Vec<Lookup>,
    pub(super) rules: Vec<Rule>,
    pub(super) bursts: Option<Bursts>,
    pub(super) duplicates: Option<Duplicates>,
    pub(crate) scrub: Scrub,
    pub(super) pseudonyms: Option<Pseudonyms>,
    dropped_slots: Vec<Slot>,
    dropped_props: Vec<String>,
}

impl Enricher {
    /// Opens the files that the settings name and makes the tables.
    ///
    /// # Errors
    /// When a file or a rule cannot be used; names the setting.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let databases = Databases::open(&config.geoip)?;
        let (dropped_slots, dropped_props) = config.dropped();
        let own = config.rules_file.as_deref();
        let own = own.map(|path| File::open(path, Own::read).context("[enricher] rules_file"));
        let lookups = config.lookups.iter().map(Lookup::open);
        let rules = config.rules.iter().map(Rule::new);
        Ok(Self {
            own: own.transpose()?.map(Arc::new),
            forgotten: Arc::default(),
            datacentres: Datacentres::new(&config.datacentre_as)?,
            schemas: Schemas::open(&config)?,
            lookups: lookups.collect::<anyhow::Result<_>>()?,
            rules: rules.collect::<anyhow::Result<_>>()?,
            bursts: Bursts::new(config.burst_per_minute),
            duplicates: Duplicates::new(config.duplicate_window),
            scrub: Scrub::new(&config),
            pseudonyms: Pseudonyms::new(&config.privacy),
            agents: Agents::open(config.user_agent_regexes.as_deref())?,
            config,
            databases: Arc::new(ArcSwap::from_pointee(databases)),
            dropped_slots,
            dropped_props,
        })
    }

    /// The tables in files that are looked at for changes.
    pub(crate) fn files(&self) -> Vec<Arc<dyn Reload>> {
        let own = self.own.iter().map(|file| file.clone() as Arc<dyn Reload>);
        let lookups = self.lookups.iter().map(|lookup| lookup.file.clone() as _);
        let agents = self.agents.file();
        own.chain(lookups)
            .chain(self.schemas.files())
            .chain(agents)
            .collect()
    }

    /// Takes out the members that settings leave out.
    pub(super) fn drop_fields(&self, document: &mut Document<'_>) {
        for slot in &self.dropped_slots {
            document.clear(*slot);
            if *slot == slot::PROPS {
                document.props.clear();
            }
        }
        for name in &self.dropped_props {
            document.props.remove(name);
        }
    }
}
