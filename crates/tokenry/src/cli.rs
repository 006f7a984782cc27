//! What the command line offers, and what each command does.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use tokenry::config::{self, Config, Overrides};
use tokenry::server::{self, Server};
use tokenry::{demo, logging, providers, start_up, texts};
use tokenry_broker::Broker;
use tokenry_model::{ProviderId, SystemClock};
use tokenry_sandbox::{Sandbox, SandboxOptions};
use tokenry_vault::{MasterKey, SystemRandom};
use url::Url;

use crate::audit_command::{self, AuditCommand};
use crate::key_verbs::{self, KeyCommand};
use crate::portable_command::{self, ExportFlags, ImportFlags};
use crate::provider_command::{self, ProviderCommand};
use crate::store_command::{self, MigrateFlags, RestoreFlags};

/// Keeps people's connections to other services, and hands out tokens that are valid now.
#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    overrides: Flags,
    #[command(subcommand)]
    command: Command,
}

/// Settings that a flag may override. All others are set by file or environment: `tokenry config example` lists them.
#[derive(Args)]
struct Flags {
    /// The configuration file [default: tokenry.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The address that people reach the server at
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// Where the data lies
    #[arg(long, global = true, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// The database
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// human or json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// Watch the whole trip, from signing up to a revoked token, on a store that is thrown away
    Demo {
        /// End after the trip
        #[arg(long)]
        once: bool,
        /// The port to listen on [default: 8080, or any other if that is taken]
        #[arg(long)]
        port: Option<u16>,
    },
    /// Run a small OAuth provider to try things on
    Sandbox(SandboxFlags),
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make keys, change them, and see what needs which
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Look at the services, and add one
    Provider {
        #[command(subcommand)]
        command: ProviderCommand,
    },
    /// See who did what, and whether the record of it is whole
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Look after users
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Write the whole state into one file, while servers run
    Backup {
        /// The file to write; it must not be there
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a backup back, where no database is
    Restore(RestoreFlags),
    /// Write connections into a sealed file, for another installation
    Export(ExportFlags),
    /// Bring in connections that another installation exported
    Import(ImportFlags),
    /// Move everything to another database; servers must be stopped
    MigrateStore(MigrateFlags),
}

#[derive(Args)]
struct SandboxFlags {
    /// The port to listen on, on this machine only
    #[arg(long, default_value_t = 8090)]
    port: u16,
    /// How long an access token lives, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    access_ttl: u64,
    /// How long a refresh token lives, in seconds [default: for ever]
    #[arg(long, value_name = "SECONDS")]
    refresh_ttl: Option<u64>,
    /// Keep refresh tokens instead of replacing them at each use
    #[arg(long)]
    no_rotate: bool,
    /// The client id to accept
    #[arg(long, default_value = "tokenry")]
    client_id: String,
    /// The client secret to accept
    #[arg(long, default_value = "sandbox-secret")]
    client_secret: String,
    /// A redirect URI to accept; may be given more than once
    #[arg(long, value_name = "URL", default_values_t = ["http://localhost:8080/callback/sandbox".to_owned(), "http://127.0.0.1:8080/callback/sandbox".to_owned()])]
    redirect_uri: Vec<String>,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the configuration and print what it comes to
    Check,
    /// Print a configuration file with every setting explained
    Example,
    /// Print what the pages say, in English, to translate it or to change words
    Texts,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a user; the password is asked for, or read from standard input
    Add {
        /// The username
        username: String,
        /// The e-mail address
        #[arg(long)]
        email: String,
        /// They operate the server: they set services up, and see how it does
        #[arg(long)]
        operator: bool,
    },
    /// List all users, with their roles
    List,
    /// Give a user the operator's role, or take it away
    Role {
        /// The username
        username: String,
        /// What they are from now on
        role: Role,
    },
    /// Set a user's password and end their sessions; the password is asked for, or read from standard input
    Password {
        /// The username
        username: String,
    },
}

/// What a user may do.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Sets services up, and sees how the server does
    Operator,
    /// Has connections
    Person,
}

/// Runs a command to its end.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Key { command: KeyCommand::Generate } => {
            let key = MasterKey::generate(&SystemRandom)?;
            println!("{}", key.to_base64().expose_secret());
            return Ok(ExitCode::SUCCESS);
        }
        Command::Config { command: ConfigCommand::Example } => {
            print!("{}", config::example());
            return Ok(ExitCode::SUCCESS);
        }
        Command::Config { command: ConfigCommand::Texts } => {
            print!("{}", tokenry_web::english_texts());
            return Ok(ExitCode::SUCCESS);
        }
        Command::Provider { command: ProviderCommand::Template(wanted) } => {
            provider_command::template(&wanted)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Provider { command: ProviderCommand::Schema } => {
            print!("{}", tokenry_oauth::PROVIDER_SCHEMA);
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(run_async(cli));
    // Not dropped: that would wait for a name server that does not answer.
    runtime.shutdown_background();
    done
}

async fn run_async(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo { .. } | Command::Sandbox(_) if cli.overrides.any() => {
            bail!(
                "demo and sandbox take no settings of the server; their own flags are --port and those in --help"
            )
        }
        Command::Demo { once, port } => run_demo(once, port).await?,
        Command::Sandbox(flags) => run_sandbox(flags).await?,
        command => {
            let overrides = cli.overrides.into();
            let config = Config::load(&overrides, std::env::vars_os())?;
            match command {
                Command::Serve => serve(config, &overrides).await?,
                Command::User { command } => run_user(&config, command).await?,
                Command::Audit { command } => return audit_command::run(&config, command).await,
                Command::Provider { command } => return provider_command::run(&config, command).await,
                Command::Key { command } => key_verbs::run(&config, command).await?,
                Command::Backup { to } => store_command::backup(&config, &to).await?,
                Command::Restore(flags) => store_command::restore(&config, &flags).await?,
                Command::MigrateStore(flags) => store_command::migrate(&config, &flags).await?,
                Command::Export(flags) => portable_command::export(&config, &flags).await?,
                Command::Import(flags) => portable_command::import(&config, &flags).await?,
                _ => {
                    print!("{}", config.summary());
                    // A provider that lacks its addresses shows only here.
                    providers::catalogue(&config, &config.outbound)?;
                    let lacking = texts::check(&config)?;
                    for line in lacking {
                        println!("{line}");
                    }
                    println!("The configuration is good.");
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Flags {
    fn any(&self) -> bool {
        [&self.listen, &self.public_url, &self.data_dir, &self.database_url, &self.log_format]
            .iter()
            .any(|flag| flag.is_some())
            || self.config.is_some()
    }
}

impl From<Flags> for Overrides {
    fn from(flags: Flags) -> Self {
        Self {
            config: flags.config,
            listen: flags.listen,
            public_url: flags.public_url,
            data_dir: flags.data_dir,
            database_url: flags.database_url.map(SecretString::from),
            log_format: flags.log_format,
        }
    }
}

async fn serve(mut config: Config, overrides: &Overrides) -> anyhow::Result<()> {
    logging::start(config.log.format, &config.log.level)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut signals = Signals::new()?;
    // Before anything else: with port 0 the public URL, and with it every redirect URI, follows from the port that it gets.
    let listener = server::bind(&config).await?;
    config.listen_at(listener.local_addr()?);
    let (broker, opened) = server::open(&config, Arc::new(SystemClock)).await?;
    let server = Server::start_on(listener, &config, broker)?;
    print!("{}", start_up::report(&config, &opened, &server));
    // For whoever stands at the console, and for nobody who reads the log.
    match server.broker().make_setup_link().await {
        Ok(Some(link)) => {
            println!("Open {} to become the operator (good once, for 24 hours)", link.url.expose_secret());
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "it is not known whether somebody operates this server"),
    }
    std::io::stdout().flush()?;
    while let Signal::Reload = signals.next().await? {
        reload(&server, overrides);
    }
    tracing::info!("stopping");
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reads the services and the texts again. What cannot be read changes nothing.
fn reload(server: &Server, overrides: &Overrides) {
    let read = Config::load(overrides, std::env::vars_os());
    let changes = read.map_err(anyhow::Error::from).and_then(|config| server.reload(&config));
    let list = |ids: &[ProviderId]| ids.iter().map(ProviderId::as_str).collect::<Vec<_>>().join(" ");
    match changes {
        Ok(changes) => tracing::info!(
            added = list(&changes.added),
            changed = list(&changes.changed),
            removed = list(&changes.removed),
            "the services were read again, and the texts"
        ),
        Err(error) => tracing::error!("the services stay as they were, and the texts: {error:#}"),
    }
}

/// What somebody asks the process to do.
enum Signal {
    /// SIGHUP: read the services and the texts again.
    Reload,
    /// SIGTERM or Ctrl-C.
    Stop,
}

/// From the moment this is made, no signal of these ends the process by itself.
struct Signals {
    hang_up: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> anyhow::Result<Signal> {
        tokio::select! {
            _ = self.terminate.recv() => Ok(Signal::Stop),
            _ = self.interrupt.recv() => Ok(Signal::Stop),
            _ = self.hang_up.recv() => Ok(Signal::Reload),
        }
    }
}

/// Listens from now on, and is done when somebody wants the process to end. A terminal that is closed (SIGHUP) ends it at
/// once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn run_demo(once: bool, port: Option<u16>) -> anyhow::Result<()> {
    logging::start(config::LogFormat::Human, "warn")?;
    let demo = demo::run(port, &mut |line| println!("{line}")).await?;
    if once {
        println!("The trip is done.");
    } else {
        // Before it is said how to end it.
        let stopped = stop_signal()?;
        println!("{}", demo.invitation());
        stopped.await;
    }
    demo.stop().await;
    Ok(())
}

async fn run_sandbox(flags: SandboxFlags) -> anyhow::Result<()> {
    let options = SandboxOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, flags.port)),
        clients: vec![tokenry_sandbox::Client {
            id: flags.client_id.clone(),
            secret: flags.client_secret.into(),
            redirect_uris: flags.redirect_uri.clone(),
        }],
        access_ttl: Duration::from_secs(flags.access_ttl),
        refresh_ttl: flags.refresh_ttl.map(Duration::from_secs),
        rotate: !flags.no_rotate,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await.context("the sandbox cannot start")?;
    let base: Url = sandbox.base_url().parse()?;
    let stopped = stop_signal()?;
    println!("The sandbox provider runs at {base}");
    println!(
        "  accepts    client id {} with the secret that was given, for {}",
        flags.client_id,
        flags.redirect_uri.join(", ")
    );
    println!("  to use it  TOKENRY_PROVIDERS__SANDBOX__ISSUER={} \\", sandbox.base_url());
    println!("             TOKENRY_PROVIDERS__SANDBOX__CLIENT_ID={} \\", flags.client_id);
    println!("             TOKENRY_PROVIDERS__SANDBOX__CLIENT_SECRET=… \\");
    println!("             TOKENRY_OUTBOUND__ALLOW_PRIVATE=true tokenry serve");
    println!("  it saw     {base}seen");
    stopped.await;
    sandbox.stop().await;
    Ok(())
}

async fn run_user(config: &Config, command: UserCommand) -> anyhow::Result<()> {
    logging::start(config.log.format, "warn")?;
    let (broker, opened) = server::open(config, Arc::new(SystemClock)).await?;
    if let Some(path) = opened.made_key {
        eprintln!("A master key was generated into {}.", path.display());
    }
    let done = look_after_users(&broker, command).await;
    broker.close().await;
    done
}

async fn look_after_users(broker: &Broker, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { username, email, operator } => {
            let password = read_password()?;
            let id = broker.add_user(&username, &email, &password).await?;
            if operator {
                broker.set_role(&username, true).await?;
            }
            let role = if operator { ", and operates this server" } else { "" };
            println!("{username} has the id {id}{role}.");
        }
        UserCommand::List => {
            for user in broker.list_users().await? {
                let role = if user.is_operator { "operator" } else { "person" };
                let (id, name, email) = (user.id, &user.username, user.email.as_str());
                println!("{id}\t{name}\t{email}\t{}\t{role}", user.created_at);
            }
        }
        UserCommand::Role { username, role } => {
            if !broker.set_role(&username, role == Role::Operator).await? {
                bail!("there is no user {username:?}; `tokenry user list` shows who there is");
            }
            match role {
                Role::Operator => println!("{username} operates this server."),
                Role::Person => println!("{username} does not operate this server."),
            }
        }
        UserCommand::Password { username } => {
            let password = read_password()?;
            if !broker.set_password(&username, &password).await? {
                bail!("there is no user {username:?}; `tokenry user list` shows who there is");
            }
            println!("The password of {username} is set, and their sessions have ended.");
        }
    }
    Ok(())
}

/// Asks for a password without showing it, or reads a line when standard input is not a person.
fn read_password() -> anyhow::Result<SecretString> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password("Password: ")?.into());
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}
