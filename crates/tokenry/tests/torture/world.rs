//! What a run is made of, and how it goes.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokenry_sandbox::{Account, Fault, FaultKind, FaultRates, Sandbox, SandboxOptions, TokenState};
use tokenry_testkit::app::{CLIENT_ID, CLIENT_SECRET};

use crate::client::Client;
use crate::counts::Counts;
use crate::net::{Checked, Net};
use crate::outages::{Outages, Probe};
use crate::replicas::{Database, REPLICAS, Replicas};

/// How many clients there are.
const CLIENTS: usize = 8;
/// How many accounts each client has at the provider.
pub(crate) const ACCOUNTS: usize = 40;
/// A client that somebody has of their own.
pub(crate) const OWN_CLIENT: &str = "somebodys-own";
/// How long an access token lives: refreshes happen all the time.
const ACCESS_TTL: Duration = Duration::from_secs(4);

/// What everybody works with.
pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) sandbox: Sandbox,
    pub(crate) replicas: Replicas,
    pub(crate) counts: Arc<Counts>,
    stop: AtomicBool,
    names: AtomicU64,
    ids: Mutex<HashSet<i64>>,
    /// Held by whoever kills a replica, and by whoever wants none killed.
    pub(crate) peace: Mutex<()>,
}

impl World {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A text that nobody else has.
    pub(crate) fn unique(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// A connection's id is given out once.
    pub(crate) fn register(&self, id: i64) -> Checked {
        if self.ids.lock().unwrap().insert(id) {
            Ok(())
        } else {
            Err(format!("the id {id} was given out twice"))
        }
    }

    /// The provider's word on a token that was handed out as an answer to a request that was begun then.
    pub(crate) fn judge(&self, token: &str, account: &str, began: Instant) -> Checked {
        match self.sandbox.state_of(token) {
            TokenState::Living { account: whose, .. } if whose == account => Ok(()),
            TokenState::Expired { account: whose, since } if whose == account && since <= began.elapsed() => {
                self.counts.event("tokens that ended on the way to their reader");
                Ok(())
            }
            // The provider ended the grant because of an answer that died with its process: that takes a moment to be known.
            TokenState::Ended if self.explains_loss(account, began.checked_sub(Duration::from_mins(1))) => {
                self.counts.event("tokens of a grant that had just ended");
                Ok(())
            }
            other => Err(format!("a token for {account} was handed out that is {other:?}")),
        }
    }

    /// Whether a grant of this account, had after `since`, ended because an answer died with its process.
    pub(crate) fn explains_loss(&self, account: &str, since: Option<Instant>) -> bool {
        let reuses = self.sandbox.reuses();
        let mut own = reuses
            .iter()
            .filter(|reuse| reuse.account == account && since.is_none_or(|since| reuse.at > since));
        own.any(|reuse| self.replicas.explain(reuse))
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The account of this number that a client has at the provider.
pub(crate) fn account(client: usize, number: usize) -> String {
    format!("c{client}a{number}")
}

async fn start_sandbox(seed: u64) -> Sandbox {
    let named = |id: String| Account { name: id.clone(), email: format!("{id}@example.org"), id };
    let accounts = (0..CLIENTS).flat_map(|client| (0..ACCOUNTS).map(move |number| account(client, number)));
    let options = SandboxOptions {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        clients: vec![
            tokenry_sandbox::Client {
                id: CLIENT_ID.to_owned(),
                secret: CLIENT_SECRET.into(),
                redirect_uris: vec!["http://127.0.0.1/callback/sandbox".to_owned()],
            },
            tokenry_sandbox::Client {
                id: OWN_CLIENT.to_owned(),
                secret: CLIENT_SECRET.into(),
                redirect_uris: Vec::new(),
            },
        ],
        access_ttl: ACCESS_TTL,
        fault_rates: FaultRates { too_many: 0.05, retry_after_s: 1, server_error: 0.05, seed },
        accounts: accounts.map(named).collect(),
        ..SandboxOptions::default()
    };
    Sandbox::start(options).await.unwrap()
}

/// Runs clients against replicas for as long as was asked for, and checks everything.
pub(crate) fn torture(database: Database) {
    let seed = setting("TOKENRY_TEST_SEED", u64::from(std::process::id()));
    let seconds = setting("TOKENRY_TEST_SECONDS", 30);
    println!("TOKENRY_TEST_SEED={seed} TOKENRY_TEST_SECONDS={seconds}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let sandbox = runtime.block_on(start_sandbox(seed));
    let replicas = Replicas::new(database);
    let counts = Arc::new(Counts::default());
    let net = Net::new(replicas.bases(), Arc::clone(&counts));
    let world = Arc::new(World {
        net,
        sandbox,
        replicas,
        counts,
        stop: AtomicBool::new(false),
        names: AtomicU64::new(0),
        ids: Mutex::default(),
        peace: Mutex::default(),
    });
    // All at once, on nothing: one of them makes the schema.
    std::thread::scope(|scope| {
        for replica in 0..REPLICAS {
            let world = &world;
            scope.spawn(move || world.replicas.start_until_it_listens(replica, &world.sandbox));
        }
    });
    let clients: Vec<_> = (0..CLIENTS).map(|number| Client::new(number, seed, Arc::clone(&world))).collect();
    let clients: Vec<_> = clients.into_iter().map(|client| runtime.spawn(client.run())).collect();
    let ends = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        scope.spawn(|| kill_replicas(&world, seed));
        if let Some(server) = world.replicas.server() {
            let outages = Outages { world: &world, server, probe: runtime.block_on(Probe::new(&world)) };
            let runtime = &runtime;
            scope.spawn(move || outages.run(runtime, Duration::from_secs(seconds)));
        }
        scope.spawn(|| runtime.block_on(slow_the_provider_down(&world, seed)));
        while Instant::now() < ends && world.counts.violations() == 0 {
            std::thread::sleep(Duration::from_millis(100));
        }
        world.stop.store(true, Ordering::Relaxed);
    });
    world.sandbox.set_fault_rates(FaultRates::default());
    world.sandbox.clear_faults();
    runtime.block_on(async {
        for client in clients {
            if let Ok(Some(client)) = client.await {
                client.end().await;
            }
        }
    });
    conclude(&world);
}

/// Kills one replica after the other, each at a moment that nothing else decides.
fn kill_replicas(world: &World, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0xdead);
    while !world.stopped() {
        std::thread::sleep(Duration::from_millis(random.u64(500..4_000)));
        let replica = random.usize(0..REPLICAS);
        let _turn = world.peace.lock().unwrap();
        if world.replicas.kill(replica, &world.sandbox) {
            world.counts.event("replicas killed");
            std::thread::sleep(Duration::from_millis(random.u64(50..1_500)));
            world.replicas.start_until_it_listens(replica, &world.sandbox);
            world.counts.event("replicas started again");
        }
    }
}

/// Has the provider take its time, or hang up, now and then.
async fn slow_the_provider_down(world: &World, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0xbad);
    while !world.stopped() {
        tokio::time::sleep(Duration::from_millis(random.u64(100..600))).await;
        world.sandbox.inject(Fault::on_refresh(match random.u8(0..4) {
            0 => FaultKind::Delay { ms: random.u64(100..1_000) },
            1 | 2 => FaultKind::SlowBody { ms_total: random.u64(100..1_000) },
            _ => FaultKind::Drop,
        }));
    }
}

/// Looks at what the provider saw, and says everything.
fn conclude(world: &World) {
    let counts = &world.counts;
    for reuse in world.sandbox.reuses() {
        if world.replicas.explain(&reuse) {
            counts.event("refreshes whose answer died with its process");
        } else {
            counts.violation(format!("a refresh token was spent twice: {reuse:?}"));
        }
    }
    for line in world.replicas.panics() {
        counts.violation(line);
    }
    let seen = world.sandbox.seen();
    for (what, count) in [
        ("the provider: refreshes", seen.refreshes),
        ("the provider: refresh requests", seen.refresh_attempts),
        ("the provider: reuses", seen.reuses_detected),
        ("the provider: 429 sent", seen.too_many_sent),
        ("the provider: faults", seen.faults_served),
        ("the provider: codes exchanged", seen.codes_exchanged),
        ("the provider: devices connected", seen.device_grants),
        ("the provider: revocations", seen.revocations),
    ] {
        counts.add(what, count);
    }
    counts.print();
    if counts.violations() > 0 {
        println!("{}", world.replicas.logs());
    }
    assert_eq!(counts.violations(), 0, "see above");
}
