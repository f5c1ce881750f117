//! How to log in, and what is said of an address that is none.

use std::fs;

use wellformed_monitor::cluster::{Cluster, Credentials};

use crate::stand_in::{Act, StandIn};

fn credentials(variables: &[(&str, &str)]) -> Result<Credentials, String> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Credentials::read(find).map_err(|error| format!("{error:#}"))
}

/// The header with which a request with these variables goes out.
fn header(variables: &[(&str, &str)]) -> Option<String> {
    let server = StandIn::start(Vec::new(), Act::Answer(200, "", "{}".to_owned()));
    let cluster = Cluster::open(&server.url, credentials(variables).unwrap(), None).unwrap();
    cluster.ask("GET", "", None).unwrap();
    let asked = server.asked().remove(0);
    let found = asked.headers.iter().find(|header| header.to_ascii_lowercase().starts_with("authorization:"));
    found.map(|header| header.split_once(": ").unwrap().1.to_owned())
}

#[test]
fn an_api_key_or_a_user_logs_in() {
    assert_eq!(header(&[]), None);
    assert_eq!(header(&[("ELASTICSEARCH_API_KEY", "aWQ6a2V5")]).unwrap(), "ApiKey aWQ6a2V5");
    // printf 'id:key' | base64
    assert_eq!(header(&[("ELASTICSEARCH_API_KEY", "id:key")]).unwrap(), "ApiKey aWQ6a2V5");
    // RFC 7617, section 2
    let user = [("ELASTICSEARCH_USERNAME", "Aladdin"), ("ELASTICSEARCH_PASSWORD", "open sesame")];
    assert_eq!(header(&user).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, "aWQ6a2V5\n").unwrap();
    assert_eq!(header(&[("ELASTICSEARCH_API_KEY_FILE", file.to_str().unwrap())]).unwrap(), "ApiKey aWQ6a2V5");
}

#[test]
fn half_a_login_and_two_logins_are_refused_and_no_secret_is_shown() {
    let cases: [&[(&str, &str)]; 4] = [
        &[("ELASTICSEARCH_USERNAME", "me")],
        &[("ELASTICSEARCH_PASSWORD", "hunter2")],
        &[("ELASTICSEARCH_API_KEY", "hunter2"), ("ELASTICSEARCH_API_KEY_FILE", "/x")],
        &[
            ("ELASTICSEARCH_API_KEY", "hunter2"),
            ("ELASTICSEARCH_USERNAME", "me"),
            ("ELASTICSEARCH_PASSWORD", "hunter2"),
        ],
    ];
    for variables in cases {
        let error = credentials(variables).unwrap_err();
        assert!(error.contains("ELASTICSEARCH_") || error.contains("API key"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let error = credentials(&[("ELASTICSEARCH_PASSWORD_FILE", "/no/such/file")]).unwrap_err();
    assert!(error.contains("/no/such/file") && error.contains("ELASTICSEARCH_PASSWORD_FILE"), "{error}");
    let shown = format!("{:?}", credentials(&[("ELASTICSEARCH_API_KEY", "hunter2")]).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_address_that_is_none_or_holds_a_password_is_refused_without_repeating_it() {
    for url in ["", "search.example.org", "ftp://search.example.org", "http://me:hunter2@search.example.org", "http://"]
    {
        let error = format!("{:#}", Cluster::open(url, Credentials::None, None).unwrap_err());
        assert!(error.contains("address of the cluster") && !error.contains("hunter2"), "{url}: {error}");
    }
}

#[test]
fn a_cluster_behind_a_path_is_asked_there() {
    let server = StandIn::start(Vec::new(), Act::Answer(200, "", "{}".to_owned()));
    let cluster = Cluster::open(&format!("{}/search", server.url), Credentials::None, None).unwrap();
    cluster.ask("GET", "_index_template/x", None).unwrap();
    assert!(server.asked()[0].line.starts_with("GET /search/_index_template/x "));
}

#[test]
fn certificates_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, "nothing").unwrap();
    let error = format!("{:#}", Cluster::open("https://localhost", Credentials::None, Some(&file)).unwrap_err());
    assert!(error.contains("ca.pem") && error.contains("no certificate"), "{error}");
}
