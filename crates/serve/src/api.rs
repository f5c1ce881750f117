//! The routes, and the API among them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, RawQuery, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use serde_json::{Value, json};
use tower_http::cors::{self, CorsLayer};
use wellformed_infer::{Explanation, Perturbation, Prediction, Tokens};

use crate::assets;
use crate::batching::Refused;
use crate::metrics;
use crate::model::Model;
use crate::monitor;
use crate::observe::{Context, REQUEST_ID, observe};
use crate::page;
use crate::problem::Problem;
use crate::server::App;
use crate::settings::{AllowOrigin, Settings};
use crate::wire::{self, Explained, Predictions, Query, Sentences, Verdict};

/// Every address that answers.
pub(crate) const ROUTES: [&str; 17] = [
    "/",
    "/docs",
    "/docs.js",
    "/explain",
    "/favicon.svg",
    "/health",
    "/health/live",
    "/health/ready",
    "/info",
    "/metrics",
    "/monitor",
    "/monitor.json",
    "/openapi.json",
    "/page.css",
    "/page.js",
    "/predict",
    "/robots.txt",
];

/// So many sentences are tokenised where the request is read; more go to a thread that may take its time.
const TOKENISED_IN_PLACE: usize = 8;

type Shared = State<Arc<App>>;
type Around = Extension<Arc<Context>>;

/// The routes with everything around them.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let router = Router::new()
        .route("/", get(page::show))
        .route("/docs", get(page::docs))
        .route("/predict", get(predict_query).post(predict_body))
        .route("/explain", get(explain_query).post(explain_body))
        .route("/info", get(info))
        .route("/health", get(ready))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/monitor", get(monitor::show))
        .route("/monitor.json", get(monitor::report))
        .route("/openapi.json", get(openapi_json));
    let router = assets::FILES
        .iter()
        .fold(router, |router, file| router.route(file.path, get(move |headers| assets::answer(file, headers))));
    let router = router
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(app.settings.max_body));
    let router = match cors(&app.settings.allow_origin) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(middleware::from_fn_with_state(Arc::clone(app), observe)).with_state(Arc::clone(app))
}

fn cors(allow: &AllowOrigin) -> Option<CorsLayer> {
    let origins = match allow {
        AllowOrigin::Nobody => return None,
        AllowOrigin::These(origins) => cors::AllowOrigin::list(origins.iter().cloned()),
        AllowOrigin::Everybody => cors::AllowOrigin::any(),
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([CONTENT_TYPE, REQUEST_ID])
        .expose_headers([REQUEST_ID, header::RETRY_AFTER]);
    Some(layer)
}

async fn predict_body(State(app): Shared, Extension(context): Around, request: Request) -> Result<Response, Problem> {
    let object = read(&app, &context, request).await?;
    let sentences = wire::sentences(object, &app.settings)?;
    answer(&app, &context, sentences).await
}

async fn predict_query(State(app): Shared, Extension(context): Around, RawQuery(query): RawQuery) -> Answer {
    let text = Query::read(query.as_deref(), false)?.text()?;
    answer(&app, &context, Sentences::One("text", text)).await
}

type Answer = Result<Response, Problem>;

async fn answer(app: &Arc<App>, context: &Context, sentences: Sentences) -> Answer {
    let predictions = predict(app, context, sentences).await?;
    let predictions = predictions.iter().map(Verdict::from).collect();
    Ok(Json(Predictions { bundle: app.model.digest(), predictions }).into_response())
}

async fn explain_body(State(app): Shared, Extension(context): Around, request: Request) -> Answer {
    let object = read(&app, &context, request).await?;
    let (sentence, perturbation) = wire::explanation(object)?;
    let explanation = explain(&app, &context, Sentences::One("sentence", sentence), perturbation).await?;
    Ok(Json(Explained::new(app.model.digest(), explanation)).into_response())
}

async fn explain_query(State(app): Shared, Extension(context): Around, RawQuery(query): RawQuery) -> Answer {
    let query = Query::read(query.as_deref(), true)?;
    let perturbation = query.perturbation();
    let explanation = explain(&app, &context, Sentences::One("text", query.text()?), perturbation).await?;
    Ok(Json(Explained::new(app.model.digest(), explanation)).into_response())
}

/// Reads a body; whoever watches knows meanwhile that the client is to blame for the time.
async fn read(app: &App, context: &Context, request: Request) -> Result<serde_json::Map<String, Value>, Problem> {
    context.tell(|details| details.reading = true);
    let object = wire::json_object(request, &app.settings).await;
    context.tell(|details| details.reading = false);
    object
}

/// From sentences to predictions, through the queue.
async fn predict(app: &Arc<App>, context: &Context, sentences: Sentences) -> Result<Vec<Prediction>, Problem> {
    let (sentences, tokens) = tokenize(app, context, sentences).await?;
    let texts = app.records.describe(sentences.as_slice());
    let pending = app.batcher.predict(tokens).map_err(|refused| refuse(app, refused))?;
    let finished = pending.wait().await.map_err(|_| Problem::internal())?;
    context.tell(|details| (details.queue, details.inference) = (finished.queued, finished.inference));
    answered(app, context, &finished.values);
    app.records.predictions(context, &*app.model, &finished.values, texts, false);
    Ok(finished.values)
}

/// From a sentence to its explanation, through the queue.
pub(crate) async fn explain(
    app: &Arc<App>,
    context: &Context,
    sentence: Sentences,
    perturbation: Perturbation,
) -> Result<Explanation, Problem> {
    let (sentence, tokens) = tokenize(app, context, sentence).await?;
    let length = tokens.iter().map(|tokens| tokens.ids.len()).sum();
    let texts = app.records.describe(sentence.as_slice());
    let sentence = sentence.as_slice().concat();
    let pending = app.batcher.explain(sentence, perturbation, length).map_err(|refused| refuse(app, refused))?;
    let mut finished = pending.wait().await.map_err(|_| Problem::internal())?;
    context.tell(|details| (details.queue, details.inference) = (finished.queued, finished.inference));
    let explanation = finished.values.pop().ok_or_else(Problem::internal)?;
    let predictions = std::slice::from_ref(&explanation.prediction);
    answered(app, context, predictions);
    app.records.predictions(context, &*app.model, predictions, texts, true);
    app.metrics.explained();
    Ok(explanation)
}

async fn tokenize(
    app: &Arc<App>,
    context: &Context,
    sentences: Sentences,
) -> Result<(Sentences, Vec<Tokens>), Problem> {
    let began = Instant::now();
    let tokenized = if sentences.as_slice().len() <= TOKENISED_IN_PLACE {
        tokenize_all(&*app.model, &sentences).map(|tokens| (sentences, tokens))
    } else {
        let model = Arc::clone(&app.model);
        let task = move || tokenize_all(&*model, &sentences).map(|tokens| (sentences, tokens));
        tokio::task::spawn_blocking(task).await.map_err(|_| Problem::internal())?
    };
    let (sentences, tokens) = tokenized?;
    context.tell(|details| {
        details.sentences = tokens.len();
        details.tokens = tokens.iter().map(|tokens| tokens.ids.len()).sum();
        details.tokenization = began.elapsed();
    });
    Ok((sentences, tokens))
}

fn tokenize_all(model: &dyn Model, sentences: &Sentences) -> Result<Vec<Tokens>, Problem> {
    let indexed = sentences.as_slice().iter().enumerate();
    let tokens = indexed.map(|(index, sentence)| {
        model
            .tokenize(sentence)
            .map_err(|error| Problem::unusable("empty_sentence", sentences.field(index), error.to_string()))
    });
    tokens.collect()
}

/// Counts what is about to be answered.
fn answered(app: &App, context: &Context, predictions: &[Prediction]) {
    context.tell(|details| app.metrics.phases(details.tokenization, details.queue, details.inference));
    for prediction in predictions {
        app.metrics.predicted(prediction);
    }
}

fn refuse(app: &App, refused: Refused) -> Problem {
    let problem = match refused {
        Refused::Full => Problem::queue_full(),
        Refused::Stopping => Problem::stopping(),
    };
    app.metrics.rejected(problem.code);
    problem
}

async fn info(State(app): Shared) -> Json<Value> {
    let manifest = app.model.manifest();
    let settings = &app.settings;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "bundle": app.model.digest(),
        "precision": app.model.precision(),
        "labels": manifest.labels,
        "max_length": manifest.max_length,
        "vocabulary": manifest.vocabulary,
        "calibration": manifest.calibration,
        "metrics": manifest.metrics,
        "origin": manifest.origin,
        "limits": {
            "sentences": settings.max_sentences,
            "body_bytes": settings.max_body,
            "timeout_seconds": settings.timeout.as_secs_f64(),
            "queue_sentences": settings.queue_sentences,
            "queue_tokens": settings.queue_tokens,
        },
    }))
}

async fn live() -> Json<Value> {
    Json(json!({"status": "live"}))
}

async fn ready(State(app): Shared) -> Response {
    let (sentences, tokens) = app.batcher.depth();
    let stopping = app.stopping.load(Ordering::Relaxed);
    let (status, name) =
        if stopping { (StatusCode::SERVICE_UNAVAILABLE, "stopping") } else { (StatusCode::OK, "ready") };
    let body = json!({
        "status": name,
        "bundle": app.model.digest(),
        "queue": {"sentences": sentences, "tokens": tokens},
    });
    (status, Json(body)).into_response()
}

async fn metrics_text(State(app): Shared) -> Response {
    // Whoever watches the verdict by its metric never looks at the page: this look is for the next one's sake.
    app.records.monitor().ask();
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], app.metrics.text()).into_response()
}

async fn openapi_json(State(app): Shared) -> Response {
    ([(CONTENT_TYPE, "application/json")], app.openapi.clone()).into_response()
}

/// The document of the API, with this server's version and limits.
pub(crate) fn openapi(model: &dyn Model, settings: &Settings) -> String {
    include_str!("../page/openapi.json")
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{max_length}", &model.manifest().max_length.to_string())
        .replace("{max_body}", &settings.max_body.to_string())
        .replace("\"{max_sentences}\"", &settings.max_sentences.to_string())
}
