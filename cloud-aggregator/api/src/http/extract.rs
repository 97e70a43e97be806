//! axum's extractors, with every refusal told as a [`Problem`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::{Form, Json};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use super::problem::Problem;
use super::words::NUMBER_MAX;
use super::{Http, origin};

/// A part of the path.
#[derive(Debug)]
pub struct Segment<T>(pub T);

/// The query of the address; one that does not fit `T` is [`Problem::Invalid`].
#[derive(Debug)]
pub struct Params<T>(pub T);

/// A JSON body, within the router's size limit.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A whole number as JSON Schema means it: `336.0` is one too. For `#[serde(deserialize_with)]`.
///
/// # Errors
/// The deserializer's, for what is no whole number or does not fit.
pub fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<T, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=NUMBER_MAX as f64).contains(float));
    let value = number.as_u64().or_else(|| float().map(|float| float as u64));
    value
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| D::Error::custom(format!("{number} is no such number")))
}

/// The same where it may be left out or null.
///
/// # Errors
/// As [`whole`].
pub fn whole_or_none<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Whole<T>(T);
    impl<'de, T: TryFrom<u64>> Deserialize<'de> for Whole<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            whole(deserializer).map(Self)
        }
    }
    Ok(Option::<Whole<T>>::deserialize(deserializer)?.map(|whole| whole.0))
}

/// A form of the page.
#[derive(Debug)]
pub struct Fields<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(value) = Path::<T>::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(value) = Query::<T>::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(value) = Json::<T>::from_request(request, state).await?;
        Ok(Self(value))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Fields<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Form(value) = Form::<T>::from_request(request, state).await?;
        Ok(Self(value))
    }
}

/// The caller's address, as [`origin::caller`] finds it. Tests without a socket count as loopback.
pub(crate) struct Peer(pub(crate) IpAddr);

impl FromRequestParts<Http> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip());
        Ok(Self(origin::caller(peer, &parts.headers, &http.trusted)))
    }
}
