//! HTTP: one request with its redirects, and the patience to repeat it.
//!
//! Redirects are followed here rather than by the HTTP library, because the answer *before* the redirect says what the
//! file is (the hub's digest), and because a token may go to the hub and nowhere else.

use std::time::{Duration, SystemTime};

use ureq::http::{Request, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};
use url::{Host, Url};

use crate::error::FetchError;
use crate::progress::note;

/// The most redirects in a row.
const REDIRECTS: usize = 10;
/// A server that wants a longer pause is taken to be out of reach.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// Attempts to get through to a host that nothing answers for.
const ATTEMPTS_TO_CONNECT: u32 = 2;

/// How long something is waited for, how often it is tried again, and after which pauses.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts in a row that bring nothing.
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub pause: Duration,
    /// How long a server may be silent.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 5, pause: Duration::from_secs(1), silence: Duration::from_mins(1) }
    }
}

/// Where the hub is, who we are there, and how patient we are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hub's address, `HF_ENDPOINT`.
    pub hub: String,
    /// The hub's access token, `HF_TOKEN`.
    pub token: Option<Token>,
    /// How patient we are.
    pub patience: Patience,
}

impl Settings {
    /// The settings that the environment asks for: `HF_ENDPOINT` and `HF_TOKEN`.
    pub fn from_environment() -> Self {
        let variable =
            |name| std::env::var(name).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Self {
            hub: variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            token: variable("HF_TOKEN").map(Token::new),
            patience: Patience::default(),
        }
    }
}

/// A secret that does not print.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// An attempt that failed.
pub(crate) enum Trouble {
    /// Worth another try.
    Passing {
        cause: String,
        /// The pause that the server asks for.
        pause: Option<Duration>,
        /// Whether anybody answered at all.
        connected: bool,
    },
    /// Not worth another try.
    Final(FetchError),
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

impl Trouble {
    pub(crate) fn passing(cause: impl Into<String>) -> Self {
        Self::Passing { cause: cause.into(), pause: None, connected: true }
    }
}

/// One request, before its redirects.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Sent to the origin of `url` only.
    pub(crate) token: Option<&'a Token>,
    /// Follow redirects to other hosts.
    pub(crate) leave_host: bool,
    /// What to do about a refusal, from the status and the hub's `X-Error-Code`.
    pub(crate) advice: &'a dyn Fn(u16, Option<&str>) -> String,
}

/// All answers to a request, redirects first. None of them is a refusal or a server in trouble.
pub(crate) struct Answers {
    hops: Vec<Response<Body>>,
    pub(crate) last: Response<Body>,
}

impl Answers {
    /// A header of the first answer that has it.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.hops.iter().chain([&self.last]).find_map(|answer| header(answer, name))
    }

    /// A header of the last answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.last, name)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.last.status()
    }
}

/// The client.
pub(crate) struct Web {
    agent: Agent,
    patience: Patience,
}

impl Web {
    pub(crate) fn new(patience: Patience) -> Self {
        let config = Agent::config_builder()
            .user_agent(concat!("wellformed-fetch/", env!("CARGO_PKG_VERSION")))
            // A compressed body has other bytes than the digest and the ranges speak of.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(Duration::from_secs(10)))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            // The certificates of the operating system (or of SSL_CERT_FILE): a company's proxy has its own.
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build();
        Self { agent: config.into(), patience }
    }

    /// Asks, following redirects.
    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Result<Answers, Trouble> {
        let mut url = ask.url.clone();
        let mut hops = Vec::new();
        while hops.len() <= REDIRECTS {
            let last = self.one(ask, &url)?;
            let Some(next) = redirect(&url, &last)? else {
                refusal(ask, &url, &last)?;
                return Ok(Answers { hops, last });
            };
            if !ask.leave_host && next.origin() != url.origin() {
                return Ok(Answers { hops, last });
            }
            hops.push(last);
            url = next;
        }
        Err(Trouble::Final(FetchError::input(shown(ask.url), format!("more than {REDIRECTS} redirects in a row"))))
    }

    fn one(&self, ask: &Ask<'_>, url: &Url) -> Result<Response<Body>, Trouble> {
        let mut request = Request::builder().method(ask.method).uri(url.as_str());
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = ask.token.filter(|_| url.origin() == ask.url.origin()) {
            request = request.header("authorization", format!("Bearer {}", token.0));
        }
        let request = request.body(()).map_err(|_| {
            // The library's own message could repeat the token.
            FetchError::input(shown(url), "no request can be made of this address (or of HF_TOKEN: line breaks in it?)")
        })?;
        let mut configured = self.agent.configure_request(request);
        if is_loopback(url) {
            configured = configured.proxy(None);
        }
        self.agent.run(configured.build()).map_err(|error| trouble(url, error))
    }

    /// Repeats `attempt` until it works, is refused, or has failed too often without `gained` having grown. Pauses
    /// double from failure to failure, unless the server names one.
    pub(crate) fn persist<T>(
        &self,
        what: &str,
        gained: impl Fn() -> u64,
        say: impl Fn(&str),
        mut attempt: impl FnMut() -> Result<T, Trouble>,
    ) -> Result<T, FetchError> {
        let mut failures = 0;
        loop {
            let before = gained();
            let (cause, pause, connected) = match attempt() {
                Ok(value) => return Ok(value),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing { cause, pause, connected }) => (cause, pause, connected),
            };
            failures = if gained() > before { 1 } else { failures + 1 };
            let attempts =
                if connected { self.patience.attempts } else { self.patience.attempts.min(ATTEMPTS_TO_CONNECT) };
            if failures >= attempts {
                return Err(FetchError::unreachable(what, format!("{cause} ({failures} attempts)")));
            }
            let pause = pause.unwrap_or(self.patience.pause * 2_u32.pow(failures - 1));
            if pause > LONGEST_PAUSE {
                let cause = format!("{cause}; the server asks to wait {} s", pause.as_secs());
                return Err(FetchError::unreachable(what, cause));
            }
            say(&format!("{what}: {cause}; again in {} s", pause.as_secs_f64()));
            std::thread::sleep(pause);
        }
    }

    /// [`Web::persist`] for what comes all at once.
    pub(crate) fn persist_quietly<T>(
        &self,
        what: &str,
        attempt: impl FnMut() -> Result<T, Trouble>,
    ) -> Result<T, FetchError> {
        self.persist(what, || 0, note, attempt)
    }
}

pub(crate) fn header<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Where the answer sends us, if it does.
fn redirect(url: &Url, answer: &Response<Body>) -> Result<Option<Url>, Trouble> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let next = header(answer, "location").and_then(|location| url.join(location).ok());
    let next = next.ok_or_else(|| FetchError::input(shown(url), "the server redirects to nowhere"))?;
    if url.scheme() == "https" && next.scheme() != "https" {
        let problem = format!("the server redirects to an unencrypted address, {}", shown(&next));
        return Err(FetchError::input(shown(url), problem).into());
    }
    Ok(Some(next))
}

/// Fails when the answer is a refusal or a server in trouble.
fn refusal(ask: &Ask<'_>, url: &Url, answer: &Response<Body>) -> Result<(), Trouble> {
    let status = answer.status();
    match status.as_u16() {
        408 | 429 | 500.. => Err(Trouble::Passing {
            cause: format!("the server says {status}"),
            pause: header(answer, "retry-after").and_then(pause_asked),
            connected: true,
        }),
        407 => Err(Trouble::Passing {
            cause: "the proxy wants a name and a password (HTTPS_PROXY=http://name:password@host:port)".to_owned(),
            pause: None,
            connected: false,
        }),
        // 416 is about a range, which the caller asked for.
        200..=399 | 416 => Ok(()),
        code => {
            let advice = (ask.advice)(code, header(answer, "x-error-code"));
            Err(FetchError::Refused { url: shown(url), status: code, advice }.into())
        }
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn pause_asked(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn trouble(url: &Url, error: ureq::Error) -> Trouble {
    use std::io::ErrorKind;

    let host = url.host_str().unwrap_or_default();
    let away = |cause: String| Trouble::Passing { cause, pause: None, connected: false };
    match error {
        ureq::Error::HostNotFound => away(format!("the name {host} cannot be resolved (offline?)")),
        ureq::Error::Io(cause) if is_lookup(&cause) => away(format!("the name {host} cannot be resolved (offline?)")),
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            away(format!("no connection to {host} in time (offline, or a proxy is needed: HTTPS_PROXY)"))
        }
        ureq::Error::Timeout(_) => Trouble::passing("no answer in time"),
        ureq::Error::ConnectProxyFailed(cause) => away(format!("the proxy does not connect to {host}: {cause}")),
        ureq::Error::InvalidProxyUrl => away("HTTPS_PROXY or HTTP_PROXY is no address".to_owned()),
        ureq::Error::Rustls(cause) => Trouble::Final(insecure(url, &cause.to_string())),
        ureq::Error::Tls(cause) => Trouble::Final(insecure(url, cause)),
        ureq::Error::Io(cause) => match cause.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::AddrNotAvailable => away(format!("no connection to {host}: {cause}")),
            // How rustls reports a certificate that it does not trust.
            ErrorKind::InvalidData => Trouble::Final(insecure(url, &cause.to_string())),
            _ => Trouble::passing(format!("the connection broke: {cause}")),
        },
        other => Trouble::passing(other.to_string()),
    }
}

/// The standard library has no kind for names that cannot be resolved; it has these words.
fn is_lookup(cause: &std::io::Error) -> bool {
    cause.raw_os_error().is_none() && cause.to_string().contains("lookup address")
}

fn insecure(url: &Url, cause: &str) -> FetchError {
    let hint = "no trusted connection; certificates are those of the operating system, or of the file that \
                SSL_CERT_FILE names";
    FetchError::unreachable(shown(url), format!("{hint} ({cause})"))
}

/// Nobody proxies the machine itself.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An address for messages: without user, password and query, where signatures and tokens live.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for addresses that cannot have a user in the first place.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}
