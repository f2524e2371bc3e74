//! What a web page of another origin may send and read.

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;

/// Answers preflight requests, and lets pages of that origin read answers with the headers that a client needs
/// (EHI-AUTH-04). No cookie is ever looked at, so none is allowed.
pub(super) fn layer(origin: HeaderValue) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_RANGE,
            header::RANGE,
            HeaderName::from_static("prefer"),
        ])
        .expose_headers([
            header::CONTENT_LOCATION,
            header::CONTENT_RANGE,
            header::ETAG,
            header::EXPIRES,
            header::LINK,
            header::RETRY_AFTER,
            HeaderName::from_static("preference-applied"),
            HeaderName::from_static("x-export-status"),
            HeaderName::from_static("x-progress"),
        ])
}
