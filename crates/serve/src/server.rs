//! Connections: from the open door to the last answer.

use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api;
use crate::batching::Batcher;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::page::Page;
use crate::record::Records;
use crate::settings::Settings;

/// Bytes that a request's head may have; a connection keeps no more than this.
const LARGEST_HEAD: usize = 64 << 10;

/// A server that has its address, and answers as soon as it [runs](Server::run).
pub struct Server {
    listener: StdListener,
    app: Arc<App>,
}

/// What every request can reach.
pub(crate) struct App {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) batcher: Batcher,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) settings: Settings,
    pub(crate) log: Log,
    pub(crate) records: Records,
    pub(crate) page: Page,
    pub(crate) openapi: String,
    pub(crate) stopping: AtomicBool,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was accepted has been answered.
    Finished,
    /// So many requests had no answer yet when the time to stop was over.
    Unfinished(usize),
}

impl Server {
    /// Takes the address and starts the threads that predict.
    ///
    /// # Errors
    ///
    /// When the address cannot be had, or the threads cannot be started.
    pub fn bind(
        address: SocketAddr,
        model: impl Model,
        settings: Settings,
        log: Log,
        records: Records,
    ) -> Result<Self> {
        let listener = StdListener::bind(address)
            .with_context(|| format!("cannot listen at {address}; another program may, so try another --address"))?;
        listener.set_nonblocking(true).with_context(|| format!("cannot listen at {address}"))?;
        let model: Arc<dyn Model> = Arc::new(model);
        let metrics = Arc::new(Metrics::new(&*model, &log, &records));
        let app = App {
            batcher: Batcher::start(Arc::clone(&model), Arc::clone(&metrics), &settings)?,
            page: Page::new(&*model, &records),
            openapi: api::openapi(&*model, &settings),
            records,
            stopping: AtomicBool::new(false),
            model,
            metrics,
            settings,
            log,
        };
        Ok(Self { listener, app: Arc::new(app) })
    }

    /// Where it listens: the port is known even if port 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().context("cannot tell the address")
    }

    /// Records that the server is ready; `started` is when its program began.
    pub fn record_start(&self, started: Instant) {
        self.app.records.start(&*self.app.model, self.app.settings.threads, started.elapsed());
    }

    /// Answers until `stop` is ready; then takes no new connection, finishes what it has accepted, and ends.
    ///
    /// # Errors
    ///
    /// When the operating system refuses to listen.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Ended> {
        let Self { listener, app } = self;
        let listener = TcpListener::from_std(listener).context("cannot listen")?;
        let router = api::router(&app);
        let graceful = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(app.settings.max_connections));
        let mut stop = pin!(async {
            stop.await;
            app.stopping.store(true, Ordering::Relaxed);
            tokio::time::sleep(app.settings.shutdown_delay).await;
        });
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                (stream, permit) = accept(&listener, &permits) => converse(stream, permit, &router, &app, &graceful),
            }
        }
        // Who has connected already is not turned away.
        while permits.available_permits() > 0
            && let Ok((stream, permit)) = tokio::time::timeout(Duration::ZERO, accept(&listener, &permits)).await
        {
            converse(stream, permit, &router, &app, &graceful);
        }
        drop(listener);
        let ended = tokio::select! {
            () = graceful.shutdown() => Ended::Finished,
            () = quiet(&app) => Ended::Finished,
            () = tokio::time::sleep(app.settings.shutdown_timeout) => Ended::Unfinished(app.metrics.in_flight()),
        };
        app.batcher.close();
        if ended == Ended::Finished {
            let app = Arc::clone(&app);
            tokio::task::spawn_blocking(move || app.batcher.join()).await.context("cannot end the threads")?;
        }
        app.log.finish();
        app.records.finish();
        app.records.monitor().finish();
        Ok(ended)
    }
}

/// Waits until nothing has been worked on for a while. Connections on which nothing was asked may still be open.
async fn quiet(app: &App) {
    const STEP: Duration = Duration::from_millis(50);
    let mut steps = 0;
    while steps < 10 {
        tokio::time::sleep(STEP).await;
        steps = if app.metrics.in_flight() == 0 { steps + 1 } else { 0 };
    }
}

/// The next connection, when there is room for it.
async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else { return std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            // A client that has gone already, or too many open files: the second passes only with time.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Serves a connection in a task of its own.
fn converse(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    router: &Router,
    app: &Arc<App>,
    graceful: &GracefulShutdown,
) {
    // Small answers leave at once.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(app.settings.head_timeout).max_buf_size(LARGEST_HEAD);
    let service = TowerToHyperService::new(router.clone());
    let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
    let app = Arc::clone(app);
    tokio::spawn(async move {
        app.metrics.connection_opened();
        // What goes wrong with a connection is the client's to see.
        let _ = connection.await;
        app.metrics.connection_closed();
        drop(permit);
    });
}
