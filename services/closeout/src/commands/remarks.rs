//! What a person says about a close-out beside its reason: the flags of `closeout close-out`, and what the services are told.

use super::closing::reason_name;
use crate::failure::Usage;
use crate::format::{parse_day, parse_moment, to_timestamp};
use clap::{Args, ValueEnum};
use crm_proto::common::Finding as Found;
use crm_proto::common::{CustomerVerification, FollowUp, Reassessment, VerificationMethod};
use prost_types::Timestamp;
use std::time::SystemTime;
use time::Date;

/// Most further reasons.
const MOST_FURTHER: usize = 2;

/// Flags of `close-out` about what it rests on, and what follows.
#[derive(Debug, Args)]
#[command(next_help_heading = "What it rests on, and what follows")]
pub(crate) struct RemarksArgs {
    /// Code of a further reason; may be given twice.
    #[arg(long, value_name = "CODE")]
    also: Vec<String>,
    /// How it was verified.
    #[command(flatten)]
    verified: VerifiedArgs,
    /// How the relationship stands now: from 1, not worth pursuing, to 5, as good as ever.
    #[arg(long, value_name = "1-5", value_parser = clap::value_parser!(i32).range(1..=5))]
    rating: Option<i32>,
    /// Why you rate it so.
    #[arg(long, value_name = "TEXT", requires = "rating")]
    rating_note: Option<String>,
    /// What is to be done later; it becomes a task.
    #[arg(long, value_name = "TITLE")]
    follow_up: Option<String>,
    /// Who shall do it [default: the owner of what is closed out].
    #[arg(long, value_name = "PRINCIPAL", requires = "follow_up")]
    follow_up_by: Option<String>,
    /// When it should be done by, such as 2026-12-01.
    #[arg(long, value_name = "DAY", requires = "follow_up", value_parser = parse_day)]
    follow_up_due: Option<Date>,
}

/// Flags about how somebody found out where a customer stands.
#[derive(Debug, Args)]
#[command(next_help_heading = "What it rests on, and what follows")]
pub(crate) struct VerifiedArgs {
    /// How you found out where the customer stands.
    #[arg(long, value_name = "HOW", requires = "contact")]
    verified: Option<Method>,
    /// Whom you spoke to, or what you read.
    #[arg(long, value_name = "TEXT", requires = "verified")]
    contact: Option<String>,
    /// When that was: a day such as 2026-12-01 (UTC), or a time such as 2026-12-01T09:30:00+08:00 [default: now].
    #[arg(long, value_name = "WHEN", requires = "verified", value_parser = parse_moment)]
    verified_at: Option<Timestamp>,
    /// Whether the need is still there.
    #[arg(long, value_name = "ANSWER", requires = "verified")]
    needs: Option<Finding>,
    /// Whether there is a budget.
    #[arg(long, value_name = "ANSWER", requires = "verified")]
    budget: Option<Finding>,
    /// Whether a competitor is involved.
    #[arg(long, value_name = "ANSWER", requires = "verified")]
    competition: Option<Finding>,
    /// Whether the customer means to buy.
    #[arg(long, value_name = "ANSWER", requires = "verified")]
    intent: Option<Finding>,
    /// What else you found, in your words.
    #[arg(long, value_name = "TEXT", requires = "verified")]
    verification_note: Option<String>,
}

/// How somebody found out where a customer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// You called.
    Call,
    /// You met.
    Meeting,
    /// You wrote to each other.
    Message,
    /// You read it: a notice, a register, the news.
    Document,
}

/// What was found about one matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Finding {
    Yes,
    No,
}

/// The same as both services are told it.
#[derive(Debug)]
pub(super) struct Remarks {
    /// Names of further reasons.
    pub(super) secondary_reasons: Vec<String>,
    /// How the customer's status was verified.
    pub(super) verification: Option<CustomerVerification>,
    /// How the relationship is rated.
    pub(super) reassessment: Option<Reassessment>,
    /// What is to be done later.
    pub(super) follow_up: Option<FollowUp>,
}

impl RemarksArgs {
    /// What the flags say.
    pub(super) fn read(&self) -> Result<Remarks, Usage> {
        if self.also.len() > MOST_FURTHER {
            return Err(Usage(format!("--also: at most {MOST_FURTHER} further reasons")));
        }
        Ok(Remarks {
            secondary_reasons: self.also.iter().map(|code| reason_name(code)).collect(),
            verification: self.verified.read(),
            reassessment: self
                .rating
                .map(|rating| Reassessment { rating, note: self.rating_note.clone().unwrap_or_default() }),
            follow_up: self.follow_up.as_ref().map(|title| FollowUp {
                title: title.clone(),
                assignee: self.follow_up_by.clone().unwrap_or_default(),
                due_time: self.follow_up_due.map(to_timestamp),
                ..FollowUp::default()
            }),
        })
    }
}

impl VerifiedArgs {
    /// What the flags say; none: nothing.
    pub(super) fn read(&self) -> Option<CustomerVerification> {
        self.verified.map(|method| self.verification(method))
    }

    fn verification(&self, method: Method) -> CustomerVerification {
        let finding = |finding: Option<Finding>| finding.map_or(0, |finding| Found::from(finding).into());
        CustomerVerification {
            method: VerificationMethod::from(method).into(),
            contact: self.contact.clone().unwrap_or_default(),
            verify_time: Some(self.verified_at.unwrap_or_else(|| SystemTime::now().into())),
            needs: finding(self.needs),
            budget: finding(self.budget),
            competition: finding(self.competition),
            intent: finding(self.intent),
            note: self.verification_note.clone().unwrap_or_default(),
        }
    }
}

impl From<Method> for VerificationMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Call => Self::Call,
            Method::Meeting => Self::Meeting,
            Method::Message => Self::Message,
            Method::Document => Self::Document,
        }
    }
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Yes => Self::Confirmed,
            Finding::No => Self::RuledOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::format::time;
    use clap::Parser;

    fn parse(flags: &[&str]) -> Result<RemarksArgs, clap::Error> {
        let cli = Cli::try_parse_from([&["closeout", "close-out", "orders/1"], flags].concat())?;
        let Command::CloseOut(args) = cli.command else { panic!("not a close-out") };
        Ok(args.closing.remarks)
    }

    #[test]
    fn nothing_is_said_where_no_flag_is_given() {
        let said = parse(&[]).unwrap().read().unwrap();
        assert!(said.secondary_reasons.is_empty() && said.verification.is_none());
        assert!(said.reassessment.is_none() && said.follow_up.is_none());
    }

    #[test]
    fn a_finding_that_is_not_given_stays_open() {
        let flags = ["--verified", "call", "--contact", "Ms Li", "--needs", "yes", "--budget", "no"];
        let said = parse(&[&flags[..], &["--verified-at", "2026-11-02"]].concat()).unwrap().read().unwrap();
        let found = said.verification.unwrap();
        assert_eq!((found.method(), time(found.verify_time.as_ref())), (VerificationMethod::Call, "2026-11-02".into()));
        assert_eq!((found.needs(), found.budget()), (Found::Confirmed, Found::RuledOut));
        assert_eq!((found.competition(), found.intent()), (Found::Unspecified, Found::Unspecified));
        assert!(parse(&flags).unwrap().read().unwrap().verification.unwrap().verify_time.is_some());
    }

    #[test]
    fn what_belongs_together_is_given_together() {
        let alone: [&[&str]; 7] = [
            &["--verified", "call"],
            &["--contact", "Ms Li"],
            &["--needs", "yes"],
            &["--verification-note", "x"],
            &["--rating-note", "x"],
            &["--follow-up-by", "bo"],
            &["--follow-up-due", "2027-03-01"],
        ];
        for flags in alone {
            assert!(parse(flags).is_err(), "{flags:?}");
        }
        assert!(parse(&["--rating", "6"]).is_err() && parse(&["--rating", "5", "--rating-note", "x"]).is_ok());
    }

    #[test]
    fn there_are_two_further_reasons_at_most() {
        let also = |codes: &[&str]| {
            let flags: Vec<_> = codes.iter().flat_map(|code| ["--also", code]).collect();
            parse(&flags).unwrap().read()
        };
        let two = also(&["poor_fit", "OTHER"]).unwrap().secondary_reasons;
        assert_eq!(two, ["closeOutReasons/POOR_FIT", "closeOutReasons/OTHER"]);
        assert!(also(&["A", "B", "C"]).is_err());
    }
}
