//! What kind of event it is, and the HTTP request in it.
//!
//! The forms are those of AWS's guides: API Gateway's "Lambda proxy integration" (payload formats 1.0 and 2.0, the
//! second also that of function URLs), and "Lambda functions as targets" of Application Load Balancers.

use percent_encoding::percent_decode;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use wellformed_core::record;

use crate::problem::Problem;

/// An invocation's payload, even where it is not JSON: so that it gets an answer of this program's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload(pub Result<Value, String>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Value::deserialize(deserializer).map_err(|error| error.to_string())))
    }
}

/// An event, by its kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something that only keeps the process warm.
    Ping,
    /// An HTTP request.
    Http(HttpRequest),
    /// Anything else: a question asked of the function itself.
    Direct(Value),
}

/// How an event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The function was invoked by its name.
    Direct,
    /// Payload format 1.0: API Gateway's REST APIs, and HTTP APIs that are set to it.
    Rest,
    /// Payload format 2.0: API Gateway's HTTP APIs, and function URLs.
    Http,
    /// An Application Load Balancer.
    Alb,
}

impl From<Channel> for record::Channel {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Direct => Self::Direct,
            Channel::Rest => Self::Rest,
            Channel::Http => Self::Http,
            Channel::Alb => Self::Alb,
        }
    }
}

/// An HTTP request, as it came in an event.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRequest {
    /// How it came.
    pub channel: Channel,
    /// The method, in capitals.
    pub method: String,
    event: Map<String, Value>,
}

impl Event {
    /// Tells the kinds of events apart. Never fails: what is nothing else is a direct invocation.
    pub fn of(payload: Value) -> Self {
        let Value::Object(event) = payload else { return Self::Direct(payload) };
        let context = event.get("requestContext");
        let method_v2 = context.and_then(|context| context.get("http")?.get("method")?.as_str());
        let method_v1 = event.get("httpMethod").and_then(Value::as_str);
        let (channel, method) = match (method_v2, method_v1) {
            (Some(method), _) => (Channel::Http, method),
            (None, Some(method)) if context.is_some_and(|context| context.get("elb").is_some()) => {
                (Channel::Alb, method)
            }
            (None, Some(method)) => (Channel::Rest, method),
            (None, None) => {
                let source = event.get("source").and_then(Value::as_str);
                let ping = event.get("warmup") == Some(&Value::Bool(true))
                    || matches!(source, Some("aws.events" | "serverless-plugin-warmup"));
                return if ping { Self::Ping } else { Self::Direct(Value::Object(event)) };
            }
        };
        let method = method.to_ascii_uppercase();
        Self::Http(HttpRequest { channel, method, event })
    }
}

impl HttpRequest {
    /// The last part of the path, without the stage that an HTTP API puts in front: empty for the root.
    ///
    /// Only the last part counts, so that a custom domain may map any base path to the function.
    pub fn endpoint(&self) -> &str {
        let path = self.text(if self.channel == Channel::Http { "rawPath" } else { "path" }).unwrap_or_default();
        let path = path.trim_matches('/');
        if self.channel == Channel::Http {
            let stage = self.event["requestContext"]["stage"].as_str().unwrap_or("$default");
            if path == stage {
                return "";
            }
        }
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Names and values of the query, decoded, in their order where the event keeps it.
    ///
    /// # Errors
    ///
    /// When a value is not UTF-8 after decoding.
    pub fn query(&self) -> Result<Vec<(String, String)>, Problem> {
        if self.channel == Channel::Http {
            return decode_form(self.text("rawQueryString").unwrap_or_default());
        }
        let mut pairs = Vec::new();
        let single = self.object("queryStringParameters");
        let multi = self.object("multiValueQueryStringParameters").filter(|multi| !multi.is_empty());
        for (name, values) in multi.or(single).into_iter().flatten() {
            let values = values.as_array().map_or(std::slice::from_ref(values), Vec::as_slice);
            pairs.extend(values.iter().filter_map(Value::as_str).map(|value| (name.clone(), value.to_owned())));
        }
        if self.channel == Channel::Alb {
            // A load balancer hands the query on as it came; API Gateway decodes it.
            let decode = |(name, value): (String, String)| Ok((decode(&name, &name)?, decode(&name, &value)?));
            return pairs.into_iter().map(decode).collect();
        }
        Ok(pairs)
    }

    /// The header `Content-Type`.
    pub fn content_type(&self) -> Option<&str> {
        let named = |headers: &'static str| {
            self.object(headers)?.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, v)| v)
        };
        let value = named("headers").or_else(|| named("multiValueHeaders"))?;
        value.as_str().or_else(|| value.get(0)?.as_str())
    }

    /// The body, as it came.
    pub fn body(&self) -> Option<&str> {
        self.text("body")
    }

    /// Whether the body is in base64.
    pub fn is_base64(&self) -> bool {
        self.event.get("isBase64Encoded") == Some(&Value::Bool(true))
    }

    /// Whether the answer's headers have to be lists: a load balancer's target group can be set so.
    pub fn wants_multi_value_headers(&self) -> bool {
        self.channel == Channel::Alb && self.event.contains_key("multiValueHeaders")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.event.get(name)?.as_str()
    }

    fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.event.get(name)?.as_object()
    }
}

/// Names and values of `a=b&c=d`, decoded as HTML forms are.
///
/// # Errors
///
/// When a name or a value is not UTF-8 after decoding.
pub fn decode_form(form: &str) -> Result<Vec<(String, String)>, Problem> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode("query", name)?;
        let value = decode(&name, value)?;
        Ok((name, value))
    };
    form.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn decode(field: &str, text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    let decoded = decoded.map_err(|_| {
        Problem::bad("not_utf8", field, "the query must be UTF-8, percent-encoded; this value is not UTF-8")
    })?;
    Ok(decoded.into_owned())
}
