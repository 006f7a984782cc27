//! `tokenry provider …`: what services there are, what is to be known of one, what it lacks here, and how to add one.

mod check;
mod list;
mod page;
mod show;
mod template;
mod words;

use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use tokenry::config::Config;
use tokenry::providers;
use tokenry_oauth::{Catalogue, Kind, Provider};

pub(crate) use template::{Wanted as TemplateFlags, template};

/// The status when a word means no service.
const UNKNOWN: u8 = 2;

#[derive(Subcommand)]
pub(crate) enum ProviderCommand {
    /// List the services, and how each is connected here
    List(ListFlags),
    /// Tell all there is to know about a service
    Show {
        /// Its id, or another word for it
        name: String,
    },
    /// Check what is configured of a service, say what is missing, and ask its endpoints whether they are there
    Check(CheckFlags),
    /// Write a new provider file that explains each of its words
    Template(TemplateFlags),
    /// Print the JSON Schema of provider files, for an editor
    Schema,
}

#[derive(Args)]
pub(crate) struct ListFlags {
    /// Only services whose id, name, alias or category has this in it
    word: Option<String>,
    /// Only services of this kind
    #[arg(long, value_parser = kinds())]
    kind: Option<Kind>,
    /// Only services of this category, such as music
    #[arg(long)]
    category: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct CheckFlags {
    /// Its id, or another word for it
    #[arg(required_unless_present = "all")]
    name: Option<String>,
    /// Check every service that the configuration names
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

/// Reads the word of a kind.
fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::word))
        .try_map(|word| Kind::ALL.into_iter().find(|kind| kind.word() == word).ok_or("no kind of service"))
}

/// Runs a command that needs the configuration.
pub(crate) async fn run(config: &Config, command: ProviderCommand) -> anyhow::Result<ExitCode> {
    let (catalogue, unread) = providers::catalogue_as_served(config).await?;
    if let Some(error) = unread {
        eprintln!("tokenry: services that were set up on the pages are left out here: {error:#}");
    }
    Ok(match command {
        ProviderCommand::List(flags) => {
            print!("{}", list::list(config, &catalogue, &flags)?);
            ExitCode::SUCCESS
        }
        ProviderCommand::Show { name } => match find(&catalogue, &name) {
            Ok(provider) => {
                print!("{}", show::show(config, &provider));
                ExitCode::SUCCESS
            }
            Err(unknown) => unknown,
        },
        ProviderCommand::Check(flags) => check::check(config, &catalogue, &flags).await?,
        ProviderCommand::Template(wanted) => {
            template(&wanted)?;
            ExitCode::SUCCESS
        }
        ProviderCommand::Schema => {
            print!("{}", tokenry_oauth::PROVIDER_SCHEMA);
            ExitCode::SUCCESS
        }
    })
}

/// The service of that name, or the status of not finding it; then what was probably meant is told.
fn find(catalogue: &Catalogue, name: &str) -> Result<Arc<Provider>, ExitCode> {
    catalogue.find(name).cloned().ok_or_else(|| {
        let close = catalogue.close_matches(name);
        let advice = if close.is_empty() {
            "`tokenry provider list` shows all".to_owned()
        } else {
            format!("did you mean {}?", close.join(", "))
        };
        eprintln!("tokenry: there is no service {:?}; {advice}", words::one_line(name));
        ExitCode::from(UNKNOWN)
    })
}
