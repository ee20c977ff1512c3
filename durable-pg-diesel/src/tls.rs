//! What rustls needs to know: whose word is taken for a server's certificate, and our own.

use std::sync::Arc;

use durable_pg::{Certificate, DriverError, Roots, Tls};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};

/// The configuration for an encrypted connection; `None`: it is not encrypted. Errors: a file that cannot be used.
pub(crate) fn config(tls: &Tls) -> Result<Option<ClientConfig>, DriverError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match tls {
        Tls::Off => return Ok(None),
        Tls::Prefer(_) | Tls::Require(_) => Arc::new(Lenient {
            provider: Arc::clone(&provider),
            authorities: None,
        }),
        Tls::Verify { roots, name, .. } => verifier(roots, *name, &provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match tls.certificate() {
        None => Ok(Some(config.with_no_client_auth())),
        Some(certificate) => {
            let (chain, key) = read(certificate)?;
            let config = config.with_client_auth_cert(chain, key);
            config.map(Some).map_err(unusable)
        }
    }
}

fn unusable(error: impl std::fmt::Display) -> DriverError {
    DriverError::settings(format!("TLS cannot be used: {error}"))
}

fn read(
    certificate: &Certificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), DriverError> {
    let (chain, key) = certificate.pem()?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let key = PrivateKeyDer::from_pem_slice(&key);
    Ok((chain.map_err(unusable)?, key.map_err(unusable)?))
}

fn verifier(
    roots: &Roots,
    name: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, DriverError> {
    let mut store = RootCertStore::empty();
    if let Some(pem) = roots.pem()? {
        for root in CertificateDer::pem_slice_iter(&pem) {
            store.add(root.map_err(unusable)?).map_err(unusable)?;
        }
    } else {
        // What cannot be read of the system's is not trusted; if that was needed, the handshake says so.
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
            .build()
            .map_err(unusable)?;
    Ok(if name {
        verifier
    } else {
        Arc::new(Lenient {
            provider: Arc::clone(provider),
            authorities: Some(verifier),
        })
    })
}

/// Looks at less than rustls does by itself.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    /// Who must have signed a certificate, whatever host it is for; `None`: every certificate is taken.
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        match authorities.verify_server_cert(certificate, between, name, ocsp, now) {
            // Looked at last: everything else is in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
