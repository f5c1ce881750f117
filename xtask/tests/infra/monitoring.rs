//! infra/monitoring.yaml: what its alarms watch is what the programs write, its filter passes records and nothing else,
//! and its stack comes, changes and goes.
//!
//! moto's `CloudFormation` makes the function, its role, its permission, its log and the bucket. It has no subscription
//! filters, no settings of asynchronous invocations and no alarms; these the test makes from the same template by the
//! AWS command line, which knows what the services take, and moto takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use wellformed_core::record::{EmbeddedMetrics, NAMESPACE, Record, Timestamp};
use xtask::process::root;

use crate::Account;
use crate::template::{resolved, resources, template};

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:wellformed-live-alarms";
const CLUSTER: &str = "https://search.example.org:9200";
const LOG: &str = "/aws/lambda/wellformed";

fn image(digit: char) -> String {
    let digest = String::from(digit).repeat(64);
    format!("123456789012.dkr.ecr.eu-central-1.amazonaws.com/wellformed-forwarder@sha256:{digest}")
}

/// Metric and dimensions of every series that an alarm of a template looks at.
fn watched(alarm: &Value) -> Vec<&Value> {
    match alarm["Metrics"].as_array() {
        Some(metrics) => metrics.iter().filter_map(|it| it.pointer("/MetricStat/Metric")).collect(),
        None => vec![alarm],
    }
}

/// The lines of a function's log, Lambda's own among them, and what each is.
fn lines() -> Vec<String> {
    let log = root().join("crates/monitor/tests/fixtures/function.log");
    fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn alarms_on_predictions_watch_metrics_that_records_carry_in_a_series_that_exists() {
    let now = Timestamp::now();
    let metrics = [EmbeddedMetrics::of_prediction(now), EmbeddedMetrics::of_problem(now)];
    let directives: Vec<_> = metrics.iter().flat_map(|it| &it.cloud_watch_metrics).collect();
    let drift = fs::read_to_string(root().join("crates/monitor/src/watch/notify.rs")).unwrap();
    let mut seen = BTreeSet::new();
    for (name, alarm) in resources(&template("monitoring.yaml"), "AWS::CloudWatch::Alarm") {
        for metric in watched(&alarm).into_iter().filter(|metric| metric["Namespace"] == NAMESPACE) {
            let wanted = metric["MetricName"].as_str().unwrap();
            seen.insert(wanted.to_owned());
            let dimensions: BTreeMap<&str, &str> = metric["Dimensions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|it| (it["Name"].as_str().unwrap(), it["Value"].as_str().unwrap()))
                .collect();
            if wanted == "DriftVerdict" {
                assert!(dimensions.is_empty(), "{name}");
                assert!(drift.contains("\"Name\": \"DriftVerdict\"") && drift.contains("\"Dimensions\": [[]]"));
                continue;
            }
            let directive = directives.iter().find(|it| it.metrics.iter().any(|it| it.name == wanted));
            let directive = directive.unwrap_or_else(|| panic!("{name}: no record has the metric {wanted}"));
            assert_eq!(directive.namespace, NAMESPACE);
            let sets = directive.dimensions.iter().map(|set| set.iter().map(AsRef::as_ref).collect::<Vec<&str>>());
            let keys: Vec<&str> = dimensions.keys().copied().collect();
            assert!(sets.clone().any(|set| set == keys), "{name}: {wanted} has no series with {keys:?}");
            // The value is what the function writes there.
            let value = json!(dimensions["service"]);
            assert_eq!(value, serde_json::to_value(wellformed_core::record::Service::Lambda).unwrap(), "{name}");
        }
    }
    let expected = ["DriftVerdict", "p_acceptable", "status", "total_ms"].map(str::to_owned);
    assert_eq!(seen, expected.into());
}

#[test]
fn every_metric_of_a_record_is_a_field_of_it() {
    // So that an alarm on it ever sees a value.
    let mut carried = BTreeSet::new();
    for line in lines() {
        let Ok(record) = serde_json::from_str::<Record>(&line) else { continue };
        let line: Value = serde_json::to_value(record.with_metrics()).unwrap();
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().into_iter().flatten() {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name} of {line}");
            carried.insert(name.to_owned());
        }
    }
    assert!(carried.contains("total_ms") && carried.contains("status"), "{carried:?}");
}

/// Whether a pattern of the form `{ ($.field = "text") || … }` matches a line, as the `CloudWatch` Logs user guide says in
/// "Filter pattern syntax": what is no JSON object does not match.
fn passes(pattern: &str, line: &str) -> bool {
    let Ok(line) = serde_json::from_str::<Value>(line) else { return false };
    let body = pattern.strip_prefix("{ ").and_then(|it| it.strip_suffix(" }")).unwrap();
    body.split(" || ").any(|term| {
        let term = term.strip_prefix("($.").and_then(|it| it.strip_suffix("\")")).unwrap();
        let (field, text) = term.split_once(" = \"").unwrap();
        line[field] == text
    })
}

fn pattern() -> String {
    let template = template("monitoring.yaml");
    let filters = resources(&template, "AWS::Logs::SubscriptionFilter");
    assert_eq!(filters.len(), 1);
    let filter = &filters["Subscription"];
    // Of the function that predicts, never of the forwarder itself.
    assert_eq!(filter["LogGroupName"], "/aws/lambda/${FunctionName}");
    filter["FilterPattern"].as_str().unwrap().to_owned()
}

#[test]
fn the_filter_passes_records_and_no_line_of_lambda_or_of_the_forwarder() {
    let pattern = pattern();
    let (mut passed, mut held_back) = (BTreeSet::new(), 0);
    for line in lines() {
        let is_record = serde_json::from_str::<Record>(&line).is_ok();
        assert_eq!(passes(&pattern, &line), is_record, "{line}");
        if is_record {
            let line: Value = serde_json::from_str(&line).unwrap();
            passed.insert(line["type"].as_str().unwrap().to_owned());
        } else {
            held_back += 1;
        }
    }
    // Every kind of record was there, and of Lambda's own INIT_START, START, END, REPORT and a platform event.
    assert_eq!(passed, Record::TYPES.map(str::to_owned).into());
    assert_eq!(held_back, 5);
    for other in [
        r#"{"type":"forwarded","timestamp":"2026-09-22T09:14:22.123Z","level":"INFO","created":4}"#,
        r#"{"type":"drift","verdict":"ok","DriftVerdict":0}"#,
        r#"{"time":"2026-09-22T09:14:22.131Z","type":"platform.start","record":{"requestId":"1"}}"#,
        "error: ELASTICSEARCH_URL is not set",
        "prediction",
    ] {
        assert!(!passes(&pattern, other), "{other}");
    }
}

#[test]
fn every_alarm_tells_somebody_says_what_missing_data_mean_and_has_a_text() {
    let template = template("monitoring.yaml");
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() > 10, "{}", alarms.len());
    let mut names = BTreeSet::new();
    for (name, alarm) in &alarms {
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm[actions], json!(["${AlarmTopicArn}"]), "{name}: {actions}");
        }
        assert!(alarm["TreatMissingData"].is_string(), "{name}");
        assert!(alarm["AlarmDescription"].as_str().unwrap().len() > 60, "{name}");
        assert!(names.insert(alarm["AlarmName"].to_string()), "{name} has another alarm's name");
        // CloudWatch refuses an alarm that looks back for longer than a day.
        let periods = alarm["EvaluationPeriods"].as_u64().unwrap();
        let period = alarm["Period"].as_u64().or_else(|| {
            let metrics = alarm["Metrics"].as_array()?;
            metrics.iter().filter_map(|it| it.pointer("/MetricStat/Period")?.as_u64()).max()
        });
        assert!(periods * period.unwrap() <= 86_400, "{name}");
    }
}

#[test]
fn a_secret_is_in_the_template_by_its_name_only_and_the_role_may_do_little() {
    let template = template("monitoring.yaml");
    let function = &resources(&template, "AWS::Lambda::Function")["Forwarder"];
    let variables = &function["Environment"]["Variables"];
    let reference = "{{resolve:secretsmanager:${SecretArn}:SecretString:::${SecretVersionId}}}";
    let nothing = "${AWS::NoValue}";
    // With a user it is the password, otherwise the API key, if there is one at all.
    assert_eq!(variables["ELASTICSEARCH_PASSWORD"], json!(["HasUser", reference, nothing]));
    assert_eq!(variables["ELASTICSEARCH_API_KEY"], json!(["HasUser", nothing, ["HasSecret", reference, nothing]]));
    // What the program reads, and nothing that it does not know.
    let code = ["cluster.rs", "forwarder.rs"]
        .map(|file| fs::read_to_string(root().join("crates/monitor/src").join(file)).unwrap());
    for name in variables.as_object().unwrap().keys() {
        assert!(code.iter().any(|code| code.contains(&format!("= \"{name}\";"))), "{name} is read by nobody");
    }
    let role = &resources(&template, "AWS::IAM::Role")["ForwarderRole"];
    let statements = role["Policies"].as_array().unwrap().iter();
    let statements = statements.flat_map(|it| it["PolicyDocument"]["Statement"].as_array().unwrap());
    let allowed: Vec<(String, String)> = statements
        .flat_map(|statement| {
            let actions = statement["Action"].as_array().cloned().unwrap_or_else(|| vec![statement["Action"].clone()]);
            let resource = statement["Resource"].as_str().unwrap().to_owned();
            actions.into_iter().map(move |action| (action.as_str().unwrap().to_owned(), resource.clone()))
        })
        .collect();
    let expected = [
        ("logs:CreateLogStream", "${LogGroup.Arn}"),
        ("logs:PutLogEvents", "${LogGroup.Arn}"),
        ("s3:ListBucket", "${UndeliveredBucket.Arn}"),
        ("s3:PutObject", "${UndeliveredBucket.Arn}/*"),
    ];
    assert_eq!(allowed, expected.map(|(action, resource)| (action.to_owned(), resource.to_owned())));
}

#[test]
#[ignore = "needs .venv-aws; `cargo xtask test` runs it"]
fn the_monitoring_is_made_changed_and_removed_and_what_was_not_delivered_stays() {
    let account = Account::open();
    // What has to be there: the log of the function that predicts.
    account.aws(&["logs", "create-log-group", "--log-group-name", LOG]);
    let (first, second) = (image('a'), image('b'));
    let given = [("ImageUri", first.as_str()), ("ClusterUrl", CLUSTER), ("AlarmTopicArn", TOPIC)];
    account.stack("create-stack", "wellformed-monitoring", "monitoring.yaml", &given);
    let outputs = account.outputs("wellformed-monitoring");
    let forwarder = outputs["ForwarderName"].as_str();
    assert_eq!(
        (forwarder, outputs["LogGroupName"].as_str()),
        ("wellformed-forwarder", "/aws/lambda/wellformed-forwarder")
    );

    let function = account.aws(&["lambda", "get-function", "--function-name", forwarder]);
    assert_eq!(function["Code"]["ImageUri"], first);
    assert_eq!(function["Concurrency"]["ReservedConcurrentExecutions"], 2, "the cluster is not flooded");
    let configuration = &function["Configuration"];
    assert_eq!((&configuration["MemorySize"], &configuration["Timeout"]), (&json!(256), &json!(120)));
    let variables = json!({"ELASTICSEARCH_URL": CLUSTER, "WELLFORMED_INDEX": "wellformed-records"});
    assert_eq!(configuration["Environment"]["Variables"], variables, "no login, unless one is asked for");
    let policy = account.aws(&["lambda", "get-policy", "--function-name", forwarder]);
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    let [statement] = policy["Statement"].as_array().unwrap().as_slice() else { panic!("{policy}") };
    assert_eq!(statement["Principal"], json!({"Service": "logs.amazonaws.com"}));
    let source = format!("arn:aws:logs:eu-central-1:123456789012:log-group:{LOG}:*");
    assert_eq!(statement["Condition"]["ArnLike"]["AWS:SourceArn"], source, "only that log may invoke it");
    let groups = account.aws(&["logs", "describe-log-groups", "--log-group-name-prefix", &outputs["LogGroupName"]]);
    assert_eq!(groups["logGroups"][0]["retentionInDays"], 30, "a log is not kept forever: {groups}");
    let bucket = outputs["UndeliveredBucketName"].as_str();
    let encryption = account.aws(&["s3api", "get-bucket-encryption", "--bucket", bucket]);
    let rule = &encryption["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"];
    assert_eq!(rule["SSEAlgorithm"], "AES256", "{encryption}");

    by_the_command_line(&account, &function["Configuration"]["FunctionArn"], bucket);

    // Another image, and a login. moto takes the reference for the text; CloudFormation puts the secret in.
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:wellformed/elasticsearch-AbCdEf";
    let given = [
        ("ImageUri", second.as_str()),
        ("ClusterUrl", CLUSTER),
        ("AlarmTopicArn", TOPIC),
        ("SecretArn", secret),
        ("UserName", "forwarder"),
        ("MemoryMiB", "512"),
    ];
    account.stack("update-stack", "wellformed-monitoring", "monitoring.yaml", &given);
    let function = account.aws(&["lambda", "get-function", "--function-name", forwarder]);
    assert_eq!(function["Code"]["ImageUri"], second);
    let configuration = &function["Configuration"];
    let variables = &configuration["Environment"]["Variables"];
    assert_eq!(
        (&configuration["MemorySize"], &variables["ELASTICSEARCH_USERNAME"]),
        (&json!(512), &json!("forwarder"))
    );
    assert_eq!(variables["ELASTICSEARCH_PASSWORD"], format!("{{{{resolve:secretsmanager:{secret}:SecretString:::}}}}"));
    assert_eq!(variables.get("ELASTICSEARCH_API_KEY"), None, "a user's secret is no API key");
    assert_eq!(account.outputs("wellformed-monitoring")["UndeliveredBucketName"], bucket, "a change keeps the bucket");

    account.aws(&["cloudformation", "delete-stack", "--stack-name", "wellformed-monitoring"]);
    let functions = account.aws(&["lambda", "list-functions"]);
    assert_eq!(functions["Functions"], json!([]));
    assert_eq!(account.aws(&["iam", "list-roles"])["Roles"], json!([]));
    let buckets = account.aws(&["s3api", "list-buckets"]);
    assert_eq!(buckets["Buckets"][0]["Name"], bucket, "what was not delivered outlives the stack");
    let groups = account.aws(&["logs", "describe-log-groups"]);
    assert_eq!(groups["logGroups"].as_array().unwrap().len(), 1, "the predictions' log is not the stack's: {groups}");
}

/// Makes what moto's `CloudFormation` does not, with the template's own values.
fn by_the_command_line(account: &Account, function: &Value, bucket: &str) {
    let template = template("monitoring.yaml");
    let mut names: BTreeMap<String, String> = template["Parameters"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(name, parameter)| match &parameter["Default"] {
            Value::Null => None,
            Value::String(text) => Some((name.clone(), text.clone())),
            number => Some((name.clone(), number.to_string())),
        })
        .collect();
    for (name, value) in [
        ("AlarmTopicArn", TOPIC),
        ("Forwarder", "wellformed-forwarder"),
        ("Forwarder.Arn", function.as_str().unwrap()),
        ("ForwarderRole", "wellformed-forwarder"),
        ("UndeliveredBucket", bucket),
        ("UndeliveredBucket.Arn", &format!("arn:aws:s3:::{bucket}")),
    ] {
        names.insert(name.to_owned(), value.to_owned());
    }
    let make = |command: &[&str], properties: &Value| {
        let input = resolved(properties, &names).to_string();
        account.aws(&[command, &["--cli-input-json", &input]].concat());
    };

    for alarm in resources(&template, "AWS::CloudWatch::Alarm").values() {
        make(&["cloudwatch", "put-metric-alarm"], alarm);
    }
    let alarms = account.aws(&["cloudwatch", "describe-alarms"]);
    let made: BTreeSet<&str> =
        alarms["MetricAlarms"].as_array().unwrap().iter().map(|alarm| alarm["AlarmName"].as_str().unwrap()).collect();
    let expected = [
        "wellformed-drift",
        "wellformed-drift-unwatched",
        "wellformed-forwarder-backlog",
        "wellformed-forwarder-errors",
        "wellformed-forwarder-handover",
        "wellformed-forwarder-kept",
        "wellformed-forwarder-lost",
        "wellformed-forwarder-undelivered",
        "wellformed-forwarder-unforwarded",
        "wellformed-predictions-defect",
        "wellformed-predictions-refused",
        "wellformed-predictions-slow",
    ];
    assert_eq!(made, expected.into());

    // The command line calls these fields otherwise than CloudFormation: the first letter is small.
    let Value::Object(filter) = &resources(&template, "AWS::Logs::SubscriptionFilter")["Subscription"] else {
        panic!()
    };
    let small = |name: &str| name[..1].to_lowercase() + &name[1..];
    let filter: Value = filter.iter().map(|(name, value)| (small(name), value.clone())).collect();
    make(&["logs", "put-subscription-filter"], &filter);
    let filters = account.aws(&["logs", "describe-subscription-filters", "--log-group-name", LOG]);
    assert_eq!(filters["subscriptionFilters"][0]["destinationArn"], *function, "{filters}");
    assert_eq!(filters["subscriptionFilters"][0]["filterPattern"], pattern());

    make(
        &["lambda", "put-function-event-invoke-config"],
        &resources(&template, "AWS::Lambda::EventInvokeConfig")["Retries"],
    );
    let name = ["--function-name", "wellformed-forwarder"];
    let kept = account.aws(&[["lambda", "get-function-event-invoke-config"], name].concat());
    assert_eq!(kept["MaximumRetryAttempts"], 2);
    assert_eq!(kept["DestinationConfig"]["OnFailure"]["Destination"], format!("arn:aws:s3:::{bucket}"), "{kept}");
}
