//! The installation: into an OpenSearch-compatible server, and into stand-ins for Elasticsearch, Kibana and OpenSearch
//! Dashboards, which no package registry has.

use serde_json::{Value, json};
use wellformed_kibana::assets::Program;
use wellformed_kibana::install::{
    Answer, Definitions, Flavour, InstallError, Mode, Outcome, Request, Server, Step, flavour, install_cluster,
    install_program,
};
use wellformed_kibana::verdict;

use crate::stand_in::{Role, StandIn};
use crate::support::{Http, Osmem, records_template, records_template_for_open_search};

const KIBANA: Role = Role::Dashboards(Program::Kibana, "8.15.3");
const DASHBOARDS: Role = Role::Dashboards(Program::OpenSearchDashboards, "2.19.0");
const ELASTICSEARCH: Role = Role::Cluster { distribution: None, number: "8.15.3" };
const OPEN_SEARCH: Role = Role::Cluster { distribution: Some("opensearch"), number: "2.19.0" };

/// A server that is not there.
struct Nobody;
impl Server for Nobody {
    fn address(&self) -> String {
        "http://127.0.0.1:1".into()
    }
    fn ask(&self, _: &Request) -> Result<Answer, String> {
        Err("connection refused".into())
    }
}

fn definitions(records: Value) -> Definitions {
    Definitions {
        templates: vec![("wellformed-records", records), (verdict::TEMPLATE, verdict::index_template())],
        lifecycles: vec![("wellformed-records", json!({"policy": {"description": "kept for a while", "phases": {}}}))],
    }
}

fn outcomes(steps: &[Step]) -> Vec<Outcome> {
    steps.iter().map(|step| step.outcome.clone()).collect()
}

fn all(outcome: &Outcome, count: usize) -> Vec<Outcome> {
    vec![outcome.clone(); count]
}

#[test]
fn kibana_gets_objects_and_rules_once_and_a_repetition_changes_nothing() {
    let server = StandIn::start(KIBANA);
    let http = Http::new(&server.address);
    let rehearsed = install_program(&http, Program::Kibana, Mode::Rehearse).unwrap();
    assert_eq!(outcomes(&rehearsed), all(&Outcome::Created, 4));
    for request in server.requests() {
        let reads = request.method == "GET" || request.path.ends_with("/_export");
        assert!(reads, "a rehearsal sent {} {}", request.method, request.path);
    }

    let steps = install_program(&http, Program::Kibana, Mode::Install).unwrap();
    assert_eq!(outcomes(&steps), all(&Outcome::Created, 4));
    let state = server.state.lock().unwrap();
    // Two data views, a panel each, the dashboard.
    assert_eq!(state.objects.len(), 2 + wellformed_kibana::panels().len() + 1);
    assert_eq!(state.rules.len(), 3);
    drop(state);

    server.requests();
    let again = install_program(&http, Program::Kibana, Mode::Install).unwrap();
    assert_eq!(outcomes(&again), all(&Outcome::Unchanged, 4));
    let wrote = server.requests().into_iter().any(|one| one.method == "PUT" || one.path.contains("_import"));
    assert!(!wrote, "a repetition wrote something");
}

#[test]
fn what_was_deleted_comes_back_and_an_older_definition_is_replaced() {
    let server = StandIn::start(KIBANA);
    let http = Http::new(&server.address);
    install_program(&http, Program::Kibana, Mode::Install).unwrap();

    server.state.lock().unwrap().objects.remove(&("lens".into(), "wellformed-volume".into())).unwrap();
    let steps = install_program(&http, Program::Kibana, Mode::Install).unwrap();
    assert_eq!(steps[0].outcome, Outcome::Updated);
    assert!(server.state.lock().unwrap().objects.contains_key(&("lens".into(), "wellformed-volume".into())));

    let key = ("dashboard".to_owned(), "wellformed".to_owned());
    server.state.lock().unwrap().objects.get_mut(&key).unwrap()["attributes"]["description"] =
        "Older. [definition 000000000000]".into();
    let steps = install_program(&http, Program::Kibana, Mode::Install).unwrap();
    assert_eq!(outcomes(&steps)[0], Outcome::Updated);
}

#[test]
fn an_edit_of_a_panel_stays_until_the_definition_changes() {
    let server = StandIn::start(KIBANA);
    let http = Http::new(&server.address);
    install_program(&http, Program::Kibana, Mode::Install).unwrap();
    let key = ("lens".to_owned(), "wellformed-volume".to_owned());
    server.state.lock().unwrap().objects.get_mut(&key).unwrap()["attributes"]["title"] = "Mine".into();
    let steps = install_program(&http, Program::Kibana, Mode::Install).unwrap();
    assert_eq!(steps[0].outcome, Outcome::Unchanged);
    assert_eq!(server.state.lock().unwrap().objects[&key]["attributes"]["title"], "Mine");
}

#[test]
fn a_rule_that_changed_is_put_right_and_keeps_whom_it_tells() {
    let server = StandIn::start(KIBANA);
    let http = Http::new(&server.address);
    install_program(&http, Program::Kibana, Mode::Install).unwrap();
    let id = wellformed_kibana::alert::rules()[1].id;
    {
        let mut state = server.state.lock().unwrap();
        let rule = state.rules.get_mut(id).unwrap();
        rule["schedule"]["interval"] = "1d".into();
        rule["enabled"] = false.into();
        rule["actions"] = json!([{"id": "mail", "group": "query matched", "params": {"to": ["a@example.org"]},
            "connector_type_id": ".email", "uuid": "u1"}]);
    }
    let steps = install_program(&http, Program::Kibana, Mode::Install).unwrap();
    assert_eq!(outcomes(&steps), [Outcome::Unchanged, Outcome::Unchanged, Outcome::Updated, Outcome::Unchanged]);
    let state = server.state.lock().unwrap();
    assert_eq!(state.rules[id]["schedule"]["interval"], "15m");
    assert_eq!(state.rules[id]["enabled"], false, "switched off by hand, and so it stays");
    assert_eq!(state.rules[id]["actions"][0]["id"], "mail");
}

#[test]
fn opensearch_dashboards_gets_its_own_file_with_its_own_header() {
    let server = StandIn::start(DASHBOARDS);
    let http = Http::new(&server.address);
    let steps = install_program(&http, Program::OpenSearchDashboards, Mode::Install).unwrap();
    assert_eq!(steps[0].outcome, Outcome::Created);
    assert!(matches!(steps[1].outcome, Outcome::Skipped(_)));
    let kinds: Vec<String> = server.state.lock().unwrap().objects.keys().map(|(kind, _)| kind.clone()).collect();
    assert!(kinds.iter().any(|kind| kind == "visualization") && !kinds.iter().any(|kind| kind == "lens"));
    let posts: Vec<_> = server.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert!(posts.iter().all(|request| request.headers.contains_key("osd-xsrf")));
    let again = install_program(&http, Program::OpenSearchDashboards, Mode::Install).unwrap();
    assert_eq!(again[0].outcome, Outcome::Unchanged);
}

#[test]
fn the_stand_in_refuses_what_kibana_refuses() {
    let server = StandIn::start(KIBANA);
    let http = Http::new(&server.address);
    let import = |headers: Vec<(&'static str, &'static str)>, kind: &str, body: &str| {
        let body = Some((kind.to_owned(), body.as_bytes().to_vec()));
        let path = "api/saved_objects/_import?overwrite=true".to_owned();
        http.ask(&Request { method: "POST", path, headers, body }).unwrap().status
    };
    assert_eq!(import(vec![], "multipart/form-data; boundary=x", "--x--"), 400);
    assert_eq!(import(vec![("kbn-xsrf", "true")], "application/ndjson", "{}"), 400);
}

#[test]
fn an_old_kibana_does_without_the_rule_that_it_does_not_know() {
    let server = StandIn::start(Role::Dashboards(Program::Kibana, "8.9.2"));
    let steps = install_program(&Http::new(&server.address), Program::Kibana, Mode::Install).unwrap();
    assert!(matches!(&steps[1].outcome, Outcome::Skipped(reason) if reason.contains("8.11")));
    assert_eq!(server.state.lock().unwrap().rules.len(), 2);
}

#[test]
fn the_wrong_server_is_told_from_the_right_one() {
    let message = |role, program| {
        let server = StandIn::start(role);
        let error = install_program(&Http::new(&server.address), program, Mode::Install).unwrap_err();
        error.to_string().replace(&server.address, "ADDRESS")
    };
    assert_eq!(
        message(DASHBOARDS, Program::Kibana),
        "ADDRESS is version 2.19.0, expected Kibana 8.9 or newer, and a login that may see its version; OpenSearch \
         Dashboards is given with --dashboards"
    );
    assert!(message(KIBANA, Program::OpenSearchDashboards).contains("OpenSearch Dashboards 2 or newer"));
    assert!(message(Role::Dashboards(Program::Kibana, "7.17.0"), Program::Kibana).contains("version 7.17.0"));
    assert!(message(ELASTICSEARCH, Program::Kibana).starts_with("ADDRESS is a server without a version"));

    let old = StandIn::start(Role::Cluster { distribution: None, number: "7.17.0" });
    let error = flavour(&Http::new(&old.address)).unwrap_err().to_string();
    assert!(error.contains("is Elasticsearch 7.17.0, expected Elasticsearch 8 or newer"), "{error}");
}

#[test]
fn errors_say_who_refused_what_and_what_is_missing() {
    let server = StandIn::start(ELASTICSEARCH);
    let http = Http::new(&server.address);
    let with = |status| {
        server.state.lock().unwrap().only_status = Some(status);
        install_cluster(&http, Flavour::Elasticsearch, &definitions(records_template()), Mode::Install).unwrap_err()
    };
    assert!(matches!(with(401), InstallError::Unauthorized { .. }));
    let forbidden = with(403).to_string();
    assert!(forbidden.contains("lifecycle policy wellformed-records (status 403)"), "{forbidden}");
    assert!(forbidden.contains("it needs the cluster privilege `manage_ilm`"), "{forbidden}");
    let refused = with(500).to_string();
    assert!(refused.contains("(status 500): this is what it always says"), "{refused}");

    let error = flavour(&Nobody).unwrap_err().to_string();
    assert!(error.starts_with("http://127.0.0.1:1 does not answer: connection refused"), "{error}");
}

#[test]
fn lifecycle_policies_and_templates_are_created_updated_and_left_alone_in_both_flavours() {
    for (role, expected, path) in [
        (ELASTICSEARCH, Flavour::Elasticsearch, "/_ilm/policy/wellformed-records"),
        (OPEN_SEARCH, Flavour::OpenSearch, "/_plugins/_ism/policies/wellformed-records"),
    ] {
        let server = StandIn::start(role);
        let http = Http::new(&server.address);
        assert_eq!(flavour(&http).unwrap(), expected);
        let mut definitions = definitions(records_template());
        let install =
            |definitions: &Definitions, mode| outcomes(&install_cluster(&http, expected, definitions, mode).unwrap());
        assert_eq!(install(&definitions, Mode::Rehearse), all(&Outcome::Created, 3));
        assert!(server.state.lock().unwrap().definitions.is_empty());
        assert_eq!(install(&definitions, Mode::Install), all(&Outcome::Created, 3));
        assert_eq!(install(&definitions, Mode::Install), all(&Outcome::Unchanged, 3));
        assert!(server.state.lock().unwrap().definitions.contains_key(path));

        definitions.lifecycles[0].1["policy"]["phases"] = json!({"hot": {}});
        definitions.templates[0].1["priority"] = 250.into();
        let changed = [Outcome::Updated, Outcome::Updated, Outcome::Unchanged];
        assert_eq!(install(&definitions, Mode::Rehearse), changed);
        assert_eq!(install(&definitions, Mode::Install), changed);
        assert_eq!(install(&definitions, Mode::Install), all(&Outcome::Unchanged, 3));
    }
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn an_opensearch_compatible_server_takes_the_templates_and_refuses_what_they_do_not_describe() {
    let server = Osmem::start();
    let flavour = flavour(&server.http).unwrap();
    assert_eq!(flavour, Flavour::OpenSearch);
    let mut definitions = definitions(records_template_for_open_search());
    let install = |definitions: &Definitions, mode| {
        let steps = install_cluster(&server.http, flavour, definitions, mode).unwrap();
        // It has no index state management, and says so.
        assert!(matches!(&steps[0].outcome, Outcome::Skipped(reason) if reason.contains("delete old indices")));
        outcomes(&steps[1..])
    };
    assert_eq!(install(&definitions, Mode::Rehearse), all(&Outcome::Created, 2));
    assert_eq!(install(&definitions, Mode::Install), all(&Outcome::Created, 2));
    assert_eq!(install(&definitions, Mode::Install), all(&Outcome::Unchanged, 2));
    definitions.templates[1].1["priority"] = 301.into();
    assert_eq!(install(&definitions, Mode::Install), [Outcome::Unchanged, Outcome::Updated]);

    let body = json!({"timestamp": "2026-03-01T00:00:00.000Z", "verdict": "ok", "surprise": 1});
    let body = Some(("application/json".to_owned(), body.to_string().into_bytes()));
    let path = format!("{}/_doc/1", verdict::INDEX);
    let answer = server.http.ask(&Request { method: "PUT", path, headers: Vec::new(), body }).unwrap();
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("surprise"));
}
