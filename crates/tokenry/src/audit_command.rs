//! `tokenry audit …`: is the audit log whole, and what is in it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokenry::config::{self, Config};
use tokenry::{logging, server};
use tokenry_broker::{AuditFilter, AuditLine, AuditReport, Broker};
use tokenry_model::{Clock as _, ConnectionId, SystemClock, Timestamp};

/// How many rows are read at a time while all are listed.
const PAGE: i64 = 1000;

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Walk along the whole audit log, and name the first row that was altered, removed or put in
    Verify {
        /// The end that an earlier run printed: a log that was put back to before it is found
        #[arg(long, value_name = "ROW:HASH")]
        expect: Option<String>,
    },
    /// Show what is in the audit log, the newest first
    List(ListFlags),
}

#[derive(Args)]
pub(crate) struct ListFlags {
    /// Only what this user did, and what was done with what is theirs
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only what is about this connection
    #[arg(long, value_name = "ID")]
    connection: Option<String>,
    /// Only what happened since: 90m, 24h, 7d, or a time such as 2021-04-11T20:23:44Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many rows
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

/// Runs a command to its end. Fails when the log is not whole.
pub(crate) async fn run(config: &Config, command: AuditCommand) -> anyhow::Result<ExitCode> {
    logging::start(config.log.format, "warn")?;
    let expected = match &command {
        AuditCommand::Verify { expect: Some(text) } => Some(read_end(text)?),
        _ => None,
    };
    let (broker, opened) = server::open(config, Arc::new(SystemClock)).await?;
    if let Some(path) = opened.made_key {
        eprintln!("A master key was generated into {}.", path.display());
    }
    let done = match command {
        AuditCommand::Verify { .. } => verify(&broker, expected).await,
        AuditCommand::List(flags) => list(&broker, &flags).await.map(|()| ExitCode::SUCCESS),
    };
    broker.close().await;
    done
}

fn read_end(text: &str) -> anyhow::Result<(i64, String)> {
    let end = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse::<i64>().ok()?, hash)));
    match end {
        Some((seq, hash)) if seq > 0 && hash.len() == 64 => Ok((seq, hash.to_owned())),
        _ => bail!(
            "--expect takes what an earlier `tokenry audit verify` printed: a row, a colon, and 64 digits"
        ),
    }
}

async fn verify(broker: &Broker, expected: Option<(i64, String)>) -> anyhow::Result<ExitCode> {
    let expected = expected.as_ref().map(|(seq, hash)| (*seq, hash.as_str()));
    let report = broker.verify_audit(expected).await?;
    say(&report);
    Ok(if report.fault_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(report: &AuditReport) {
    if report.to == 0 && report.rows == 0 {
        println!("The audit log has not begun.");
    } else {
        let times = report.times.map(|(first, last)| format!(", {first} to {last}")).unwrap_or_default();
        println!("{} rows, {} to {}{times}", report.rows, report.from, report.to);
        if report.pruned {
            println!("What was before row {} was taken out, as audit_keep says.", report.from);
        }
        if report.lost > 0 {
            println!(
                "{} refusals or acts of the background were not written, for lack of room.",
                report.lost
            );
        }
    }
    for fault in &report.faults {
        println!("BROKEN: {fault}");
    }
    let more = report.fault_count.saturating_sub(report.faults.len() as u64);
    if more > 0 {
        println!("BROKEN: and {more} more");
    }
    if report.fault_count == 0 && report.to > 0 {
        println!(
            "The audit log is whole. Keep its end elsewhere, for --expect: {}:{}",
            report.to, report.end
        );
    } else if report.fault_count > 0 {
        println!("The audit log is NOT whole: {} found.", plural(report.fault_count));
    }
}

fn plural(faults: u64) -> String {
    if faults == 1 { "1 fault was".to_owned() } else { format!("{faults} faults were") }
}

async fn list(broker: &Broker, flags: &ListFlags) -> anyhow::Result<()> {
    let connection = flags.connection.as_deref().map(ConnectionId::parse).transpose();
    let mut filter = AuditFilter {
        user: flags.user.clone(),
        connection: connection.context("--connection")?,
        since: flags.since.as_deref().map(read_since).transpose()?,
        before: None,
    };
    let mut left = flags.limit;
    while left > 0 {
        let page = broker.list_audit(&filter, left.min(PAGE)).await?;
        let read = i64::try_from(page.lines.len()).unwrap_or(i64::MAX);
        for line in &page.lines {
            println!("{}", if flags.json { as_json(line) } else { as_text(line) });
        }
        let Some(last) = page.lines.last() else { break };
        filter.before = Some(last.row.seq);
        left -= read;
    }
    Ok(())
}

fn read_since(text: &str) -> anyhow::Result<Timestamp> {
    if let Some(ago) = config::read_duration(text, Duration::from_hours(24 * 36_500)) {
        return Ok(SystemClock.now().minus(ago));
    }
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .with_context(|| format!("--since {text:?} is neither like 24h nor like 2021-04-11T20:23:44Z"))?;
    Ok(Timestamp::from_micros(i64::try_from(at.unix_timestamp_nanos() / 1000)?))
}

fn as_json(line: &AuditLine) -> String {
    let AuditLine { row, actor, owner } = line;
    let entry = &row.entry;
    json!({
        "id": row.seq,
        "at": entry.at.to_string(),
        "last_at": entry.last_at.to_string(),
        "count": entry.count,
        "actor": entry.actor,
        "actor_id": entry.actor_id,
        "actor_name": actor,
        "action": entry.action,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "owner_id": entry.owner,
        "owner_name": owner,
        "connection": entry.connection,
        "service": entry.provider,
        "address": entry.address,
        "agent": entry.agent,
    })
    .to_string()
}

/// A line of columns with tabs between them; what there is not is a dash.
fn as_text(line: &AuditLine) -> String {
    let AuditLine { row, actor, owner } = line;
    let entry = &row.entry;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let outcome = match &entry.reason {
        Some(reason) => format!("{} ({reason})", entry.outcome),
        None => entry.outcome.to_string(),
    };
    [
        row.seq.to_string(),
        entry.at.to_string(),
        format!("{}x", entry.count),
        entry.action.to_string(),
        outcome,
        actor.clone().unwrap_or_else(|| entry.actor.to_string()),
        or_dash(owner.clone()),
        or_dash(entry.connection.map(|id| id.to_string())),
        or_dash(entry.provider.clone()),
        or_dash(entry.address.clone()),
        or_dash(entry.agent.clone()),
    ]
    .join("\t")
}
