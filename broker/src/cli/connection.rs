//! Where a client command connects to, and as whom.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use sampan_client::{Client, Error, Options, Token, Trust};
use tokio::time::timeout;

use super::exit::{Exit, Failure};
use crate::auth::{self, NewToken, Role, Secret};
use crate::config::{Config, Flags, Sources};
use crate::data_dir::DataDir;
use crate::serve::unix_ms;

/// The flags that all client commands share.
#[derive(Debug, clap::Args)]
pub(super) struct Connection {
    /// The broker
    #[arg(
        long,
        env = "SAMPAN_URL",
        value_name = "quic://HOST:PORT",
        default_value = "quic://127.0.0.1:3001"
    )]
    url: String,
    /// Access token; without one, a service token is made with the data directory's secret
    #[arg(long, env = "SAMPAN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Data directory of a broker on this machine, for its secret and certificate
    #[arg(long, env = "SAMPAN_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Life of a token that a command makes for itself; a fresh one is made before it ends.
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// How long the end of a session may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// User of such a token.
const USER: &str = "sampan-cli";

impl Connection {
    /// The connection that these values of the flags stand for.
    pub(super) fn new(url: String, token: Option<String>, data: Option<PathBuf>) -> Self {
        Connection { url, token, data }
    }

    /// Connects, works, and ends the session, so that the broker need not find out by its silence.
    pub(super) async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (token, trust) = self.access()?;
        let client = concat!("sampan-cli/", env!("CARGO_PKG_VERSION")).to_owned();
        let options = Options { trust, client, ..Options::new(&self.url, token) };
        let client = Client::connect(options).await?;
        let done = work(&client).await;
        // The work is done, or has failed; a goodbye that does not get through changes neither.
        let _ = timeout(GOODBYE, client.close()).await;
        done
    }

    /// The token and the certificates that are accepted with it.
    pub(super) fn access(&self) -> Result<(Token, Trust), Failure> {
        match &self.token {
            Some(token) => Ok((Token::Static(token.trim().to_owned()), self.trust_beside_token()?)),
            None => self.development(),
        }
    }

    /// A token made here, and the certificate beside the secret it is made with.
    fn development(&self) -> Result<(Token, Trust), Failure> {
        let config = Config::load(&Sources::of_process(
            std::env::var_os("SAMPAN_CONFIG").map(PathBuf::from),
            Flags { data: self.data.clone(), ..Flags::default() },
        ))?;
        let data = DataDir::new(&config.data_dir);
        let secret = signing_secret(&config, || data.secret().map_err(Failure::from))?;
        let auth = config.auth;
        let mint = move || {
            let new = NewToken::new(&auth, USER, Role::Service, TOKEN_TTL);
            auth::mint(&secret, &new, unix_ms()).map_err(|error| Error::Invalid(error.to_string()))
        };
        let token = Token::from_fn(move || std::future::ready(mint()));
        let trust = if config.certificate.is_none() { certificate(&data)? } else { None };
        Ok((token, trust.unwrap_or(Trust::System)))
    }

    /// With a token at hand, a broker on this machine may still show its development certificate.
    fn trust_beside_token(&self) -> Result<Trust, Failure> {
        if self.data.is_none() && !is_loopback(&self.url) {
            return Ok(Trust::System);
        }
        let data = self.data.clone().unwrap_or_else(|| crate::config::File::default().data.dir);
        Ok(certificate(&DataDir::new(data))?.unwrap_or(Trust::System))
    }
}

/// The secret that makes tokens: the variable, the configured file, or what `otherwise` has.
pub(super) fn signing_secret(
    config: &Config,
    otherwise: impl FnOnce() -> Result<Secret, Failure>,
) -> Result<Secret, Failure> {
    if let Some(secret) = &config.jwt_secret {
        return Ok(secret.clone());
    }
    if let Some(path) = &config.auth.secret_file {
        return auth::secret::load(path).map_err(|error| {
            Failure::Told(Exit::Token, format!("secret {}: {error}", path.display()))
        });
    }
    if config.auth.has_keys() {
        let why = "this broker takes tokens of its own issuer only: pass one with --token";
        return Err(Failure::Told(Exit::Token, why.to_owned()));
    }
    otherwise()
}

/// The development certificate in a data directory, if there is one.
fn certificate(data: &DataDir) -> Result<Option<Trust>, Failure> {
    let path = data.certificate_path();
    match std::fs::read(&path) {
        Ok(pem) => Ok(Some(Trust::Pem(pem))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::failed(format_args!("{}: {error}", path.display()))),
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.strip_prefix("quic://").unwrap_or(url);
    let host = host.strip_suffix('/').unwrap_or(host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for here in ["quic://127.0.0.1:3001", "quic://localhost", "quic://[::1]:9", "127.0.0.2:1"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["quic://10.0.0.1:3001", "quic://localhost.example", "quic://[::2]:1"] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
