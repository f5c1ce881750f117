//! The check finds what it is there to find: each test spoils a file in one way.

use serde_json::{Value, json};
use wellformed_kibana::assets::{Program, saved_objects};
use wellformed_kibana::check::check;
use wellformed_kibana::saved_object::ndjson;

use crate::support::mappings;

/// The complaints about a file after a change to its objects.
fn complaints(program: Program, spoil: impl FnOnce(&mut Vec<Value>)) -> Vec<String> {
    let text = ndjson(&saved_objects(program));
    let mut objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    spoil(&mut objects);
    let text = objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    check(program, &text, &mappings()).iter().map(ToString::to_string).collect()
}

fn find<'a>(objects: &'a mut [Value], id: &str) -> &'a mut Value {
    objects.iter_mut().find(|object| object["id"] == id).unwrap()
}

/// A change to a string with JSON in it.
fn within(text: &mut Value, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    change(&mut value);
    *text = value.to_string().into();
}

#[track_caller]
fn refuses(program: Program, expected: &str, spoil: impl FnOnce(&mut Vec<Value>)) {
    let complaints = complaints(program, spoil);
    assert!(complaints.iter().any(|one| one.contains(expected)), "expected `{expected}` in {complaints:#?}");
}

const LAYER: &str = "/attributes/state/datasourceStates/formBased/layers/layer";

#[test]
fn an_unspoilt_file_is_accepted() {
    for program in [Program::Kibana, Program::OpenSearchDashboards] {
        assert_eq!(complaints(program, |_| {}), Vec::<String>::new());
    }
}

#[test]
fn unknown_and_missing_attributes_are_refused() {
    refuses(Program::Kibana, "`owner` is unknown", |objects| objects[0]["attributes"]["owner"] = "me".into());
    refuses(Program::Kibana, "`hits` is unknown beside", |objects| objects[0]["hits"] = 0.into());
    refuses(Program::Kibana, "`timeFieldName` is missing", |objects| {
        objects[0]["attributes"].as_object_mut().unwrap().remove("timeFieldName");
    });
}

#[test]
fn an_object_without_its_version_is_refused() {
    refuses(Program::Kibana, "`typeMigrationVersion` is missing", |objects| {
        objects[3].as_object_mut().unwrap().remove("typeMigrationVersion");
    });
    refuses(Program::Kibana, "expected \"8.9.0\"", |objects| {
        find(objects, "wellformed-volume")["typeMigrationVersion"] = "8.10.0".into();
    });
    refuses(Program::OpenSearchDashboards, "`migrationVersion` is", |objects| {
        find(objects, "wellformed-volume")["migrationVersion"] = json!({"visualization": "7.13.0"});
    });
}

#[test]
fn an_id_that_occurs_twice_is_refused() {
    refuses(Program::Kibana, "occurs twice", |objects| {
        let copy = objects[4].clone();
        objects.push(copy);
    });
}

#[test]
fn references_are_followed_both_ways() {
    refuses(Program::Kibana, "which is not in the file", |objects| {
        find(objects, "wellformed-volume")["references"][0]["id"] = "other".into();
    });
    refuses(Program::Kibana, "is used but not among the references", |objects| {
        find(objects, "wellformed-volume")["references"] = json!([]);
    });
    refuses(Program::Kibana, "`stray` is not used", |objects| {
        let references = find(objects, "wellformed")["references"].as_array_mut().unwrap();
        references.push(json!({"id": "wellformed-records", "name": "stray", "type": "index-pattern"}));
    });
    refuses(Program::OpenSearchDashboards, "is used but not among the references", |objects| {
        find(objects, "wellformed")["references"].as_array_mut().unwrap().remove(2);
    });
}

#[test]
fn panels_outside_the_grid_or_on_top_of_one_another_are_refused() {
    for program in [Program::Kibana, Program::OpenSearchDashboards] {
        refuses(program, "the grid has 48", |objects| {
            within(&mut find(objects, "wellformed")["attributes"]["panelsJSON"], |panels| {
                panels[5]["gridData"]["w"] = 9.into();
            });
        });
        refuses(program, "overlaps", |objects| {
            within(&mut find(objects, "wellformed")["attributes"]["panelsJSON"], |panels| {
                panels[1]["gridData"]["x"] = 7.into();
            });
        });
        refuses(program, "gridData.i", |objects| {
            within(&mut find(objects, "wellformed")["attributes"]["panelsJSON"], |panels| {
                panels[1]["gridData"]["i"] = "other".into();
            });
        });
    }
}

#[test]
fn columns_and_their_order_have_to_agree() {
    refuses(Program::Kibana, "columnOrder is", |objects| {
        let layer = find(objects, "wellformed-volume").pointer_mut(LAYER).unwrap();
        layer["columnOrder"].as_array_mut().unwrap().pop();
    });
    refuses(Program::Kibana, "a measure before what divides", |objects| {
        let layer = find(objects, "wellformed-volume").pointer_mut(LAYER).unwrap();
        layer["columnOrder"].as_array_mut().unwrap().reverse();
    });
    refuses(Program::Kibana, "the drawing uses the columns", |objects| {
        find(objects, "wellformed-volume")["attributes"]["state"]["visualization"]["layers"][0]["xAccessor"] =
            "when".into();
    });
    refuses(Program::Kibana, "which is no measure of this layer", |objects| {
        let layer = find(objects, "wellformed-volume").pointer_mut(LAYER).unwrap();
        layer["columns"]["split"]["params"]["orderBy"]["columnId"] = "time".into();
    });
}

#[test]
fn fields_that_the_template_lacks_or_types_otherwise_are_refused() {
    refuses(Program::Kibana, "`confidence`, which the index template", |objects| {
        let layer = find(objects, "wellformed-entropy").pointer_mut(LAYER).unwrap();
        layer["columns"]["measure0"]["sourceField"] = "confidence".into();
    });
    refuses(Program::Kibana, "a field of the kind Keyword", |objects| {
        let layer = find(objects, "wellformed-entropy").pointer_mut(LAYER).unwrap();
        layer["columns"]["measure0"]["sourceField"] = "label".into();
    });
    refuses(Program::Kibana, "a query's field is `kind`", |objects| {
        find(objects, "wellformed-volume")["attributes"]["state"]["query"]["query"] = "kind : \"prediction\"".into();
    });
    refuses(Program::Kibana, "a column is `sentence`", |objects| {
        find(objects, "wellformed-least-certain")["attributes"]["columns"][0] = "sentence".into();
    });
    refuses(Program::OpenSearchDashboards, "a field of the kind Date", |objects| {
        within(&mut find(objects, "wellformed-entropy")["attributes"]["visState"], |state| {
            state["aggs"][0]["params"]["field"] = "timestamp".into();
        });
    });
}

#[test]
fn the_series_of_a_classic_visualisation_are_its_measures() {
    refuses(Program::OpenSearchDashboards, "the series are", |objects| {
        within(&mut find(objects, "wellformed-latency")["attributes"]["visState"], |state| {
            state["params"]["seriesParams"][0]["data"]["id"] = "1.95".into();
        });
    });
    refuses(Program::OpenSearchDashboards, "`1` occurs twice", |objects| {
        within(&mut find(objects, "wellformed-volume")["attributes"]["visState"], |state| {
            state["aggs"][1]["id"] = "1".into();
        });
    });
}
