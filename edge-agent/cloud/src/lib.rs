//! The way to the fleet's cloud: records out by MQTT, the home's certificate, HTTPS to the fleet's own servers.

pub mod identity;
pub mod pinned;
pub mod uplink;

/// Runs what waits for the disk or calculates, on a thread that may. A panic there goes on here.
pub async fn off_the_workers<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is shutting down does not begin a piece of work.
            Err(_) => std::future::pending().await,
        },
    }
}
