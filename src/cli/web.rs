//! `/metrics` for Prometheus and `/healthz` for whoever restarts daemons.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::error::{CliError, Exit};

/// What the pages are made of.
pub(super) trait Pages: Send + Sync + 'static {
    /// The text that Prometheus reads.
    fn metrics(&self) -> String;
    /// Whether the daemon does its work.
    fn healthy(&self) -> impl Future<Output = bool> + Send;
}

/// Serves `pages` at `address` until `stop`; says where, for a port of 0 is any that is free.
///
/// # Errors
/// If the address cannot be had.
pub(super) async fn serve(
    address: SocketAddr,
    pages: impl Pages,
    stop: CancellationToken,
) -> Result<SocketAddr, CliError> {
    let refused = |error| {
        CliError::new(
            Exit::Network,
            format!("cannot serve metrics at {address}: {error}\nhelp: choose another `metrics`, or `metrics: off`"),
        )
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let pages = Arc::new(pages);
    let (metrics, health) = (pages.clone(), pages);
    let metrics = get(move || async move { ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.metrics()) });
    let health = get(move || async move {
        match health.healthy().await {
            true => (StatusCode::OK, "ok\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "not running\n"),
        }
    });
    let router = Router::new().route("/metrics", metrics).route("/healthz", health);
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
    Ok(bound)
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
