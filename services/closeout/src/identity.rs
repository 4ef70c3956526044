//! Who calls: tenant, principal, roles and teams, which every call carries in its metadata.

use crate::args::{Global, LOCAL_TENANT};
use crate::failure::Usage;
use crm_closeout::wording::Language;
use crm_runtime::auth;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status, service::Interceptor};
use uuid::Uuid;

/// How long one call may take. Calls that wait for the other service ask for less (`max_wait`).
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Tenant, principal, roles and teams, put on every call.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    tenant: Uuid,
    tenant_value: MetadataValue<Ascii>,
    principal: MetadataValue<Ascii>,
    roles: MetadataValue<Ascii>,
    teams: MetadataValue<Ascii>,
    name: String,
    language: Language,
}

impl Identity {
    /// From the flags; `tenant` is taken where the flags name none.
    pub(crate) fn new(global: &Global, tenant: Option<Uuid>) -> anyhow::Result<Self> {
        let tenant = global.tenant.or(tenant).unwrap_or(LOCAL_TENANT);
        let user = std::env::var("USER").ok().filter(|user| is_principal(user));
        let principal = global.principal.clone().or(user).unwrap_or_else(|| "demo".to_owned());
        if !is_principal(&principal) {
            return Err(Usage(format!("--principal {principal:?}: 1 to 128 visible ASCII characters, please")).into());
        }
        let tenant_value = tenant.to_string().parse()?;
        Ok(Self {
            tenant,
            tenant_value,
            principal: principal.parse()?,
            roles: auth::list(&global.roles).parse()?,
            teams: auth::list(&global.teams).parse()?,
            name: principal,
            language: language(),
        })
    }

    /// The tenant.
    pub(crate) fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// Who calls.
    pub(crate) fn principal(&self) -> &str {
        &self.name
    }
}

/// Marks a call that has no end of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endless;

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if request.extensions().get::<Endless>().is_none() {
            request.set_timeout(CALL_TIMEOUT);
        }
        let metadata = request.metadata_mut();
        metadata.insert(auth::TENANT, self.tenant_value.clone());
        metadata.insert(auth::PRINCIPAL, self.principal.clone());
        metadata.insert(auth::ROLES, self.roles.clone());
        metadata.insert(auth::TEAMS, self.teams.clone());
        metadata.insert("accept-language", MetadataValue::from_static(self.language.tag()));
        Ok(request)
    }
}

/// The language of the terminal, as POSIX says it: the first of these variables that is set.
pub(crate) fn language() -> Language {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).map_or(Language::English, |tag| Language::of(&tag))
}

fn is_principal(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    #[test]
    fn every_call_carries_who_it_is_from() {
        let flags = ["--principal", "sales@example.com", "--roles", "sales,team-lead", "--teams", "华东"];
        let cli = Cli::try_parse_from([&["closeout", "reasons"][..], &flags].concat()).unwrap();
        let mut identity = Identity::new(&cli.global, None).unwrap();
        let request = identity.call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("x-tenant-id").unwrap(), LOCAL_TENANT.to_string().as_str());
        assert_eq!(request.metadata().get("x-principal").unwrap(), "sales@example.com");
        assert_eq!(request.metadata().get("x-roles").unwrap(), "sales,team-lead");
        assert_eq!(request.metadata().get("x-teams").unwrap(), "%E5%8D%8E%E4%B8%9C");
    }

    #[test]
    fn a_principal_that_metadata_cannot_carry_is_refused() {
        let cli = Cli::try_parse_from(["closeout", "reasons", "--principal", "王 伟"]).unwrap();
        assert!(Identity::new(&cli.global, None).is_err());
    }
}
