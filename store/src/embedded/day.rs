//! One day: its writer and its reader.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tantivy::collector::Count;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::NoMergePolicy;
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Schema};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument,
    TantivyError, Term,
};

use super::schema;
use crate::{Document, Outcome};

/// Memory in which a writer gathers documents before it writes a segment.
pub(super) const WRITER_BYTES: usize = 24 << 20;

pub(super) struct Day {
    index: Index,
    schema: Schema,
    reader: IndexReader,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    writer: Option<IndexWriter<TantivyDocument>>,
    /// Ids written since the last commit.
    fresh: HashSet<String>,
}

impl State {
    /// Gives up a writer that failed, with all that it held: the next one starts afresh.
    fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Day {
    /// Opens the day in `folder`, making it where it is missing.
    pub(super) fn open(folder: &Path) -> tantivy::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let schema = schema::schema();
        let settings = IndexSettings {
            docstore_compression: Compressor::Zstd(ZstdCompressor::default()),
            ..IndexSettings::default()
        };
        let directory = MmapDirectory::open(folder)?;
        let index = match Index::exists(&directory)? {
            true => Index::open(directory)?,
            false => Index::create(directory, schema, settings)?,
        };
        let schema = index.schema();
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            index,
            schema,
            reader,
            state: Mutex::default(),
        })
    }

    /// What is committed, as it is now.
    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// Creates a document, unless its id is there.
    pub(super) fn write(&self, document: &Document) -> tantivy::Result<Outcome> {
        let mut state = self.state();
        let id = Term::from_field_text(schema::field(&self.schema, schema::ID), &document.id);
        if state.fresh.contains(&document.id) || self.searcher().doc_freq(&id)? > 0 {
            return Ok(Outcome::Duplicate);
        }
        let prepared = match schema::document(&self.schema, document) {
            Ok(prepared) => prepared,
            Err(reason) => {
                return Ok(Outcome::Refused {
                    kind: "document_parsing_exception".into(),
                    reason,
                });
            }
        };
        let writer = match &mut state.writer {
            Some(writer) => writer,
            none => none.insert(self.index.writer_with_num_threads(1, WRITER_BYTES)?),
        };
        if let Err(error) = writer.add_document(prepared) {
            state.forget();
            return Err(error);
        }
        state.fresh.insert(document.id.clone());
        Ok(Outcome::Created)
    }

    /// Makes what was written durable and visible.
    pub(super) fn sync(&self) -> tantivy::Result<()> {
        let mut state = self.state();
        if state.fresh.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.commit(&mut state) {
            state.forget();
            return Err(error);
        }
        state.fresh.clear();
        Ok(())
    }

    fn commit(&self, state: &mut State) -> Result<(), TantivyError> {
        if let Some(writer) = &mut state.writer {
            writer.commit()?;
        }
        self.reader.reload()
    }

    /// Syncs, and gives the writer's memory back.
    pub(super) fn close(&self) -> tantivy::Result<()> {
        self.sync()?;
        if let Some(writer) = self.state().writer.take() {
            writer.wait_merging_threads()?;
        }
        Ok(())
    }

    /// Deletes the documents whose keyword field has this value; returns how many there were. The
    /// files that held them are written anew without them, so that nothing stays on the disk.
    pub(super) fn erase(&self, field: &str, value: &str) -> tantivy::Result<u64> {
        self.sync()?;
        let term = Term::from_field_text(self.schema.get_field(field)?, value);
        let query = TermQuery::new(term.clone(), IndexRecordOption::Basic);
        let mut state = self.state();
        let found = self.searcher().search(&query, &Count)?;
        if found > 0
            && let Err(error) = self.rewrite_without(&mut state, term)
        {
            state.forget();
            return Err(error);
        }
        Ok(found as u64)
    }

    fn rewrite_without(&self, state: &mut State, term: Term) -> tantivy::Result<()> {
        let open = || self.index.writer_with_num_threads(1, WRITER_BYTES);
        let mut writer = match state.writer.take() {
            Some(writer) => writer,
            None => open()?,
        };
        writer.delete_term(term);
        writer.commit()?;
        // Merges under way would take segments from under the next step.
        writer.wait_merging_threads()?;
        let mut writer: IndexWriter<TantivyDocument> = open()?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        for segment in self.index.searchable_segment_metas()? {
            if segment.has_deletes() {
                writer.merge(&[segment.id()]).wait()?;
            }
        }
        self.reader.reload()?;
        writer.garbage_collect_files().wait()?;
        writer.wait_merging_threads()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
