//! The search that a panel sends, and the table that is drawn of the answer.
//!
//! Both come from the same [`Panel`] as the saved objects, so that a server can tell whether a panel has anything to
//! show without Kibana. The requests are equivalent to Kibana's, not the same to the letter: Kibana merges percentiles
//! of one field into one aggregation and numbers its aggregations; here each column has an aggregation with its name.

use serde_json::{Map, Value, json};

use crate::panel::{Chart, Measure, Panel, Split, Statistic, bins};

/// What is looked at: from the first moment to the last, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub from_ms: i64,
    /// The last moment; it belongs to the period.
    pub to_ms: i64,
}

/// How many documents a saved search lists; Discover's default.
const LISTED: u32 = 500;

/// A course has at most this many moments; Kibana's default for `histogram:maxBars`.
const MOMENTS: i64 = 100;

/// Intervals that people can read, in milliseconds: 1 s to 30 days.
const INTERVALS: [i64; 15] = [
    1_000,
    5_000,
    10_000,
    30_000,
    60_000,
    300_000,
    600_000,
    1_800_000,
    3_600_000,
    10_800_000,
    43_200_000,
    86_400_000,
    259_200_000,
    604_800_000,
    2_592_000_000,
];

impl Period {
    /// The shortest readable interval that gives at most a hundred moments, in milliseconds.
    pub fn interval_ms(self) -> i64 {
        let length = self.to_ms - self.from_ms;
        INTERVALS.into_iter().find(|interval| length / interval < MOMENTS).unwrap_or(INTERVALS[INTERVALS.len() - 1])
    }
}

/// What divides the documents of a chart, from the outermost to the innermost, with a name for each.
enum Bucket<'a> {
    Split(&'a Split),
    Time,
    Range,
}

fn buckets(chart: &Chart) -> Vec<(String, Bucket<'_>)> {
    match chart {
        Chart::Number(_) | Chart::Documents { .. } => Vec::new(),
        Chart::Course { split, .. } => {
            let split = split.iter().map(|split| ("split".to_owned(), Bucket::Split(split)));
            split.chain([("time".to_owned(), Bucket::Time)]).collect()
        }
        Chart::Histogram { split, .. } => {
            let split = split.iter().map(|split| ("split".to_owned(), Bucket::Split(split)));
            split.chain([("range".to_owned(), Bucket::Range)]).collect()
        }
        Chart::Table { rows, .. } => {
            rows.iter().enumerate().map(|(index, row)| (format!("row{index}"), Bucket::Split(row))).collect()
        }
    }
}

/// The body of the panel's `_search`.
pub fn search(panel: &Panel, period: Period) -> Value {
    let time = panel.source.time().name;
    let within = json!({"range": {time: {
        "format": "epoch_millis",
        "gte": period.from_ms,
        "lte": period.to_ms,
    }}});
    let mut body = json!({
        "query": {"bool": {"filter": [panel.filter.dsl(), within], "must": [], "must_not": [], "should": []}},
        "size": 0,
        "track_total_hits": true,
    });
    if let Chart::Documents { columns, by, descending } = &panel.chart {
        let mut fields: Vec<&str> = vec![time];
        fields.extend(columns.iter().map(|field| field.name));
        body["_source"] = Value::from(false);
        body["fields"] = Value::from(fields);
        body["size"] = Value::from(LISTED);
        let order = if *descending { "desc" } else { "asc" };
        body["sort"] = json!([{by.name: {"order": order, "unmapped_type": "boolean"}}]);
        return body;
    }
    let mut inner = Map::new();
    for (index, measure) in panel.chart.measures().iter().enumerate() {
        if let Some(aggregation) = statistic(measure.statistic) {
            inner.insert(format!("measure{index}"), aggregation);
        }
    }
    for (name, bucket) in buckets(&panel.chart).into_iter().rev() {
        let mut aggregation = match bucket {
            Bucket::Time => json!({"date_histogram": {
                "extended_bounds": {"max": period.to_ms, "min": period.from_ms},
                "field": time,
                "fixed_interval": format!("{}ms", period.interval_ms()),
                "min_doc_count": 0,
                "time_zone": "UTC",
            }}),
            Bucket::Range => ranges(&panel.chart),
            Bucket::Split(split) => division(split, &panel.chart),
        };
        if !inner.is_empty() {
            aggregation["aggs"] = Value::Object(inner);
        }
        inner = Map::new();
        inner.insert(name, aggregation);
    }
    body["aggs"] = Value::Object(inner);
    body
}

/// The aggregation of a statistic; a count needs none, every group has one.
fn statistic(statistic: Statistic) -> Option<Value> {
    Some(match statistic {
        Statistic::Count => return None,
        Statistic::Average(field) => json!({"avg": {"field": field.name}}),
        Statistic::Maximum(field) => json!({"max": {"field": field.name}}),
        Statistic::Percentile(field, percent) => {
            json!({"percentiles": {"field": field.name, "keyed": false, "percents": [percent]}})
        }
        Statistic::Distinct(field) => json!({"cardinality": {"field": field.name}}),
    })
}

fn ranges(chart: &Chart) -> Value {
    let Chart::Histogram { field, bins: count, .. } = chart else { return json!({}) };
    let ranges: Vec<Value> = bins(*count)
        .map(|(from, to)| to.map_or_else(|| json!({"from": from}), |to| json!({"from": from, "to": to})))
        .collect();
    json!({"range": {"field": field.name, "ranges": ranges}})
}

fn division(split: &Split, chart: &Chart) -> Value {
    match split {
        Split::Values { field, size, .. } => {
            let order = if chart.largest_group_first() { json!({"_count": "desc"}) } else { json!({"_key": "asc"}) };
            json!({"terms": {"field": field.name, "order": order, "size": size}})
        }
        Split::Conditions { parts, .. } => {
            let parts: Map<String, Value> =
                parts.iter().map(|(name, filter)| ((*name).to_owned(), filter.dsl())).collect();
            json!({"filters": {"filters": parts}})
        }
    }
}

/// A row of the table behind a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The groups that it belongs to, outermost first: a value, a condition's name, a moment in milliseconds, the lower
    /// bound of a range. For a document, its columns.
    pub keys: Vec<String>,
    /// Documents in it.
    pub documents: u64,
    /// A value for each measure; `None` where there is nothing to compute it of.
    pub values: Vec<Option<f64>>,
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("panel {panel}: the server's answer has no {what}, which the request asks for")]
pub struct Unreadable {
    /// The panel.
    pub panel: &'static str,
    /// What is missing, as a path in the answer.
    pub what: String,
}

/// The rows that the panel draws of an answer.
///
/// # Errors
///
/// When the answer lacks what [`search`] asks for.
pub fn rows(panel: &Panel, answer: &Value) -> Result<Vec<Row>, Unreadable> {
    let missing = |what: &str| Unreadable { panel: panel.id, what: what.to_owned() };
    if let Chart::Documents { columns, .. } = &panel.chart {
        let hits = answer["hits"]["hits"].as_array().ok_or_else(|| missing("hits.hits"))?;
        let cell = |hit: &Value, name: &str| match &hit["fields"][name] {
            Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
            other => text(other),
        };
        return Ok(hits
            .iter()
            .map(|hit| Row {
                keys: columns.iter().map(|field| cell(hit, field.name)).collect(),
                documents: 1,
                values: Vec::new(),
            })
            .collect());
    }
    let measures = panel.chart.measures();
    let names: Vec<String> = buckets(&panel.chart).into_iter().map(|(name, _)| name).collect();
    let total = answer["hits"]["total"]["value"].as_u64().ok_or_else(|| missing("hits.total.value"))?;
    let mut rows = Vec::new();
    let top = Group { keys: Vec::new(), documents: total, content: &answer["aggregations"] };
    descend(&top, &names, &measures, &mut rows).map_err(|what| missing(&what))?;
    Ok(rows)
}

struct Group<'a> {
    keys: Vec<String>,
    documents: u64,
    content: &'a Value,
}

fn descend(group: &Group<'_>, names: &[String], measures: &[Measure], rows: &mut Vec<Row>) -> Result<(), String> {
    let Some((name, inner)) = names.split_first() else {
        let values = measures.iter().enumerate().map(|(index, measure)| {
            let value = &group.content[format!("measure{index}")];
            match measure.statistic {
                Statistic::Count => Some(group.documents as f64),
                Statistic::Percentile(..) => value["values"][0]["value"].as_f64(),
                _ => value["value"].as_f64(),
            }
        });
        rows.push(Row { keys: group.keys.clone(), documents: group.documents, values: values.collect() });
        return Ok(());
    };
    let children: Vec<(String, &Value)> = match &group.content[name]["buckets"] {
        Value::Array(children) => children.iter().map(|child| (key(child), child)).collect(),
        Value::Object(children) => children.iter().map(|(key, child)| (key.clone(), child)).collect(),
        _ => return Err(format!("aggregations.{name}.buckets")),
    };
    for (key, content) in children {
        let documents = content["doc_count"].as_u64().ok_or_else(|| format!("doc_count in aggregations.{name}"))?;
        let keys = group.keys.iter().cloned().chain([key]).collect();
        descend(&Group { keys, documents, content }, inner, measures, rows)?;
    }
    Ok(())
}

/// The name of a bucket: a range's lower bound, otherwise its key.
fn key(bucket: &Value) -> String {
    match &bucket["from"] {
        Value::Null => match &bucket["key_as_string"] {
            // A moment stays a number; `true` and `false` are 1 and 0 in `key`.
            Value::String(word) if word == "true" || word == "false" => word.clone(),
            _ => text(&bucket["key"]),
        },
        from => text(from),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
