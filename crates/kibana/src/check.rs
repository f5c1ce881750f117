//! What an importing server would refuse or could not draw, found without one.
//!
//! The check reads the file and not the types that made it, so that it holds for a file that was edited by hand.
//!
//! 1. Every line is a saved object of a known type, in the form that the type had in the release written for.
//! 2. No attribute is unknown, none is missing (Kibana's schemas forbid both).
//! 3. No id occurs twice.
//! 4. References resolve both ways: each leads to an object of the file, each is used by the attributes, and the
//!    attributes use no other.
//! 5. Panels lie within the grid of 48 columns and do not overlap.
//! 6. Of a Lens visualisation, `columnOrder` is the columns, what divides comes first, and the drawing uses each column.
//! 7. Of a classic visualisation, the aggregations have different numbers, and the series are the measures.
//! 8. Every field is in the index template, with a type that its use allows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use crate::assets::Program;
use crate::field::Kind;
use crate::lens::RECORDS;
use crate::mapping::Mapping;
use crate::saved_object::{kibana_form, open_search_form};

/// Columns of a dashboard's grid.
const GRID: u64 = 48;

/// Something that is wrong with a file of saved objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The line, from 1.
    pub line: usize,
    /// Type and id of the object, as far as they can be read.
    pub object: String,
    /// What was found and what was expected.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, {}: {}", self.line, self.object, self.problem)
    }
}

/// The fields behind each data view, by the data view's id.
pub type Mappings = BTreeMap<String, Mapping>;

/// All that is wrong with a file; empty if nothing is.
pub fn check(program: Program, text: &str, mappings: &Mappings) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut objects = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() => objects.push((index + 1, value)),
            Ok(_) => violations.push(Violation {
                line: index + 1,
                object: "no object".to_owned(),
                problem: "expected a JSON object on every line".to_owned(),
            }),
            Err(error) => violations.push(Violation {
                line: index + 1,
                object: "no object".to_owned(),
                problem: format!("not JSON: {error}"),
            }),
        }
    }
    let mut known = BTreeSet::new();
    for (line, object) in &objects {
        let name = name_of(object);
        if !known.insert(name.clone()) {
            violations.push(Violation { line: *line, object: name, problem: "the id occurs twice".to_owned() });
        }
    }
    for (line, object) in &objects {
        let mut checker = Checker { program, object, known: &known, mappings, problems: Vec::new() };
        checker.run();
        let object = name_of(object);
        violations.extend(checker.problems.into_iter().map(|problem| Violation {
            line: *line,
            object: object.clone(),
            problem,
        }));
    }
    violations
}

fn name_of(object: &Value) -> String {
    format!("{} {}", object["type"].as_str().unwrap_or("(no type)"), object["id"].as_str().unwrap_or("(no id)"))
}

/// A type's attributes: those that have to be there, and those that may.
fn attributes(program: Program, kind: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    Some(match (program, kind) {
        (Program::Kibana, "index-pattern") => (
            &["title", "name", "timeFieldName"],
            &[
                "fields",
                "fieldAttrs",
                "sourceFilters",
                "fieldFormatMap",
                "type",
                "typeMeta",
                "allowNoIndex",
                "runtimeFieldMap",
            ],
        ),
        (Program::Kibana, "lens") => (&["title", "visualizationType", "state"], &["description"]),
        (Program::Kibana, "search") => (
            &["title", "columns", "sort", "kibanaSavedObjectMeta"],
            &[
                "description",
                "grid",
                "rowHeight",
                "rowsPerPage",
                "hideChart",
                "breakdownField",
                "isTextBasedQuery",
                "usesAdHocDataView",
                "timeRestore",
                "timeRange",
                "refreshInterval",
                "viewMode",
                "hideAggregatedPreview",
                "hits",
                "version",
            ],
        ),
        (Program::Kibana, "dashboard") => (
            &["title", "panelsJSON", "optionsJSON", "kibanaSavedObjectMeta"],
            &[
                "description",
                "timeRestore",
                "timeFrom",
                "timeTo",
                "refreshInterval",
                "controlGroupInput",
                "hits",
                "version",
            ],
        ),
        (Program::OpenSearchDashboards, "index-pattern") => {
            (&["title", "timeFieldName"], &["fields", "sourceFilters", "fieldFormatMap", "type", "typeMeta"])
        }
        (Program::OpenSearchDashboards, "visualization") => (
            &["title", "visState", "uiStateJSON", "kibanaSavedObjectMeta", "version"],
            &["description", "savedSearchRefName"],
        ),
        (Program::OpenSearchDashboards, "search") => {
            (&["title", "columns", "sort", "kibanaSavedObjectMeta", "hits", "version"], &["description"])
        }
        (Program::OpenSearchDashboards, "dashboard") => (
            &["title", "panelsJSON", "optionsJSON", "kibanaSavedObjectMeta", "version", "hits"],
            &["description", "timeRestore", "timeFrom", "timeTo", "refreshInterval"],
        ),
        _ => return None,
    })
}

struct Checker<'a> {
    program: Program,
    object: &'a Value,
    known: &'a BTreeSet<String>,
    mappings: &'a Mappings,
    problems: Vec<String>,
}

impl Checker<'_> {
    fn say(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    fn run(&mut self) {
        let kind = self.object["type"].as_str().unwrap_or_default().to_owned();
        self.envelope(&kind);
        let Some((required, optional)) = attributes(self.program, &kind) else {
            self.say(format!("the type `{kind}` is none that {} is given here", self.program.name()));
            return;
        };
        let empty = Map::new();
        let found = self.object["attributes"].as_object().unwrap_or(&empty);
        for name in required {
            self.expect(found.contains_key(*name), || format!("the attribute `{name}` is missing"));
        }
        for name in found.keys() {
            let allowed = required.contains(&name.as_str()) || optional.contains(&name.as_str());
            self.expect(allowed, || format!("the attribute `{name}` is unknown and would be refused"));
        }
        let used = match kind.as_str() {
            "lens" => self.lens(),
            "visualization" => self.classic(),
            "search" => self.search(),
            "dashboard" => self.dashboard(),
            _ => {
                self.index_pattern();
                Vec::new()
            }
        };
        self.references(&used);
    }

    /// The fields around the attributes, and the version.
    fn envelope(&mut self, kind: &str) {
        let (versions, expected): (&[&str], Value) = match self.program {
            Program::Kibana => (&["coreMigrationVersion", "typeMigrationVersion"], kibana_form(kind).into()),
            Program::OpenSearchDashboards => (&["migrationVersion"], serde_json::json!({kind: open_search_form(kind)})),
        };
        let object = self.object;
        for name in object.as_object().into_iter().flat_map(Map::keys) {
            let allowed = ["attributes", "id", "references", "type"].contains(&name.as_str())
                || versions.contains(&name.as_str());
            self.expect(allowed, || format!("`{name}` is unknown beside the attributes"));
        }
        for name in versions {
            self.expect(!object[*name].is_null(), || format!("`{name}` is missing, so old migrations would run"));
        }
        let last = versions[versions.len() - 1];
        self.expect(object[last] == expected, || format!("`{last}` is {}, expected {expected}", object[last]));
        self.expect(object["id"].as_str().is_some_and(|id| !id.is_empty()), || "the id is missing".to_owned());
    }

    /// Each reference leads to an object of the file and is used; nothing else is used.
    fn references(&mut self, used: &[String]) {
        let mut listed = BTreeSet::new();
        for reference in self.object["references"].as_array().into_iter().flatten() {
            let name = reference["name"].as_str().unwrap_or_default();
            let only = reference.as_object().is_some_and(|fields| fields.keys().eq(["id", "name", "type"]));
            self.expect(only, || format!("the reference `{name}` has other fields than id, name and type"));
            self.expect(listed.insert(name.to_owned()), || format!("the reference `{name}` is listed twice"));
            let target = name_of(reference);
            self.expect(self.known.contains(&target), || {
                format!("the reference `{name}` leads to {target}, which is not in the file")
            });
            self.expect(used.iter().any(|used| used == name), || format!("the reference `{name}` is not used"));
        }
        for name in used {
            self.expect(listed.contains(name), || format!("`{name}` is used but not among the references"));
        }
    }

    fn index_pattern(&mut self) {
        let id = self.object["id"].as_str().unwrap_or_default().to_owned();
        let time = self.object["attributes"]["timeFieldName"].as_str().unwrap_or_default().to_owned();
        self.field(&id, &time, &[Kind::Date], "the time field");
    }

    /// A field that is used has to be in the template of its data view, with one of these kinds.
    fn field(&mut self, view: &str, name: &str, kinds: &[Kind], what: &str) {
        let Some(mapping) = self.mappings.get(view) else {
            self.say(format!("no index template is known for the data view `{view}`"));
            return;
        };
        match mapping.kind(name) {
            Some(kind) if kinds.contains(&kind) => {}
            Some(kind) => {
                self.say(format!("{what} is `{name}`, a field of the kind {kind:?}; expected one of {kinds:?}"));
            }
            None => {
                self.say(format!("{what} is `{name}`, which the index template of `{view}` lacks or does not index"));
            }
        }
    }

    /// The fields of a query in KQL have to exist.
    fn query(&mut self, view: &str, query: &Value) {
        self.expect(query["language"] == "kuery", || {
            format!("the query's language is {}, expected kuery", query["language"])
        });
        let Some(text) = query["query"].as_str() else {
            self.say("the query is not a string");
            return;
        };
        for name in kql_fields(text) {
            self.field(view, &name, &[Kind::Keyword, Kind::Boolean, Kind::Number, Kind::Date], "a query's field");
        }
    }

    /// The id of the data view behind a reference.
    fn view(&self, reference: &str) -> String {
        let references = self.object["references"].as_array().into_iter().flatten();
        let found = references.into_iter().find(|one| one["name"] == reference);
        found.and_then(|one| one["id"].as_str()).unwrap_or_default().to_owned()
    }

    /// A string with JSON in it.
    fn parsed(&mut self, name: &str, value: &Value) -> Value {
        let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
        self.expect(parsed.is_some(), || format!("`{name}` is not a string with JSON in it"));
        parsed.unwrap_or_default()
    }

    /// `kibanaSavedObjectMeta.searchSourceJSON` with a data view; gives the view's id and the reference that was used.
    fn search_source(&mut self) -> (String, Vec<String>) {
        let meta = &self.object["attributes"]["kibanaSavedObjectMeta"];
        let source = self.parsed("searchSourceJSON", &meta["searchSourceJSON"]);
        let Some(reference) = source["indexRefName"].as_str().map(str::to_owned) else {
            self.say("searchSourceJSON has no `indexRefName`");
            return (String::new(), Vec::new());
        };
        let view = self.view(&reference);
        self.query(&view, &source["query"]);
        (view, vec![reference])
    }

    fn search(&mut self) -> Vec<String> {
        let (view, used) = self.search_source();
        let sorted = [Kind::Keyword, Kind::Boolean, Kind::Number, Kind::Date];
        let shown = [&sorted[..], &[Kind::Text]].concat();
        for column in self.object["attributes"]["columns"].as_array().into_iter().flatten() {
            self.field(&view, column.as_str().unwrap_or_default(), &shown, "a column");
        }
        for sort in self.object["attributes"]["sort"].as_array().into_iter().flatten() {
            self.field(&view, sort[0].as_str().unwrap_or_default(), &sorted, "the order");
            self.expect(sort[1] == "asc" || sort[1] == "desc", || {
                format!("the order is {}, expected asc or desc", sort[1])
            });
        }
        used
    }

    fn lens(&mut self) -> Vec<String> {
        let state = &self.object["attributes"]["state"];
        let mut used = Vec::new();
        let empty = Map::new();
        let layers = state["datasourceStates"]["formBased"]["layers"].as_object().unwrap_or(&empty);
        self.expect(!layers.is_empty(), || "there is no layer".to_owned());
        for (id, layer) in layers {
            let reference = format!("indexpattern-datasource-layer-{id}");
            let view = self.view(&reference);
            used.push(reference);
            self.query(&view, &state["query"]);
            self.layer(&view, layer);
            self.drawing(id, layer);
        }
        used
    }

    fn layer(&mut self, view: &str, layer: &Value) {
        let empty = Map::new();
        let columns = layer["columns"].as_object().unwrap_or(&empty);
        let order: Vec<&str> =
            layer["columnOrder"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let keys: BTreeSet<&str> = columns.keys().map(String::as_str).collect();
        let same = order.len() == keys.len() && order.iter().copied().collect::<BTreeSet<_>>() == keys;
        self.expect(same, || format!("columnOrder is {order:?}, expected exactly the columns {keys:?}"));
        let divides: Vec<bool> =
            order.iter().map(|id| columns.get(*id).is_some_and(|column| column["isBucketed"] == true)).collect();
        self.expect(divides.is_sorted_by(|a, b| a >= b), || {
            format!("columnOrder {order:?} has a measure before what divides")
        });
        self.expect(layer["incompleteColumns"] == serde_json::json!({}), || "there are incomplete columns".to_owned());
        for (id, column) in columns {
            self.column(view, id, column, columns);
        }
    }

    fn column(&mut self, view: &str, id: &str, column: &Value, columns: &Map<String, Value>) {
        let operation = column["operationType"].as_str().unwrap_or_default();
        let number: &[Kind] = &[Kind::Number];
        let (kinds, divides): (&[Kind], bool) = match operation {
            "count" => (&[], false),
            "average" | "max" | "percentile" => (number, false),
            "unique_count" => (&[Kind::Keyword, Kind::Boolean, Kind::Number, Kind::Date], false),
            "date_histogram" => (&[Kind::Date], true),
            "terms" => (&[Kind::Keyword, Kind::Boolean, Kind::Number], true),
            "range" => (number, true),
            "filters" => (&[], true),
            _ => {
                self.say(format!("column `{id}`: the operation `{operation}` is unknown"));
                return;
            }
        };
        self.expect(column["isBucketed"] == divides, || {
            format!("column `{id}`: isBucketed is {}, expected {divides} of `{operation}`", column["isBucketed"])
        });
        for name in ["dataType", "label", "scale"] {
            self.expect(column[name].is_string(), || format!("column `{id}`: `{name}` is missing"));
        }
        match (operation, column["sourceField"].as_str()) {
            ("count", Some(RECORDS)) | ("filters", None) => {}
            ("count", found) => self.say(format!("column `{id}`: a count is of {found:?}, expected {RECORDS}")),
            (_, Some(name)) => self.field(view, name, kinds, &format!("the field of column `{id}`")),
            (_, None) => self.say(format!("column `{id}`: `sourceField` is missing")),
        }
        let params = &column["params"];
        match operation {
            "terms" => {
                let by = &params["orderBy"];
                let known = by["type"] == "alphabetical"
                    || by["columnId"]
                        .as_str()
                        .and_then(|by| columns.get(by))
                        .is_some_and(|by| by["isBucketed"] == false);
                self.expect(known, || format!("column `{id}` is ordered by {by}, which is no measure of this layer"));
            }
            "filters" => {
                for filter in params["filters"].as_array().into_iter().flatten() {
                    self.query(view, &filter["input"]);
                }
            }
            "percentile" => {
                let percent = params["percentile"].as_f64().unwrap_or(-1.0);
                self.expect((1.0..100.0).contains(&percent), || format!("column `{id}`: the percentile is {percent}"));
            }
            _ => {}
        }
    }

    /// The drawing uses columns that exist, and all of them.
    fn drawing(&mut self, layer_id: &str, layer: &Value) {
        let attributes = &self.object["attributes"];
        let drawing = &attributes["state"]["visualization"];
        let mut accessors: Vec<&Value> = Vec::new();
        match attributes["visualizationType"].as_str() {
            Some("lnsXY") => {
                for one in drawing["layers"].as_array().into_iter().flatten() {
                    self.expect(one["layerId"] == layer_id, || format!("the drawing is of layer {}", one["layerId"]));
                    accessors.extend(one["accessors"].as_array().into_iter().flatten());
                    accessors.extend([&one["xAccessor"], &one["splitAccessor"]].into_iter().filter(|id| !id.is_null()));
                }
            }
            Some("lnsMetric") => {
                self.expect(drawing["layerId"] == layer_id, || {
                    format!("the drawing is of layer {}", drawing["layerId"])
                });
                accessors.push(&drawing["metricAccessor"]);
            }
            Some("lnsDatatable") => {
                self.expect(drawing["layerId"] == layer_id, || {
                    format!("the drawing is of layer {}", drawing["layerId"])
                });
                accessors.extend(drawing["columns"].as_array().into_iter().flatten().map(|column| &column["columnId"]));
            }
            other => self.say(format!("the kind of visualisation {other:?} is unknown")),
        }
        let drawn: BTreeSet<&str> = accessors.iter().filter_map(|id| id.as_str()).collect();
        let columns: BTreeSet<&str> =
            layer["columns"].as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        self.expect(drawn == columns, || format!("the drawing uses the columns {drawn:?}, the layer has {columns:?}"));
    }

    fn classic(&mut self) -> Vec<String> {
        let (view, used) = self.search_source();
        let state = self.parsed("visState", &self.object["attributes"]["visState"]);
        self.parsed("uiStateJSON", &self.object["attributes"]["uiStateJSON"]);
        let kind = state["type"].as_str().unwrap_or_default();
        let known = ["metric", "line", "area", "histogram", "table"].contains(&kind);
        self.expect(known, || format!("the kind of visualisation `{kind}` is unknown"));
        let mut ids = BTreeSet::new();
        let mut measures = BTreeSet::new();
        for aggregation in state["aggs"].as_array().into_iter().flatten() {
            let id = aggregation["id"].as_str().unwrap_or_default();
            self.expect(ids.insert(id), || format!("aggregation `{id}` occurs twice"));
            if aggregation["schema"] == "metric" {
                measures.insert(id);
            }
            self.aggregation(&view, id, aggregation);
        }
        self.expect(!measures.is_empty(), || "there is no measure".to_owned());
        if let Some(series) = state["params"]["seriesParams"].as_array() {
            let drawn: BTreeSet<&str> = series.iter().filter_map(|one| one["data"]["id"].as_str()).collect();
            self.expect(drawn == measures, || format!("the series are {drawn:?}, the measures {measures:?}"));
        }
        used
    }

    fn aggregation(&mut self, view: &str, id: &str, aggregation: &Value) {
        let params = &aggregation["params"];
        let what = format!("the field of aggregation `{id}`");
        let (kinds, schemas): (&[Kind], &[&str]) = match aggregation["type"].as_str() {
            Some("count") => (&[], &["metric"]),
            Some("avg" | "max" | "percentiles") => (&[Kind::Number], &["metric"]),
            Some("cardinality") => (&[Kind::Keyword, Kind::Boolean, Kind::Number, Kind::Date], &["metric"]),
            Some("date_histogram") => (&[Kind::Date], &["segment"]),
            Some("range") => (&[Kind::Number], &["segment"]),
            Some("terms") => (&[Kind::Keyword, Kind::Boolean, Kind::Number], &["segment", "group", "bucket"]),
            Some("filters") => {
                for filter in params["filters"].as_array().into_iter().flatten() {
                    self.query(view, &filter["input"]);
                }
                (&[], &["segment", "group", "bucket"])
            }
            other => {
                self.say(format!("aggregation `{id}`: the type {other:?} is unknown"));
                return;
            }
        };
        let schema = aggregation["schema"].as_str().unwrap_or_default();
        self.expect(schemas.contains(&schema), || {
            format!("aggregation `{id}` is a `{schema}`, expected one of {schemas:?}")
        });
        if !kinds.is_empty() {
            self.field(view, params["field"].as_str().unwrap_or_default(), kinds, &what);
        }
    }

    fn dashboard(&mut self) -> Vec<String> {
        let attributes = &self.object["attributes"];
        let panels = self.parsed("panelsJSON", &attributes["panelsJSON"]);
        self.parsed("optionsJSON", &attributes["optionsJSON"]);
        self.parsed("searchSourceJSON", &attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]);
        let mut used = Vec::new();
        let mut indices = BTreeSet::new();
        let mut taken: Vec<(String, [u64; 4])> = Vec::new();
        for panel in panels.as_array().into_iter().flatten() {
            let index = panel["panelIndex"].as_str().unwrap_or_default().to_owned();
            self.expect(indices.insert(index.clone()), || format!("panel `{index}` occurs twice"));
            let Some(reference) = panel["panelRefName"].as_str() else {
                self.say(format!("panel `{index}` has no panelRefName"));
                continue;
            };
            // Kibana 8 puts the panel before the name; 7.10 did not.
            let reference = match self.program {
                Program::Kibana => format!("{index}:{reference}"),
                Program::OpenSearchDashboards => reference.to_owned(),
            };
            if self.program == Program::Kibana {
                let references = self.object["references"].as_array().into_iter().flatten();
                let kind = references.into_iter().find(|one| one["name"] == reference.as_str()).map(|one| &one["type"]);
                self.expect(kind == Some(&panel["type"]), || {
                    format!("panel `{index}` is of the type {}, its reference of {kind:?}", panel["type"])
                });
            }
            used.push(reference);
            let grid = &panel["gridData"];
            self.expect(grid["i"] == index.as_str(), || format!("panel `{index}`: gridData.i is {}", grid["i"]));
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| grid[name].as_u64());
            let (Some(x), Some(y), Some(w), Some(h)) = (x, y, w, h) else {
                self.say(format!("panel `{index}`: gridData is {grid}, expected x, y, w and h"));
                continue;
            };
            self.expect(w > 0 && h > 0 && x + w <= GRID, || {
                format!("panel `{index}` takes the columns {x} to {}, the grid has {GRID}", x + w)
            });
            for (other, [ox, oy, ow, oh]) in &taken {
                let apart = x + w <= *ox || ox + ow <= x || y + h <= *oy || oy + oh <= y;
                self.expect(apart, || format!("panel `{index}` overlaps `{other}`"));
            }
            taken.push((index, [x, y, w, h]));
        }
        self.expect(!used.is_empty(), || "there is no panel".to_owned());
        used
    }
}

/// The fields that a query in KQL names: words before `:`, `<` and `>`, outside of quotation marks.
fn kql_fields(text: &str) -> Vec<String> {
    let unquoted = text.split('"').step_by(2).collect::<Vec<_>>().join("");
    let word_before = |at: usize| {
        let before = unquoted[..at].trim_end();
        before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default().to_owned()
    };
    unquoted.match_indices([':', '<', '>']).map(|(at, _)| word_before(at)).collect()
}
