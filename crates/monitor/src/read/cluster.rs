//! Records out of a cluster, page by page.
//!
//! By the scroll API, which Elasticsearch and OpenSearch have in common; their points in time differ.

use std::collections::VecDeque;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Lines, Span, json as read_json, not_a_page};
use crate::cluster::{Answer, Cluster};

/// Records of a page.
const PAGE: usize = 1000;
/// How long the cluster keeps the search for us between two pages.
const KEPT: &str = "5m";

/// A search for records, in the order of their times.
pub(super) struct Search {
    cluster: Cluster,
    index: String,
    span: Span,
    scroll: Option<String>,
    page: VecDeque<(String, String)>,
    started: bool,
}

impl Search {
    pub(super) fn new(cluster: Cluster, index: &str, span: Span) -> Self {
        let index = format!("{index}-*");
        Self { cluster, index, span, scroll: None, page: VecDeque::new(), started: false }
    }

    fn advance(&mut self) -> Result<Option<(String, String)>> {
        if self.page.is_empty() {
            self.turn()?;
        }
        Ok(self.page.pop_front())
    }

    /// Fetches the next page; the last one is empty.
    fn turn(&mut self) -> Result<()> {
        let answer = match (&self.scroll, self.started) {
            (Some(scroll), _) => {
                let body = json!({"scroll": KEPT, "scroll_id": scroll}).to_string();
                self.ask("_search/scroll", &body)?
            }
            (None, true) => return Ok(()),
            (None, false) => {
                self.started = true;
                let mut range = serde_json::Map::new();
                range.extend(self.span.since.map(|since| ("gte".to_owned(), json!(since.to_string()))));
                range.extend(self.span.until.map(|until| ("lt".to_owned(), json!(until.to_string()))));
                let query =
                    if range.is_empty() { json!({"match_all": {}}) } else { json!({"range": {"timestamp": range}}) };
                let sort = json!([{"timestamp": {"order": "asc", "unmapped_type": "date"}}]);
                let body = json!({"size": PAGE, "sort": sort, "query": query}).to_string();
                self.ask(&format!("{}/_search?scroll={KEPT}", self.index), &body)?
            }
        };
        let url = self.cluster.url().clone();
        let mut page = read_json(&url, &answer.body)?;
        let hits = page.pointer_mut("/hits/hits").and_then(Value::as_array_mut).with_context(|| not_a_page(&url))?;
        for hit in hits.drain(..) {
            let name = |field: &str| hit[field].as_str().unwrap_or_default().to_owned();
            self.page.push_back((format!("{}/{}", name("_index"), name("_id")), hit["_source"].to_string()));
        }
        // Parts of an index that do not answer would be left out in silence.
        let failed = page.pointer("/_shards/failed").and_then(Value::as_u64).unwrap_or(0);
        ensure!(
            failed == 0,
            "{url}: {failed} shards of {} did not answer, so records are missing; try again",
            self.index
        );
        ensure!(page["timed_out"] != true, "{url}: the search took too long, so records are missing; try again");
        self.scroll = page["_scroll_id"].as_str().map(str::to_owned);
        if self.page.is_empty() {
            self.finish();
        }
        Ok(())
    }

    fn ask(&self, path: &str, body: &str) -> Result<Answer> {
        let answer = self.cluster.ask("POST", path, Some(body.as_bytes()))?;
        let kind = answer.error_type().unwrap_or_else(|| "no reason given".to_owned());
        ensure!(
            answer.is_success(),
            "{} refuses the search with status {} ({kind})",
            self.cluster.url(),
            answer.status
        );
        Ok(answer)
    }

    /// Lets the cluster forget the search. If that fails, it forgets by itself.
    fn finish(&mut self) {
        if let Some(scroll) = self.scroll.take() {
            let body = json!({"scroll_id": [scroll]}).to_string();
            let _ = self.cluster.ask("DELETE", "_search/scroll", Some(body.as_bytes()));
        }
    }
}

impl Lines for Search {
    fn next_line(&mut self) -> Option<Result<(String, String)>> {
        self.advance().transpose()
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.finish();
    }
}
