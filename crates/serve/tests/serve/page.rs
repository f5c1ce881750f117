//! The pages as they are sent: without JavaScript, and without anything from elsewhere.

use wellformed_serve::Settings;

use crate::support::{start, start_with};

#[test]
fn the_page_has_the_verdict_and_the_words_without_javascript() {
    let server = start();
    let page = server.get("/?text=The+whole+choir+sang+an+air.&perturbation=mask");
    assert_eq!((page.status, &*page.headers["content-type"]), (200, "text/html; charset=utf-8"));
    let html = &page.body;
    assert!(html.contains("data-state=\"acceptable\""), "{html}");
    assert!(html.contains("<span id=\"verdict\">Acceptable</span>"), "{html}");
    assert!(html.contains("acceptable 2.3 %, unacceptable 97.7 %"), "{html}");
    assert!(html.contains(">The whole choir sang an air.</textarea>"), "{html}");
    assert!(html.contains("value=\"mask\" checked") && !html.contains("value=\"omit\" checked"), "{html}");
    assert!(html.contains("<span class=\"w\">choir</span>") && html.contains("<span class=\"n\">+5</span>"), "{html}");
    assert!(html.contains("<span class=\"n\">\u{2212}3</span>"), "{html}");
    assert!(html.contains("<noscript>"), "there is a button to send the form with");
    assert!(server.get("/?text=It+is.").body.contains("data-state=\"unacceptable\""));
}

#[test]
fn what_is_typed_is_text_and_never_markup() {
    let server = start();
    let page =
        server.get("/?text=%3C%2Ftextarea%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E+%22%27%26+%7B%7Bwords%7D%7D").body;
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(
        page.contains("&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt; &quot;&#39;&amp; {{words}}"),
        "{page}"
    );
}

#[test]
fn every_place_in_the_page_is_filled() {
    let server = start();
    for path in ["/", "/?text=It+rains.", "/?text=+", "/?other=1"] {
        let page = server.get(path);
        assert_eq!(page.status, 200);
        assert!(!page.body.contains("{{"), "{path}: {}", page.body);
    }
    assert!(server.get("/").body.contains("data-state=\"empty\""));
}

#[test]
fn the_page_tells_what_is_known_of_the_model() {
    let page = start().get("/").body;
    assert!(
        page.contains("<dt>Matthews correlation</dt><dd>0.365; with 32 bits 0.371 (0.300 to 0.439)</dd>"),
        "{page}"
    );
    assert!(page.contains("1,043 sentences"));
    assert!(page.contains("<dd>001122334455</dd>"));
}

#[test]
fn a_busy_server_says_so_on_the_page_too() {
    let server = start_with(Settings { queue_sentences: 1, ..Settings::default() });
    server.hand.hold();
    let taken = server.post_later("/predict", serde_json::json!({"sentence": "It rains."}));
    crate::support::until("the worker is occupied", || server.hand.seen() == 1);
    let waits = server.post_later("/predict", serde_json::json!({"sentence": "It rains."}));
    crate::support::until("one waits", || server.queued() == 1);
    let page = server.get("/?text=It+rains.");
    assert_eq!(page.status, 429);
    assert!(
        page.body.contains("data-state=\"trouble\"") && page.body.contains(">It rains.</textarea>"),
        "{}",
        page.body
    );
    server.hand.release();
    taken.join().unwrap();
    waits.join().unwrap();
}

#[test]
fn the_pages_load_nothing_from_elsewhere_and_nothing_inline() {
    let server = start();
    for path in ["/", "/docs"] {
        let page = server.get(path).body;
        for part in page.split(['"', '\'']) {
            assert!(!part.starts_with("http") && !part.starts_with("//"), "{path} refers to {part}");
        }
        assert!(!page.contains("<style") && !page.contains("style="), "{path}");
        for (at, _) in page.match_indices(" on") {
            let name: String = page[at + 1..].chars().take_while(char::is_ascii_alphabetic).collect();
            assert!(!page[at + 1 + name.len()..].starts_with('='), "{path}: {name}");
        }
        let scripts: Vec<&str> = page.split("<script").skip(1).collect();
        assert!(scripts.iter().all(|script| script.starts_with(" src=\"/")), "{path}");
        for reference in page.split("href=\"").chain(page.split("src=\"")).skip(1) {
            let target = reference.split('"').next().unwrap();
            if target.starts_with('/') {
                assert_eq!(server.get(target).status, 200, "{path} refers to {target}");
            }
        }
    }
}

#[test]
fn a_browser_that_has_a_file_is_not_sent_it_again() {
    let server = start();
    let first = server.get("/page.css");
    let tag = &first.headers["etag"];
    let again = crate::support::send(server.address, "GET", "/page.css", &[("If-None-Match", tag)], "");
    assert_eq!((again.status, &*again.body), (304, ""));
    let other = crate::support::send(server.address, "GET", "/page.css", &[("If-None-Match", "\"0\"")], "");
    assert_eq!(other.status, 200);
}
