//! Encrypted connections, to a real server with real certificates.

use std::{fmt::Write as _, time::Duration};

use durable_pg::{Driver, DriverError, Param, PgSystemDb};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use super::{Server, directory::Directory};
use crate::pg::{Bare, TestDb, driver};

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
    let ours = Authority::new("ours");
    let other = Authority::new("somebody else's");
    let files = Directory::new("certificates");
    let ca = files.write("ca.pem", &ours.pem);
    let wrong_ca = files.write("other.pem", &other.pem);
    let client = ours.sign("ann", ExtendedKeyUsagePurpose::ClientAuth, false);
    let chain = files.write("client.pem", &client.certificate);
    let key = files.write("client.key", &client.key);
    let (ca, wrong_ca) = (ca.display(), wrong_ca.display());
    let login = format!("sslcert={}&sslkey={}", chain.display(), key.display());

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
    let mut admin = Bare::<D>(
        driver::<D>(&server.url())
            .dedicated()
            .await
            .expect("it answers"),
    );
    admin
        .batch("CREATE ROLE ann LOGIN SUPERUSER; CREATE ROLE only_tls LOGIN SUPERUSER")
        .await;
    let port = server.port();
    let at = |user: &str, host: &str, query: &str| {
        format!("postgres://{user}@{host}:{port}/postgres?{query}")
    };
    let mut said = Said::default();

    for (query, encrypted) in [
        ("sslmode=disable".to_owned(), false),
        ("sslmode=allow".to_owned(), false),
        ("sslmode=prefer".to_owned(), true),
        (String::new(), true),
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=require&sslrootcert={ca}"), true),
        (format!("sslmode=verify-ca&sslrootcert={ca}"), true),
        (format!("sslmode=verify-full&sslrootcert={ca}"), true),
    ] {
        let url = at("postgres", "localhost", &query);
        said.case::<D>("right certificate", &url, Made { encrypted })
            .await;
    }
    let url = at("only_tls", "localhost", "sslmode=allow");
    said.case::<D>("refused without TLS", &url, Made { encrypted: true })
        .await;
    for query in [
        format!("sslmode=require&sslrootcert={wrong_ca}"),
        format!("sslmode=verify-ca&sslrootcert={wrong_ca}"),
        format!("sslmode=verify-full&sslrootcert={wrong_ca}"),
        "sslrootcert=system".to_owned(),
    ] {
        let url = at("postgres", "localhost", &query);
        said.case::<D>(
            "unknown authority",
            &url,
            Refused(&["certificate", "UnknownIssuer"]),
        )
        .await;
    }

    let url = at(
        "ann",
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={ca}&{login}"),
    );
    said.case::<D>("client's certificate", &url, Made { encrypted: true })
        .await;
    let url = at(
        "ann",
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={ca}"),
    );
    said.case::<D>("none where one is needed", &url, Refused(&["certificate"]))
        .await;
    let url = at(
        "ann",
        "localhost",
        "sslmode=require&sslcert=/nowhere.pem&sslkey=/nowhere.key",
    );
    said.case::<D>(
        "no such file",
        &url,
        Refused(&["sslcert=/nowhere.pem cannot be read"]),
    )
    .await;
    let url = at(
        "postgres",
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={}", key.display()),
    );
    said.case::<D>(
        "no certificate in it",
        &url,
        Refused(&["holds no certificate in PEM"]),
    )
    .await;

    certificate(&server, &ours.server("elsewhere.example", false)).await;
    let url = at(
        "postgres",
        "localhost",
        &format!("sslmode=verify-ca&sslrootcert={ca}"),
    );
    said.case::<D>("for another host", &url, Made { encrypted: true })
        .await;
    let url = at(
        "postgres",
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={ca}"),
    );
    said.case::<D>(
        "for another host",
        &url,
        Refused(&["certificate", "not valid for name"]),
    )
    .await;

    certificate(&server, &ours.server("localhost", true)).await;
    for mode in ["verify-ca", "verify-full"] {
        let url = at(
            "postgres",
            "localhost",
            &format!("sslmode={mode}&sslrootcert={ca}"),
        );
        said.case::<D>("expired", &url, Refused(&["certificate", "expired"]))
            .await;
    }
    let url = at("postgres", "localhost", "sslmode=require");
    said.case::<D>("expired", &url, Made { encrypted: true })
        .await;

    let plain = TestDb::<D>::empty().await;
    let with = |query: &str| {
        let sign = if plain.url().contains('?') { '&' } else { '?' };
        format!("{}{sign}{query}", plain.url())
    };
    for query in [
        "sslmode=require".to_owned(),
        format!("sslmode=verify-full&sslrootcert={ca}"),
    ] {
        said.case::<D>(
            "server without TLS",
            &with(&query),
            Refused(&["not support TLS"]),
        )
        .await;
    }
    for query in ["sslmode=prefer", "sslmode=allow", "sslmode=disable"] {
        said.case::<D>(
            "server without TLS",
            &with(query),
            Made { encrypted: false },
        )
        .await;
    }
    said.end();
}

/// Gives a server another certificate, and waits until it uses it.
async fn certificate(server: &Server, signed: &Signed) {
    server.write("server.pem", &signed.certificate);
    server.write("server.key", &signed.key);
    server.reload();
    // The signal is seen at the postmaster's next turn.
    tokio::time::sleep(Duration::from_millis(300)).await;
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
