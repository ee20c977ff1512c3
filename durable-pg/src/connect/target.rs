//! One server, as a driver is told it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::DriverError;

/// One server and how to log in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The role's password, where one is given.
    pub password: Option<Password>,
    /// The database.
    pub database: String,
    /// Whether and how the connection is encrypted.
    pub tls: Tls,
    /// What `pg_stat_activity` shows.
    pub application_name: String,
    /// Settings that the session begins with, by their names.
    pub options: Vec<(String, String)>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Name(String),
    /// The directory of a Unix-domain socket.
    Socket(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Socket(directory) => write!(f, "{}:{}", directory.display(), self.port),
        }
    }
}

/// A password. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub(crate) fn new(password: String) -> Self {
        Self(password)
    }

    /// The password itself: for the driver only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Whether and how a connection is encrypted. On a Unix-domain socket it never is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: `sslmode=disable`.
    Off,
    /// If the server can; by whom it is answered is not checked: `sslmode=prefer`.
    Prefer(Option<Certificate>),
    /// Always, by whomever it is answered: `sslmode=require` without a root certificate.
    Require(Option<Certificate>),
    /// Always, and the server's certificate is checked: `sslmode=verify-ca` and `verify-full`.
    Verify {
        /// Whose word is taken for a certificate.
        roots: Roots,
        /// Whether the certificate must be for the host that was asked.
        name: bool,
        /// Our own certificate, where the server wants one.
        certificate: Option<Certificate>,
    },
}

impl Tls {
    /// Our own certificate, where the server wants one.
    pub fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Off => None,
            Self::Prefer(certificate)
            | Self::Require(certificate)
            | Self::Verify { certificate, .. } => certificate.as_ref(),
        }
    }
}

/// Whose word is taken for a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The authorities that the operating system trusts.
    System,
    /// Those in this file, in PEM.
    File(PathBuf),
}

impl Roots {
    /// The file's content; `None`: there is no file. Errors: one that cannot be read, or is none.
    pub fn pem(&self) -> Result<Option<Vec<u8>>, DriverError> {
        match self {
            Self::System => Ok(None),
            Self::File(path) => pem("sslrootcert", path, "CERTIFICATE").map(Some),
        }
    }
}

/// A client's certificate, in PEM. The files are read at every connection, so that they can be renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, with those between it and the root.
    pub chain: PathBuf,
    /// Its key, not encrypted.
    pub key: PathBuf,
}

impl Certificate {
    /// The content of both files, the chain's first. Errors: one that cannot be read, or is none.
    pub fn pem(&self) -> Result<(Vec<u8>, Vec<u8>), DriverError> {
        Ok((
            pem("sslcert", &self.chain, "CERTIFICATE")?,
            pem("sslkey", &self.key, "PRIVATE KEY")?,
        ))
    }
}

/// The content of a file that `key` names, with this in it.
fn pem(key: &str, path: &Path, what: &str) -> Result<Vec<u8>, DriverError> {
    let content = std::fs::read(path).map_err(|error| {
        DriverError::settings(format!("{key}={} cannot be read: {error}", path.display()))
    })?;
    let text = String::from_utf8_lossy(&content);
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.contains(what);
    if text.lines().any(begins) {
        return Ok(content);
    }
    Err(DriverError::settings(format!(
        "{key}={} holds no {} in PEM",
        path.display(),
        what.to_lowercase()
    )))
}
