//! Reads the body of a request within limits of size and time, for every HTTP door.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How much of a body beyond the limit is read and thrown away, so that a client that sends all of
/// it before it reads still gets its answer.
const OVERSIZE_READ_MAX_BYTES: usize = 256 * 1024 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    TooLarge,
    /// It did not arrive within 30 s.
    TooSlow,
    /// The client ended it early, or its chunks are malformed.
    BrokenOff,
}

/// Reads a whole body of at most `max_bytes`.
///
/// # Errors
/// For a body that is too large, too slow or incomplete.
pub(crate) async fn read_body(body: Incoming, max_bytes: usize) -> Result<Bytes, BodyError> {
    timeout(BODY_TIME, collect(body, max_bytes)).await.map_err(|_| BodyError::TooSlow)?
}

async fn collect(mut body: Incoming, max_bytes: usize) -> Result<Bytes, BodyError> {
    let mut collected = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::BrokenOff)?.into_data() else { continue };
        length += data.len();
        if length <= max_bytes {
            collected.extend_from_slice(&data);
        } else if length > OVERSIZE_READ_MAX_BYTES {
            break;
        }
    }
    if length > max_bytes { Err(BodyError::TooLarge) } else { Ok(collected.freeze()) }
}
