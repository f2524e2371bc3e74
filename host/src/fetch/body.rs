//! The body of an answer, piece by piece, and undone of gzip.

use std::{
    io::{self, Write},
    time::Duration,
};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

/// The next piece; `None` at the end; an error if the body ends before its end, or nothing comes.
pub(super) async fn next(body: &mut Incoming, silence: Duration) -> io::Result<Option<Bytes>> {
    loop {
        match timeout(silence, body.frame()).await {
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(io::Error::other(error)),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    /// One that was not asked for and is not known.
    Unknown,
}

impl Coding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let codings =
            headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
        let mut codings =
            codings.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        match (codings.next(), codings.next()) {
            (None, _) => Self::Identity,
            (Some(name), None) if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => {
                Self::Gzip
            }
            _ => Self::Unknown,
        }
    }
}

/// Undoes a coding on the way to `W`.
pub(super) enum Decoder<W: Write> {
    Identity(W),
    Gzip(Box<MultiGzDecoder<W>>),
}

impl<W: Write> Decoder<W> {
    /// `None` for a coding that cannot be undone.
    pub(super) fn new(coding: Coding, inner: W) -> Option<Self> {
        match coding {
            Coding::Identity => Some(Self::Identity(inner)),
            Coding::Gzip => Some(Self::Gzip(Box::new(MultiGzDecoder::new(inner)))),
            Coding::Unknown => None,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Identity(inner) => inner.write_all(bytes),
            Self::Gzip(decoder) => decoder.write_all(bytes),
        }
    }

    /// The coded body has ended: whether it was whole.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Identity(inner) => inner.flush(),
            Self::Gzip(decoder) => decoder.try_finish(),
        }
    }

    pub(super) fn inner(&mut self) -> &mut W {
        match self {
            Self::Identity(inner) => inner,
            Self::Gzip(decoder) => decoder.get_mut(),
        }
    }

    pub(super) fn into_inner(self) -> io::Result<W> {
        match self {
            Self::Identity(inner) => Ok(inner),
            Self::Gzip(decoder) => decoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_undone_and_a_cut_is_noticed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&b"{\"resourceType\":\"Patient\"}\n".repeat(500)).unwrap();
        let coded = encoder.finish().unwrap();
        for cut in [coded.len(), coded.len() - 1, coded.len() / 2, 5] {
            let mut decoder = Decoder::new(Coding::Gzip, Vec::new()).unwrap();
            coded[..cut].chunks(7).for_each(|piece| decoder.write(piece).unwrap());
            assert_eq!(decoder.finish().is_ok(), cut == coded.len(), "{cut}");
            if cut == coded.len() {
                assert_eq!(decoder.inner().len(), 500 * 27);
            }
        }
    }

    #[test]
    fn codings_are_told_apart() {
        let coding = |values: &[&'static str]| {
            let fields = values.iter().map(|value| (header::CONTENT_ENCODING, http::HeaderValue::from_static(value)));
            Coding::of(&fields.fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            }))
        };
        assert_eq!(coding(&[]), Coding::Identity);
        assert_eq!(coding(&["identity"]), Coding::Identity);
        assert_eq!(coding(&["GZip"]), Coding::Gzip);
        assert_eq!(coding(&["gzip, br"]), Coding::Unknown);
        assert_eq!(coding(&["gzip", "gzip"]), Coding::Unknown);
    }
}
