//! The files of the pages, which the binary carries.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// A file that is answered as it is.
pub(crate) struct File {
    pub(crate) path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// All of them.
pub(crate) static FILES: [File; 5] = [
    File { path: "/page.css", content_type: "text/css; charset=utf-8", text: include_str!("../page/page.css") },
    File { path: "/page.js", content_type: SCRIPT, text: include_str!("../page/page.js") },
    File { path: "/docs.js", content_type: SCRIPT, text: include_str!("../page/docs.js") },
    File { path: "/favicon.svg", content_type: "image/svg+xml", text: include_str!("../page/favicon.svg") },
    File { path: "/robots.txt", content_type: "text/plain; charset=utf-8", text: "User-agent: *\nDisallow: /\n" },
];

/// The file, or 304 to a browser that has this version.
#[expect(clippy::unused_async, reason = "a handler is asynchronous")]
pub(crate) async fn answer(file: &'static File, headers: HeaderMap) -> Response {
    let mut hasher = DefaultHasher::new();
    file.text.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let caching = [(CACHE_CONTROL, HeaderValue::from_static("no-cache")), (ETAG, value(&tag))];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, file.content_type)], file.text).into_response()
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
