//! TLS in the process, by a certificate that is read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Shutdown;

/// How often the files are looked at. Whoever renews a certificate does so days before its end.
const INTERVAL: Duration = Duration::from_secs(2);

/// A certificate with its key, in two PEM files.
#[derive(Debug)]
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Reads the files: the certificate followed by those that vouch for it, and its private key.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not belong together; names the file.
    pub fn open(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let config = configure(&read(certificate, key)?)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: ArcSwap::from_pointee(config),
        })
    }

    /// Takes a changed certificate into use for the connections to come, until shutdown. One that
    /// cannot be used is told once, and the one before it serves on.
    pub async fn watch(&self, shutdown: &Shutdown) {
        let mut known = read(&self.certificate, &self.key).ok();
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.started() => return,
            }
            // The two are small, and replaced one after the other: a pair that does not fit is
            // looked at again when the second has changed.
            let Ok(found) = read(&self.certificate, &self.key) else {
                continue;
            };
            if known.as_ref() == Some(&found) {
                continue;
            }
            match configure(&found) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!("a changed certificate is in use");
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the changed certificate cannot be used");
                }
            }
            known = Some(found);
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<Pem> {
    let file = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    Ok(Pem {
        certificate: file(certificate)?,
        key: file(key)?,
    })
}

fn configure(pem: &Pem) -> anyhow::Result<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(&pem.certificate)
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate is no PEM")?;
    let key = PrivateKeyDer::from_pem_slice(&pem.key).context("the key is no PEM")?;
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("certificate and key")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
