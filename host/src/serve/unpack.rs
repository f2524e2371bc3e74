//! A file that is kept as gzip, for a client that does not take gzip.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzDecoder;
use futures::{Stream, StreamExt, TryStreamExt, stream};

/// What a stream of gzip holds, or the bytes `from..to` of it. A part costs what comes before it, too: gzip cannot be
/// entered in the middle.
pub(super) fn unpack<E>(
    packed: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    range: Option<(u64, u64)>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static
where
    E: std::error::Error + Send + Sync + 'static,
{
    let (from, to) = range.unwrap_or((0, u64::MAX));
    let unpacking = Unpacking {
        packed: packed.map_err(io::Error::other).boxed(),
        decoder: Some(GzDecoder::new(Vec::new())),
        at: 0,
        to,
    };
    let chunks = stream::try_unfold(unpacking, |mut unpacking| async move {
        Ok::<_, io::Error>(unpacking.next().await?.map(|chunk| (chunk, unpacking)))
    });
    chunks.try_filter_map(move |(at, chunk)| {
        let place = |end: u64| usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(chunk.len());
        let part = chunk.slice(place(from)..place(to).max(place(from)));
        async move { Ok((!part.is_empty()).then_some(part)) }
    })
}

struct Unpacking {
    packed: stream::BoxStream<'static, io::Result<Bytes>>,
    /// `None` once all is unpacked.
    decoder: Option<GzDecoder<Vec<u8>>>,
    /// How many bytes were unpacked, and how many are wanted.
    at: u64,
    to: u64,
}

impl Unpacking {
    /// The next bytes and where they stand.
    async fn next(&mut self) -> io::Result<Option<(u64, Bytes)>> {
        let Some(decoder) = self.decoder.as_mut().filter(|_| self.at < self.to) else { return Ok(None) };
        let bytes = match self.packed.next().await {
            Some(chunk) => {
                decoder.write_all(&chunk?)?;
                std::mem::take(decoder.get_mut())
            }
            // Checks the trailer: what was cut off must not look complete.
            None => self.decoder.take().map_or_else(|| Ok(Vec::new()), GzDecoder::finish)?,
        };
        let at = self.at;
        self.at += bytes.len() as u64;
        Ok(Some((at, bytes.into())))
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn unpacked(packed: &[u8], size: usize, range: Option<(u64, u64)>) -> io::Result<Vec<u8>> {
        let chunks: Vec<io::Result<Bytes>> =
            packed.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let parts: Vec<Bytes> = runtime.block_on(unpack(stream::iter(chunks), range).try_collect())?;
        Ok(parts.concat())
    }

    #[test]
    fn the_file_or_a_part_of_it_comes_out() {
        let file: Vec<u8> = (0..20_000_u32).flat_map(|n| format!("{{\"n\":{n}}}\n").into_bytes()).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&file).unwrap();
        let packed = encoder.finish().unwrap();
        for size in [1, 7, 1000, packed.len()] {
            assert!(unpacked(&packed, size, None).unwrap() == file);
            for (from, to) in [(0, 1), (5, 5), (100, 70_000), (199_000, file.len())] {
                let part = unpacked(&packed, size, Some((from as u64, to as u64))).unwrap();
                assert!(part == file[from..to], "{from}..{to} by {size}");
            }
        }
        for cut in [0, 5, packed.len() / 2, packed.len() - 1] {
            assert!(unpacked(&packed[..cut], 1000, None).is_err(), "cut at {cut}");
        }
    }
}
