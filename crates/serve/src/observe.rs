//! What surrounds every request: its id, its time limit, its line in the log, its metrics, its security headers.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::log::{Entry, Milliseconds, timestamp};
use crate::problem::{Code, Problem};
use crate::server::App;

/// The header that carries a request's id, in both directions.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The status in logs and metrics of a request whose client has gone before the answer; it is never sent.
const CLIENT_GONE: u16 = 499;

/// Everything that a page may load comes from here, and nothing in it is inline. A page with another policy brings it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// The request that an answer belongs to.
#[derive(Debug)]
pub(crate) struct Context {
    id: String,
    method: &'static str,
    route: &'static str,
    time: SystemTime,
    started: Instant,
    details: Mutex<Details>,
}

/// What the handler tells of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Details {
    pub(crate) sentences: usize,
    pub(crate) tokens: usize,
    pub(crate) tokenization: Duration,
    pub(crate) queue: Duration,
    pub(crate) inference: Duration,
    /// Whether the body is still being read.
    pub(crate) reading: bool,
}

impl Context {
    /// The request's id: the client's, if it sent a sane one, otherwise the server's own.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The route that answers, such as `/predict`.
    pub(crate) fn route(&self) -> &'static str {
        self.route
    }

    /// Since the request's head had arrived.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn tell(&self, tell: impl FnOnce(&mut Details)) {
        tell(&mut self.details.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn details(&self) -> Details {
        *self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the request's line when it is dropped: answered, or given up because the client has gone.
struct Watch {
    app: Arc<App>,
    context: Arc<Context>,
    status: u16,
    code: Option<&'static str>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Self { app, context, status, code } = self;
        let total = context.started.elapsed();
        app.metrics.request_ended(context.method, context.route, *status, total);
        if let Some(code) = code {
            app.metrics.error(code);
            app.records.problem(context, &*app.model, *status, code);
        }
        if !app.log.is_on() {
            return;
        }
        let details = context.details();
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let entry = Entry {
            time: timestamp(context.time),
            id: &context.id,
            method: context.method,
            route: context.route,
            status: *status,
            sentences: details.sentences,
            tokens: details.tokens,
            ms: Milliseconds {
                total: milliseconds(total),
                tokenization: milliseconds(details.tokenization),
                queue: milliseconds(details.queue),
                inference: milliseconds(details.inference),
            },
            error: *code,
        };
        app.log.request(&entry);
    }
}

/// The middleware around every route.
pub(crate) async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let context = Arc::new(Context {
        id: request_id(request.headers()),
        method: method_name(request.method()),
        route: route_name(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str)),
        time: SystemTime::now(),
        started: Instant::now(),
        details: Mutex::default(),
    });
    app.metrics.request_began();
    let code = Some("client_gone");
    let mut watch = Watch { app: Arc::clone(&app), context: Arc::clone(&context), status: CLIENT_GONE, code };
    request.extensions_mut().insert(Arc::clone(&context));
    let limit = app.settings.timeout;
    // A request that takes too long is dropped, and with it the places of its sentences in the queue.
    let mut response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) if context.details().reading => Problem::slow_body(limit.as_secs_f64()).into_response(),
        Err(_) => Problem::timeout(limit.as_secs_f64()).into_response(),
    };
    watch.status = response.status().as_u16();
    watch.code = response.extensions().get::<Code>().map(|code| code.0);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The client's own id, if it is short and plain: it is repeated in logs. Otherwise a new one.
fn request_id(headers: &HeaderMap) -> String {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let sent = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain);
    sent.map_or_else(|| format!("{:016x}", KEY.hash_one(COUNT.fetch_add(1, Ordering::Relaxed))), str::to_owned)
}

/// Methods and routes stand in metrics: of what a client makes up, there is only one name.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn route_name(matched: Option<&str>) -> &'static str {
    matched.and_then(|path| crate::api::ROUTES.into_iter().find(|route| *route == path)).unwrap_or("other")
}
