//! Encrypted connections, to a real server with real certificates.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use durable_pg::{Driver, DriverError, Param, PgSystemDb};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use super::{Server, directory::Directory};
use crate::pg::{Bare, TestDb};

/// Who signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
struct Signed {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for this host or user; an expired one was good until 2001.
    fn sign(&self, name: &str, purpose: ExtendedKeyUsagePurpose, expired: bool) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        if expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs");
        Signed {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn server(&self, host: &str, expired: bool) -> Signed {
        self.sign(host, ExtendedKeyUsagePurpose::ServerAuth, expired)
    }
}

/// What a connection is expected to come to.
#[derive(Clone, Copy)]
enum Wanted {
    /// It is made, and encrypted or not.
    Made { encrypted: bool },
    /// It is refused, and the error has these words.
    Refused(&'static [&'static str]),
}

use Wanted::{Made, Refused};

/// Connects to servers with a right, a wrong and an expired certificate, one for another host, and to one without TLS, in every sslmode; with
/// and without a client's certificate; prints what came of each. Panics where a connection is made that must not be, or the
/// other way round, and where an error does not say why.
pub async fn tls_matrix<D: Driver>() {
    let mut bed = Bed::new::<D>().await;
    bed.right_certificate::<D>().await;
    bed.unknown_authority::<D>().await;
    bed.clients_certificate::<D>().await;
    bed.another_host::<D>().await;
    bed.expired::<D>().await;
    bed.server_without::<D>().await;
    bed.said.end();
}

/// A server with certificates.
struct Bed {
    ours: Authority,
    /// The authority that signs its certificates, one that does not, and a client's certificate with its key.
    ca: PathBuf,
    wrong_ca: PathBuf,
    chain: PathBuf,
    key: PathBuf,
    server: Server,
    said: Said,
    _files: Directory,
}

impl Bed {
    async fn new<D: Driver>() -> Self {
        let ours = Authority::new("ours");
        let other = Authority::new("somebody else's");
        let client = ours.sign("ann", ExtendedKeyUsagePurpose::ClientAuth, false);
        let right = ours.server("localhost", false);
        let server = Server::options()
            .setting("ssl", "on")
            .setting("ssl_cert_file", "../server.pem")
            .setting("ssl_key_file", "../server.key")
            .setting("ssl_ca_file", "../ca.pem")
            .file("server.pem", &right.certificate)
            .file("server.key", &right.key)
            .file("ca.pem", &ours.pem)
            .access("hostssl all ann 127.0.0.1/32 cert")
            .access("hostnossl all ann 127.0.0.1/32 reject")
            .access("hostnossl all only_tls 127.0.0.1/32 reject")
            .start()
            .await;
        Bare::<D>::connect(&server.url())
            .await
            .batch("CREATE ROLE ann LOGIN SUPERUSER; CREATE ROLE only_tls LOGIN SUPERUSER")
            .await;
        let files = Directory::new("certificates").expect("a directory");
        Self {
            ca: written(&files, "ca.pem", &ours.pem),
            wrong_ca: written(&files, "other.pem", &other.pem),
            chain: written(&files, "client.pem", &client.certificate),
            key: written(&files, "client.key", &client.key),
            ours,
            server,
            said: Said::default(),
            _files: files,
        }
    }

    async fn case<D: Driver>(&mut self, what: &str, user: &str, query: &str, wanted: Wanted) {
        let port = self.server.port();
        let url = format!("postgres://{user}@localhost:{port}/postgres?{query}");
        self.said.case::<D>(what, &url, wanted).await;
    }

    /// An sslmode, with the authority that signs the server's certificates.
    fn with_ca(&self, mode: &str) -> String {
        format!("sslmode={mode}&sslrootcert={}", self.ca.display())
    }

    async fn right_certificate<D: Driver>(&mut self) {
        for (query, encrypted) in [
            ("sslmode=disable".to_owned(), false),
            ("sslmode=allow".to_owned(), false),
            ("sslmode=prefer".to_owned(), true),
            (String::new(), true),
            ("sslmode=require".to_owned(), true),
            (self.with_ca("require"), true),
            (self.with_ca("verify-ca"), true),
            (self.with_ca("verify-full"), true),
        ] {
            let wanted = Made { encrypted };
            self.case::<D>("right certificate", "postgres", &query, wanted)
                .await;
        }
        let wanted = Made { encrypted: true };
        self.case::<D>("refused without TLS", "only_tls", "sslmode=allow", wanted)
            .await;
    }

    async fn unknown_authority<D: Driver>(&mut self) {
        let wrong = self.wrong_ca.display().to_string();
        for query in [
            format!("sslmode=require&sslrootcert={wrong}"),
            format!("sslmode=verify-ca&sslrootcert={wrong}"),
            format!("sslmode=verify-full&sslrootcert={wrong}"),
            "sslrootcert=system".to_owned(),
        ] {
            let wanted = Refused(&["certificate", "UnknownIssuer"]);
            self.case::<D>("unknown authority", "postgres", &query, wanted)
                .await;
        }
    }

    async fn clients_certificate<D: Driver>(&mut self) {
        let full = self.with_ca("verify-full");
        let (chain, key) = (self.chain.display(), self.key.display());
        let login = format!("{full}&sslcert={chain}&sslkey={key}");
        let no_certificate = format!("sslmode=verify-full&sslrootcert={key}");
        let nowhere = "sslmode=require&sslcert=/nowhere.pem&sslkey=/nowhere.key";
        for (what, user, query, wanted) in [
            (
                "client's certificate",
                "ann",
                &*login,
                Made { encrypted: true },
            ),
            (
                "none where one is needed",
                "ann",
                &full,
                Refused(&["certificate"]),
            ),
            (
                "no such file",
                "ann",
                nowhere,
                Refused(&["sslcert=/nowhere.pem cannot be read"]),
            ),
            (
                "no certificate in it",
                "postgres",
                &no_certificate,
                Refused(&["holds no certificate in PEM"]),
            ),
        ] {
            self.case::<D>(what, user, query, wanted).await;
        }
    }

    async fn another_host<D: Driver>(&mut self) {
        certificate(&self.server, &self.ours.server("elsewhere.example", false)).await;
        let query = self.with_ca("verify-ca");
        self.case::<D>(
            "for another host",
            "postgres",
            &query,
            Made { encrypted: true },
        )
        .await;
        let query = self.with_ca("verify-full");
        let wanted = Refused(&["certificate", "not valid for name"]);
        self.case::<D>("for another host", "postgres", &query, wanted)
            .await;
    }

    async fn expired<D: Driver>(&mut self) {
        certificate(&self.server, &self.ours.server("localhost", true)).await;
        for mode in ["verify-ca", "verify-full"] {
            let query = self.with_ca(mode);
            let wanted = Refused(&["certificate", "expired"]);
            self.case::<D>("expired", "postgres", &query, wanted).await;
        }
        let wanted = Made { encrypted: true };
        self.case::<D>("expired", "postgres", "sslmode=require", wanted)
            .await;
    }

    async fn server_without<D: Driver>(&mut self) {
        let plain = TestDb::<D>::empty().await;
        let sign = if plain.url().contains('?') { '&' } else { '?' };
        for (query, wanted) in [
            ("sslmode=require".to_owned(), Refused(&["not support TLS"])),
            (self.with_ca("verify-full"), Refused(&["not support TLS"])),
            ("sslmode=prefer".to_owned(), Made { encrypted: false }),
            ("sslmode=allow".to_owned(), Made { encrypted: false }),
            ("sslmode=disable".to_owned(), Made { encrypted: false }),
        ] {
            let url = format!("{}{sign}{query}", plain.url());
            self.said
                .case::<D>("server without TLS", &url, wanted)
                .await;
        }
    }
}

/// Gives a server another certificate, and waits until it uses it.
async fn certificate(server: &Server, signed: &Signed) {
    server.write("server.pem", &signed.certificate);
    server.write("server.key", &signed.key);
    server.reload();
    // The signal is seen at the postmaster's next turn.
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn written(files: &Directory, name: &str, content: &str) -> PathBuf {
    let written = files.write(name, content);
    written.expect("the directory can be written to")
}

/// What came of the cases.
#[derive(Default)]
struct Said(String);

impl Said {
    async fn case<D: Driver>(&mut self, what: &str, url: &str, wanted: Wanted) {
        let found = connect::<D>(url).await;
        let (_, query) = url.split_once('?').unwrap_or((url, ""));
        // The directories are long, and say nothing.
        let query: Vec<&str> = query
            .split('&')
            .map(|pair| match pair.rsplit_once('/') {
                Some((_, file)) if pair.starts_with("sslrootcert") => file,
                Some(_) => pair.split('=').next().unwrap_or(pair),
                None => pair,
            })
            .collect();
        let shown = match &found {
            Ok(true) => "encrypted".to_owned(),
            Ok(false) => "in the clear".to_owned(),
            Err(error) => format!("refused: {error}"),
        };
        println!("{what:24} {:52} {shown}", query.join("&"));
        let right = match (&found, wanted) {
            (Ok(found), Made { encrypted }) => *found == encrypted,
            (Err(error), Refused(words)) => {
                let error = error.to_string();
                words.iter().all(|words| error.contains(words)) && !error.contains("BEGIN")
            }
            _ => false,
        };
        if !right {
            let _ = writeln!(self.0, "{what}, {url}: {shown}");
        }
    }

    fn end(self) {
        assert!(self.0.is_empty(), "{}", self.0);
    }
}

/// Whether the connection is encrypted, as the server sees it.
async fn connect<D: Driver>(url: &str) -> Result<bool, DriverError> {
    let system = PgSystemDb::<D>::connect(url).await?;
    let listening = system.driver().listen(&["anything"]).await?;
    let mut connection = system.driver().acquire().await?;
    let statement = "SELECT ssl::int::bigint FROM pg_stat_ssl WHERE pid = pg_backend_pid()".into();
    let none: &[Param<'_>] = &[];
    let mut rows = durable_pg::Connection::query(&mut connection, &statement, none).await?;
    drop(listening);
    let encrypted = rows.pop().expect("a session").integer()?;
    Ok(encrypted == Some(1))
}
