//! Connections: a name is looked up once, each address is judged, and what was judged is connected to.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use ehi_core::client::{OriginPolicy, Url};
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower_service::Service;

/// Makes connections that the policy allows.
#[derive(Clone)]
pub(super) struct Connector {
    policy: Arc<OriginPolicy>,
    /// What the base's name resolved to when the run began.
    base: Option<IpAddr>,
    tls: TlsConnector,
    patience: Duration,
}

impl Connector {
    pub(super) async fn new(policy: OriginPolicy, base: &Url, patience: Duration) -> anyhow::Result<Self> {
        let base = match place(base.as_str().parse()?) {
            // A name that cannot be looked up now is no private one; the requests will tell.
            Ok(place) => timeout(patience, place.look_up()).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        let base = base.and_then(|addresses| addresses.first().map(SocketAddr::ip));
        Ok(Self { policy: Arc::new(policy), base, tls: tls()?, patience })
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        let url = Url::parse(&uri.to_string()).map_err(|_| ConnectError::Refused)?;
        let place = place(uri)?;
        let addresses = place.look_up().await?;
        let allowed = addresses.iter().filter(|address| self.policy.may_follow(&url, address.ip(), self.base).is_ok());
        let allowed: Vec<_> = allowed.copied().collect();
        if allowed.is_empty() && !addresses.is_empty() {
            return Err(ConnectError::Refused);
        }
        let tcp = TcpStream::connect(allowed.as_slice()).await?;
        tcp.set_nodelay(true)?;
        if !place.secure {
            return Ok(TokioIo::new(Stream(Box::new(tcp))));
        }
        let name = ServerName::try_from(place.host).map_err(|_| ConnectError::Refused)?;
        Ok(TokioIo::new(Stream(Box::new(self.tls.connect(name, tcp).await?))))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connector, patience) = (self.clone(), self.patience);
        Box::pin(async move {
            let connected = timeout(patience, connector.connect(uri)).await;
            connected.unwrap_or_else(|_| Err(ConnectError::Io(io::ErrorKind::TimedOut.into())))
        })
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// No address of that name may be contacted.
    Refused,
    Io(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the name resolves to addresses that may not be contacted"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl Error for ConnectError {}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Where a URL leads.
struct Place {
    secure: bool,
    host: String,
    port: u16,
}

impl Place {
    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((self.host.as_str(), self.port)).await?.collect())
    }
}

fn place(uri: Uri) -> Result<Place, ConnectError> {
    let host = uri.host().ok_or(ConnectError::Refused)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let secure = uri.scheme_str() == Some("https");
    Ok(Place { secure, host, port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }) })
}

/// TLS with the certificates that this system trusts; `SSL_CERT_FILE` names others.
fn tls() -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is one that is not trusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection, with or without TLS.
pub(super) struct Stream(Box<dyn Duplex>);

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<D: AsyncRead + AsyncWrite + Send + Unpin> Duplex for D {}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
