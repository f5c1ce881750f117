//! A panel for OpenSearch Dashboards, which has no Lens: a `visualization` of the kinds that Kibana 7.10 had, or a saved
//! search. The forms are those of Kibana 7.10's exports, which OpenSearch Dashboards kept.

use serde_json::{Map, Value, json};

use crate::field::Field;
use crate::lens::{object_id, saved_search, search_reference, search_source, title};
use crate::panel::{Chart, Measure, Panel, Shape, Source, Split, Statistic, bins};
use crate::saved_object::{Reference, SavedObject, Version};

/// The index pattern over a source's indices.
pub fn index_pattern(source: Source) -> SavedObject {
    SavedObject {
        attributes: json!({"timeFieldName": source.time().name, "title": source.indices()}),
        id: source.data_view().to_owned(),
        references: Vec::new(),
        kind: "index-pattern",
        version: Version::open_search("index-pattern"),
    }
}

/// The panel as a saved object of its own.
pub fn visualization(panel: &Panel) -> SavedObject {
    if let Chart::Documents { .. } = &panel.chart {
        let mut search = saved_search(panel);
        // 7.x had these two; its Discover expects them.
        search.attributes["hits"] = Value::from(0);
        search.attributes["version"] = Value::from(1);
        return SavedObject { version: Version::open_search("search"), ..search };
    }
    let aggregations = Aggregations::of(&panel.chart, panel.source);
    let (kind, params) = drawing(&panel.chart, &aggregations);
    let state = json!({"aggs": aggregations.list, "params": params, "title": title(panel), "type": kind});
    SavedObject {
        attributes: json!({
            "description": panel.description,
            "kibanaSavedObjectMeta": {"searchSourceJSON": search_source(panel)},
            "title": title(panel),
            "uiStateJSON": "{}",
            "version": 1,
            "visState": state.to_string(),
        }),
        id: object_id(panel),
        references: vec![search_reference(panel.source)],
        kind: "visualization",
        version: Version::open_search("visualization"),
    }
}

/// The aggregations of a visualisation, numbered from 1: measures first, then what divides.
struct Aggregations {
    list: Vec<Value>,
    /// Number and name of each measure.
    measures: Vec<(String, String)>,
}

impl Aggregations {
    fn of(chart: &Chart, source: Source) -> Self {
        let mut all = Self { list: Vec::new(), measures: Vec::new() };
        all.add_measures(&chart.measures());
        match chart {
            Chart::Number(_) | Chart::Documents { .. } => {}
            Chart::Course { split, .. } => {
                all.add_split("group", split.as_ref(), chart);
                let field = source.time().name;
                all.add(
                    "date_histogram",
                    "segment",
                    json!({
                        "drop_partials": false,
                        "extended_bounds": {},
                        "field": field,
                        "interval": "auto",
                        "min_doc_count": 1,
                        "scaleMetricValues": false,
                        "useNormalizedOpenSearchInterval": true,
                    }),
                );
            }
            Chart::Histogram { field, bins: count, split } => {
                all.add_split("group", split.as_ref(), chart);
                let ranges: Vec<Value> = bins(*count)
                    .map(|(from, to)| to.map_or_else(|| json!({"from": from}), |to| json!({"from": from, "to": to})))
                    .collect();
                all.add("range", "segment", json!({"field": field.name, "ranges": ranges}));
            }
            Chart::Table { rows, .. } => {
                for row in rows {
                    all.add_split("bucket", Some(row), chart);
                }
            }
        }
        all
    }

    fn add(&mut self, kind: &str, schema: &str, params: Value) -> String {
        let id = (self.list.len() + 1).to_string();
        self.list.push(json!({"enabled": true, "id": id, "params": params, "schema": schema, "type": kind}));
        id
    }

    /// Percentiles of one field are one aggregation here, with a series for each.
    fn add_measures(&mut self, measures: &[Measure]) {
        let mut percentiles: Vec<(Field, Vec<f64>)> = Vec::new();
        for measure in measures {
            let label = measure.label;
            let (kind, field) = match measure.statistic {
                Statistic::Count => ("count", None),
                Statistic::Average(field) => ("avg", Some(field)),
                Statistic::Maximum(field) => ("max", Some(field)),
                Statistic::Distinct(field) => ("cardinality", Some(field)),
                Statistic::Percentile(field, percent) => {
                    match percentiles.iter_mut().find(|(of, _)| *of == field) {
                        Some((_, percents)) => percents.push(percent),
                        None => percentiles.push((field, vec![percent])),
                    }
                    continue;
                }
            };
            let mut params = json!({"customLabel": label});
            if let Some(field) = field {
                params["field"] = Value::from(field.name);
            }
            let id = self.add(kind, "metric", params);
            self.measures.push((id, label.to_owned()));
        }
        for (field, percents) in percentiles {
            let id = self.add("percentiles", "metric", json!({"field": field.name, "percents": percents}));
            // The series of one aggregation share its settings.
            self.measures.push((id, format!("Percentiles of {}", field.name)));
        }
    }

    fn add_split(&mut self, schema: &str, split: Option<&Split>, chart: &Chart) {
        match split {
            None => {}
            Some(Split::Values { field, label, size }) => {
                // Measures come first, so the first measure is aggregation 1.
                let (by, order) = if chart.largest_group_first() { ("1", "desc") } else { ("_key", "asc") };
                let params = json!({
                    "customLabel": label,
                    "field": field.name,
                    "missingBucket": false,
                    "missingBucketLabel": "Missing",
                    "order": order,
                    "orderBy": by,
                    "otherBucket": false,
                    "otherBucketLabel": "Other",
                    "size": size,
                });
                self.add("terms", schema, params);
            }
            Some(Split::Conditions { parts, .. }) => {
                let filters: Vec<Value> = parts
                    .iter()
                    .map(|(name, filter)| json!({"input": {"language": "kuery", "query": filter.kql()}, "label": name}))
                    .collect();
                self.add("filters", schema, json!({"filters": filters}));
            }
        }
    }
}

/// The kind of visualisation, and its parameters.
fn drawing(chart: &Chart, aggregations: &Aggregations) -> (&'static str, Value) {
    match chart {
        Chart::Number(_) | Chart::Documents { .. } => (
            "metric",
            json!({
                "addLegend": false,
                "addTooltip": true,
                "metric": {
                    "colorSchema": "Green to Red",
                    "colorsRange": [{"from": 0, "to": 10000}],
                    "invertColors": false,
                    "labels": {"show": true},
                    "metricColorMode": "None",
                    "percentageMode": false,
                    "style": {"bgColor": false, "bgFill": "#000", "fontSize": 36, "labelColor": false, "subText": ""},
                    "useRanges": false,
                },
                "type": "metric",
            }),
        ),
        Chart::Course { shape: Shape::Lines, .. } => ("line", axes("line", "normal", "normal", aggregations)),
        Chart::Course { shape: Shape::Bars, .. } | Chart::Histogram { .. } => {
            ("histogram", axes("histogram", "stacked", "normal", aggregations))
        }
        Chart::Course { shape: Shape::Shares, .. } => ("area", axes("area", "stacked", "percentage", aggregations)),
        Chart::Table { .. } => (
            "table",
            json!({
                "perPage": 10,
                "percentageCol": "",
                "showMetricsAtAllLevels": false,
                "showPartialRows": false,
                "showTotal": false,
                "sort": {"columnIndex": null, "direction": null},
                "totalFunc": "sum",
            }),
        ),
    }
}

fn axes(kind: &str, stacking: &str, scale: &str, aggregations: &Aggregations) -> Value {
    let series: Vec<Value> = aggregations
        .measures
        .iter()
        .map(|(id, label)| {
            json!({
                "data": {"id": id, "label": label},
                "drawLinesBetweenPoints": true,
                "interpolate": "linear",
                "lineWidth": 2,
                "mode": stacking,
                "show": true,
                "showCircles": true,
                "type": kind,
                "valueAxis": "ValueAxis-1",
            })
        })
        .collect();
    json!({
        "addLegend": true,
        "addTimeMarker": false,
        "addTooltip": true,
        "categoryAxes": [{
            "id": "CategoryAxis-1",
            "labels": {"filter": true, "show": true, "truncate": 100},
            "position": "bottom",
            "scale": {"type": "linear"},
            "show": true,
            "style": {},
            "title": {},
            "type": "category",
        }],
        "grid": {"categoryLines": false},
        "labels": {"show": false},
        "legendPosition": "right",
        "seriesParams": series,
        "thresholdLine": {"color": "#E7664C", "show": false, "style": "full", "value": 10, "width": 1},
        "times": [],
        "type": kind,
        "valueAxes": [{
            "id": "ValueAxis-1",
            "labels": {"filter": false, "rotate": 0, "show": true, "truncate": 100},
            "name": "LeftAxis-1",
            "position": "left",
            "scale": {"mode": scale, "type": "linear"},
            "show": true,
            "style": {},
            "title": {"text": ""},
            "type": "value",
        }],
    })
}

/// The dashboard with these panels.
pub fn dashboard(title: &str, description: &str, panels: &[Panel]) -> SavedObject {
    let mut references = Vec::new();
    let mut placed = Vec::new();
    for (index, panel) in panels.iter().enumerate() {
        let place = panel.place;
        placed.push(json!({
            "embeddableConfig": {},
            "gridData": {"h": place.height, "i": panel.id, "w": place.width, "x": place.x, "y": place.y},
            "panelIndex": panel.id,
            "panelRefName": format!("panel_{index}"),
            "title": panel.title,
            "version": "7.10.0",
        }));
        let kind = visualization(panel).kind;
        references.push(Reference { id: object_id(panel), name: format!("panel_{index}"), kind });
    }
    let mut attributes = Map::new();
    let search = json!({"filter": [], "query": {"language": "kuery", "query": ""}}).to_string();
    attributes.insert("description".into(), description.into());
    attributes.insert("hits".into(), 0.into());
    attributes.insert("kibanaSavedObjectMeta".into(), json!({"searchSourceJSON": search}));
    attributes.insert("optionsJSON".into(), json!({"hidePanelTitles": false, "useMargins": true}).to_string().into());
    attributes.insert("panelsJSON".into(), Value::from(placed).to_string().into());
    attributes.insert("refreshInterval".into(), json!({"pause": true, "value": 60000}));
    attributes.insert("timeFrom".into(), "now-7d".into());
    attributes.insert("timeRestore".into(), true.into());
    attributes.insert("timeTo".into(), "now".into());
    attributes.insert("title".into(), title.into());
    attributes.insert("version".into(), 1.into());
    SavedObject {
        attributes: Value::Object(attributes),
        id: "wellformed".to_owned(),
        references,
        kind: "dashboard",
        version: Version::open_search("dashboard"),
    }
}
