//! A panel as Kibana 8 keeps it: a Lens visualisation, or a saved search for a panel that lists documents.
//!
//! The forms are those of Kibana 8.9's exports (`lens` 8.9.0, `search` 8.0.0, `dashboard` 8.9.0).

use serde_json::{Map, Value, json};

use crate::field::Kind;
use crate::panel::{Chart, Measure, Panel, Shape, Source, Split, Statistic, bins};
use crate::saved_object::{Reference, SavedObject, Version};

/// The one layer of every visualisation.
const LAYER: &str = "layer";

/// The data view over a source's indices.
pub fn data_view(source: Source) -> SavedObject {
    SavedObject {
        attributes: json!({
            "name": source.name(),
            "timeFieldName": source.time().name,
            "title": source.indices(),
        }),
        id: source.data_view().to_owned(),
        references: Vec::new(),
        kind: "index-pattern",
        version: Version::kibana("index-pattern"),
    }
}

/// The panel as a saved object of its own.
pub fn visualization(panel: &Panel) -> SavedObject {
    if let Chart::Documents { .. } = &panel.chart {
        return SavedObject { version: Version::kibana("search"), ..saved_search(panel) };
    }
    let columns = Columns::of(&panel.chart, panel.source);
    let (kind, drawing) = drawing(&panel.chart, &columns);
    let state = json!({
        "adHocDataViews": {},
        "datasourceStates": {"formBased": {"layers": {LAYER: {
            "columnOrder": columns.order(),
            "columns": columns.states,
            "ignoreGlobalFilters": false,
            "incompleteColumns": {},
            "sampling": 1,
        }}}},
        "filters": [],
        "internalReferences": [],
        "query": {"language": "kuery", "query": panel.filter.kql()},
        "visualization": drawing,
    });
    SavedObject {
        attributes: json!({
            "description": panel.description,
            "state": state,
            "title": title(panel),
            "visualizationType": kind,
        }),
        id: object_id(panel),
        references: vec![Reference {
            id: panel.source.data_view().to_owned(),
            name: format!("indexpattern-datasource-layer-{LAYER}"),
            kind: "index-pattern",
        }],
        kind: "lens",
        version: Version::kibana("lens"),
    }
}

/// The id of a panel's saved object.
pub fn object_id(panel: &Panel) -> String {
    format!("wellformed-{}", panel.id)
}

/// The title in lists of saved objects, where other projects' objects stand beside it.
pub(crate) fn title(panel: &Panel) -> String {
    format!("Wellformed: {}", panel.title)
}

/// A saved search; both programs have the same form, only the version differs.
pub(crate) fn saved_search(panel: &Panel) -> SavedObject {
    let (columns, sort) = match &panel.chart {
        Chart::Documents { columns, by, descending } => {
            let columns = columns.iter().map(|field| field.name).collect();
            (columns, json!([[by.name, if *descending { "desc" } else { "asc" }]]))
        }
        _ => (Vec::new(), json!([])),
    };
    SavedObject {
        attributes: json!({
            "columns": columns,
            "description": panel.description,
            "kibanaSavedObjectMeta": {"searchSourceJSON": search_source(panel)},
            "sort": sort,
            "title": title(panel),
        }),
        id: object_id(panel),
        references: vec![search_reference(panel.source)],
        kind: "search",
        version: Version::kibana("search"),
    }
}

/// What a saved search or a classic visualisation searches, as a string with JSON in it.
pub(crate) fn search_source(panel: &Panel) -> String {
    json!({
        "filter": [],
        "indexRefName": SEARCH_REFERENCE,
        "query": {"language": "kuery", "query": panel.filter.kql()},
    })
    .to_string()
}

const SEARCH_REFERENCE: &str = "kibanaSavedObjectMeta.searchSourceJSON.index";

pub(crate) fn search_reference(source: Source) -> Reference {
    Reference { id: source.data_view().to_owned(), name: SEARCH_REFERENCE.to_owned(), kind: "index-pattern" }
}

/// The columns of the table behind a chart: what divides comes first, outer before inner, then the measures.
struct Columns {
    buckets: Vec<String>,
    measures: Vec<String>,
    states: Map<String, Value>,
}

impl Columns {
    fn of(chart: &Chart, source: Source) -> Self {
        let mut columns = Self { buckets: Vec::new(), measures: Vec::new(), states: Map::new() };
        match chart {
            Chart::Number(_) | Chart::Documents { .. } => {}
            Chart::Course { split, .. } => {
                columns.split("split", split.as_ref(), chart);
                columns.bucket(
                    "time",
                    json!({
                        "dataType": "date",
                        "isBucketed": true,
                        "label": source.time().name,
                        "operationType": "date_histogram",
                        "params": {"dropPartials": false, "includeEmptyRows": true, "interval": "auto"},
                        "scale": "interval",
                        "sourceField": source.time().name,
                    }),
                );
            }
            Chart::Histogram { field, bins: count, split } => {
                columns.split("split", split.as_ref(), chart);
                let ranges: Vec<Value> = bins(*count)
                    .map(|(from, to)| {
                        // People read the whole range, although the last one has no upper bound.
                        let until = to.unwrap_or(1.0);
                        json!({"from": from, "label": format!("{from:.2}–{until:.2}"), "to": to})
                    })
                    .collect();
                columns.bucket("range", json!({
                    "customLabel": true,
                    "dataType": "string",
                    "isBucketed": true,
                    "label": field.name,
                    "operationType": "range",
                    "params": {
                        "maxBars": "auto",
                        "parentFormat": {"id": "range", "params": {"replaceInfinity": true, "template": "arrow_right"}},
                        "ranges": ranges,
                        "type": "range",
                    },
                    "scale": "ordinal",
                    "sourceField": field.name,
                }));
            }
            Chart::Table { rows, .. } => {
                for (index, row) in rows.iter().enumerate() {
                    columns.split(&format!("row{index}"), Some(row), chart);
                }
            }
        }
        for (index, measure) in chart.measures().iter().enumerate() {
            let id = format!("measure{index}");
            columns.states.insert(id.clone(), measure_column(measure));
            columns.measures.push(id);
        }
        columns
    }

    fn bucket(&mut self, id: &str, state: Value) {
        self.buckets.push(id.to_owned());
        self.states.insert(id.to_owned(), state);
    }

    fn split(&mut self, id: &str, split: Option<&Split>, chart: &Chart) {
        let (by, direction) = if chart.largest_group_first() {
            (json!({"columnId": "measure0", "type": "column"}), "desc")
        } else {
            (json!({"fallback": false, "type": "alphabetical"}), "asc")
        };
        match split {
            None => {}
            Some(Split::Values { field, label, size }) => self.bucket(
                id,
                json!({
                    "customLabel": true,
                    "dataType": field.kind.kibana(),
                    "isBucketed": true,
                    "label": label,
                    "operationType": "terms",
                    "params": {
                        "exclude": [],
                        "excludeIsRegex": false,
                        "include": [],
                        "includeIsRegex": false,
                        "missingBucket": false,
                        "orderBy": by,
                        "orderDirection": direction,
                        "otherBucket": false,
                        "parentFormat": {"id": "terms"},
                        "size": size,
                    },
                    "scale": "ordinal",
                    "sourceField": field.name,
                }),
            ),
            Some(Split::Conditions { label, parts }) => {
                let filters: Vec<Value> = parts
                    .iter()
                    .map(|(name, filter)| json!({"input": {"language": "kuery", "query": filter.kql()}, "label": name}))
                    .collect();
                self.bucket(
                    id,
                    json!({
                        "customLabel": true,
                        "dataType": "string",
                        "isBucketed": true,
                        "label": label,
                        "operationType": "filters",
                        "params": {"filters": filters},
                        "scale": "ordinal",
                    }),
                );
            }
        }
    }

    fn order(&self) -> Vec<&str> {
        self.buckets.iter().chain(&self.measures).map(String::as_str).collect()
    }

    fn has(&self, id: &str) -> bool {
        self.states.contains_key(id)
    }
}

fn measure_column(measure: &Measure) -> Value {
    let mut params = json!({
        "emptyAsNull": true,
        "format": {"id": "number", "params": {"decimals": measure.decimals}},
    });
    let operation = match measure.statistic {
        Statistic::Count => "count",
        Statistic::Average(_) => "average",
        Statistic::Maximum(_) => "max",
        Statistic::Percentile(_, percent) => {
            params["percentile"] = Value::from(percent);
            "percentile"
        }
        Statistic::Distinct(_) => "unique_count",
    };
    // A number without documents is no number; Kibana knows the switch for counts only.
    if !matches!(measure.statistic, Statistic::Count | Statistic::Distinct(_)) {
        params.as_object_mut().map(|params| params.remove("emptyAsNull"));
    }
    json!({
        "customLabel": true,
        "dataType": Kind::Number.kibana(),
        "isBucketed": false,
        "label": measure.label,
        "operationType": operation,
        "params": params,
        "scale": "ratio",
        "sourceField": measure.statistic.field().map_or(RECORDS, |field| field.name),
    })
}

/// Lens's name for the documents themselves, where it expects a field.
pub(crate) const RECORDS: &str = "___records___";

/// The kind of visualisation, and its state.
fn drawing(chart: &Chart, columns: &Columns) -> (&'static str, Value) {
    match chart {
        Chart::Number(_) | Chart::Documents { .. } => {
            ("lnsMetric", json!({"layerId": LAYER, "layerType": "data", "metricAccessor": columns.measures.first()}))
        }
        Chart::Course { shape, .. } => {
            let (series, fitting) = match shape {
                Shape::Lines => ("line", "Linear"),
                Shape::Bars => ("bar_stacked", "None"),
                Shape::Shares => ("area_percentage_stacked", "None"),
            };
            ("lnsXY", xy(series, fitting, "time", columns))
        }
        Chart::Histogram { .. } => ("lnsXY", xy("bar_stacked", "None", "range", columns)),
        Chart::Table { .. } => {
            let ids = columns.order();
            let listed: Vec<Value> = ids.iter().map(|id| json!({"columnId": id, "isTransposed": false})).collect();
            (
                "lnsDatatable",
                json!({
                    "columns": listed,
                    "layerId": LAYER,
                    "layerType": "data",
                    "sorting": {"columnId": columns.measures.first(), "direction": "desc"},
                }),
            )
        }
    }
}

fn xy(series: &str, fitting: &str, x: &str, columns: &Columns) -> Value {
    let mut layer = json!({
        "accessors": columns.measures,
        "layerId": LAYER,
        "layerType": "data",
        "seriesType": series,
        "xAccessor": x,
    });
    if columns.has("split") {
        layer["splitAccessor"] = Value::from("split");
    }
    json!({
        "axisTitlesVisibilitySettings": {"x": false, "yLeft": false, "yRight": true},
        "fittingFunction": fitting,
        "gridlinesVisibilitySettings": {"x": true, "yLeft": true, "yRight": true},
        "labelsOrientation": {"x": 0, "yLeft": 0, "yRight": 0},
        "layers": [layer],
        "legend": {"isVisible": true, "position": "bottom", "showSingleSeries": true},
        "preferredSeriesType": series,
        "tickLabelsVisibilitySettings": {"x": true, "yLeft": true, "yRight": true},
        "valueLabels": "hide",
    })
}

/// The dashboard with these panels.
pub fn dashboard(title: &str, description: &str, panels: &[Panel]) -> SavedObject {
    let mut references = Vec::new();
    let mut placed = Vec::new();
    for panel in panels {
        let kind = visualization(panel).kind;
        let place = panel.place;
        placed.push(json!({
            "embeddableConfig": {"enhancements": {}},
            "gridData": {"h": place.height, "i": panel.id, "w": place.width, "x": place.x, "y": place.y},
            "panelIndex": panel.id,
            "panelRefName": format!("panel_{}", panel.id),
            "title": panel.title,
            "type": kind,
        }));
        references.push(Reference { id: object_id(panel), name: format!("{0}:panel_{0}", panel.id), kind });
    }
    SavedObject {
        attributes: json!({
            "description": description,
            "kibanaSavedObjectMeta": {
                "searchSourceJSON": json!({"filter": [], "query": {"language": "kuery", "query": ""}}).to_string(),
            },
            "optionsJSON": json!({
                "hidePanelTitles": false,
                "syncColors": true,
                "syncCursor": true,
                "syncTooltips": false,
                "useMargins": true,
            }).to_string(),
            "panelsJSON": Value::from(placed).to_string(),
            "refreshInterval": {"pause": true, "value": 60000},
            "timeFrom": "now-7d",
            "timeRestore": true,
            "timeTo": "now",
            "title": title,
            "version": 1,
        }),
        id: "wellformed".to_owned(),
        references,
        kind: "dashboard",
        version: Version::kibana("dashboard"),
    }
}
