//! Who calls. In flow the metadata of a request and the settings of a listener; out comes the [`Caller`] or UNAUTHENTICATED
//! with a reason. Between the services a shared token takes the place of an identity. What a caller may do is not known here.

use crate::answer::refusal;
use crm_closeout::{
    ids::TenantId,
    wording::{self, Wording},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::{fmt, fs, io, net::SocketAddr, path::Path};
use subtle::ConstantTimeEq;
use tonic::{Status, metadata::MetadataMap};
use uuid::Uuid;

/// Metadata key of the tenant.
pub const TENANT: &str = "x-tenant-id";
/// Metadata key of the principal.
pub const PRINCIPAL: &str = "x-principal";

const PRINCIPAL_BYTES: usize = 128;
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=8192;

/// For whom a call is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose data it is about.
    pub tenant: TenantId,
    /// The person or program that calls: 1 to 128 visible ASCII characters.
    pub principal: String,
}

impl Caller {
    /// Reads `x-tenant-id` and `x-principal`; each must be there once and well formed, else UNAUTHENTICATED.
    pub fn from_metadata(metadata: &MetadataMap) -> Result<Self, Status> {
        let tenant = single(metadata, TENANT, &wording::TENANT_MISSING, &wording::TENANT_INVALID)?;
        let tenant = canonical(tenant).ok_or_else(|| refuse(&wording::TENANT_INVALID))?;
        let principal = single(metadata, PRINCIPAL, &wording::PRINCIPAL_MISSING, &wording::PRINCIPAL_INVALID)?;
        if !is_principal(principal) {
            return Err(refuse(&wording::PRINCIPAL_INVALID));
        }
        Ok(Self { tenant, principal: principal.to_owned() })
    }
}

/// The secret that both services share while they have no certificates.
#[derive(Clone)]
pub struct PeerToken(HeaderValue);

/// Why a file with a peer token was not taken. The texts are meant for the operator and never show the content.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file could not be read.
    #[error("cannot read the peer token from {path}")]
    File {
        /// Path as given.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The content cannot be a token.
    #[error("the peer token must have 16 to 8192 visible ASCII characters, without spaces")]
    Content,
}

impl PeerToken {
    /// Reads the token from a file; white space around it does not count.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text =
            fs::read_to_string(path).map_err(|source| TokenError::File { path: path.display().to_string(), source })?;
        Self::new(&text)
    }

    /// Takes the token itself; white space around it does not count.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if !TOKEN_BYTES.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Content);
        }
        let mut value = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| TokenError::Content)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The `authorization` header that shows it.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Whether the headers show exactly this token; the time taken does not tell how much of it was right.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Status> {
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        let right = match (shown.next(), shown.next()) {
            (Some(value), None) => bool::from(value.as_bytes().ct_eq(self.0.as_bytes())),
            (None, _) | (Some(_), Some(_)) => false,
        };
        if right {
            return Ok(());
        }
        Err(refuse(&wording::PEER_TOKEN_INVALID))
    }
}

impl fmt::Debug for PeerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerToken(..)")
    }
}

/// Whether a public listener may take identities from metadata: on loopback, else only if told to trust them.
/// Called at each start; trusting off loopback is warned of each time.
pub fn identity_allowed(listen: SocketAddr, trust: bool) -> Result<(), String> {
    if is_loopback(listen) {
        return Ok(());
    }
    if trust {
        tracing::warn!(%listen, "callers are believed who they say they are; keep this port behind a proxy or NetworkPolicy");
        return Ok(());
    }
    Err(format!(
        "{listen} can be reached from other machines, and callers name themselves in metadata; listen on 127.0.0.1, or give \
         --trust-metadata-identity if a proxy or NetworkPolicy stands in front"
    ))
}

/// Whether a peer listener may open: on loopback, else only with a token.
pub fn peer_allowed(listen: SocketAddr, token: Option<&PeerToken>) -> Result<(), String> {
    if is_loopback(listen) || token.is_some() {
        return Ok(());
    }
    Err(format!(
        "{listen} can be reached from other machines; listen on 127.0.0.1, or give both services the same peer token"
    ))
}

pub(crate) fn is_principal(text: &str) -> bool {
    (1..=PRINCIPAL_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(crate) fn principal_rule() -> String {
    format!("`{PRINCIPAL}` must have 1 to {PRINCIPAL_BYTES} visible ASCII characters, without spaces")
}

fn single<'a>(
    metadata: &'a MetadataMap,
    key: &'static str,
    missing: &'static Wording,
    malformed: &'static Wording,
) -> Result<&'a str, Status> {
    let mut values = metadata.get_all(key).iter();
    let value = values.next().ok_or_else(|| refuse(missing))?;
    if values.next().is_some() {
        return Err(refuse(malformed));
    }
    value.to_str().map_err(|_| refuse(malformed))
}

fn canonical(text: &str) -> Option<TenantId> {
    let uuid = Uuid::try_parse(text).ok()?;
    (uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(TenantId(uuid))
}

fn is_loopback(listen: SocketAddr) -> bool {
    listen.ip().to_canonical().is_loopback()
}

fn refuse(wording: &'static Wording) -> Status {
    refusal(wording, &[("most", PRINCIPAL_BYTES.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;
    use tonic_types::StatusExt;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn read(values: &[(&'static str, &str)]) -> Result<Caller, String> {
        let mut metadata = MetadataMap::new();
        for (key, value) in values {
            metadata.append(*key, value.parse().unwrap());
        }
        Caller::from_metadata(&metadata).map_err(|status| {
            assert_eq!(status.code(), Code::Unauthenticated);
            status.get_details_error_info().unwrap().reason
        })
    }

    #[test]
    fn a_caller_is_a_tenant_and_a_principal() {
        let caller = read(&[(TENANT, ID), (PRINCIPAL, "users/ana@example.com")]).unwrap();
        assert_eq!((caller.tenant.to_string().as_str(), caller.principal.as_str()), (ID, "users/ana@example.com"));
    }

    #[test]
    fn a_call_without_identity_is_refused_with_what_is_missing() {
        assert_eq!(read(&[]), Err("TENANT_MISSING".into()));
        assert_eq!(read(&[(PRINCIPAL, "ana")]), Err("TENANT_MISSING".into()));
        assert_eq!(read(&[(TENANT, ID)]), Err("PRINCIPAL_MISSING".into()));
    }

    #[test]
    fn other_spellings_and_repetitions_are_refused() {
        for tenant in
            ["", "x", &ID.to_uppercase(), &ID.replace('-', ""), &format!("{{{ID}}}"), &format!("urn:uuid:{ID}")]
        {
            assert_eq!(read(&[(TENANT, tenant), (PRINCIPAL, "ana")]), Err("TENANT_INVALID".into()), "{tenant}");
        }
        assert_eq!(read(&[(TENANT, ID), (TENANT, ID), (PRINCIPAL, "ana")]), Err("TENANT_INVALID".into()));
        for principal in ["", "ana smith", "ana\tsmith", &"a".repeat(129)] {
            assert_eq!(read(&[(TENANT, ID), (PRINCIPAL, principal)]), Err("PRINCIPAL_INVALID".into()), "{principal}");
        }
    }

    #[test]
    fn a_token_is_checked_exactly() {
        let token = PeerToken::new(" 0123456789abcdef\n").unwrap();
        let check = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            token.check(&headers).map_err(|status| status.get_details_error_info().unwrap().reason)
        };
        let right = "Bearer 0123456789abcdef";
        assert_eq!(check(&[right]), Ok(()));
        for wrong in [
            &[][..],
            &["0123456789abcdef"],
            &["Bearer 0123456789abcdeg"],
            &["Bearer 0123456789abcdef0"],
            &[right, right],
        ] {
            assert_eq!(check(wrong), Err("PEER_TOKEN_INVALID".into()), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_is_long_enough_and_never_printed() {
        assert!(PeerToken::new("short").is_err());
        assert!(PeerToken::new("0123456789 abcdef").is_err());
        assert!(PeerToken::new(&"a".repeat(8193)).is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef\n").unwrap();
        let token = PeerToken::read(file.path()).unwrap();
        assert!(!format!("{token:?} {:?}", token.header()).contains("0123"));
        assert!(PeerToken::read(Path::new("no-such-file")).unwrap_err().to_string().contains("no-such-file"));
    }

    #[test]
    fn off_loopback_an_identity_needs_trust_and_a_peer_a_token() {
        let token = PeerToken::new("0123456789abcdef").unwrap();
        for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let local = local.parse().unwrap();
            assert!(identity_allowed(local, false).is_ok() && peer_allowed(local, None).is_ok(), "{local}");
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            let open = open.parse().unwrap();
            assert!(identity_allowed(open, false).is_err() && identity_allowed(open, true).is_ok(), "{open}");
            assert!(peer_allowed(open, None).is_err() && peer_allowed(open, Some(&token)).is_ok(), "{open}");
        }
    }
}
