//! E-mail.

use std::time::Duration;

use futures_core::future::BoxFuture;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::super::model::Kind;
use super::super::rules::provider::{Class, Provider};
use super::{Endpoint, Outcome, Outgoing, Sender};
use crate::moment::Moment;

/// How long a mail server may take for one step.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends mails.
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// Where those who want no more offers say so.
    unsubscribe: Option<String>,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("from", &self.from).finish_non_exhaustive()
    }
}

/// RFC 2369.
#[derive(Clone)]
struct ListUnsubscribe(String);

impl Header for ListUnsubscribe {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(ListUnsubscribe(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), format!("<{}>", self.0))
    }
}

impl Smtp {
    /// Sends by the server at `smtps://USER:PASSWORD@HOST`, or `smtp://...?tls=required`; without
    /// TLS on this machine only. Its connections belong to the runtime that this is called in.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(
        url: &str,
        from: &str,
        unsubscribe: Option<String>,
        certificate: Option<&[u8]>,
    ) -> Result<Self, String> {
        let host = host(url).ok_or("url: no mail server")?;
        let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        let is_safe = url.starts_with("smtps://") || url.contains("tls=required");
        if !is_here && !is_safe {
            return Err("url: without TLS only a server of this machine".to_owned());
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let mut builder = builder.map_err(|error| format!("url: {error}"))?.timeout(Some(TIMEOUT));
        if let Some(pem) = certificate {
            let bad = |error: lettre::transport::smtp::Error| format!("ca_file: {error}");
            let root = Certificate::from_pem(pem).map_err(bad)?;
            let tls = TlsParameters::builder(host.to_owned()).add_root_certificate(root);
            let tls = tls.build().map_err(bad)?;
            let is_wrapped = url.starts_with("smtps://");
            builder = builder.tls(if is_wrapped { Tls::Wrapper(tls) } else { Tls::Required(tls) });
        }
        let from = from.parse().map_err(|error| format!("from: {error}"))?;
        Ok(Smtp { transport: builder.build(), from, unsubscribe })
    }

    /// The mail. Its id is the delivery's, so that a mailbox knows one that comes twice.
    fn mail(&self, one: &Outgoing) -> Result<Message, Outcome> {
        let Endpoint::Email { address } = &one.endpoint else {
            return Err(Outcome::refused(Class::Ours, "wrong_endpoint"));
        };
        let to = address.parse().map_err(|_| Outcome::refused(Class::Recipient, "bad_address"))?;
        let id = format!("<{}@{}>", one.delivery_id, self.from.email.domain());
        let mail = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(one.content.title.clone())
            .message_id(Some(id));
        let mail = match &self.unsubscribe {
            Some(url) if one.content.kind == Kind::PromotionAlert => {
                mail.header(ListUnsubscribe(url.clone()))
            }
            _ => mail,
        };
        let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN);
        let html = SinglePart::builder().header(ContentType::TEXT_HTML);
        let body = MultiPart::alternative()
            .singlepart(plain.body(text(&one.content.body)))
            .singlepart(html.body(one.content.body.clone()));
        mail.multipart(body).map_err(|_| Outcome::refused(Class::Ours, "bad_mail"))
    }

    async fn attempt(&self, one: &Outgoing) -> Result<Outcome, Outcome> {
        let mail = self.mail(one)?;
        match self.transport.send(mail).await {
            Ok(said) => {
                let outcome = Outcome::of(Provider::Smtp, u16::from(said.code()), "", false);
                let message_id = said.message().next().map(str::to_owned);
                Ok(Outcome { message_id, ..outcome })
            }
            Err(error) => {
                let Some(status) = error.status().map(u16::from) else {
                    return Err(Outcome::silent(&error.to_string()));
                };
                let code = extended(&error).unwrap_or_else(|| status.to_string());
                Ok(Outcome::of(Provider::Smtp, status, &code, false))
            }
        }
    }
}

impl Sender for Smtp {
    fn provider(&self) -> Provider {
        Provider::Smtp
    }

    fn send<'a>(&'a self, one: &'a Outgoing, _: Moment) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.attempt(one).await.unwrap_or_else(|outcome| outcome) })
    }
}

fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = if host.starts_with('[') {
        host.split_inclusive(']').next()?
    } else {
        host.split(':').next()?
    };
    (!host.is_empty()).then_some(host)
}

/// The extended code of RFC 3463, such as 5.1.1, if there is one.
fn extended(error: &lettre::transport::smtp::Error) -> Option<String> {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let is_code = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.len() == 3 && ["4", "5"].contains(&parts[0]) && parts.iter().all(is_number)
    };
    source.split_whitespace().find(is_code).map(str::to_owned)
}

/// What is left of HTML without its tags, for those who read plain text.
fn text(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut is_tag = false;
    for c in html.replace("</p>", "\n").replace("<br>", "\n").chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => is_tag = false,
            c if !is_tag => out.push(c),
            _ => {}
        }
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ];
    let plain = entities.iter().fold(out, |text, (entity, c)| text.replace(entity, c));
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_what_is_left_without_tags() {
        assert_eq!(text("<p>ก &lt;b&gt; &amp;lt; <b>x</b></p><p>y</p>"), "ก <b> &lt; x\ny");
    }

    #[tokio::test]
    async fn a_password_goes_to_nobody_without_tls() {
        let open = |url| Smtp::new(url, "Shop <shop@example.com>", None, None).map(|_| ());
        for good in [
            "smtps://u:p@mail.example",
            "smtp://u:p@mail.example?tls=required",
            "smtp://127.0.0.1:25",
        ] {
            assert_eq!(open(good), Ok(()), "{good}");
        }
        for bad in [
            "smtp://u:p@mail.example",
            "smtp://mail.example?tls=opportunistic",
            "mail.example",
            "smtp://",
        ] {
            assert!(open(bad).is_err(), "{bad}");
        }
    }
}
