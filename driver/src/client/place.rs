//! Finds the master and the key, and what to trust. The order of precedence is in
//! docs/operators/CLI.md.

use std::path::{Path, PathBuf};

use url::{Host, ParseError, Url};

use super::config::{Config, Named};
use super::discovery::{self, Found};
use super::failure::Failure;
use super::private::read_key;
use super::trust::{Trust, parse_pin};
use crate::grammar::Options;

/// How to reach a master.
#[derive(Debug)]
pub(crate) struct Place {
    /// A name or an address, as a resolver takes it.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
    /// What of TLS is trusted; none for plain HTTP.
    pub(crate) trust: Option<Trust>,
    /// A certificate of our own and its key, in PEM.
    pub(crate) client_cert: Option<PathBuf>,
    /// The path of the API, without a trailing slash.
    pub(crate) base: String,
    /// The key, and where it is from.
    pub(crate) key: String,
    /// For messages: where the key is from.
    pub(crate) key_source: String,
    /// For messages and `Host`: the API without user-info.
    pub(crate) shown: String,
    /// The directory of its log files, if it is on this machine and has one.
    pub(crate) logs: Option<PathBuf>,
}

/// What names the master.
enum Source {
    /// An API, and what names it.
    Api(&'static str, String),
    /// A state directory.
    State(PathBuf),
    /// A name in the configuration file, and what that says.
    Named(String, Named),
    /// Nothing does.
    None,
}

impl Source {
    /// The first of options, environment, configuration and usual directories that names one.
    fn find(options: &Options) -> Result<Self, Failure> {
        if let Some(api) = &options.api {
            return Ok(Self::Api("--api", api.clone()));
        }
        if options.master.is_none() {
            if let Some(directory) = &options.state {
                return Ok(Self::State(directory.clone()));
            }
            if let Some(api) = variable("OPENCTRL_API") {
                return Ok(Self::Api("OPENCTRL_API", api));
            }
        }
        let config = Config::load()?;
        if let Some(name) = options.master.as_ref().or(config.default.as_ref()) {
            return Ok(Self::Named(name.clone(), config.named(name)?.clone()));
        }
        Ok(discovery::usual_directory().map_or(Self::None, Self::State))
    }
}

/// A key and where it is from.
type SourcedKey = (String, String);

impl Place {
    /// Finds the master.
    pub(crate) fn find(options: &Options) -> Result<Self, Failure> {
        let client_cert = options.client_cert.clone();
        Ok(Self { client_cert, ..Self::find_master(options)? })
    }

    fn find_master(options: &Options) -> Result<Self, Failure> {
        let asked = key_of_options(options)?;
        let trust = trust_of_options(options)?;
        match Source::find(options)? {
            Source::Api(named, api) => {
                Self::new(named, &api, asked.or_else(key_of_environment), trust)
            }
            Source::State(directory) => Self::found(discovery::find(&directory)?, asked, trust),
            Source::Named(name, named) => Self::named(&name, &named, asked, trust),
            Source::None => Err(Failure::Unreachable(
                "no master is known: start one with 'openctrl master://127.0.0.1:8080', or use \
                 --api URL with OPENCTRL_KEY, --state DIR, or a configuration file"
                    .to_owned(),
            )),
        }
    }

    /// The state directory of the master on this machine that these options name; `None` if they name
    /// one by its API, or there is none.
    pub(crate) fn state_directory(options: &Options) -> Result<Option<PathBuf>, Failure> {
        Ok(match Source::find(options)? {
            Source::State(directory) => Some(directory),
            Source::Named(_, named) => named.state,
            Source::Api(..) | Source::None => None,
        })
    }

    /// Whether its address is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    fn named(
        name: &str,
        named: &Named,
        asked: Option<SourcedKey>,
        trust: Option<Trust>,
    ) -> Result<Self, Failure> {
        let own = match (&named.key, &named.key_file) {
            (Some(key), _) => Some((key.clone(), format!("the configuration of {name:?}"))),
            (None, Some(file)) => Some((read_key(file)?, file.display().to_string())),
            (None, None) => None,
        };
        let key = asked.or(own);
        let own_trust = match (&named.ca, &named.pin) {
            _ if named.insecure => Some(Trust::Anything),
            (_, Some(pin)) => Some(Trust::Pins(vec![parse_pin(pin)?])),
            (Some(file), None) => Some(Trust::Authorities(file.clone())),
            (None, None) => None,
        };
        let trust = trust.or(own_trust);
        match (&named.api, &named.state) {
            (Some(api), _) => Self::new(
                &format!("the configuration of {name:?}"),
                api,
                key.or_else(key_of_environment),
                trust,
            ),
            (None, Some(directory)) => Self::found(discovery::find(directory)?, key, trust),
            (None, None) => Err(Failure::Usage(format!("master {name:?} has no api"))),
        }
    }

    /// The key of a found master goes nowhere but to it: its certificate has to be the one it left.
    fn found(
        found: Found,
        asked: Option<SourcedKey>,
        trust: Option<Trust>,
    ) -> Result<Self, Failure> {
        let key = asked.unwrap_or((found.key, "the state directory".to_owned()));
        let trust = trust.or(Some(Trust::Pins(found.pins)));
        let mut place = Self::new("the address file", &found.url, Some(key), trust)?;
        place.logs = found.logs;
        // What listens on all addresses is reached on this machine by the loopback.
        match place.host.as_str() {
            "0.0.0.0" => place.move_to("127.0.0.1"),
            "::" => place.move_to("::1"),
            _ => {}
        }
        Ok(place)
    }

    fn move_to(&mut self, host: &str) {
        self.shown = self.shown.replacen(&self.host, host, 1);
        self.host = host.to_owned();
    }

    fn new(
        source: &str,
        api: &str,
        key: Option<SourcedKey>,
        trust: Option<Trust>,
    ) -> Result<Self, Failure> {
        let (host, port, is_tls, base, shown) = parse(source, api)?;
        let (key, key_source) = key.ok_or_else(|| {
            Failure::Key("no key is given: set OPENCTRL_KEY, or use --key-file FILE".to_owned())
        })?;
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key {
            return Err(Failure::Key(format!(
                "the key from {key_source} is no key: 32 hex digits"
            )));
        }
        let trust = is_tls.then(|| trust.unwrap_or(Trust::System));
        let (client_cert, logs) = (None, None);
        Ok(Self { host, port, trust, client_cert, base, key, key_source, shown, logs })
    }
}

/// Host, port, whether it uses TLS, path, and the whole address for display.
fn parse(source: &str, api: &str) -> Result<(String, u16, bool, String, String), Failure> {
    let wrong = |reason: &str| {
        Failure::Usage(format!("{source}: {reason}: an API is written http://HOST:PORT/api/v2"))
    };
    // The master logs this when it listens on all addresses, and a URL must have a host.
    let filled = api.replacen("://:", "://0.0.0.0:", 1);
    let url = Url::parse(&filled).map_err(|error| {
        if error == ParseError::IdnaError && !filled.is_ascii() {
            return wrong("the host has letters that are not ASCII; write it in its xn-- form");
        }
        wrong(&error.to_string())
    })?;
    let is_tls = match url.scheme() {
        "http" => false,
        "https" => true,
        "master" => return Err(wrong("a master URL is for starting a master")),
        _ => return Err(wrong("neither http:// nor https://")),
    };
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(wrong("the host is missing")),
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("there is more than a path"));
    }
    let port = url.port_or_known_default().ok_or_else(|| wrong("the port is missing"))?;
    let base = match url.path().trim_end_matches('/') {
        "" => "/api/v2".to_owned(),
        path => path.to_owned(),
    };
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let shown = format!("{}://{bracketed}:{port}{base}", url.scheme());
    Ok((host, port, is_tls, base, shown))
}

fn key_of_options(options: &Options) -> Result<Option<SourcedKey>, Failure> {
    match (&options.key, &options.key_file) {
        (Some(key), _) => Ok(Some((key.trim().to_owned(), "--key".to_owned()))),
        (None, Some(file)) => Ok(Some((read_key(file)?, shown_file(file)))),
        (None, None) => Ok(None),
    }
}

fn shown_file(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn key_of_environment() -> Option<SourcedKey> {
    variable("OPENCTRL_KEY").map(|key| (key.trim().to_owned(), "OPENCTRL_KEY".to_owned()))
}

fn trust_of_options(options: &Options) -> Result<Option<Trust>, Failure> {
    Ok(match (&options.ca, &options.pin) {
        _ if options.insecure => Some(Trust::Anything),
        (Some(file), _) => Some(Trust::Authorities(file.clone())),
        (None, Some(pin)) => Some(Trust::Pins(vec![parse_pin(pin)?])),
        (None, None) => None,
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(api: &str) -> String {
        match parse("--api", api) {
            Ok((host, port, is_tls, base, shown)) => {
                format!("{host} {port} {is_tls} {base} {shown}")
            }
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn an_api_is_an_address_and_a_path() {
        assert_eq!(shown("http://h:1"), "h 1 false /api/v2 http://h:1/api/v2");
        assert_eq!(shown("https://h/a/v2/"), "h 443 true /a/v2 https://h:443/a/v2");
        assert_eq!(shown("http://[::]:8/api/v2"), ":: 8 false /api/v2 http://[::]:8/api/v2");
        assert_eq!(shown("http://:8/api/v2"), "0.0.0.0 8 false /api/v2 http://0.0.0.0:8/api/v2");
        for bad in ["", "h:1", "ftp://h", "http://", "http://h/?a", "master://h:1", "http://a b"] {
            assert!(shown(bad).starts_with("--api: "), "{bad}: {}", shown(bad));
        }
        assert!(shown("http://münchen.example:1").contains("write it in its xn-- form"));
        assert!(shown("http://xn--mnchen-3ya.example:1").starts_with("xn--mnchen-3ya.example 1 "));
    }
}
