//! The process: the model opened once, in Lambda's init phase, then one event after another.

use std::env;
use std::io::stdout;
use std::panic;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use lambda_runtime_api_client::body::Body;
use lambda_runtime_api_client::{PooledClient, build_request};
use tokio::runtime::Builder;
use wellformed_core::record::{Level, Record, Service, Start, Timestamp};
use wellformed_infer::Predictor;

use crate::event::Payload;
use crate::handler::{Handler, milliseconds};
use crate::record::{Lines, Recorder};
use crate::settings::Settings;

/// What Lambda sets for every function, and what the runtime reads.
const REQUIRED: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// Runs until Lambda ends the process. `started` is when `main` began.
///
/// # Errors
///
/// When the process was not started by a Lambda Runtime API, when the bundle cannot be opened (which the Runtime API is
/// told), or when the Runtime API goes away.
pub fn run(started: Instant) -> Result<()> {
    let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| env::var(name).is_err()).collect();
    ensure!(
        missing.is_empty(),
        "{} is not set: this program answers events of AWS Lambda's Runtime API, and is started by it; \
         docs/lambda.md says how to run it on your own machine",
        missing.join(", ")
    );
    // One event at a time is all that Lambda sends to a process.
    let tokio = Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let handler = panic::catch_unwind(|| open(started))
        .unwrap_or_else(|_| Err(anyhow!("the bundle cannot be opened: the program failed, the line above says where")));
    let mut handler = match handler {
        Ok(handler) => handler,
        Err(error) => {
            if let Err(unreported) = tokio.block_on(report_init_error(&error)) {
                eprintln!("error: the Runtime API cannot be told of the error below: {unreported:#}");
            }
            return Err(error);
        }
    };
    let service = service_fn(move |event: LambdaEvent<Payload>| {
        std::future::ready(handler.handle(event.payload, &event.context.request_id))
    });
    // No tracing layer: at the level TRACE the runtime would log whole payloads.
    let runtime = Runtime::new(service);
    panic::set_hook(Box::new(|info| {
        // From here on the place only: a panic's message may quote the sentence that it happened on.
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        eprintln!("error: a panic at {place}");
    }));
    tokio.block_on(runtime.run()).map_err(|error| anyhow!("the Runtime API went away: {error}"))
}

/// Opens the bundle, and predicts once, so that a model that cannot predict is never put to work.
fn open(started: Instant) -> Result<Handler<Predictor, Lines<std::io::Stdout>>> {
    let executable = env::current_exe().ok();
    let settings = Settings::read(|name| env::var(name).ok(), executable.as_deref())?;
    let predictor = Predictor::open(&settings.bundle, &settings.options)
        .with_context(|| format!("the bundle in {} cannot be opened", settings.bundle.display()))?;
    predictor.predict("This is a sentence.").context("the model cannot predict")?;
    let function_version = env::var("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_default();
    let mut recorder = Lines(stdout());
    recorder.record(Record::Start(Start {
        timestamp: Timestamp::now(),
        level: Level::Info,
        service: Service::Lambda,
        version: function_version.clone(),
        bundle: predictor.digest().to_owned(),
        precision: predictor.precision(),
        threads: predictor.threads() as u32,
        init_ms: milliseconds(started.elapsed()),
    }));
    Ok(Handler::new(predictor, recorder, function_version, settings.texts))
}

/// Tells the Runtime API that there will be no answers.
async fn report_init_error(error: &anyhow::Error) -> Result<()> {
    let diagnostic = Diagnostic { error_type: "Wellformed.Init".to_owned(), error_message: format!("{error:#}") };
    let request = build_request()
        .method("POST")
        .uri("/2018-06-01/runtime/init/error")
        .header("lambda-runtime-function-error-type", "Wellformed.Init")
        .body(Body::from(serde_json::to_vec(&diagnostic)?))?;
    let answer = PooledClient::builder().build().call(request).await.map_err(|error| anyhow!(error))?;
    ensure!(answer.status().is_success(), "it answered with status {}", answer.status());
    Ok(())
}
