//! Who calls. In flow the headers of a request and the settings of a listener; out come the [`Claims`] of the caller or UNAUTHENTICATED
//! with a reason. Between the services a shared token takes the place of an identity. What a method needs is not known here.

use crate::answer::refusal;
use crm_closeout::{
    access::{Access, Owned, SYSTEM},
    ids::{TenantId, is_id},
    wording::{self, Wording},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::{borrow::Cow, fmt, fs, io, net::SocketAddr, path::Path};
use subtle::ConstantTimeEq;
use tonic::Status;
use uuid::Uuid;

/// Metadata key of the tenant.
pub const TENANT: &str = "x-tenant-id";
/// Metadata key of the principal.
pub const PRINCIPAL: &str = "x-principal";

/// Metadata key of the roles that the caller has, with commas between them.
pub const ROLES: &str = "x-roles";
/// Metadata key of the teams that the caller is in, with commas between them.
pub const TEAMS: &str = "x-teams";

const PRINCIPAL_BYTES: usize = 128;
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=8192;
/// Most characters of a team, as of a record's.
const TEAM_CHARACTERS: usize = 128;
/// Most roles or teams of a caller.
const MOST_NAMES: usize = 32;

/// What is said of a caller by whoever vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose data it is about.
    pub tenant: TenantId,
    /// The person or program that calls: 1 to 128 visible ASCII characters.
    pub principal: String,
    /// Names of its roles; none: nothing is said of them.
    pub roles: Option<Vec<String>>,
    /// Its teams.
    pub teams: Vec<String>,
}

impl Claims {
    /// Reads `x-tenant-id`, `x-principal`, `x-roles` and `x-teams`; each may be there once and must be well formed, and the first two must
    /// be there, else UNAUTHENTICATED.
    pub fn read(headers: &HeaderMap) -> Result<Self, Status> {
        let tenant = given(headers, TENANT, &wording::TENANT_MISSING, &wording::TENANT_INVALID)?;
        let tenant = canonical(tenant).ok_or_else(|| refuse(&wording::TENANT_INVALID))?;
        let principal = given(headers, PRINCIPAL, &wording::PRINCIPAL_MISSING, &wording::PRINCIPAL_INVALID)?;
        if !is_principal(principal) {
            return Err(refuse(&wording::PRINCIPAL_INVALID));
        }
        if principal == SYSTEM {
            return Err(refusal(&wording::PRINCIPAL_RESERVED, &[("principal", SYSTEM.to_owned())]));
        }
        let roles = names(headers, ROLES, &wording::ROLES_INVALID)?;
        if roles.iter().flatten().any(|role| !is_id(role)) {
            return Err(refuse_names(&wording::ROLES_INVALID));
        }
        let teams = names(headers, TEAMS, &wording::TEAMS_INVALID)?.unwrap_or_default();
        if !teams.iter().all(|team| is_team(team)) {
            return Err(refuse_names(&wording::TEAMS_INVALID));
        }
        Ok(Self { tenant, principal: principal.to_owned(), roles, teams })
    }
}

/// For whom a call is made, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose data it is about.
    pub tenant: TenantId,
    /// The person or program that calls.
    pub principal: String,
    /// What it may do.
    pub access: Access,
}

impl Caller {
    /// Whose a record is that it makes for itself.
    pub fn owned(&self) -> Owned<'_> {
        Owned { owner: &self.principal, team: self.access.teams.first().map_or("", String::as_str) }
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

/// Whether a record may be of such a team.
fn is_team(name: &str) -> bool {
    name.chars().count() <= TEAM_CHARACTERS && !name.chars().any(char::is_control)
}

fn given<'a>(
    headers: &'a HeaderMap,
    key: &'static str,
    missing: &'static Wording,
    malformed: &'static Wording,
) -> Result<&'a str, Status> {
    single(headers, key).map_err(|NotSingle| refuse(malformed))?.ok_or_else(|| refuse(missing))
}

struct NotSingle;

fn single<'a>(headers: &'a HeaderMap, key: &'static str) -> Result<Option<&'a str>, NotSingle> {
    let mut values = headers.get_all(key).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| NotSingle),
        (Some(_), Some(_)) => Err(NotSingle),
    }
}

/// The names of a list; white space around one does not count, and an empty one is none.
fn names(headers: &HeaderMap, key: &'static str, malformed: &'static Wording) -> Result<Option<Vec<String>>, Status> {
    let Some(list) = single(headers, key).map_err(|NotSingle| refuse_names(malformed))? else { return Ok(None) };
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let decoded = names.map(|name| percent_decode_str(name).decode_utf8().map(Cow::into_owned));
    let names: Vec<_> = decoded.collect::<Result<_, _>>().map_err(|_| refuse_names(malformed))?;
    if names.len() > MOST_NAMES {
        return Err(refuse_names(malformed));
    }
    Ok(Some(names))
}

/// A list of names as metadata carries it.
pub fn list(names: &[impl AsRef<str>]) -> String {
    const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    let names = names.iter().map(|name| utf8_percent_encode(name.as_ref(), &ENCODED).to_string());
    names.collect::<Vec<_>>().join(",")
}

fn canonical(text: &str) -> Option<TenantId> {
    let uuid = Uuid::try_parse(text).ok()?;
    (uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(TenantId(uuid))
}

fn is_loopback(listen: SocketAddr) -> bool {
    listen.ip().to_canonical().is_loopback()
}

fn refuse_names(wording: &'static Wording) -> Status {
    refusal(wording, &[("most", MOST_NAMES.to_string())])
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

    fn read(values: &[(&'static str, &str)]) -> Result<Claims, String> {
        let mut headers = HeaderMap::new();
        for (key, value) in values {
            headers.append(*key, value.parse().unwrap());
        }
        Claims::read(&headers).map_err(|status| {
            assert_eq!(status.code(), Code::Unauthenticated);
            status.get_details_error_info().unwrap().reason
        })
    }

    #[test]
    fn a_caller_is_a_tenant_and_a_principal_and_may_have_roles_and_teams() {
        let claims = read(&[(TENANT, ID), (PRINCIPAL, "users/ana@example.com")]).unwrap();
        assert_eq!((claims.tenant.to_string().as_str(), claims.principal.as_str()), (ID, "users/ana@example.com"));
        assert_eq!((claims.roles, claims.teams.len()), (None, 0));
        let told =
            [(TENANT, ID), (PRINCIPAL, "ana"), (ROLES, "sales, key-accounts,"), (TEAMS, "North,%E5%8D%8E%E4%B8%9C")];
        let claims = read(&told).unwrap();
        assert_eq!(claims.roles.unwrap(), ["sales", "key-accounts"]);
        assert_eq!(claims.teams, ["North", "华东"]);
        assert_eq!(list(&claims.teams), "North,%E5%8D%8E%E4%B8%9C");
        let none = read(&[(TENANT, ID), (PRINCIPAL, "ana"), (ROLES, "")]).unwrap();
        assert_eq!(none.roles, Some(Vec::new()), "no role is said, and that is not silence");
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
        for principal in ["", "ana smith", "ana\tsmith", &"a".repeat(129), "system"] {
            assert_eq!(read(&[(TENANT, ID), (PRINCIPAL, principal)]), Err("PRINCIPAL_INVALID".into()), "{principal}");
        }
        let ana = [(TENANT, ID), (PRINCIPAL, "ana")];
        let many = vec!["a"; 33].join(",");
        for roles in ["Sales", "sales;admin", "sales%20", &many] {
            assert_eq!(read(&[ana[0], ana[1], (ROLES, roles)]), Err("ROLES_INVALID".into()), "{roles}");
        }
        assert_eq!(read(&[ana[0], ana[1], (ROLES, "sales"), (ROLES, "admin")]), Err("ROLES_INVALID".into()));
        for teams in ["%FF", "a%00b", &"a".repeat(129), &many] {
            assert_eq!(read(&[ana[0], ana[1], (TEAMS, teams)]), Err("TEAMS_INVALID".into()), "{teams}");
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
